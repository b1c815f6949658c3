//! The sweep: ends what has expired, and makes the slots of ended entries free again.
//!
//! Slice by slice the sweep walks the index, so that no call takes long. A live entry is shown to the caller, who decides.
//! A dead one, whoever killed it, is listed once; a list waits for its grace as a whole, and then its slots are freed.
//! No list outlives the process: the repair after a crash frees all that is dead.

use std::sync::Arc;

use super::index::Word;
use super::layout::Slot;
use super::prefetch::prefetch;
use super::primitive::Ordering;
use super::{Entry, Table};

/// How far the sweep asks for entries ahead of reading them, in groups: some sixteen entries, as in the packet path.
const LOOK_AHEAD: u32 = 4;

/// What is to become of a live entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It lives on.
    Keep,
    /// It ends now.
    Kill,
}

/// What one call did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Live entries that were shown to the caller.
    pub seen: u32,
    /// Entries that were found dead or were killed, each counted once in its life.
    pub ended: u32,
    /// Slots that became free.
    pub freed: u32,
    /// Whether the walk came to the table's end; the next call begins at its start.
    pub wrapped: bool,
}

/// The one sweeper of a table. It belongs to the control thread.
#[derive(Debug)]
pub struct Sweeper {
    table: Arc<Table>,
    /// The group where the walk goes on.
    next: u32,
    /// Dead entries that were listed after the notes were taken.
    listed: Vec<Slot>,
    /// Dead entries that were listed before.
    waiting: Vec<Slot>,
    /// The workers' batch counters when `waiting` was closed; empty when its grace has passed.
    notes: Vec<u64>,
    /// The first walk over a table that another process had looks into free slots, too.
    scours: bool,
}

impl Table {
    /// The sweeper: one for the life of the process, since it knows which dead entries it has listed. `None` the second
    /// time.
    pub fn sweeper(self: &Arc<Self>) -> Option<Sweeper> {
        let taken = self.sweeper.swap(true, Ordering::AcqRel);
        (!taken).then(|| Sweeper {
            table: Arc::clone(self),
            next: 0,
            listed: Vec::new(),
            waiting: Vec::new(),
            notes: Vec::new(),
            scours: self.unscoured.swap(false, Ordering::AcqRel),
        })
    }

    /// Asks for the entries of a group that hold anything.
    #[inline(always)]
    fn prefetch_group(&self, group: u32) {
        // A checker would try every order of these reads.
        if cfg!(feature = "loom") {
            return;
        }
        let word = Word(self.word(group).load(Ordering::Relaxed));
        word.tagged().for_each(|position| prefetch(self.entry(Slot::of(group, position))));
    }

    /// Makes a slot free again whose grace has passed.
    fn reclaim(&self, slot: Slot) {
        let entry = self.entry(slot);
        let home = self.geometry.home(self.hash(&entry.key()));
        entry.clear();
        self.word(slot.group()).fetch_and(Word::freed(slot.position()), Ordering::AcqRel);
        if home != slot.group() {
            self.word(home).fetch_sub(Word::COUNT, Ordering::AcqRel);
        }
    }
}

impl Sweeper {
    /// The table.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// How many groups the table has: sweeping so many is one whole walk.
    pub fn groups(&self) -> u32 {
        self.table.geometry.groups()
    }

    /// Walks the next `groups` groups (at most to the table's end). `decide` is shown every live entry; `ended` every dead
    /// one, once, whoever killed it, and may still read it: state and flags of its life are in its state word.
    pub fn sweep(
        &mut self,
        groups: u32,
        mut decide: impl FnMut(Slot, &Entry) -> Fate,
        mut ended: impl FnMut(Slot, &Entry),
    ) -> Swept {
        let mut swept = Swept { freed: self.reclaim(groups), ..Swept::default() };
        let end = self.next.saturating_add(groups).min(self.groups());
        (self.next..end).take(LOOK_AHEAD as usize).for_each(|group| self.table.prefetch_group(group));
        for group in self.next..end {
            if group + LOOK_AHEAD < end {
                self.table.prefetch_group(group + LOOK_AHEAD);
            }
            if self.scours {
                swept.freed += self.table.scour(group);
            }
            let word = Word(self.table.word(group).load(Ordering::Acquire));
            if !word.is_vacant() {
                self.visit(group, word, &mut decide, &mut ended, &mut swept);
            }
        }
        swept.wrapped = end == self.groups();
        self.scours &= !swept.wrapped;
        self.next = if swept.wrapped { 0 } else { end };
        self.close_list();
        swept
    }

    fn visit(
        &mut self,
        group: u32,
        word: Word,
        decide: &mut impl FnMut(Slot, &Entry) -> Fate,
        ended: &mut impl FnMut(Slot, &Entry),
        swept: &mut Swept,
    ) {
        let table = Arc::clone(&self.table);
        for slot in word.tagged().map(|position| Slot::of(group, position)) {
            let entry = table.entry(slot);
            let seen = entry.state_word();
            if seen.is_live() {
                swept.seen += 1;
                if decide(slot, entry) == Fate::Kill && table.kill(slot, seen, seen.flags()) {
                    self.list(slot, entry, ended, swept);
                }
            }
        }
        // A dead entry whose byte is not yet 255 is left for the next walk: its killer is about to set it.
        for slot in word.dying_positions().map(|position| Slot::of(group, position)) {
            self.list(slot, table.entry(slot), ended, swept);
        }
    }

    /// Takes note of a dead entry, unless that has been done.
    fn list(&mut self, slot: Slot, entry: &Entry, ended: &mut impl FnMut(Slot, &Entry), swept: &mut Swept) {
        let word = entry.state_word();
        if word.is_listed() {
            return;
        }
        ended(slot, entry);
        entry.mark_listed(word);
        self.listed.push(slot);
        swept.ended += 1;
    }

    /// Frees slots whose grace has passed, no more than a walk of `groups` groups could list.
    fn reclaim(&mut self, groups: u32) -> u32 {
        if !self.table.has_passed(&self.notes) {
            return 0;
        }
        self.notes.clear();
        let most = groups as usize * super::index::POSITIONS as usize;
        let keep = self.waiting.len().saturating_sub(most);
        let mut freed = 0;
        for slot in self.waiting.drain(keep..) {
            self.table.reclaim(slot);
            freed += 1;
        }
        freed
    }

    /// Closes the list, if the one before it is done with; its grace begins.
    fn close_list(&mut self) {
        if self.waiting.is_empty() && !self.listed.is_empty() {
            std::mem::swap(&mut self.waiting, &mut self.listed);
            self.table.note_batches(&mut self.notes);
        }
    }
}
