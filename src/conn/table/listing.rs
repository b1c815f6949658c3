//! Walking over all connections, for listings, from any thread and beside the workers.

use super::index::Word;
use super::primitive::{Ordering, fence};
use super::{FlowKey, Record, Slot, Table};

/// How often an entry that changes while it is copied is copied again. Its state changes a few times in its life.
const ATTEMPTS: u32 = 8;

/// A connection or template as it was at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its place.
    pub slot: Slot,
    /// Its key.
    pub key: FlowKey,
    /// The rest of it.
    pub record: Record,
}

impl Table {
    /// Copies of all live entries, in no particular order. Entries that come or go meanwhile may or may not be among them;
    /// each copy is of one entry at one moment.
    pub fn entries(&self) -> impl Iterator<Item = Listed> {
        (0..self.geometry.groups()).flat_map(move |group| {
            let word = Word(self.word(group).load(Ordering::Acquire));
            word.tagged().filter_map(move |position| self.listed(Slot::of(group, position)))
        })
    }

    /// A copy of the entry in a slot, if it is live.
    pub fn listed(&self, slot: Slot) -> Option<Listed> {
        let entry = self.entry(slot);
        for _ in 0..ATTEMPTS {
            let before = entry.state_word();
            if !before.is_live() {
                return None;
            }
            let (key, record) = (entry.key(), entry.record(before, self.vip_cell(slot)));
            // The loads above come before the one below: an unchanged word means that nobody else moved in.
            fence(Ordering::Acquire);
            if entry.state_word() == before {
                return Some(Listed { slot, key, record });
            }
        }
        None
    }
}
