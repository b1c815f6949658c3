//! Where everything lies in the file, and which places a hash stands for. Another build must be able to read this:
//! whatever changes here or in [`super::entry`] changes [`LAYOUT_VERSION`].

use super::entry::{Entry, VipCell};
use super::index::{POSITIONS, Tag};
use super::primitive::{AtomicU32, AtomicU64, Ordering};
use super::{HashSeed, TableConfig, TableError};
use crate::conn::FlowHash;
use crate::time::TICKS_PER_SECOND;

/// Groups in one cache line of the index. A checker, to which every atomic is dear, gets a shrunk table.
pub(super) const LINE: u32 = if cfg!(feature = "loom") { 2 } else { 8 };
/// Slots are numbered in 31 bits, so that "slot + 1, or 0 for none" fits 32 with room to spare.
const MAX_SLOTS: u64 = 1 << 31;
/// The most connections a table can be made for: three fifths of the most slots, less the rounding up to a line.
pub(super) const MAX_CONNECTIONS: u32 = 1_288_000_000;
/// The most workers a table can be made for.
pub(super) const MAX_WORKERS: u32 = 1024;

const MAGIC: u64 = u64::from_le_bytes(*b"RINGCONN");
const LAYOUT_VERSION: u32 = 3;
const PAGE: usize = 4096;

/// The place of an entry, which stays its place for as long as the entry lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(u32);

impl Slot {
    #[inline(always)]
    pub(super) const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The slot at one of the seven positions of a group.
    #[inline(always)]
    pub(super) const fn of(group: u32, position: u32) -> Self {
        Self(group * POSITIONS + position)
    }

    /// The number that [`super::Table::slot`] turns back into the slot.
    pub const fn number(self) -> u32 {
        self.0
    }

    #[inline(always)]
    pub(super) const fn at(self) -> usize {
        self.0 as usize
    }

    pub(super) const fn group(self) -> u32 {
        self.0 / POSITIONS
    }

    pub(super) const fn position(self) -> u32 {
        self.0 % POSITIONS
    }
}

/// The size of a table, from which every offset follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    groups: u32,
    workers: u32,
}

impl Geometry {
    /// Room for the wanted connections at a load of 0.6, in whole lines of groups.
    pub(super) fn of(config: &TableConfig) -> Result<Self, TableError> {
        let slots = (u64::from(config.connections) * 5).div_ceil(3);
        let groups = slots.div_ceil(u64::from(POSITIONS)).next_multiple_of(u64::from(LINE));
        let groups = u32::try_from(groups).map_err(|_| TableError::Connections(config.connections))?;
        Self::checked(groups, config.workers).ok_or(match config.workers {
            1..=MAX_WORKERS => TableError::Connections(config.connections),
            _ => TableError::Workers(config.workers),
        })
    }

    fn checked(groups: u32, workers: u32) -> Option<Self> {
        let sound = groups > 0
            && groups.is_multiple_of(LINE)
            && u64::from(groups) * u64::from(POSITIONS) <= MAX_SLOTS
            && (1..=MAX_WORKERS).contains(&workers);
        sound.then_some(Self { groups, workers })
    }

    pub(super) const fn groups(self) -> u32 {
        self.groups
    }

    pub(super) const fn workers(self) -> u32 {
        self.workers
    }

    pub(super) const fn slots(self) -> u32 {
        self.groups * POSITIONS
    }

    /// Where the workers' batch counters begin.
    pub(super) const fn counters_offset(self) -> usize {
        size_of::<Header>()
    }

    /// Where the index begins: on a page of its own.
    pub(super) const fn index_offset(self) -> usize {
        (self.counters_offset() + self.workers as usize * size_of::<BatchCounter>()).next_multiple_of(PAGE)
    }

    /// Where the entries begin. The index is a whole number of cache lines, so they lie in one line each.
    pub(super) const fn entries_offset(self) -> usize {
        self.index_offset() + self.groups as usize * size_of::<AtomicU64>()
    }

    /// Where the addresses begin that only some connections have: on a page of its own.
    pub(super) const fn vips_offset(self) -> usize {
        (self.entries_offset() + self.slots() as usize * size_of::<Entry>()).next_multiple_of(PAGE)
    }

    /// The length of the file.
    pub(super) const fn bytes(self) -> usize {
        (self.vips_offset() + self.slots() as usize * size_of::<VipCell>()).next_multiple_of(PAGE)
    }

    /// The group where a hash belongs: multiply-shift over its upper half, so that any number of groups will do.
    #[inline(always)]
    pub(super) const fn home(self, hash: FlowHash) -> u32 {
        // Fits: the product is below groups × 2^32.
        (((hash.0 >> 32) * self.groups as u64) >> 32) as u32
    }

    /// The tag of a hash. Its bits are the lowest of the upper half, which weigh least in [`Geometry::home`].
    #[inline(always)]
    pub(super) const fn tag(hash: FlowHash) -> Tag {
        Tag::new((hash.0 >> 32) as u8 & 0x7f)
    }

    /// The other groups where an entry of this hash may live: the rest of the home line, which is in the cache already,
    /// then a second line named by the lower half of the hash.
    pub(super) fn elsewhere(self, hash: FlowHash) -> impl Iterator<Item = u32> {
        let home = self.home(hash);
        let lines = u64::from(self.groups / LINE);
        // Fits: the product is below lines × 2^32.
        let second = (((hash.0 & 0xffff_ffff) * lines) >> 32) as u32;
        let second_line = (second != home / LINE).then_some(second * LINE..second * LINE + LINE);
        (1..LINE).map(move |other| home ^ other).chain(second_line.into_iter().flatten())
    }
}

/// One worker's batch counter, alone on its cache line. See [`super::grace`].
#[derive(Debug)]
#[cfg_attr(feature = "loom", derive(Default))]
#[repr(C, align(64))]
pub(super) struct BatchCounter(pub(super) AtomicU64);

/// The head of the file.
#[derive(Debug)]
#[cfg_attr(feature = "loom", derive(Default))]
#[repr(C, align(64))]
pub(super) struct Header {
    magic: AtomicU64,
    version: AtomicU32,
    workers: AtomicU32,
    groups: AtomicU32,
    /// The unit of every tick in the table.
    ticks_per_second: AtomicU32,
    seed: [AtomicU64; 3],
    /// Inserts that found no place.
    pub(super) full: AtomicU64,
    /// Inserts that gave up because of contention.
    pub(super) busy: AtomicU64,
}

impl Header {
    /// Writes the description of a new table; the magic number comes last.
    pub(super) fn describe(&self, geometry: Geometry, seed: HashSeed) {
        self.version.store(LAYOUT_VERSION, Ordering::Relaxed);
        self.workers.store(geometry.workers, Ordering::Relaxed);
        self.groups.store(geometry.groups, Ordering::Relaxed);
        self.ticks_per_second.store(TICKS_PER_SECOND, Ordering::Relaxed);
        for (word, part) in self.seed.iter().zip(seed.0) {
            word.store(part, Ordering::Relaxed);
        }
        self.magic.store(MAGIC, Ordering::Release);
    }

    /// Reads the description of a table in a file of `length` bytes.
    pub(super) fn geometry(&self, length: u64) -> Result<Geometry, TableError> {
        if self.magic.load(Ordering::Acquire) != MAGIC {
            return Err(TableError::NotATable);
        }
        let found = self.version.load(Ordering::Relaxed);
        if found != LAYOUT_VERSION {
            return Err(TableError::Layout { found, needed: LAYOUT_VERSION });
        }
        let same_ticks = self.ticks_per_second.load(Ordering::Relaxed) == TICKS_PER_SECOND;
        Geometry::checked(self.groups.load(Ordering::Relaxed), self.workers.load(Ordering::Relaxed))
            .filter(|geometry| same_ticks && geometry.bytes() as u64 == length)
            .ok_or(TableError::Damaged(length))
    }

    pub(super) fn seed(&self) -> HashSeed {
        HashSeed([0, 1, 2].map(|part: usize| self.seed[part].load(Ordering::Relaxed)))
    }
}

#[cfg(not(feature = "loom"))]
const _: () = assert!(size_of::<Header>() == 64 && size_of::<BatchCounter>() == 64 && size_of::<Entry>() == 64);
