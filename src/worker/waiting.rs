//! Frames that wait for their neighbour's MAC address, as they would in the kernel's own neighbour queues.

use std::collections::VecDeque;

use crate::io::{BATCH, Frame};
use crate::time::{Tick, Ticks};

/// As long as the kernel asks before it gives a neighbour up: three times, a second apart.
const PATIENCE: Ticks = Ticks::from_secs(3);

/// A bounded queue of frames, oldest first.
#[derive(Debug)]
pub(super) struct Waiting {
    frames: VecDeque<(Frame, Tick)>,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { frames: VecDeque::with_capacity(BATCH) }
    }
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Takes a frame in, or gives it back if there is no room.
    pub(super) fn push(&mut self, frame: Frame, since: Tick) -> Result<(), Frame> {
        if self.frames.len() == BATCH {
            return Err(frame);
        }
        self.frames.push_back((frame, since));
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Option<(Frame, Tick)> {
        self.frames.pop_front()
    }

    /// Whether the frame that has waited longest has waited long enough.
    pub(super) fn is_due(&self, now: Tick) -> bool {
        self.frames.front().is_some_and(|(_, since)| self.is_overdue(*since, now))
    }

    pub(super) fn is_overdue(&self, since: Tick, now: Tick) -> bool {
        now.since(since) > PATIENCE
    }
}
