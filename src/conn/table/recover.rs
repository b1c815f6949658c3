//! Taking over the table of a process that died, at whatever instruction.
//!
//! With no worker running, what is live is the truth: every other claimed slot becomes free, the lock bits and overflow
//! counts follow from the live entries, and so do the bonds between connections and templates.
//!
//! The index says where to look: a slot's byte is set before its entry is touched, and taken back after the entry was cleared. So
//! the repair takes a time that grows with the connections, not with the table.

use super::index::Word;
use super::layout::{Geometry, Slot};
use super::primitive::Ordering;
use super::{Entry, Table};

/// What the repair found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Live entries, kept.
    pub kept: u32,
    /// Slots that were being filled, dying or unreadable, freed.
    pub freed: u32,
    /// Groups whose lock was held or whose count of entries elsewhere was wrong.
    pub corrected: u32,
    /// Bonds to a template that is gone, cut.
    pub orphaned: u32,
}

impl Table {
    /// Repairs a table that was only mapped. Whoever used it before must have stopped, and nobody may use it yet.
    pub fn recover(&self) -> Recovered {
        self.park_all();
        let mut recovered = Recovered::default();
        let elsewhere = self.settle_entries(&mut recovered);
        self.settle_words(&elsewhere, &mut recovered);
        self.settle_bonds(&mut recovered);
        recovered
    }

    /// Frees every slot that holds no connection; counts, by home group, the connections that live elsewhere.
    fn settle_entries(&self, recovered: &mut Recovered) -> Vec<u8> {
        let mut elsewhere = vec![0u8; self.geometry.groups() as usize];
        for (group, word) in self.claimed_groups() {
            for position in word.taken() {
                let slot = Slot::of(group, position);
                let entry = self.entry(slot);
                if let Some(home) = self.belongs(slot, word, entry) {
                    recovered.kept += 1;
                    if home != group {
                        elsewhere[home as usize] = elsewhere[home as usize].saturating_add(1);
                    }
                } else {
                    recovered.freed += 1;
                    entry.clear();
                    self.word(group).fetch_and(Word::freed(position), Ordering::Relaxed);
                }
            }
        }
        elsewhere
    }

    /// The groups with any slot that is not free, and their words.
    fn claimed_groups(&self) -> impl Iterator<Item = (u32, Word)> {
        let words = (0..).zip(self.mapping.index()).map(|(group, word)| (group, Word(word.load(Ordering::Relaxed))));
        words.filter(|(_, word)| !word.is_vacant())
    }

    /// The home group of the live entry in a slot, if that entry is sound and where a lookup would find it.
    fn belongs(&self, slot: Slot, word: Word, entry: &Entry) -> Option<u32> {
        let state = entry.state_word();
        let key = entry.key();
        let hash = self.hash(&key);
        let home = self.geometry.home(hash);
        // A state byte that this build does not know reads as dead.
        let sound = state.is_live()
            && !state.is_dead()
            && key.head != 0
            && word.matches(Geometry::tag(hash)).any(|position| position == slot.position())
            && (home == slot.group() || self.geometry.elsewhere(hash).any(|group| group == slot.group()));
        sound.then_some(home)
    }

    /// Gives every group its control byte: unlocked, with the true count.
    fn settle_words(&self, elsewhere: &[u8], recovered: &mut Recovered) {
        for (index_word, &count) in self.mapping.index().iter().zip(elsewhere) {
            let found = Word(index_word.load(Ordering::Relaxed));
            let right = found.with_control(count);
            if found != right {
                recovered.corrected += 1;
                index_word.store(right.0, Ordering::Relaxed);
            }
        }
    }

    /// Gives every template its count of connections, and cuts bonds that lead to no template.
    fn settle_bonds(&self, recovered: &mut Recovered) {
        let claimed =
            || self.claimed_groups().flat_map(|(group, word)| word.tagged().map(move |at| Slot::of(group, at)));
        let live = || claimed().map(|slot| self.entry(slot)).filter(|entry| entry.state_word().is_live());
        for template in live().filter(|entry| entry.key().is_template()) {
            template.forget_children();
        }
        for (entry, control) in live().filter_map(|entry| Some((entry, entry.control()?))) {
            let template = self.slot(control.number()).map(|slot| self.entry(slot));
            match template.filter(|entry| entry.state_word().is_live() && entry.key().is_template()) {
                Some(template) => template.add_child(),
                None => {
                    entry.drop_control();
                    recovered.orphaned += 1;
                }
            }
        }
    }
}
