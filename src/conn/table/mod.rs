//! The connection table: shared by all workers, of fixed capacity, lock-free, and able to outlive its process.
//!
//! ```text
//!            header page        index (1.14 bytes a slot)            entries (64 bytes a slot)
//!   memfd  ┌──────────────┬──────────────────────────────────┬───────────────────────────────────┐
//!          │ magic, seed, │ line: 8 words, one a group       │ group 0: 7 entries │ group 1 …    │
//!          │ geometry,    │ word: 7 tag bytes + 1 control    │ slot = group × 7 + position       │
//!          │ batch counts │       (lock bit, overflow count) │                                   │
//!          └──────────────┴──────────────────────────────────┴───────────────────────────────────┘
//! ```
//!
//! A key's hash names its home group and a tag. A lookup compares the tag with the seven bytes of the home word and
//! verifies each match in its entry: one index line, usually cached, and one entry line. Only when the home word says
//! that entries had to live elsewhere are the other groups of the line, and of a second line, looked at.
//!
//! # Promises
//!
//! - **Readers never wait.** A lookup is loads only, and never returns an entry that is free, dead or being filled.
//! - **No entry changes its identity under a worker.** What a worker found inside a batch keeps its key and pair until
//!   that batch ends ([`Member`]), so nothing read needs to be read again.
//! - **One connection, one entry**, whatever workers insert at the same time ([`Table::insert_or_find`]).
//! - **Nobody waits for ever.** Retries are bounded; a table that is contended or full says so and counts it.
//! - **No clocks.** Expiry is the caller's: entries carry a last-seen tick and a timeout, [`Entry::is_expired`] compares.
//! - **A process may die at any instruction.** [`Table::attach`] repairs what it left half done.
//!
//! # Size
//!
//! A table for `n` connections has `n / 0.6` slots. One connection takes 109 bytes of it (64 + 8/7, over 0.6). Connections
//! of services on any address keep theirs in a further 16 bytes a slot; those pages come as they are touched. Places run
//! out one by one: up to a load of 0.75 a refusal is a rarity, beyond it they become common. One client port can have
//! 112 connections at once, to as many services: that many places belong to a hash.

#![cfg_attr(feature = "loom", allow(dead_code, reason = "the checker's table has no file"))]

mod entry;
mod error;
mod grace;
mod index;
mod insert;
mod layout;
mod listing;
mod lookup;
#[cfg_attr(feature = "loom", path = "modelled.rs")]
mod mapping;
mod pace;
mod prefetch;
mod primitive;
mod recover;
mod scour;
mod sweep;

#[cfg(test)]
mod tests;

use std::os::fd::{BorrowedFd, OwnedFd};

use self::entry::VipCell;
use self::index::Word;
use self::layout::Geometry;
use self::mapping::Mapping;
use self::primitive::{AtomicBool, AtomicU64, Ordering};
use super::{FlowHash, FlowKey, HashSeed};
use crate::wire::Addr;

pub use self::entry::{Entry, LAST_EPOCH, Record, StateWord};
pub use self::error::TableError;
pub use self::grace::Member;
pub use self::insert::Insert;
pub use self::layout::Slot;
pub use self::listing::Listed;
pub use self::mapping::Residence;
pub use self::pace::Pace;
pub use self::recover::Recovered;
pub use self::sweep::{Fate, Sweeper, Swept};

/// What a new table is to be.
#[derive(Clone, Copy, Debug)]
pub struct TableConfig {
    /// How many connections it is to hold in comfort (at a load of 0.6).
    pub connections: u32,
    /// How many workers will use it, each as one [`Member`].
    pub workers: u32,
    /// The secret of its hash.
    pub seed: HashSeed,
}

/// The connection table. See the module's documentation.
#[derive(Debug)]
pub struct Table {
    mapping: Mapping,
    geometry: Geometry,
    seed: HashSeed,
    /// Which members and which sweeper have been handed out by this process.
    members: Box<[AtomicBool]>,
    sweeper: AtomicBool,
    /// Free slots were not looked at yet, since another process had the table.
    unscoured: AtomicBool,
}

impl Table {
    /// Makes an empty table in a new memory file, with every page of it in memory.
    pub fn create(config: &TableConfig) -> Result<Self, TableError> {
        let geometry = Geometry::of(config)?;
        let mapping = Mapping::create(geometry)?;
        mapping.header().describe(geometry, config.seed);
        let table = Self::over(mapping, geometry, config.seed);
        table.park_all();
        Ok(table)
    }

    /// The memory that a table takes, in bytes.
    pub fn bytes_for(config: &TableConfig) -> Result<u64, TableError> {
        Ok(Geometry::of(config)?.bytes() as u64)
    }

    /// Takes over the table in `file`, which another process made and has left, and repairs what that process was
    /// in the middle of. Nobody else may be using the table.
    pub fn attach(file: OwnedFd) -> Result<(Self, Recovered), TableError> {
        let table = Self::map(file)?;
        let mut recovered = table.recover(|_| {});
        recovered.freed += (0..table.geometry.groups()).map(|group| table.scour(group)).sum::<u32>();
        table.unscoured.store(false, Ordering::Relaxed);
        Ok((table, recovered))
    }

    /// Maps the table in `file`, which another process made and may still be using. It may be used only after
    /// [`Table::recover`]; what that does not look at, the sweeper's first walk does.
    pub fn map(file: OwnedFd) -> Result<Self, TableError> {
        let mapping = Mapping::attach(file)?;
        let (geometry, seed) = (mapping.geometry(), mapping.header().seed());
        let table = Self::over(mapping, geometry, seed);
        table.unscoured.store(true, Ordering::Relaxed);
        Ok(table)
    }

    /// Has all pages of a mapped table known to this process, so that no packet waits for that.
    pub fn touch(&self) {
        self.mapping.touch();
    }

    fn over(mapping: Mapping, geometry: Geometry, seed: HashSeed) -> Self {
        let members = (0..geometry.workers()).map(|_| AtomicBool::new(false)).collect();
        let (sweeper, unscoured) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { mapping, geometry, seed, members, sweeper, unscoured }
    }

    /// The file that holds the table: whoever keeps it open keeps the connections.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.mapping.fd()
    }

    /// The secret of this table's hash.
    pub fn seed(&self) -> HashSeed {
        self.seed
    }

    /// The pages the table lives in, as far as the kernel would go along.
    pub fn residence(&self) -> Residence {
        self.mapping.residence()
    }

    /// The hash that every call about `key` wants.
    #[inline(always)]
    pub fn hash(&self, key: &FlowKey) -> FlowHash {
        self.seed.hash(key)
    }

    /// The entry in a slot.
    ///
    /// # Panics
    ///
    /// If the slot is another table's.
    #[inline(always)]
    pub fn entry(&self, slot: Slot) -> &Entry {
        &self.mapping.entries()[slot.at()]
    }

    /// The slot of this number, if there is one: the way back from [`Slot::number`].
    pub fn slot(&self, number: u32) -> Option<Slot> {
        (number < self.geometry.slots()).then(|| Slot::new(number))
    }

    /// The address that the client of this entry sees, if it was inserted with one of its own ([`Record::vip`]).
    ///
    /// # Panics
    ///
    /// If the entry is another table's.
    pub fn vip(&self, entry: &Entry) -> Addr {
        self.vip_cell(self.slot_of(entry)).load()
    }

    /// The slot of an entry.
    ///
    /// # Panics
    ///
    /// If the entry is another table's.
    pub fn slot_of(&self, entry: &Entry) -> Slot {
        let first = self.mapping.entries().as_ptr().addr();
        let number = (std::ptr::from_ref(entry).addr() - first) / size_of::<Entry>();
        self.slot(number as u32).expect("the entry is one of this table's")
    }

    /// Ends a connection that is in the state `seen`, leaving it the caller's own bits `flags`. False if its state has
    /// changed since, or another was faster.
    ///
    /// Only for workers inside a batch and for the sweeper's thread. The slot is reused after a grace, when the sweep has
    /// come by; until then the entry can still be read.
    pub fn kill(&self, slot: Slot, seen: StateWord, flags: u8) -> bool {
        let died = self.entry(slot).die(seen, flags);
        if died {
            self.word(slot.group()).fetch_or(Word::dying(slot.position()), Ordering::AcqRel);
        }
        died
    }

    /// How many workers it was made for.
    pub fn workers(&self) -> usize {
        self.members.len()
    }

    /// How many slots there are; about three quarters of them can be filled.
    pub fn capacity(&self) -> u32 {
        self.geometry.slots()
    }

    /// How many connections it was made for, at least: so many find a place, whatever their hashes.
    pub fn room(&self) -> u32 {
        // Three fifths of a number that fits.
        (u64::from(self.capacity()) * 3 / 5) as u32
    }

    /// How many entries are live or being filled. Counts the whole index: cheap for a listing (1.14 bytes a slot), not
    /// for a packet.
    pub fn len(&self) -> usize {
        self.mapping.index().iter().map(|word| Word(word.load(Ordering::Relaxed)).tagged().count()).sum()
    }

    /// As [`Table::len`], in a time that does not grow with the table: of a large one evenly spaced groups are counted.
    /// Hashes spread entries so evenly that the error stays below a hundredth.
    pub fn estimated_len(&self) -> u64 {
        const SAMPLE: usize = 1 << 16;
        let index = self.mapping.index();
        let sampled = index.iter().step_by(index.len().div_ceil(SAMPLE));
        let (groups, entries) = sampled.fold((0, 0), |(groups, entries), word| {
            (groups + 1, entries + Word(word.load(Ordering::Relaxed)).tagged().count() as u64)
        });
        entries * index.len() as u64 / u64::max(groups, 1)
    }

    /// Whether no entry is live.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many inserts found no place, since the table was made.
    pub fn refused_full(&self) -> u64 {
        self.mapping.header().full.load(Ordering::Relaxed)
    }

    /// How many inserts gave up because of contention, since the table was made.
    pub fn refused_busy(&self) -> u64 {
        self.mapping.header().busy.load(Ordering::Relaxed)
    }

    #[inline(always)]
    /// A word beside an entry, for a helper's own use; it is what the helper last set it to, for this entry or for one
    /// before it in this slot. Not for entries with an address of their own.
    pub fn helper_word(&self, slot: Slot) -> u64 {
        self.vip_cell(slot).word().load(Ordering::Acquire)
    }

    /// Sets the word beside an entry.
    pub fn set_helper_word(&self, slot: Slot, word: u64) {
        self.vip_cell(slot).word().store(word, Ordering::Release);
    }

    /// Both words beside an entry that was inserted with such ([`Record::vip`]): the upper half of the address, and the
    /// lower, which is written last and read first.
    pub fn helper_words(&self, slot: Slot) -> [u64; 2] {
        self.vip_cell(slot).words()
    }

    /// Sets both words beside an entry.
    pub fn set_helper_words(&self, slot: Slot, words: [u64; 2]) {
        self.vip_cell(slot).set_words(words);
    }

    fn vip_cell(&self, slot: Slot) -> &VipCell {
        &self.mapping.vips()[slot.at()]
    }

    #[inline(always)]
    fn word(&self, group: u32) -> &AtomicU64 {
        &self.mapping.index()[group as usize]
    }
}
