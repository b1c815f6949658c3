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
mod connection;
mod counters;
mod culling;
mod decision;
mod defence;
mod eclipse;
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
mod packet;
mod path_mtu;
mod persistence;
mod progress;
mod returned;
mod rewrite;
mod scheduled_error;
mod segment;
mod tunnel;
mod tunnel_error;
mod turn;
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
use crate::service::{Loads, NextHop, Snapshot};
use crate::time::Tick;
use connection::Connection;
use limiter::Limiter;
use look::Look;
use packet::Packet;
use turn::{Aside, Turn};

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
        let turn = self.turn(snapshot, now);
        let looks = turn.look_at_all(io, batch);
        let mut probable = [Slot::default(); BATCH];
        let ahead = |at: usize, probable: &mut [Slot; BATCH]| {
            if let Some(Ok(look)) = looks.get(at) {
                probable[at] = turn.table.prefetch_entry(look.hash);
            }
        };
        (0..LOOK_AHEAD).for_each(|at| ahead(at, &mut probable));
        for (at, (frame, look)) in batch.iter_mut().zip(&looks).enumerate() {
            ahead(at + LOOK_AHEAD, &mut probable);
            let decision = match look {
                Ok(look) => turn.decide(&mut Packet::of(io, frame), look, probable[at]),
                Err(aside) => turn.set_aside(io, frame, *aside),
            };
            decisions.push(decision);
        }
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
        let turn = self.turn(snapshot, now);
        let len = frame.len();
        let mut packet = Packet { slot, frame, may_be_unfinished: false, longest_piece: longest };
        match Look::at(packet.bytes(), len, &turn.services.vips, turn.table) {
            Ok(look) => turn.decide_alone(&mut packet, &look),
            Err(Aside::Options) => turn.with_options(&mut packet),
            Err(Aside::Message) => turn.message(&mut packet),
            Err(Aside::Piece) => Decision::drop(Reason::Malformed),
            Err(Aside::Settled(verdict)) => Decision::of(verdict),
        }
    }

    fn turn<'a>(&'a self, snapshot: &'a Snapshot, now: Tick) -> Turn<'a> {
        let Snapshot { services, network, options, .. } = snapshot;
        let Self { shared, counters, lane, limiter } = self;
        Turn { services, network, options, shared, table: &shared.table, counters, lane: *lane, limiter, now }
    }
}
