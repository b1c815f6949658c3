//! The loop that moves batches from ring to ring.
//!
//! A [`Worker`] owns its rings, its frames and its counters. It meets the rest of the process only through the
//! connection table, the loads, the [`Mailbox`] and the queue of wanted neighbours; after it has started it never
//! allocates, locks, logs, or makes a system call other than the ring's own.
//!
//! One [`turn`](Worker::turn) is one batch: adopt a newer snapshot, receive, decide and rewrite, transmit. Frames are
//! conserved: each one received is transmitted, recycled, or held back because its neighbour is being resolved.

#[cfg(any(debug_assertions, feature = "faults"))]
mod faults;
mod mailbox;
mod offline;
mod outbox;
mod pieces;
mod rest;
mod waiting;

#[cfg(any(debug_assertions, feature = "faults"))]
pub use faults::{OnDemand, stand_still_on_demand};
pub use mailbox::{Inbox, Mailbox};
pub use offline::{Offline, OfflineConfig};

use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayVec;

use crate::conn::table::Member;
use crate::forward::{Decision, Forwarder, Gathering, Reason, Verdict, Whole};
use crate::io::options::Poll;
use crate::io::{BATCH, Batch, Frame, PacketIo, PortId};
use crate::service::Snapshot;
use crate::sys::pulse::Pulse;
use crate::sys::scheduling;
use crate::time::Tick;
use crate::wire::parse;
use outbox::Outbox;
use pieces::Parts;
use rest::{DOZE, Next, Rest};
use waiting::Waiting;

/// Faults on demand are for tests, and a build that is used has none.
#[cfg(not(any(debug_assertions, feature = "faults")))]
pub type OnDemand = ();
/// As [`OnDemand`].
#[cfg(not(any(debug_assertions, feature = "faults")))]
pub const fn stand_still_on_demand() {}

/// Longest sleep; also how late a new snapshot may be taken up by an idle worker.
const SLEEP: Duration = Duration::from_millis(10);
/// Sleep while frames wait for a neighbour.
const SHORT_SLEEP: Duration = Duration::from_millis(1);

/// Is told of every decision: for replay and tracing. The unit observer costs nothing.
pub trait Observer {
    /// `frame` was decided about; if it is to leave, its buffer already holds what will. (A datagram that came in pieces
    /// is not in the buffer of the last one, which is told of what was decided about the whole.)
    fn decided<I: PacketIo>(&mut self, io: &mut I, frame: &Frame, decision: &Decision);

    /// So many frames were the pieces of a datagram that was decided about.
    fn assembled(&mut self, _pieces: usize, _decision: &Decision) {}
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
    outbox: Outbox,
    waiting: Waiting,
    gathering: Gathering,
    /// The identification of the next IPv6 packet that is cut.
    next_id: u32,
    /// Where it gives signs of life, while it runs.
    pulse: Option<Pulse>,
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
        let outbox = Outbox::new(io.ports().len());
        // Far from the other workers': a receiver tells pieces apart by it.
        let next_id = forwarder.first_id();
        Self {
            io,
            observer,
            forwarder,
            member,
            inbox,
            received: Batch::new(),
            decisions: ArrayVec::new(),
            outbox,
            waiting: Waiting::default(),
            gathering: Gathering::default(),
            next_id,
            pulse: None,
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

    /// Datagrams of which pieces are missing, or that wait for their neighbour.
    pub fn gathered(&self) -> usize {
        self.gathering.len()
    }

    /// Handles one batch and returns how many frames were received.
    pub fn turn(&mut self, now: Tick) -> usize {
        let fresh = self.inbox.refresh();
        if !self.waiting.is_empty() && (fresh || self.waiting.is_due(now)) {
            self.try_waiting(now);
        }
        self.forwarder.say_farewell(&mut self.io, &mut self.received);
        if !self.gathering.is_empty() {
            self.look_after_gathering(fresh, now);
        }
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
        let Self { io, observer, forwarder, inbox, outbox, gathering, next_id, waiting, .. } = self;
        let mut desk = Desk { io, observer, forwarder, snapshot: inbox.current(), outbox, gathering, next_id, now };
        for (frame, decision) in self.received.drain(..).zip(self.decisions.drain(..)) {
            let verdict = decision.verdict();
            if verdict == Verdict::Gather {
                desk.gather(frame);
                continue;
            }
            desk.observer.decided(desk.io, &frame, &decision);
            desk.forwarder.counters().count(verdict);
            match verdict {
                Verdict::Transmit(port) | Verdict::Answer(port, _) => {
                    desk.outbox.send(desk.io, desk.forwarder.counters(), port, frame);
                }
                Verdict::Wait => {
                    if let Err(frame) = waiting.push(frame, since) {
                        desk.forwarder.counters().count(Verdict::Drop(Reason::Unresolved));
                        desk.outbox.discard(desk.io, frame);
                    }
                }
                Verdict::Cut(port, mtu) => desk.cut(frame, port, mtu),
                Verdict::Pass => desk.pass(frame),
                Verdict::Drop(_) | Verdict::Gather => desk.outbox.discard(desk.io, frame),
            }
        }
        self.send_all();
    }

    /// Sends and frees everything. While it sends, the kernel may do work of its own for a few of its ticks, at this thread's
    /// cost: nobody must think that it loops.
    fn send_all(&mut self) {
        if let Some(pulse) = &self.pulse {
            pulse.wait();
        }
        self.outbox.empty(&mut self.io, self.forwarder.counters());
        if let Some(pulse) = &self.pulse {
            pulse.turn();
        }
    }

    /// Decides once more about frames whose neighbour was missing, and gives up those that waited too long.
    fn try_waiting(&mut self, now: Tick) {
        for _ in 0..self.waiting.len() {
            let Some((frame, since)) = self.waiting.pop() else { break };
            if self.waiting.is_overdue(since, now) {
                self.forwarder.counters().count(Verdict::Drop(Reason::Unresolved));
                self.outbox.discard(&mut self.io, frame);
                continue;
            }
            self.received.push(frame);
            self.handle(now, since);
        }
        self.send_all();
    }

    /// Gives up datagrams whose time is up, and tries again with those whose neighbour was missing, once there is news.
    #[cold]
    fn look_after_gathering(&mut self, fresh: bool, now: Tick) {
        let Self { io, observer, forwarder, inbox, outbox, gathering, next_id, .. } = self;
        gathering.expire(now, |reason| forwarder.counters().count(Verdict::Drop(reason)));
        if !fresh {
            return;
        }
        let mut desk = Desk { io, observer, forwarder, snapshot: inbox.current(), outbox, gathering, next_id, now };
        let mut at = desk.gathering.next_waiting(None);
        while let Some(whole) = at {
            if let Some(mut bearer) = desk.io.allocate() {
                desk.settle(whole, &mut bearer);
                desk.outbox.discard(desk.io, bearer);
            }
            at = desk.gathering.next_waiting(Some(whole));
        }
        self.send_all();
    }

    /// Turns until `stop` says so, and tells `pulse`. `clock` is read once a turn.
    pub fn run(
        mut self,
        poll: Poll,
        clock: impl Fn() -> Tick,
        stop: &Arc<std::sync::atomic::AtomicBool>,
        pulse: &Pulse,
    ) -> Self {
        let mut rest = Rest::default();
        self.pulse = Some(pulse.clone());
        self.member.unpark();
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            pulse.turn();
            let in_vain = self.turn(clock()) == 0;
            match rest.next(in_vain, poll, self.inbox.shares_core()) {
                Next::GoOn => {}
                Next::Look => std::hint::spin_loop(),
                Next::GiveWay => rest.gave_way(scheduling::give_way()),
                Next::Doze => self.sleep(pulse, |io| io.doze(DOZE)),
                Next::Sleep => {
                    let at_most = if self.waiting.is_empty() { SLEEP } else { SHORT_SLEEP };
                    self.sleep(pulse, |io| io.wait(at_most));
                }
            }
        }
        self.member.park();
        self
    }

    /// Sleeps by `how`. Nobody waits for this worker meanwhile.
    fn sleep(&mut self, pulse: &Pulse, how: impl FnOnce(&mut I)) {
        self.member.park();
        pulse.wait();
        how(&mut self.io);
        self.member.unpark();
    }

    /// Gives all frames back that were held: the worker is about to end.
    pub fn close(mut self) -> I {
        while let Some((frame, _)) = self.waiting.pop() {
            self.outbox.discard(&mut self.io, frame);
        }
        self.outbox.empty(&mut self.io, self.forwarder.counters());
        self.io
    }
}

/// What frames are handled with, once they are decided about.
struct Desk<'a, I, O> {
    io: &'a mut I,
    observer: &'a mut O,
    forwarder: &'a Forwarder,
    snapshot: &'a Snapshot,
    outbox: &'a mut Outbox,
    gathering: &'a mut Gathering,
    next_id: &'a mut u32,
    now: Tick,
}

impl<I: PacketIo, O: Observer> Desk<'_, I, O> {
    /// Takes a piece in; if it was the last to come, its datagram leaves.
    #[cold]
    fn gather(&mut self, mut frame: Frame) {
        let counters = self.forwarder.counters();
        counters.count(Verdict::Gather);
        let (offset, len) = (frame.offset(), frame.len());
        let bytes = self.io.slot_mut(&frame).get(offset..offset + len).unwrap_or(&[]);
        let whole = parse(bytes).ok().and_then(|parsed| {
            let lost = |reason| counters.count(Verdict::Drop(reason));
            self.gathering.add(bytes, &parsed, frame.port(), self.now, lost)
        });
        let decision = whole.map_or(Decision::of(Verdict::Gather), |whole| self.settle(whole, &mut frame));
        self.observer.decided(self.io, &frame, &decision);
        self.outbox.discard(self.io, frame);
    }

    /// Decides about a whole datagram, sends it, and forgets it unless it has to wait. Where it lies is told by `bearer`,
    /// which is given back as it was.
    fn settle(&mut self, whole: Whole, bearer: &mut Frame) -> Decision {
        let (offset, len, port) = (bearer.offset, bearer.len, bearer.port);
        let assembled = self.gathering.assembled(whole);
        (bearer.offset, bearer.len, bearer.port) = (assembled.offset, assembled.len, assembled.port);
        let longest = assembled.longest;
        let decision = self.forwarder.process_assembled(self.snapshot, assembled.slot, bearer, longest, self.now);
        let verdict = decision.verdict();
        let leaves = match verdict {
            Verdict::Transmit(to) => Some((Some(to), u16::MAX, assembled.spans)),
            Verdict::Cut(to, mtu) => Some((Some(to), mtu, assembled.spans)),
            // An answer is an ordinary packet.
            Verdict::Answer(to, _) => Some((Some(to), u16::MAX, &assembled.spans[..1])),
            Verdict::Pass => Some((None, u16::MAX, assembled.spans)),
            Verdict::Drop(_) | Verdict::Wait | Verdict::Gather => None,
        };
        if let Some((to, mtu, came_as)) = leaves {
            let frame = assembled.slot.get(bearer.offset()..bearer.offset() + bearer.len()).unwrap_or(&[]);
            let parts = Parts { frame, came_as, longest, mtu, id: *self.next_id };
            *self.next_id = self.next_id.wrapping_add(1);
            parts.send(self.io, self.outbox, self.forwarder.counters(), to);
        }
        (bearer.offset, bearer.len, bearer.port) = (offset, len, port);
        if verdict != Verdict::Wait {
            self.observer.assembled(assembled.spans.len(), &decision);
            self.forwarder.counters().count(verdict);
            self.gathering.end(whole);
        }
        decision
    }

    /// Sends a packet that is too long for its way.
    #[cold]
    fn cut(&mut self, frame: Frame, port: PortId, mtu: u16) {
        let (offset, len) = (frame.offset(), frame.len());
        if let Some(bytes) = self.io.slot_mut(&frame).get(offset..offset + len)
            && let Some(copy) = self.gathering.scratch().get_mut(..len)
        {
            copy.copy_from_slice(bytes);
            let parts = Parts { frame: copy, came_as: &[], longest: 0, mtu, id: *self.next_id };
            *self.next_id = self.next_id.wrapping_add(1);
            parts.send(self.io, self.outbox, self.forwarder.counters(), Some(port));
        }
        self.outbox.discard(self.io, frame);
    }

    /// Gives the kernel what is its own.
    #[cold]
    fn pass(&mut self, mut frame: Frame) {
        self.forwarder.complete(self.io, self.snapshot, &mut frame);
        self.outbox.pass(self.io, self.forwarder.counters(), frame);
    }
}
