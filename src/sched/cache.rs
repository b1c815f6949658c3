//! Which servers a destination has been given: the memory of `lblc` and `lblcr`.
//!
//! A table of fixed size, allocated with the scheduler and shared by its successors when servers change. Where the kernel
//! chains any number of entries to a bucket and trims the whole from time to time, a bucket here has so many places that
//! all together are the kernel's most (24576), and a new destination takes the place that was unused for longest.
//!
//! Each place is read and written under its version, which is odd while somebody writes. Nobody waits: a place that
//! is being written is passed over, and a choice that cannot be written down is simply not remembered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use super::Member;
use super::bucket::{CACHE_BUCKETS, cache_bucket};
use crate::time::{Tick, Ticks};
use crate::wire::{Addr, Endpoint};

/// Places of a bucket.
const PLACES: usize = 24;
/// How many servers a destination may have.
const MOST_SERVERS: usize = 16;

/// Names a server for as long as the cache lives; never 0.
type Id = u16;

/// The servers of a destination, the latest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Set([Id; MOST_SERVERS]);

impl Set {
    pub(super) fn of(id: Id) -> Self {
        let mut set = Self::default();
        set.0[0] = id;
        set
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        self.0.iter().copied().take_while(|&id| id != 0)
    }

    pub(super) fn len(&self) -> usize {
        self.ids().count()
    }

    /// Puts a server first; the one that has been there for longest gives way if there is no more room. False: it is
    /// there already.
    pub(super) fn add(&mut self, id: Id) -> bool {
        let is_new = !self.ids().any(|its| its == id);
        if is_new {
            self.0.rotate_right(1);
            self.0[0] = id;
        }
        is_new
    }

    pub(super) fn remove(&mut self, id: Id) {
        let place = self.ids().position(|its| its == id);
        if let Some(at) = place {
            self.0[at..].rotate_left(1);
            self.0[MOST_SERVERS - 1] = 0;
        }
    }

    fn words(&self) -> [u64; 4] {
        let (words, _) = self.0.as_chunks::<4>();
        std::array::from_fn(|at| words[at].iter().rev().fold(0, |word, &id| word << 16 | u64::from(id)))
    }

    fn from_words(words: [u64; 4]) -> Self {
        // Each id is the 16 bits of its quarter.
        Self(std::array::from_fn(|at| (words[at / 4] >> (at % 4 * 16)) as Id))
    }
}

/// What the cache knows of a destination.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    place: usize,
    version: u32,
    pub(super) set: Set,
    /// When servers were last added or removed.
    pub(super) modified: Tick,
}

/// One destination, in one cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Place {
    /// 0: never used. Odd: being written.
    version: AtomicU32,
    used: AtomicU32,
    modified: AtomicU32,
    hi: AtomicU64,
    lo: AtomicU64,
    servers: [AtomicU64; 4],
}

impl Place {
    fn read(&self, address: Addr) -> Option<(u32, Set, Tick)> {
        let version = self.version.load(Ordering::Acquire);
        let its = Addr { hi: self.hi.load(Ordering::Relaxed), lo: self.lo.load(Ordering::Relaxed) };
        if version == 0 || version % 2 == 1 || its != address {
            return None;
        }
        let words = std::array::from_fn(|at| self.servers[at].load(Ordering::Relaxed));
        let modified = Tick(self.modified.load(Ordering::Relaxed));
        // The loads above come before the one below.
        fence(Ordering::Acquire);
        (self.version.load(Ordering::Relaxed) == version).then(|| (version, Set::from_words(words), modified))
    }

    /// Writes the place if it is still as it was seen.
    fn write(&self, seen: u32, address: Addr, set: Set, modified: Tick, now: Tick) {
        let claim = || self.version.compare_exchange(seen, seen | 1, Ordering::AcqRel, Ordering::Relaxed);
        if seen % 2 == 1 || claim().is_err() {
            return;
        }
        // Whoever sees one of the stores below sees that the place is being written.
        fence(Ordering::Release);
        self.hi.store(address.hi, Ordering::Relaxed);
        self.lo.store(address.lo, Ordering::Relaxed);
        for (word, value) in self.servers.iter().zip(set.words()) {
            word.store(value, Ordering::Relaxed);
        }
        self.modified.store(modified.0, Ordering::Relaxed);
        self.used.store(now.0, Ordering::Relaxed);
        let next = seen.wrapping_add(2);
        self.version.store(if next == 0 { 2 } else { next }, Ordering::Release);
    }

    fn unused_for(&self, now: Tick) -> Ticks {
        now.since(Tick(self.used.load(Ordering::Relaxed)))
    }
}

/// The cache, and who its servers are in the present list.
#[derive(Debug)]
pub(super) struct Cache {
    places: Arc<[Place]>,
    /// All servers that were ever in the list; the id is the place in here, from 1.
    known: Box<[Endpoint]>,
    /// By place in `known`: the place in the list, for those that are in it.
    listed: Box<[Option<usize>]>,
    /// By place in the list.
    ids: Box<[Option<Id>]>,
}

impl Cache {
    pub(super) fn new(members: &[Member]) -> Self {
        let places = (0..CACHE_BUCKETS * PLACES).map(|_| Place::default()).collect();
        Self::over(places, &[], members)
    }

    /// The same memory with another list of servers. A server that comes back finds its destinations.
    pub(super) fn changed(&self, members: &[Member]) -> Self {
        if self.known.len() + members.len() > usize::from(Id::MAX) {
            return Self::new(members);
        }
        Self::over(Arc::clone(&self.places), &self.known, members)
    }

    fn over(places: Arc<[Place]>, known: &[Endpoint], members: &[Member]) -> Self {
        let mut known = known.to_vec();
        for member in members {
            if !known.contains(&member.real) {
                known.push(member.real);
            }
        }
        let in_list = |real: &Endpoint| members.iter().position(|member| member.real == *real);
        let id = |member: &Member| {
            let at = known.iter().position(|real| *real == member.real)?;
            Id::try_from(at + 1).ok()
        };
        let (listed, ids) = (known.iter().map(in_list).collect(), members.iter().map(id).collect());
        Self { places, known: known.into(), listed, ids }
    }

    /// What is known of a destination, unless nobody asked for it for so long. It counts as a use.
    pub(super) fn find(&self, address: Addr, expiration: Ticks, now: Tick) -> Option<Known> {
        let (place, (version, set, modified)) =
            self.bucket(address).find_map(|at| Some((at, self.places[at].read(address)?)))?;
        if self.places[place].unused_for(now) >= expiration {
            return None;
        }
        self.places[place].used.store(now.0, Ordering::Relaxed);
        Some(Known { place, version, set, modified })
    }

    /// Writes down another set for a destination that was found.
    pub(super) fn update(&self, address: Addr, known: &Known, now: Tick) {
        self.places[known.place].write(known.version, address, known.set, known.modified, now);
    }

    /// Writes down the first server of a destination.
    pub(super) fn insert(&self, address: Addr, at: usize, now: Tick) {
        let Some(id) = self.id(at) else { return };
        let version = |place: usize| self.places[place].version.load(Ordering::Relaxed);
        let own = self.bucket(address).find(|&place| self.places[place].read(address).is_some());
        let empty = || self.bucket(address).find(|&place| version(place) == 0);
        let oldest = || self.bucket(address).max_by_key(|&place| self.places[place].unused_for(now));
        if let Some(place) = own.or_else(empty).or_else(oldest) {
            self.places[place].write(version(place), address, Set::of(id), now, now);
        }
    }

    /// The id of the server at a place of the list.
    pub(super) fn id(&self, at: usize) -> Option<Id> {
        self.ids.get(at).copied().flatten()
    }

    /// The place in the list of a server, if it is there.
    pub(super) fn listed(&self, id: Id) -> Option<usize> {
        self.listed.get(usize::from(id).checked_sub(1)?).copied().flatten()
    }

    fn bucket(&self, address: Addr) -> std::ops::Range<usize> {
        let first = cache_bucket(address.folded()) * PLACES;
        first..first + PLACES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sched::tests::members;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    const DAY: Ticks = Ticks::from_secs(86_400);

    proptest! {
        #[test]
        fn a_set_is_a_list_of_the_latest(steps in prop::collection::vec((any::<bool>(), 1..40_u16), 0..60)) {
            let (mut set, mut model) = (Set::default(), VecDeque::new());
            for (adds, id) in steps {
                if adds {
                    prop_assert_eq!(set.add(id), !model.contains(&id));
                    if !model.contains(&id) {
                        model.push_front(id);
                        model.truncate(MOST_SERVERS);
                    }
                } else {
                    set.remove(id);
                    model.retain(|&its| its != id);
                }
                prop_assert_eq!(set.ids().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(Set::from_words(set.words()), set);
            }
        }
    }

    #[test]
    fn servers_are_known_by_name_over_changes_of_the_list() {
        let all = members(&[1, 1, 1]);
        let cache = Cache::new(&all);
        let id = cache.id(1).unwrap();
        assert_eq!(cache.listed(id), Some(1));
        let less = cache.changed(&[all[2]]);
        assert_eq!((less.listed(id), less.id(0)), (None, cache.id(2)));
        let again = less.changed(&[all[1], all[2]]);
        assert_eq!((again.listed(id), again.id(0)), (Some(0), Some(id)));
        assert_eq!((again.id(2), again.listed(0), again.listed(99)), (None, None, None));
    }

    #[test]
    fn a_full_bucket_forgets_what_was_unused_for_longest() {
        let cache = Cache::new(&members(&[1]));
        let alike: Vec<Addr> =
            (0..u32::MAX).map(Addr::v4).filter(|a| cache_bucket(a.folded()) == 7).take(PLACES + 1).collect();
        for (at, &address) in (0..).zip(&alike[..PLACES]) {
            cache.insert(address, 0, Tick(at));
        }
        assert!(cache.find(alike[0], DAY, Tick(100)).is_some(), "used again just now");
        cache.insert(alike[PLACES], 0, Tick(101));
        let forgotten: Vec<_> =
            alike.iter().filter(|&&address| cache.find(address, DAY, Tick(102)).is_none()).collect();
        assert_eq!(forgotten, [&alike[1]]);
    }

    #[test]
    fn what_was_not_used_for_a_day_is_forgotten() {
        let cache = Cache::new(&members(&[1]));
        let address = Addr::v4(1);
        cache.insert(address, 0, Tick(0));
        assert!(cache.find(address, DAY, Tick(DAY.0 - 1)).is_some());
        assert!(cache.find(address, DAY, Tick(DAY.0 * 2 - 2)).is_some(), "the last question counts");
        assert!(cache.find(address, DAY, Tick(DAY.0 * 3 - 2)).is_none());
    }

    #[test]
    fn who_lost_the_place_meanwhile_changes_nothing() {
        let cache = Cache::new(&members(&[1, 1]));
        let address = Addr::v4(1);
        cache.insert(address, 0, Tick(0));
        let mut known = cache.find(address, DAY, Tick(1)).unwrap();
        cache.insert(address, 1, Tick(2));
        known.set.add(9);
        cache.update(address, &known, Tick(3));
        assert_eq!(cache.find(address, DAY, Tick(4)).unwrap().set, Set::of(cache.id(1).unwrap()));
    }
}
