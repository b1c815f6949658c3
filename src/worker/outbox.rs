//! Frames on their way out of a worker: to the transmit rings, or back to the pool.

use crate::forward::{Counters, Reason, Verdict};
use crate::io::{Batch, Frame, PacketIo, PortId};

/// How often a full transmit ring is kicked before frames are given up.
const TRANSMIT_TRIES: usize = 8;

/// What is about to leave.
#[derive(Debug)]
pub(super) struct Outbox {
    /// By port.
    ports: Box<[Batch]>,
    spent: Batch,
}

impl Outbox {
    pub(super) fn new(ports: usize) -> Self {
        Self { ports: (0..ports).map(|_| Batch::new()).collect(), spent: Batch::new() }
    }

    /// Puts a frame out to leave by `port`.
    #[inline]
    pub(super) fn send<I: PacketIo>(&mut self, io: &mut I, counters: &Counters, port: PortId, frame: Frame) {
        let Some(batch) = self.ports.get_mut(usize::from(port.0)) else { return self.discard(io, frame) };
        if let Err(full) = batch.try_push(frame) {
            transmit(io, counters, port, batch);
            batch.push(full.element());
        }
    }

    /// Gives a frame to the kernel.
    #[cold]
    pub(super) fn pass<I: PacketIo>(&mut self, io: &mut I, counters: &Counters, frame: Frame) {
        match io.pass(&frame) {
            true => counters.passed.add(1),
            false => counters.count(Verdict::Drop(Reason::NotPassed)),
        }
        self.discard(io, frame);
    }

    /// Puts a frame out to be used again.
    #[inline]
    pub(super) fn discard<I: PacketIo>(&mut self, io: &mut I, frame: Frame) {
        if let Err(full) = self.spent.try_push(frame) {
            io.recycle(&mut self.spent);
            self.spent.push(full.element());
        }
    }

    /// Sends and frees everything.
    pub(super) fn empty<I: PacketIo>(&mut self, io: &mut I, counters: &Counters) {
        for (port, batch) in self.ports.iter_mut().enumerate() {
            if !batch.is_empty() {
                transmit(io, counters, PortId(port as u8), batch);
            }
        }
        io.flush();
        io.recycle(&mut self.spent);
    }
}

/// Sends what the ring takes; the rest is lost.
fn transmit<I: PacketIo>(io: &mut I, counters: &Counters, port: PortId, batch: &mut Batch) {
    let offered = batch.len();
    for _ in 0..TRANSMIT_TRIES {
        io.transmit(port, batch);
        if batch.is_empty() {
            break;
        }
        io.flush();
    }
    counters.transmitted.add((offered - batch.len()) as u64);
    for _ in 0..batch.len() {
        counters.count(Verdict::Drop(Reason::TransmitFull));
    }
    io.recycle(batch);
}
