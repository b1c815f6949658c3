//! Ports in memory: the twin of the AF_XDP port, for tests and benchmarks.
//!
//! The outside injects frames with [`MemIo::inject`] and reads what came out with [`MemIo::take_sent`]. Rings are
//! bounded like real ones, so a full transmit ring can be had by asking for a short one.

use std::collections::VecDeque;
use std::time::Duration;

use super::pool::Pool;
use super::{Batch, Frame, PacketIo, PortId, PortInfo};

/// A set of ports in memory, for one worker.
#[derive(Debug)]
pub struct MemIo {
    pool: Pool,
    infos: Vec<PortInfo>,
    received: Vec<VecDeque<Frame>>,
    sent: Vec<VecDeque<Frame>>,
    /// What the kernel was given, in memory of its own as behind the AF_XDP port.
    kernel: (Pool, VecDeque<Frame>),
    ring: usize,
    next: usize,
    queued: usize,
}

impl MemIo {
    /// Ports of the given names, with `frames` buffers of `slot` bytes between them and rings of `ring` frames each.
    pub fn new(names: &[&str], frames: usize, slot: usize, ring: usize) -> Self {
        let pool = Pool::new(frames, slot);
        let info = |name: &&str| PortInfo {
            name: (*name).to_owned(),
            partial_checksums: true,
            max_frame: pool.max_frame(),
            mode: "memory".to_owned(),
        };
        let infos: Vec<_> = names.iter().map(info).collect();
        let rings = || infos.iter().map(|_| VecDeque::with_capacity(ring)).collect();
        let kernel = (Pool::new(ring, slot), VecDeque::with_capacity(ring));
        Self { received: rings(), sent: rings(), kernel, pool, infos, ring, next: 0, queued: 0 }
    }

    /// Whether frames may carry unfinished checksums, for all ports.
    pub fn set_partial_checksums(&mut self, may: bool) {
        for info in &mut self.infos {
            info.partial_checksums = may;
        }
    }

    /// Puts a frame on the wire towards the director. `false`: no buffer or no room, and the frame is lost, as on a
    /// real ring.
    #[inline]
    pub fn inject(&mut self, port: PortId, bytes: &[u8]) -> bool {
        self.inject_with(port, bytes.len(), |buffer| buffer.copy_from_slice(bytes))
    }

    /// As [`inject`](Self::inject), with the frame written in place by `fill`.
    #[inline]
    pub fn inject_with(&mut self, port: PortId, len: usize, fill: impl FnOnce(&mut [u8])) -> bool {
        let Some(ring) = self.received.get_mut(usize::from(port.0)) else { return false };
        if ring.len() == self.ring || len > self.pool.max_frame() {
            return false;
        }
        let Some(mut frame) = self.pool.take(port) else { return false };
        let at = usize::from(frame.offset);
        fill(&mut self.pool.slot_mut(&frame)[at..at + len]);
        frame.len = len as u16;
        ring.push_back(frame);
        self.queued += 1;
        true
    }

    /// What left a port since the last call, in order.
    pub fn take_sent(&mut self, port: PortId) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        self.drain_sent(port, |bytes| frames.push(bytes.to_vec()));
        frames
    }

    /// What was given to the kernel since the last call, in order.
    pub fn take_passed(&mut self) -> Vec<Vec<u8>> {
        let (pool, ring) = &mut self.kernel;
        let copy = |frame: Frame| {
            let bytes = pool.bytes(&frame).to_vec();
            pool.put(frame);
            bytes
        };
        ring.drain(..).map(copy).collect()
    }

    /// Shows each frame that left a port since the last call, in order, and frees its buffer.
    pub fn drain_sent(&mut self, port: PortId, mut each: impl FnMut(&[u8])) {
        let Some(ring) = self.sent.get_mut(usize::from(port.0)) else { return };
        for frame in ring.drain(..) {
            self.queued -= 1;
            each(self.pool.bytes(&frame));
            self.pool.put(frame);
        }
    }
}

impl PacketIo for MemIo {
    fn ports(&self) -> &[PortInfo] {
        &self.infos
    }

    #[inline]
    fn receive(&mut self, into: &mut Batch) {
        for _ in 0..self.received.len() {
            let ring = &mut self.received[self.next];
            self.next = (self.next + 1) % self.infos.len();
            while !into.is_full() {
                let Some(frame) = ring.pop_front() else { break };
                self.queued -= 1;
                into.push(frame);
            }
        }
    }

    fn allocate(&mut self) -> Option<Frame> {
        self.pool.take(PortId::default())
    }

    #[inline(always)]
    fn slot_mut(&mut self, frame: &Frame) -> &mut [u8] {
        self.pool.slot_mut(frame)
    }

    #[inline]
    fn transmit(&mut self, port: PortId, frames: &mut Batch) {
        let Some(ring) = self.sent.get_mut(usize::from(port.0)) else { return };
        let fits = frames.len().min(self.ring - ring.len());
        ring.extend(frames.drain(..fits));
        self.queued += fits;
    }

    fn pass(&mut self, frame: &Frame) -> bool {
        let (pool, ring) = &mut self.kernel;
        let copy = pool.copy_in(frame.port, self.pool.bytes(frame));
        copy.map(|copy| ring.push_back(copy)).is_some()
    }

    fn recycle(&mut self, frames: &mut Batch) {
        for frame in frames.drain(..) {
            self.pool.put(frame);
        }
    }

    fn flush(&mut self) {}

    fn wait(&mut self, _at_most: Duration) {}

    fn doze(&mut self, _moment: Duration) {}

    fn in_hand(&self) -> usize {
        self.pool.out() - self.queued
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(io: &mut MemIo) -> Batch {
        let mut batch = Batch::new();
        io.receive(&mut batch);
        batch
    }

    #[test]
    fn a_frame_goes_in_and_out_and_its_buffer_comes_back() {
        let mut io = MemIo::new(&["a", "b"], 4, 2048, 4);
        assert!(io.inject(PortId(0), b"hello"));
        let mut batch = batch(&mut io);
        assert_eq!((batch.len(), io.in_hand()), (1, 1));
        io.transmit(PortId(1), &mut batch);
        assert_eq!((batch.len(), io.in_hand()), (0, 0));
        assert_eq!(io.take_sent(PortId(1)), [b"hello"]);
        assert_eq!(io.pool.out(), 0);
    }

    #[test]
    fn what_does_not_fit_stays_in_order() {
        let mut io = MemIo::new(&["a"], 8, 2048, 2);
        let mut frames = Batch::new();
        for byte in 0..3u8 {
            frames.push(io.pool.copy_in(PortId(0), &[byte]).unwrap());
        }
        io.transmit(PortId(0), &mut frames);
        assert_eq!(frames.len(), 1);
        assert_eq!(io.take_sent(PortId(0)), [[0], [1]]);
        io.recycle(&mut frames);
        assert_eq!(io.in_hand(), 0);
    }

    #[test]
    fn the_kernel_gets_copies_as_long_as_there_is_room() {
        let mut io = MemIo::new(&["a"], 8, 2048, 2);
        for byte in 0..3 {
            assert_eq!(io.inject(PortId(0), &[byte]), byte < 2);
        }
        let mut batch = batch(&mut io);
        assert_eq!([0, 1, 1].map(|at| io.pass(&batch[at])), [true, true, false]);
        assert_eq!((io.take_passed(), io.in_hand()), (vec![vec![0], vec![1]], 2));
        assert!(io.pass(&batch[0]), "there is room again");
        io.recycle(&mut batch);
        assert_eq!(io.in_hand(), 0);
    }

    #[test]
    fn a_full_ring_and_an_empty_pool_lose_frames_as_a_wire_would() {
        let mut io = MemIo::new(&["a", "b"], 3, 2048, 2);
        let injected = [PortId(0), PortId(0), PortId(0), PortId(1), PortId(1)].map(|port| io.inject(port, b"x"));
        assert_eq!(injected, [true, true, false, true, false]);
        assert!(!io.inject(PortId(7), b"x"), "no such port");
        let mut batch = batch(&mut io);
        assert_eq!(batch.len(), 3, "ports are taken in turn");
        io.recycle(&mut batch);
        assert_eq!(io.pool.out(), 0);
        assert!(!io.inject(PortId(0), &[0; 2048]), "longer than a slot");
    }
}
