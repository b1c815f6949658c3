//! Buffers on the heap, for the ports that have no kernel behind them.
//!
//! Promises: a frame is either in the free list or out, never both; `out()` says how many are out.

use super::{Frame, HEADROOM, PortId};

/// A fixed set of equal buffers.
#[derive(Debug)]
pub struct Pool {
    memory: Vec<u8>,
    slot: usize,
    /// Last in, first out: the buffer used last is the one still in the cache.
    free: Vec<u32>,
    frames: usize,
}

impl Pool {
    /// `frames` buffers of `slot` bytes each, headroom included.
    ///
    /// # Panics
    /// If a slot is not longer than the headroom, or longer than 64 KiB.
    pub fn new(frames: usize, slot: usize) -> Self {
        assert!(slot > HEADROOM && slot <= 1 << 16, "a slot holds the headroom and a frame of at most 64 KiB");
        let free = (0..frames as u32).rev().collect();
        Self { memory: vec![0; frames * slot], slot, free, frames }
    }

    /// Longest frame a slot can hold behind the headroom.
    pub fn max_frame(&self) -> usize {
        self.slot - HEADROOM
    }

    /// Frames that are out.
    pub fn out(&self) -> usize {
        self.frames - self.free.len()
    }

    /// An empty buffer with its headroom in front.
    #[inline]
    pub fn take(&mut self, port: PortId) -> Option<Frame> {
        let index = self.free.pop()?;
        Some(Frame { index, offset: HEADROOM as u16, len: 0, port })
    }

    /// A buffer filled with a copy of `bytes`; `None` if they are too long or no buffer is free.
    #[inline]
    pub fn copy_in(&mut self, port: PortId, bytes: &[u8]) -> Option<Frame> {
        if bytes.len() > self.max_frame() {
            return None;
        }
        let mut frame = self.take(port)?;
        frame.len = bytes.len() as u16;
        let at = usize::from(frame.offset);
        self.slot_mut(&frame)[at..at + bytes.len()].copy_from_slice(bytes);
        Some(frame)
    }

    /// Takes a buffer back.
    #[inline]
    #[expect(clippy::needless_pass_by_value, reason = "giving the token up is the point")]
    pub fn put(&mut self, frame: Frame) {
        self.free.push(frame.index);
    }

    /// The whole slot of a frame.
    #[inline(always)]
    pub fn slot_mut(&mut self, frame: &Frame) -> &mut [u8] {
        let start = frame.index as usize * self.slot;
        &mut self.memory[start..start + self.slot]
    }

    /// The frame's bytes.
    #[inline]
    pub fn bytes(&self, frame: &Frame) -> &[u8] {
        let start = frame.index as usize * self.slot + usize::from(frame.offset);
        &self.memory[start..start + usize::from(frame.len)]
    }
}
