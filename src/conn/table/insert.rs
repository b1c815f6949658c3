//! Inserting, so that one connection never gets two entries.
//!
//! # Why it never does
//!
//! An insert succeeds only by a compare-and-swap of its key's *home word* from exactly the value whose entries it
//! compared, or while holding that word's lock bit. Had another inserted the key since, the word would have changed: by
//! a tag, by the lock bit, by the overflow count.
//!
//! The word cannot return to the old value with the key present. A byte that was free and has been claimed is freed again
//! only by a death and a grace that contains our batch ([`super::grace`]). A byte seen as a tag keeps its entry's key for
//! the same reason. A byte seen as 255 may be freed and claimed, but then reads as a tag, and reads 255 again only once
//! that entry is dead. A claim is never taken back. The overflow count alone may return, which is why the groups
//! elsewhere are looked at again under the lock; and with a free byte in the home word nothing is placed elsewhere
//! without that byte changing first.

use super::index::{MAX_OVERFLOW, Word};
use super::layout::Geometry;
use super::primitive::{Ordering, spin_loop};
use super::{Entry, FlowHash, FlowKey, Record, Slot, Table};

/// How often an insert starts again before it gives up. A filling takes some ten nanoseconds and a placement elsewhere
/// some hundred, so only a worker that was interrupted in the middle makes another give up.
const ATTEMPTS: u32 = 128;

/// What became of an insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Insert {
    /// The connection has a new entry.
    Inserted(Slot),
    /// It had one already, perhaps since a moment ago and by another worker.
    Found(Slot),
    /// None of its places is free.
    Full,
    /// Others were in the way for too long.
    Busy,
}

impl Table {
    /// Makes an entry for `key`, unless there is a live one that `same` agrees to (see [`Table::find`]).
    ///
    /// `same` must agree to an entry made from `record`. Only for workers inside a batch and for the sweeper's thread.
    pub fn insert_or_find(
        &self,
        key: &FlowKey,
        hash: FlowHash,
        same: impl Fn(&Entry) -> bool,
        record: &Record,
    ) -> Insert {
        let outcome = (0..ATTEMPTS).find_map(|_| self.attempt(key, hash, &same, record));
        match outcome {
            Some(Insert::Full) => self.mapping.header().full.fetch_add(1, Ordering::Relaxed),
            Some(Insert::Busy) | None => self.mapping.header().busy.fetch_add(1, Ordering::Relaxed),
            Some(Insert::Inserted(_) | Insert::Found(_)) => 0,
        };
        outcome.unwrap_or(Insert::Busy)
    }

    /// One attempt; `None` if another was in the way.
    #[inline(always)]
    fn attempt(
        &self,
        key: &FlowKey,
        hash: FlowHash,
        same: &impl Fn(&Entry) -> bool,
        record: &Record,
    ) -> Option<Insert> {
        let home = self.geometry.home(hash);
        let word = Word(self.word(home).load(Ordering::Acquire));
        let present = if word.is_locked() { Present::Perhaps } else { self.compare(home, word, key, hash, same) };
        match present {
            Present::At(slot) => return Some(Insert::Found(slot)),
            Present::Perhaps => {
                spin_loop();
                return None;
            }
            Present::Not => {}
        }
        if word.overflow() != 0
            && let Some(slot) = self.find_elsewhere(key, hash, same)
        {
            return Some(Insert::Found(slot));
        }
        match word.free().next() {
            Some(position) => {
                self.exchange(home, word, word.claimed(position, Geometry::tag(hash)))?;
                let slot = Slot::of(home, position);
                self.entry(slot).fill(key, record, self.vip_cell(slot));
                Some(Insert::Inserted(slot))
            }
            None if word.overflow() == MAX_OVERFLOW => Some(Insert::Full),
            None => {
                self.exchange(home, word, word.locked())?;
                Some(self.insert_elsewhere(key, hash, same, record))
            }
        }
    }

    /// Compares every entry of the home group that carries the tag.
    #[inline(always)]
    fn compare(&self, home: u32, word: Word, key: &FlowKey, hash: FlowHash, same: &impl Fn(&Entry) -> bool) -> Present {
        let mut present = Present::Not;
        for position in word.matches(Geometry::tag(hash)) {
            let slot = Slot::of(home, position);
            let entry = self.entry(slot);
            let state = entry.state_word();
            if state.is_live() {
                if entry.has_key(key) && same(entry) {
                    return Present::At(slot);
                }
            } else if !state.is_dead() {
                // Claimed and not yet published (the state still free, or filling): it may be our key.
                present = Present::Perhaps;
            }
        }
        present
    }

    /// Places an entry outside its home group, whose lock the caller has taken.
    #[cold]
    #[inline(never)]
    fn insert_elsewhere(
        &self,
        key: &FlowKey,
        hash: FlowHash,
        same: &impl Fn(&Entry) -> bool,
        record: &Record,
    ) -> Insert {
        // An entry of our home that is being filled elsewhere would hold the lock that we hold: no need to wait for any.
        let outcome = match self.find_elsewhere(key, hash, same) {
            Some(slot) => Insert::Found(slot),
            None => self.claim_elsewhere(hash),
        };
        let mut release = Word::UNLOCK;
        if let Insert::Inserted(slot) = outcome {
            self.entry(slot).fill(key, record, self.vip_cell(slot));
            release = Word::UNLOCK_AND_COUNT;
        }
        self.word(self.geometry.home(hash)).fetch_add(release, Ordering::AcqRel);
        outcome
    }

    /// Claims the first free place outside the home group.
    fn claim_elsewhere(&self, hash: FlowHash) -> Insert {
        let mut refusal = Insert::Full;
        for group in self.geometry.elsewhere(hash) {
            for _ in 0..ATTEMPTS {
                let word = Word(self.word(group).load(Ordering::Acquire));
                let Some(position) = word.free().next() else { break };
                if self.exchange(group, word, word.claimed(position, Geometry::tag(hash))).is_some() {
                    return Insert::Inserted(Slot::of(group, position));
                }
                // The group had room, whatever becomes of it.
                refusal = Insert::Busy;
            }
        }
        refusal
    }

    /// Changes an index word that is still as it was seen.
    ///
    /// Acquire and release are enough: all that uniqueness needs is the order of changes of this one word, and that who
    /// takes the lock sees what its last holder placed. Grace has fences of its own.
    #[inline(always)]
    pub(super) fn exchange(&self, group: u32, seen: Word, new: Word) -> Option<()> {
        self.word(group).compare_exchange(seen.0, new.0, Ordering::AcqRel, Ordering::Relaxed).is_ok().then_some(())
    }
}

/// Whether a key is in a group.
enum Present {
    At(Slot),
    /// An entry that cannot be read yet may be it.
    Perhaps,
    Not,
}
