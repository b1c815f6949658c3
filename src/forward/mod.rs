//! What happens to a packet: decide, then rewrite.
//!
//! ```text
//!            first pass (look)                       second pass (act), 16 packets behind
//! frame ──▶ headers ──▶ client's end? ──▶ hash ──▶ entry known? ── yes ─▶ state, counters ─▶ rewrite ─▶ Transmit
//!              │              by the VIP filter        │ no                     │
//!              ▼                                       ▼                        ▼
//!        Pass (not IP), Drop                   service? ─ no ─▶ Pass     TTL, MTU, no route: Answer
//!        (truncated, malformed)                   │ yes                  next hop unknown: Wait
//!                                                 ▼
//!                                   SYN, or UDP? ─ no ─▶ Answer (reset)
//!                                                 │ yes
//!                                                 ▼
//!                                   persistence, schedule ─ nobody ─▶ Answer (unreachable)
//!                                                 │
//!                                                 ▼
//!                                              insert ─▶ as a known one
//! ```
//!
//! Promises: every frame gets exactly one [`Verdict`]; no function here allocates, locks, logs, reads a clock or makes a
//! system call; a frame that gets the verdict `Wait` or `Pass` is untouched.

mod answer;
mod bypass;
pub mod calls;
mod changes;
mod counters;
mod culling;
mod decision;
mod defence;
mod established;
pub mod farewell;
mod ftp;
pub mod full;
mod gathering;
mod header_options;
pub mod lifecycle;
mod limiter;
mod look;
mod message;
mod one_packet;
mod onward;
mod open;
mod outward;
mod path_mtu;
mod persistence;
mod progress;
mod returned;
mod rewrite;
mod scheduled_error;
mod segment;
mod tunnel;
mod tunnel_error;
mod verdict;
pub mod wide;

pub use changes::{Change, Changes};
pub use counters::{Counter, Counters, PairCounters};
pub use culling::Culling;
pub use decision::Decision;
pub use defence::Defence;
pub use gathering::{Assembled, Gathering, Span, Whole};
pub use path_mtu::PathMtus;
pub use verdict::{Reason, Verdict};

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use arrayvec::ArrayVec;
use crossbeam::queue::ArrayQueue;

use crate::conn::Table;
use crate::conn::table::Slot;
use crate::io::{BATCH, Batch, Frame, PacketIo};
use crate::service::{Loads, Network, NextHop, Options, Services, Snapshot};
use crate::time::Tick;
use crate::wire::{Addr, Fragment, Parsed, Protocol, SctpEvent, parse};
use limiter::Limiter;
use look::Look;

/// How far the first touch of an entry runs ahead of its use: enough to hide a cache miss, few enough not to overrun the
/// core's miss buffers.
const LOOK_AHEAD: usize = 16;

/// What all workers share, and the sweeper with them.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The connection table.
    pub table: Arc<Table>,
    /// Connections by pair.
    pub loads: Arc<Loads>,
    /// By pair: which local end full NAT tries next.
    pub local_ends: Arc<[AtomicU32]>,
    /// What fits the ways to tunnel servers.
    pub path_mtus: Arc<PathMtus>,
    /// What the defences have workers do at this moment.
    pub defence: Arc<Defence>,
    /// What the ends of expired connections are still to be told; any worker empties it.
    pub farewells: Arc<ArrayQueue<farewell::Farewell>>,
    /// Neighbours that some worker needs and nobody has resolved yet; the control thread empties it.
    pub wanted: Arc<ArrayQueue<NextHop>>,
    /// The text of Call-IDs.
    pub calls: Arc<calls::Calls>,
    /// Connections that other directors should soon hear of.
    pub changes: Arc<Changes>,
}

/// Neighbours that workers may ask for at once.
const WANTED: usize = 1024;
/// Changed connections that may wait for a beat: more than two million a second.
const CHANGES: usize = 1 << 14;

impl Shared {
    /// Around a table: for so many workers, each with its lane in the loads, and one lane more for the sweeper; with room
    /// for so many pairs.
    pub fn new(table: Arc<Table>, workers: usize, pairs: usize) -> Self {
        Self {
            table,
            loads: Arc::new(Loads::new(workers + 1, pairs)),
            local_ends: (0..pairs).map(full::first_end).collect(),
            path_mtus: Arc::new(PathMtus::new(pairs)),
            defence: Arc::default(),
            farewells: Arc::new(ArrayQueue::new(farewell::FAREWELLS)),
            wanted: Arc::new(ArrayQueue::new(WANTED)),
            calls: Arc::default(),
            changes: Arc::new(Changes::new(CHANGES)),
        }
    }
}

/// The parts of a snapshot that the packet path asks, taken apart once a batch, with what else holds for the batch.
#[derive(Clone, Copy)]
struct View<'a> {
    services: &'a Services,
    network: &'a Network,
    options: &'a Options,
    table: &'a Table,
    limiter: &'a Limiter,
    now: Tick,
}

impl View<'_> {
    /// Whether a fragment is one that the director puts together: to a virtual address, or from a NAT server to others
    /// than the director.
    fn gathers(&self, piece: &Parsed) -> bool {
        debug_assert_ne!(piece.fragment, Fragment::Whole);
        self.services.vips.may_contain(piece.destination)
            || (self.services.is_nat_server(piece.source)
                && (!self.is_own(piece.destination) || self.services.is_local(piece.destination)))
    }

    /// Whether the address is the director's own, virtual ones included.
    fn is_own(&self, address: Addr) -> bool {
        self.services.is_vip(address) || self.network.ports.iter().any(|port| port.addresses.contains(&address))
    }
}

/// What the first pass says of frames that the second has no [`Look`] of: none of them is common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aside {
    /// There is nothing more to find out.
    Settled(Verdict),
    /// A fragment.
    Piece,
    /// ICMP.
    Message,
    /// Its IPv4 header has options.
    Options,
}

/// One worker's share of the packet path.
#[derive(Debug)]
pub struct Forwarder {
    shared: Shared,
    counters: Arc<Counters>,
    /// The worker's lane in [`Loads`].
    lane: usize,
    limiter: Limiter,
}

impl Forwarder {
    /// The packet path of the worker that owns `lane` of the loads.
    pub fn new(shared: Shared, counters: Arc<Counters>, lane: usize) -> Self {
        Self { shared, counters, lane, limiter: Limiter::default() }
    }

    /// The identification of the first IPv6 packet that this worker cuts: workers begin far from each other.
    pub fn first_id(&self) -> u32 {
        (self.lane as u32).wrapping_mul(0x9e37_79b9)
    }

    /// The worker's counters.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Decides about every frame of the batch and rewrites those that are to leave. `decisions[i]` is about `batch[i]`.
    pub fn process<I: PacketIo>(
        &self,
        io: &mut I,
        snapshot: &Snapshot,
        batch: &mut Batch,
        now: Tick,
        decisions: &mut ArrayVec<Decision, BATCH>,
    ) {
        decisions.clear();
        self.counters.received.add(batch.len() as u64);
        if !snapshot.forwarding {
            decisions.extend(batch.iter().map(|_| Decision::of(Verdict::Pass)));
            return;
        }
        let view = self.view(snapshot, now);
        let looks = self.look_at_all(io, &view, batch);
        let mut probable = [Slot::default(); BATCH];
        let ahead = |at: usize, probable: &mut [Slot; BATCH]| {
            if let Some(Ok(look)) = looks.get(at) {
                probable[at] = view.table.prefetch_entry(look.hash);
            }
        };
        (0..LOOK_AHEAD).for_each(|at| ahead(at, &mut probable));
        for (at, (frame, look)) in batch.iter_mut().zip(&looks).enumerate() {
            ahead(at + LOOK_AHEAD, &mut probable);
            let decision = match look {
                Ok(look) => self.decide(&view, &mut packet(io, frame), look, probable[at]),
                Err(aside) => self.set_aside(io, &view, frame, *aside),
            };
            decisions.push(decision);
        }
    }

    #[inline(always)]
    fn look_at_all<I: PacketIo>(
        &self,
        io: &mut I,
        view: &View<'_>,
        batch: &Batch,
    ) -> ArrayVec<Result<Look, Aside>, BATCH> {
        let mut looks = ArrayVec::new();
        for frame in batch {
            let slot = io.slot_mut(frame);
            let bytes = slot.get(usize::from(frame.offset)..).unwrap_or(&[]);
            looks.push(Look::at(bytes, frame.len(), &view.services.vips, &self.shared.table));
        }
        looks
    }

    /// Decides about a datagram that came in pieces, lent to `frame` for the time. `longest` is its longest piece.
    #[cold]
    #[inline(never)]
    pub fn process_assembled(
        &self,
        snapshot: &Snapshot,
        slot: &mut [u8],
        frame: &mut Frame,
        longest: u16,
        now: Tick,
    ) -> Decision {
        if !snapshot.forwarding {
            return Decision::of(Verdict::Pass);
        }
        let view = self.view(snapshot, now);
        let len = frame.len();
        let mut packet = Packet { slot, frame, may_be_unfinished: false, longest_piece: longest };
        match Look::at(packet.bytes(), len, &view.services.vips, &self.shared.table) {
            Ok(look) => self.decide_alone(&view, &mut packet, &look),
            Err(Aside::Options) => self.with_options(&view, &mut packet),
            Err(Aside::Message) => self.message(&view, &mut packet),
            Err(Aside::Piece) => Decision::drop(Reason::Malformed),
            Err(Aside::Settled(verdict)) => Decision::of(verdict),
        }
    }

    fn view<'a>(&'a self, snapshot: &'a Snapshot, now: Tick) -> View<'a> {
        let Snapshot { services, network, options, .. } = snapshot;
        View { services, network, options, table: &self.shared.table, limiter: &self.limiter, now }
    }

    #[cold]
    #[inline(never)]
    fn set_aside<I: PacketIo>(&self, io: &mut I, view: &View<'_>, frame: &mut Frame, aside: Aside) -> Decision {
        let mut packet = packet(io, frame);
        match aside {
            Aside::Settled(verdict) => Decision::of(verdict),
            Aside::Options => self.with_options(view, &mut packet),
            Aside::Message => self.message(view, &mut packet),
            Aside::Piece => match parse(packet.whole()) {
                Ok(parsed) if !view.gathers(&parsed) => Decision::of(Verdict::Pass),
                Ok(parsed) if header_options::is_sound(packet.whole(), parsed.l3, parsed.family()) => {
                    Decision::of(Verdict::Gather)
                }
                _ => Decision::drop(Reason::BadChecksum),
            },
        }
    }

    /// Decides about a packet that comes in no batch.
    #[cold]
    #[inline(never)]
    fn decide_alone(&self, view: &View<'_>, packet: &mut Packet<'_>, look: &Look) -> Decision {
        self.decide(view, packet, look, view.table.prefetch_entry(look.hash))
    }

    #[inline(always)]
    fn decide(&self, view: &View<'_>, packet: &mut Packet<'_>, look: &Look, probable: Slot) -> Decision {
        let belongs = |entry: &_| established::belongs(view, entry, look);
        match view.table.find_near(probable, &look.key, look.hash, belongs) {
            Some(found) => self.established(view, packet, look, found, view.now),
            None => self.unknown(view, packet, look, view.now),
        }
    }
}

#[inline(always)]
fn packet<'a, I: PacketIo>(io: &'a mut I, frame: &'a mut Frame) -> Packet<'a> {
    let checked = io.ports().get(usize::from(frame.port.0)).is_some_and(|port| port.partial_checksums);
    Packet { slot: io.slot_mut(frame), frame, may_be_unfinished: checked, longest_piece: 0 }
}

/// A frame with its bytes.
struct Packet<'a> {
    slot: &'a mut [u8],
    frame: &'a mut Frame,
    /// Whether its port takes frames from a local stack.
    may_be_unfinished: bool,
    /// Length of the longest piece it was put together from, in bytes of IP; 0 if it came whole.
    longest_piece: u16,
}

impl Packet<'_> {
    /// The frame's bytes, from the Ethernet header to the end of the slot.
    #[inline(always)]
    fn bytes(&mut self) -> &mut [u8] {
        let offset = usize::from(self.frame.offset);
        self.slot.get_mut(offset..).unwrap_or(&mut [])
    }

    /// The frame's bytes, and no more.
    fn whole(&self) -> &[u8] {
        let offset = usize::from(self.frame.offset);
        self.slot.get(offset..offset + self.frame.len()).unwrap_or(&[])
    }

    /// What an SCTP packet is; `None` if it has no chunk, or is none.
    fn sctp_event(&mut self, look: &Look) -> Option<SctpEvent> {
        let packet = self.bytes().get(usize::from(look.l4)..usize::from(look.end))?;
        (look.protocol == Protocol::SCTP).then(|| SctpEvent::of(packet)).flatten()
    }
}
