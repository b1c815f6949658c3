//! What is known to be known: for each slot of the table, what peers were last told of its entry, or have told us.
//!
//! Twelve bytes a slot, beside the table and not in it: entries have no room to spare, and who restarts tells everything
//! anew. Pages of it are taken only as slots are used.

use crate::conn::table::{Slot, StateWord};
use crate::time::Tick;

/// Who had the last word about an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Word {
    /// Nobody: the entry was noticed, and not told of.
    #[default]
    Unsaid,
    /// We: peers were told.
    Ours,
    /// A peer: it told us, and nothing has happened here since.
    Theirs,
}

/// What is known about the entry in a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// Sequence of the state word that was seen: a change of state or a new entry in the slot moves it on.
    pub sequence: u32,
    /// When the entry's last packet had come.
    pub seen: Tick,
    /// Who had the last word.
    pub word: Word,
}

impl Note {
    /// Of an entry as it is now.
    pub fn new(state: StateWord, seen: Tick, word: Word) -> Self {
        Self { sequence: state.sequence(), seen, word }
    }

    /// Whether it is about this state of the entry.
    pub fn is_about(self, state: StateWord) -> bool {
        self.sequence == state.sequence()
    }
}

/// The notes about all slots.
#[derive(Debug, Default)]
pub struct Ledger {
    notes: Vec<Note>,
}

impl Ledger {
    /// Empty pages for a table of so many slots.
    pub fn new(slots: u32) -> Self {
        Self { notes: vec![Note::default(); slots as usize] }
    }

    /// Whether it has no pages at all, for want of daemons.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// The note about a slot.
    pub fn note(&self, slot: Slot) -> Note {
        self.notes.get(slot.number() as usize).copied().unwrap_or_default()
    }

    /// Writes it.
    pub fn write(&mut self, slot: Slot, note: Note) {
        if let Some(place) = self.notes.get_mut(slot.number() as usize) {
            *place = note;
        }
    }
}
