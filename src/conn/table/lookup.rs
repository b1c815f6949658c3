//! Finding: loads only, no retries.

use super::index::Word;
use super::layout::Geometry;
use super::prefetch::prefetch;
use super::primitive::Ordering;
use super::{Entry, FlowHash, FlowKey, Slot, Table};

impl Table {
    /// Asks for the index line of a hash, for [`Table::prefetch_entry`] a little later.
    #[inline(always)]
    pub fn prefetch_index(&self, hash: FlowHash) {
        prefetch(self.word(self.geometry.home(hash)));
    }

    /// Asks for the entry that a lookup of this hash will probably read, and names it for [`Table::find_near`]: the first
    /// that carries its tag or else, since the connection is probably new, the first free one. Sixteen packets ahead of the
    /// lookup is best.
    #[inline(always)]
    pub fn prefetch_entry(&self, hash: FlowHash) -> Slot {
        let home = self.geometry.home(hash);
        let word = Word(self.word(home).load(Ordering::Relaxed));
        let probable = word.matches(Geometry::tag(hash)).next().or_else(|| word.free().next());
        let slot = Slot::of(home, probable.unwrap_or_default());
        prefetch(self.entry(slot));
        slot
    }

    /// As [`Table::find`], with the answer of [`Table::prefetch_entry`] in the same batch: mostly that is the entry.
    #[inline(always)]
    pub fn find_near(
        &self,
        probable: Slot,
        key: &FlowKey,
        hash: FlowHash,
        same: impl Fn(&Entry) -> bool,
    ) -> Option<Slot> {
        let entry = self.entry(probable);
        if entry.state_word().is_live() && entry.has_key(key) && same(entry) {
            return Some(probable);
        }
        self.find_from_home(key, hash, &same)
    }

    #[cold]
    #[inline(never)]
    fn find_from_home(&self, key: &FlowKey, hash: FlowHash, same: &impl Fn(&Entry) -> bool) -> Option<Slot> {
        self.find(key, hash, same)
    }

    /// The live entry of `key` that `same` agrees to.
    ///
    /// Connections of one client port to different services share a key; `same` tells them apart, by what never changes
    /// in an entry (its pair). Only for workers inside a batch and for the sweeper's thread.
    #[inline]
    pub fn find(&self, key: &FlowKey, hash: FlowHash, same: impl Fn(&Entry) -> bool) -> Option<Slot> {
        let home = self.geometry.home(hash);
        let word = Word(self.word(home).load(Ordering::Acquire));
        let found = self.find_in(home, word, key, hash, &same);
        if found.is_none() && word.overflow() != 0 { self.find_elsewhere(key, hash, &same) } else { found }
    }

    /// Looks in one group.
    #[inline(always)]
    fn find_in(
        &self,
        group: u32,
        word: Word,
        key: &FlowKey,
        hash: FlowHash,
        same: &impl Fn(&Entry) -> bool,
    ) -> Option<Slot> {
        word.matches(Geometry::tag(hash)).map(|position| Slot::of(group, position)).find(|&slot| {
            let entry = self.entry(slot);
            entry.state_word().is_live() && entry.has_key(key) && same(entry)
        })
    }

    /// Looks in all groups but the home group.
    #[cold]
    #[inline(never)]
    pub(super) fn find_elsewhere(&self, key: &FlowKey, hash: FlowHash, same: &impl Fn(&Entry) -> bool) -> Option<Slot> {
        self.geometry.elsewhere(hash).find_map(|group| {
            let word = Word(self.word(group).load(Ordering::Acquire));
            self.find_in(group, word, key, hash, same)
        })
    }
}
