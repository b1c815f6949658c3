//! What a worker counts: written by it alone, with plain stores; read by anyone.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Reason, Verdict};
use crate::service::PairId;

/// A counter with one writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds without a locked instruction: only the owner may call this.
    #[inline(always)]
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(count), Relaxed);
    }

    /// The present value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Traffic of one (service, server) pair, as `ipvsadm -L --stats` shows it.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct PairCounters {
    /// Packets from clients, and from the server (which is seen in NAT only).
    pub packets: [Counter; 2],
    /// Bytes likewise: IP packet lengths, before any tunnel header.
    pub bytes: [Counter; 2],
    /// New connections.
    pub connections: Counter,
}

/// All counters of one worker.
#[derive(Debug)]
pub struct Counters {
    /// Frames received.
    pub received: Counter,
    /// Frames transmitted, answers included.
    pub transmitted: Counter,
    /// Frames answered by a packet of the director's own.
    pub answered: Counter,
    /// Frames given to the kernel.
    pub passed: Counter,
    /// Frames that were pieces of a datagram. What becomes of the datagram is counted once more.
    pub gathered: Counter,
    /// Packets cut into pieces; the pieces count as transmitted.
    pub cut: Counter,
    /// Frames whose transport checksum a local stack had left unfinished, and that were finished here.
    pub checksum_completed: Counter,
    reasons: [Counter; Reason::ALL.len()],
    pairs: Box<[PairCounters]>,
}

impl Counters {
    /// Counters with room for pair ids below `pairs`.
    pub fn new(pairs: usize) -> Self {
        Self {
            received: Counter::default(),
            transmitted: Counter::default(),
            answered: Counter::default(),
            passed: Counter::default(),
            gathered: Counter::default(),
            cut: Counter::default(),
            checksum_completed: Counter::default(),
            reasons: Default::default(),
            pairs: (0..pairs).map(|_| PairCounters::default()).collect(),
        }
    }

    /// The traffic of a pair; `None` for an id there is no room for.
    #[inline(always)]
    pub fn pair(&self, id: PairId) -> Option<&PairCounters> {
        self.pairs.get(id.0 as usize)
    }

    /// How often a frame ended for this reason: dropped, or answered.
    pub fn reason(&self, reason: Reason) -> u64 {
        self.reasons[reason as usize].get()
    }

    /// Counts the end of one frame. What is transmitted or passed is counted where the ring takes it.
    #[inline]
    pub fn count(&self, verdict: Verdict) {
        match verdict {
            Verdict::Transmit(_) | Verdict::Pass | Verdict::Wait => {}
            Verdict::Answer(_, reason) => {
                self.answered.add(1);
                self.reasons[reason as usize].add(1);
            }
            Verdict::Cut(..) => self.cut.add(1),
            Verdict::Gather => self.gathered.add(1),
            Verdict::Drop(reason) => self.reasons[reason as usize].add(1),
        }
    }
}
