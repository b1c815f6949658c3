//! Several threads at once: the same keys inserted by two, and inserts, lookups and deaths beside a sweep and a listing.

use std::sync::Barrier;
use std::sync::atomic::AtomicBool;
use std::thread;

use super::*;
use crate::conn::table::Member;

fn shared_table(connections: u32) -> (Arc<Table>, Sweeper, [Member; 2]) {
    let table = Arc::new(Table::create(&TableConfig { connections, workers: 2, seed: SEED }).unwrap());
    let sweeper = table.sweeper().unwrap();
    let members = [0, 1].map(|worker| table.member(worker).unwrap());
    (table, sweeper, members)
}

/// Inserts until nobody is in the way. `None` if there is no place.
fn insert_patiently(table: &Table, n: u32) -> Option<Slot> {
    for _ in 0..100_000 {
        match insert(table, &key(n), n) {
            Insert::Inserted(slot) | Insert::Found(slot) => return Some(slot),
            Insert::Full => return None,
            Insert::Busy => thread::yield_now(),
        }
    }
    panic!("key {n}: busy for ever");
}

/// Ends everything and walks until all is free.
fn wipe(table: &Table, sweeper: &mut Sweeper) {
    for _ in 0..4 {
        sweeper.sweep(sweeper.groups(), |_, _| Fate::Kill, |_, _| {});
    }
    assert_blank(table);
}

#[test]
fn two_workers_inserting_the_same_keys_agree_on_every_slot() {
    let mut elsewhere = 0;
    for (round, connections) in (0..120u32).zip([30, 60, 120, 240].into_iter().cycle()) {
        let (table, mut sweeper, members) = shared_table(connections);
        for fill in [60, 85, 130] {
            let keys = round * 1000..round * 1000 + table.capacity() * fill / 100;
            let start = Barrier::new(2);
            let race = |member: &Member, jitter: u64| {
                fuse::jitter(jitter);
                member.unpark();
                start.wait();
                let slots: Vec<_> = keys.clone().map(|n| insert_patiently(member.table(), n)).collect();
                member.park();
                slots
            };
            let (ours, theirs) = thread::scope(|scope| {
                let other = scope.spawn(|| race(&members[1], u64::from(round) * 2 + 1));
                (race(&members[0], u64::from(round) * 2 + 2), other.join().unwrap())
            });
            fuse::jitter(0);
            assert_eq!(ours, theirs);
            let mut placed: Vec<_> = ours.into_iter().flatten().collect();
            assert_eq!(placed.len(), table.len());
            placed.sort();
            placed.dedup();
            assert_eq!(placed.len(), table.len(), "two keys in one slot");
            assert_consistent(&table);
            elsewhere +=
                table.mapping.index().iter().map(|word| Word(word.load(Ordering::SeqCst)).overflow()).sum::<u32>();
            wipe(&table, &mut sweeper);
        }
    }
    assert!(elsewhere > 1000, "only {elsewhere} entries were placed elsewhere: the race did not cover it");
}

const KEYS: u32 = 90;

/// A worker's life: batches of inserts, lookups and deaths over a few keys. Counts the entries it made, by key.
fn churn(member: &Member, seed: u64) -> Vec<u32> {
    fuse::jitter(seed);
    let table = member.table();
    let mut made = vec![0; KEYS as usize];
    let mut found = Vec::new();
    let mut random = seed;
    for _ in 0..8000 {
        member.unpark();
        for _ in 0..16 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let n = (random >> 33) as u32 % KEYS;
            match (random >> 20) % 4 {
                0 => {
                    if let Insert::Inserted(_) = insert(table, &key(n), n) {
                        made[n as usize] += 1;
                    }
                }
                1 => {
                    if let Some(slot) = find(table, &key(n), n) {
                        kill(table, slot);
                    }
                }
                _ => {
                    // Looks by key alone: whatever is found must hold what was put in for that key.
                    if let Some(slot) = table.find(&key(n), table.hash(&key(n)), |_| true) {
                        table.entry(slot).touch(Tick(n));
                        found.push((n, slot));
                    }
                }
            }
        }
        if (random >> 44).is_multiple_of(4) {
            thread::yield_now();
        }
        // All batch long, even if it has ended meanwhile.
        for (n, slot) in found.drain(..) {
            let entry = table.entry(slot);
            let seen = (entry.key(), entry.pair(), entry.generation(), entry.rport());
            assert_eq!(seen, (key(n), n, record(n).generation, 8080));
        }
        if (random >> 40).is_multiple_of(8) {
            member.park();
        } else {
            member.end_batch();
        }
    }
    member.park();
    fuse::jitter(0);
    made
}

/// The control thread's life: walks that now and then end what a worker may be looking at. Counts the entries that ended,
/// by key, whoever ended them.
fn sweep_along(sweeper: &mut Sweeper, done: &AtomicBool) -> Vec<u32> {
    let mut ended = vec![0; KEYS as usize];
    let mut walks = 0u32;
    while !done.load(Ordering::Acquire) {
        walks += 1;
        let unlucky = |slot: Slot| (slot.number() + walks).is_multiple_of(61);
        let decide = |slot: Slot, _: &Entry| if unlucky(slot) { Fate::Kill } else { Fate::Keep };
        sweeper.sweep(3, decide, |_, entry| ended[entry.pair() as usize] += 1);
        thread::yield_now();
    }
    while !sweeper.sweep(3, |_, _| Fate::Keep, |_, entry| ended[entry.pair() as usize] += 1).wrapped {}
    sweeper.sweep(sweeper.groups(), |_, _| Fate::Keep, |_, entry| ended[entry.pair() as usize] += 1);
    ended
}

/// A listing from a thread that no grace waits for: slots change hands while it copies them.
fn list_along(table: &Table, done: &AtomicBool) {
    fuse::jitter(79);
    while !done.load(Ordering::Acquire) {
        for listed in table.entries() {
            assert_eq!(listed.key, key(listed.record.pair));
            assert_eq!(listed.record.generation, record(listed.record.pair).generation);
        }
        thread::yield_now();
    }
}

#[test]
fn churn_beside_a_sweep_and_a_listing_keeps_every_entry_whole() {
    let (table, mut sweeper, members) = shared_table(50);
    let done = AtomicBool::new(false);
    let (made, ended) = thread::scope(|scope| {
        let sweep = scope.spawn(|| sweep_along(&mut sweeper, &done));
        let list = scope.spawn(|| list_along(&table, &done));
        let workers =
            [(&members[0], 77), (&members[1], 78)].map(|(member, seed)| scope.spawn(move || churn(member, seed)));
        // Joined before anything is asked of them: whoever fails must not leave the others running.
        let made = workers.map(|worker| worker.join());
        done.store(true, Ordering::Release);
        let (ended, listed) = (sweep.join(), list.join());
        listed.unwrap();
        (made.map(Result::unwrap), ended.unwrap())
    });
    assert_consistent(&table);
    for n in 0..KEYS {
        let live = table.entries().filter(|listed| listed.record.pair == n).count();
        let at = n as usize;
        assert_eq!(made[0][at] + made[1][at], ended[at] + live as u32, "key {n}: made, and ended or still there");
        assert!(live <= 1, "key {n} has {live} entries");
    }
    let lives: u32 = ended.iter().sum();
    assert!(lives > 500, "only {lives} lives ended");
    wipe(&table, &mut sweeper);
}

#[test]
fn a_slot_that_changes_hands_while_it_is_listed_is_listed_as_one_or_the_other() {
    let mut seen = [0; 2];
    for loads in 0..20 {
        let (table, mut sweeper, _) = shared_table(10);
        let tenant =
            (1..).find(|&n| table.geometry.home(table.hash(&key(n))) == table.geometry.home(table.hash(&key(0))));
        let (slot, tenant) = (inserted(insert(&table, &key(0), 0)), tenant.unwrap());
        let other = Arc::clone(&table);
        fuse::meanwhile(loads, move || {
            assert!(kill(&other, slot));
            sweep(&mut sweeper);
            sweep(&mut sweeper);
            assert_eq!(insert(&other, &key(tenant), tenant), Insert::Inserted(slot));
        });
        let listed = table.listed(slot).unwrap();
        let n = listed.record.pair;
        assert_eq!((listed.key, listed.record), (key(n), record(n)), "after {loads} loads");
        seen[usize::from(n != 0)] += 1;
    }
    assert!(seen[0] > 0 && seen[1] > 5, "{seen:?}: the change did not fall into the copying");
}
