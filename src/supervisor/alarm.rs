//! Signs of life for the service manager, which takes a process that gives none for one that hangs.

use std::time::Duration;

use crate::sys::service_manager;

/// When the service manager wants to hear that this process lives: twice in the time that it waits.
#[derive(Debug)]
pub(super) struct Alarm {
    every: Duration,
    next: Duration,
}

impl Alarm {
    /// As the environment says; `None` if nobody wants to hear anything.
    pub(super) fn of_environment() -> Option<Self> {
        service_manager::patience().map(|patience| Self { every: patience / 2, next: Duration::ZERO })
    }

    /// Whether it is time, which is over then.
    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + self.every;
        }
        due
    }
}
