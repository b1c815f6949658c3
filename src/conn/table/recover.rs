//! Taking over the table of a process that died, at whatever instruction.
//!
//! With no worker running, what is live is the truth: every other claimed slot becomes free, the lock bits and overflow
//! counts follow from the live entries, and so do the bonds between connections and templates.
//!
//! The index says where to look: a slot's byte is set before its entry is touched, and taken back after the entry was cleared. So
//! the repair takes a time that grows with the connections, not with the table. Damage elsewhere is for [`super::scour`].

use std::collections::BTreeMap;

use super::index::Word;
use super::layout::{Geometry, Slot};
use super::primitive::Ordering;
use super::{Entry, Listed, Table};

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

/// What one look at all entries gives.
#[derive(Debug, Default)]
struct Seen {
    /// By home group, how many connections live elsewhere.
    elsewhere: BTreeMap<u32, u8>,
    /// Connections and their templates.
    bonds: Vec<(Slot, Slot)>,
}

impl Table {
    /// Repairs a table that was only mapped, and shows every connection in it to `kept`. Whoever used it before must have
    /// stopped, and nobody may use it yet.
    pub fn recover(&self, kept: impl FnMut(Listed)) -> Recovered {
        self.park_all();
        let mut recovered = Recovered::default();
        let claimed = self.claimed_groups();
        let Seen { elsewhere, bonds } = self.settle_entries(&claimed, kept, &mut recovered);
        self.settle_words(&claimed, &elsewhere, &mut recovered);
        self.settle_bonds(&bonds, &mut recovered);
        recovered
    }

    /// The groups of which anything is said.
    fn claimed_groups(&self) -> Vec<u32> {
        let words = (0..).zip(self.mapping.index());
        words.filter(|(_, word)| word.load(Ordering::Relaxed) != 0).map(|(group, _)| group).collect()
    }

    /// Frees every slot that holds no connection. Entries are looked at only once: packets wait, and memory is slow.
    fn settle_entries(&self, claimed: &[u32], mut kept: impl FnMut(Listed), recovered: &mut Recovered) -> Seen {
        let Seen { mut elsewhere, mut bonds } = Seen::default();
        for &group in claimed {
            let word = Word(self.word(group).load(Ordering::Relaxed));
            for position in word.taken() {
                let slot = Slot::of(group, position);
                let entry = self.entry(slot);
                if let Some(home) = self.belongs(slot, word, entry) {
                    recovered.kept += 1;
                    if entry.key().is_template() {
                        entry.forget_children();
                    }
                    bonds.extend(entry.control().map(|control| (slot, control)));
                    self.listed(slot).into_iter().for_each(&mut kept);
                    if home != group {
                        let count = elsewhere.entry(home).or_insert(0_u8);
                        *count = count.saturating_add(1);
                    }
                } else {
                    recovered.freed += 1;
                    entry.clear();
                    self.word(group).fetch_and(Word::freed(position), Ordering::Relaxed);
                }
            }
        }
        Seen { elsewhere, bonds }
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
    fn settle_words(&self, claimed: &[u32], elsewhere: &BTreeMap<u32, u8>, recovered: &mut Recovered) {
        // Those with a count are among the claimed unless somebody has meddled.
        for &group in claimed.iter().chain(elsewhere.keys()) {
            let found = Word(self.word(group).load(Ordering::Relaxed));
            let right = found.with_control(elsewhere.get(&group).copied().unwrap_or(0));
            if found != right {
                recovered.corrected += 1;
                self.word(group).store(right.0, Ordering::Relaxed);
            }
        }
    }

    /// Gives every template its count of connections, and cuts bonds that lead to no template. No template has any before.
    fn settle_bonds(&self, bonds: &[(Slot, Slot)], recovered: &mut Recovered) {
        for &(slot, control) in bonds {
            let template = self.slot(control.number()).map(|slot| self.entry(slot));
            match template.filter(|entry| entry.state_word().is_live() && entry.key().is_template()) {
                Some(template) => template.add_child(),
                None => {
                    self.entry(slot).drop_control();
                    recovered.orphaned += 1;
                }
            }
        }
    }
}
