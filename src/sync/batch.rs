//! Records on their way into messages: sent when full, or when the first of them has waited long enough.

use std::time::Duration;

use super::wire::{Message, SyncRecord};

/// How long a record waits for company (the kernel's sender wakes after the same time).
const WAIT: Duration = Duration::from_millis(20);

/// A message that is being filled, and the next one, and so on.
#[derive(Clone, Debug)]
pub struct Batch {
    syncid: u8,
    maxlen: u16,
    message: Message,
    since: Duration,
}

impl Batch {
    /// Messages of a group of directors, of so many bytes at most.
    pub fn new(syncid: u8, maxlen: u16) -> Self {
        Self { syncid, maxlen, message: Message::new(syncid, maxlen), since: Duration::ZERO }
    }

    /// Adds a record. If there was no room for it beside the others, theirs is a finished message. A call whose id is longer
    /// than a whole message is left out.
    #[must_use]
    pub fn push(&mut self, record: &SyncRecord, now: Duration) -> Option<Vec<u8>> {
        let full = (!self.message.push(record)).then(|| {
            let full = self.take();
            let fits = self.message.push(record);
            debug_assert!(fits || record.call.is_some(), "an empty message has room for a record");
            full
        });
        if full.is_some() || self.since == Duration::ZERO {
            self.since = now;
        }
        full.flatten()
    }

    /// The message so far, if its first record has waited long enough.
    pub fn due(&mut self, now: Duration) -> Option<Vec<u8>> {
        (now.saturating_sub(self.since) >= WAIT).then(|| self.take()).flatten()
    }

    /// The message so far, unless it is empty.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        self.since = Duration::ZERO;
        let next = Message::new(self.syncid, self.maxlen);
        let message = std::mem::replace(&mut self.message, next);
        (!message.is_empty()).then(|| message.finish())
    }
}
