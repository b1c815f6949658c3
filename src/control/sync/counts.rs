//! What a director's sync daemons have done, in numbers.

use crate::sync::Outcome;

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) unsent: u64,
    pub(super) told: u64,
    pub(super) received: u64,
    pub(super) malformed: u64,
    pub(super) foreign: u64,
    pub(super) forged: u64,
    pub(super) unproven: u64,
    created: u64,
    updated: u64,
    deleted: u64,
    stale: u64,
    unknown_server: u64,
    pub(super) refused: u64,
    no_room: u64,
}

impl Counts {
    pub(super) fn count_sent(&mut self, taken: bool) {
        self.sent += u64::from(taken);
        self.unsent += u64::from(!taken);
    }

    pub(super) fn count(&mut self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Created => &mut self.created,
            Outcome::Updated => &mut self.updated,
            Outcome::Deleted => &mut self.deleted,
            Outcome::Stale => &mut self.stale,
            Outcome::UnknownServer => &mut self.unknown_server,
            Outcome::Refused => &mut self.refused,
            Outcome::NoRoom => &mut self.no_room,
        };
        *count += 1;
    }

    /// By the names that `status` shows.
    pub(super) fn named(&self) -> [(String, u64); 15] {
        [
            ("sent", self.sent),
            ("unsent", self.unsent),
            ("told", self.told),
            ("received", self.received),
            ("malformed", self.malformed),
            ("foreign", self.foreign),
            ("forged", self.forged),
            ("unproven", self.unproven),
            ("created", self.created),
            ("updated", self.updated),
            ("deleted", self.deleted),
            ("stale", self.stale),
            ("unknown-server", self.unknown_server),
            ("refused", self.refused),
            ("no-room", self.no_room),
        ]
        .map(|(name, count)| (format!("sync-{name}"), count))
    }
}
