//! The loop that moves batches from ring to ring.
//!
//! A [`Worker`] owns its rings, its frames and its counters. It meets the rest of the process only through the
//! connection table, the loads, the [`Mailbox`] and the queue of wanted neighbours; after it has started it never
//! allocates, locks, logs, or makes a system call other than the ring's own.
//!
//! One [`turn`](Worker::turn) is one batch: adopt a newer snapshot, receive, decide and rewrite, transmit. Frames are
//! conserved: each one received is transmitted, recycled, or held back because its neighbour is being resolved.

mod mailbox;
mod offline;
mod waiting;

pub use mailbox::{Inbox, Mailbox};
pub use offline::{Offline, OfflineConfig};

use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayVec;

use crate::conn::table::Member;
use crate::forward::{Decision, Forwarder, Reason, Verdict};
use crate::io::options::Poll;
use crate::io::{BATCH, Batch, Frame, PacketIo, PortId};
use crate::service::Snapshot;
use crate::time::Tick;
use waiting::Waiting;

/// Empty turns before an adaptive worker sleeps: a few tens of microseconds.
const SPINS: u32 = 200;
/// Longest sleep; also how late a new snapshot may be taken up by an idle worker.
const SLEEP: Duration = Duration::from_millis(10);
/// Sleep while frames wait for a neighbour.
const SHORT_SLEEP: Duration = Duration::from_millis(1);
/// How often a full transmit ring is kicked before frames are given up.
const TRANSMIT_TRIES: usize = 8;

/// Is told of every decision: for replay and tracing. The unit observer costs nothing.
pub trait Observer {
    /// `frame` was decided about; if it is to leave, its buffer already holds what will.
    fn decided<I: PacketIo>(&mut self, io: &mut I, frame: &Frame, decision: &Decision);
}

impl Observer for () {
    #[inline(always)]
    fn decided<I: PacketIo>(&mut self, _io: &mut I, _frame: &Frame, _decision: &Decision) {}
}

/// One worker; see the module documentation.
#[derive(Debug)]
pub struct Worker<I, O = ()> {
    io: I,
    observer: O,
    forwarder: Forwarder,
    member: Member,
    inbox: Inbox,
    received: Batch,
    decisions: ArrayVec<Decision, BATCH>,
    /// By port: what is about to be transmitted.
    outgoing: Box<[Batch]>,
    spent: Batch,
    waiting: Waiting,
}

impl<I: PacketIo> Worker<I> {
    /// A worker over these ports, that takes its snapshots out of `inbox`.
    pub fn new(io: I, forwarder: Forwarder, member: Member, inbox: Inbox) -> Self {
        Self::observed(io, forwarder, member, inbox, ())
    }
}

impl<I: PacketIo, O: Observer> Worker<I, O> {
    /// A worker whose decisions `observer` is told of.
    pub fn observed(io: I, forwarder: Forwarder, member: Member, inbox: Inbox, observer: O) -> Self {
        let outgoing = io.ports().iter().map(|_| Batch::new()).collect();
        Self {
            io,
            observer,
            forwarder,
            member,
            inbox,
            received: Batch::new(),
            decisions: ArrayVec::new(),
            outgoing,
            spent: Batch::new(),
            waiting: Waiting::default(),
        }
    }

    /// The ports.
    pub fn io(&mut self) -> &mut I {
        &mut self.io
    }

    /// The observer.
    pub fn observer(&mut self) -> &mut O {
        &mut self.observer
    }

    /// The worker's part of the packet path.
    pub fn forwarder(&self) -> &Forwarder {
        &self.forwarder
    }

    /// Frames held back until their neighbour is resolved.
    pub fn held(&self) -> usize {
        self.waiting.len()
    }

    /// Handles one batch and returns how many frames were received.
    pub fn turn(&mut self, now: Tick) -> usize {
        let fresh = self.inbox.refresh();
        if !self.waiting.is_empty() && (fresh || self.waiting.is_due(now)) {
            self.try_waiting(now);
        }
        self.forwarder.say_farewell(&mut self.io, &mut self.received);
        self.io.receive(&mut self.received);
        let count = self.received.len();
        if count != 0 {
            self.handle(now, now);
        }
        self.member.end_batch();
        count
    }

    /// Decides about the received frames. `since` is when they began to wait, should they have to.
    fn handle(&mut self, now: Tick, since: Tick) {
        let snapshot: &Snapshot = self.inbox.current();
        self.forwarder.process(&mut self.io, snapshot, &mut self.received, now, &mut self.decisions);
        for (frame, decision) in self.received.drain(..).zip(self.decisions.drain(..)) {
            self.observer.decided(&mut self.io, &frame, &decision);
            let verdict = decision.verdict();
            self.forwarder.counters().count(verdict);
            match verdict {
                Verdict::Transmit(port) | Verdict::Answer(port, _) => {
                    let Some(batch) = self.outgoing.get_mut(usize::from(port.0)) else {
                        self.spent.push(frame);
                        continue;
                    };
                    batch.push(frame);
                }
                Verdict::Wait => {
                    if let Err(frame) = self.waiting.push(frame, since) {
                        self.forwarder.counters().count(Verdict::Drop(Reason::Unresolved));
                        self.spent.push(frame);
                    }
                }
                Verdict::Pass | Verdict::Drop(_) => self.spent.push(frame),
            }
        }
        self.transmit();
        self.io.recycle(&mut self.spent);
    }

    /// Decides once more about frames whose neighbour was missing, and gives up those that waited too long.
    fn try_waiting(&mut self, now: Tick) {
        for _ in 0..self.waiting.len() {
            let Some((frame, since)) = self.waiting.pop() else { break };
            if self.waiting.is_overdue(since, now) {
                self.forwarder.counters().count(Verdict::Drop(Reason::Unresolved));
                self.spent.push(frame);
                self.io.recycle(&mut self.spent);
                continue;
            }
            self.received.push(frame);
            self.handle(now, since);
        }
    }

    fn transmit(&mut self) {
        for (port, batch) in self.outgoing.iter_mut().enumerate() {
            if batch.is_empty() {
                continue;
            }
            let offered = batch.len();
            for _ in 0..TRANSMIT_TRIES {
                self.io.transmit(PortId(port as u8), batch);
                if batch.is_empty() {
                    break;
                }
                self.io.flush();
            }
            let counters = self.forwarder.counters();
            counters.transmitted.add((offered - batch.len()) as u64);
            for _ in 0..batch.len() {
                counters.count(Verdict::Drop(Reason::TransmitFull));
            }
            self.io.recycle(batch);
        }
        self.io.flush();
    }

    /// Turns until `stop` says so. `clock` is read once a turn.
    pub fn run(mut self, poll: Poll, clock: impl Fn() -> Tick, stop: &Arc<std::sync::atomic::AtomicBool>) -> Self {
        let mut empty = 0;
        self.member.unpark();
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            if self.turn(clock()) != 0 {
                empty = 0;
                continue;
            }
            empty += 1;
            if poll == Poll::Adaptive && empty > SPINS {
                let at_most = if self.waiting.is_empty() { SLEEP } else { SHORT_SLEEP };
                self.member.park();
                self.io.wait(at_most);
                self.member.unpark();
            } else {
                std::hint::spin_loop();
            }
        }
        self.member.park();
        self
    }

    /// Gives all frames back that were held: the worker is about to end.
    pub fn close(mut self) -> I {
        while let Some((frame, _)) = self.waiting.pop() {
            self.spent.push(frame);
            self.io.recycle(&mut self.spent);
        }
        self.io.flush();
        self.io
    }
}
