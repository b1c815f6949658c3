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
mod changes;
mod counters;
mod culling;
mod decision;
mod defence;
mod established;
mod ftp;
pub mod lifecycle;
mod look;
mod one_packet;
mod open;
mod persistence;
mod rewrite;
mod transit;
mod tunnel;
mod verdict;
pub mod wide;

pub use changes::{Change, Changes};
pub use counters::{Counter, Counters, PairCounters};
pub use culling::Culling;
pub use decision::Decision;
pub use defence::Defence;
pub use verdict::{Reason, Verdict};

use std::sync::Arc;

use arrayvec::ArrayVec;
use crossbeam::queue::ArrayQueue;

use crate::conn::Table;
use crate::io::{BATCH, Batch, Frame, PacketIo};
use crate::service::{Loads, Network, NextHop, Options, Services, Snapshot};
use crate::time::Tick;
use crate::wire::{Protocol, SctpEvent};
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
    /// What the defences have workers do at this moment.
    pub defence: Arc<Defence>,
    /// Neighbours that some worker needs and nobody has resolved yet; the control thread empties it.
    pub wanted: Arc<ArrayQueue<NextHop>>,
    /// Connections that other directors should soon hear of.
    pub changes: Arc<Changes>,
}

/// The parts of a snapshot that the packet path asks, taken apart once a batch.
#[derive(Clone, Copy)]
struct View<'a> {
    services: &'a Services,
    network: &'a Network,
    options: &'a Options,
    table: &'a Table,
}

/// One worker's share of the packet path.
#[derive(Debug)]
pub struct Forwarder {
    shared: Shared,
    counters: Arc<Counters>,
    /// The worker's lane in [`Loads`].
    lane: usize,
}

impl Forwarder {
    /// The packet path of the worker that owns `lane` of the loads.
    pub fn new(shared: Shared, counters: Arc<Counters>, lane: usize) -> Self {
        Self { shared, counters, lane }
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
        let view = View {
            services: &snapshot.services,
            network: &snapshot.network,
            options: &snapshot.options,
            table: &self.shared.table,
        };
        let looks = self.look_at_all(io, &view, batch);
        for look in looks.iter().take(LOOK_AHEAD).flatten() {
            self.shared.table.prefetch_entry(look.hash);
        }
        for (at, frame) in batch.iter_mut().enumerate() {
            if let Some(Ok(ahead)) = looks.get(at + LOOK_AHEAD) {
                self.shared.table.prefetch_entry(ahead.hash);
            }
            let decision = match &looks[at] {
                Ok(look) => self.act(io, &view, frame, look, now),
                Err(verdict) => Decision::of(*verdict),
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
    ) -> ArrayVec<Result<Look, Verdict>, BATCH> {
        let mut looks = ArrayVec::new();
        for frame in batch {
            let slot = io.slot_mut(frame);
            let bytes = slot.get(usize::from(frame.offset)..).unwrap_or(&[]);
            looks.push(Look::at(bytes, frame.len(), &view.services.vips, &self.shared.table));
        }
        looks
    }

    #[inline(always)]
    fn act<I: PacketIo>(&self, io: &mut I, view: &View<'_>, frame: &mut Frame, look: &Look, now: Tick) -> Decision {
        let checked = io.ports().get(usize::from(frame.port.0)).is_some_and(|port| port.partial_checksums);
        let mut packet = Packet { slot: io.slot_mut(frame), frame, may_be_unfinished: checked };
        match self.shared.table.find(&look.key, look.hash, |entry| established::belongs(view, entry, look)) {
            Some(found) => self.established(view, &mut packet, look, found, now),
            None => self.unknown(view, &mut packet, look, now),
        }
    }
}

/// A frame with its bytes.
struct Packet<'a> {
    slot: &'a mut [u8],
    frame: &'a mut Frame,
    /// Whether its port takes frames from a local stack.
    may_be_unfinished: bool,
}

impl Packet<'_> {
    /// The frame's bytes, from the Ethernet header to the end of the slot.
    #[inline(always)]
    fn bytes(&mut self) -> &mut [u8] {
        let offset = usize::from(self.frame.offset);
        self.slot.get_mut(offset..).unwrap_or(&mut [])
    }

    /// What an SCTP packet is; `None` if it has no chunk, or is none.
    fn sctp_event(&mut self, look: &Look) -> Option<SctpEvent> {
        let packet = self.bytes().get(usize::from(look.l4)..usize::from(look.end))?;
        (look.protocol == Protocol::SCTP).then(|| SctpEvent::of(packet)).flatten()
    }
}
