//! Clearing what lies in slots that the index calls free.
//!
//! No death leaves anything there: a slot is claimed before it is filled, and cleared before it is freed. Damage does. To look
//! for it means to touch every slot, so the repair of [`super::recover`] leaves it to the sweeper's first walk, beside the workers.
//!
//! # Why no insert is disturbed
//!
//! A slot is taken by a compare-and-swap from free to dying before it is cleared. Whoever claims the slot in between has changed the
//! word, and it is left alone; whoever compares meanwhile meets no tag. The word may return to what an insert has seen, but no
//! key has come into it meanwhile.

use super::Table;
use super::index::Word;
use super::layout::Slot;
use super::primitive::Ordering;

impl Table {
    /// Clears the free slots of a group that hold anything, and says how many there were. Only for the sweeper's thread.
    pub(super) fn scour(&self, group: u32) -> u32 {
        let word = Word(self.word(group).load(Ordering::Acquire));
        word.free().filter(|&position| self.clear_stray(Slot::of(group, position))).map(|_| 1).sum()
    }

    fn clear_stray(&self, slot: Slot) -> bool {
        let word = Word(self.word(slot.group()).load(Ordering::Acquire));
        let stray = word.free().any(|position| position == slot.position()) && !self.entry(slot).is_blank();
        let taken = Word(word.0 | Word::dying(slot.position()));
        if !stray || self.exchange(slot.group(), word, taken).is_none() {
            return false;
        }
        self.entry(slot).clear();
        self.word(slot.group()).fetch_and(Word::freed(slot.position()), Ordering::AcqRel);
        true
    }
}
