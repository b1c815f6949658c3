//! The protocol under a checker: every interleaving of two or three threads, and every order in which their writes may be
//! seen. The table is shrunk to one line of two groups, fourteen places.
//!
//! `cargo test --features loom --lib conn::table`

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use loom::thread;

use super::*;
use crate::conn::table::Member;

/// At least so many interleavings, or the threads do not meet.
const FEW: u32 = 20;

fn check(model: impl Fn() + Sync + Send + 'static) {
    check_within(None, model);
}

/// With a bound to how often a thread is interrupted that could go on.
fn check_within(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 20_000;
    builder.preemption_bound = preemptions;
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let runs = runs.load(Ordering::Relaxed);
    assert!(runs >= FEW, "only {runs} runs");
}

fn shared() -> (Arc<Table>, [Member; 3]) {
    let table = Arc::new(Table::create(&TableConfig { connections: 8, workers: 3, seed: SEED }).unwrap());
    let members = [0, 1, 2].map(|worker| table.member(worker).unwrap());
    (table, members)
}

/// Keys of one home group: the first so many of the family.
fn neighbours(table: &Table, count: usize) -> Vec<u32> {
    (0..).filter(|&n| table.geometry.home(table.hash(&key(n))) == 0).take(count).collect()
}

/// What an insert came to in the end. Another's filling may be waited for; here it always ends.
fn settled(table: &Table, n: u32) -> Slot {
    loop {
        match insert(table, &key(n), n) {
            Insert::Inserted(slot) | Insert::Found(slot) => return slot,
            Insert::Full => panic!("there is room"),
            Insert::Busy => thread::yield_now(),
        }
    }
}

fn live(table: &Table, n: u32) -> usize {
    (0..table.capacity())
        .map(Slot::new)
        .filter(|&slot| table.entry(slot).state_word().is_live() && table.entry(slot).pair() == n)
        .count()
}

/// Two workers insert one key at the same time, with so many entries in its home group already.
fn race_for_one_key(present: usize) {
    check(move || {
        let (table, [ours, theirs, _]) = shared();
        let keys = neighbours(&table, present + 1);
        ours.unpark();
        for &n in &keys[..present] {
            inserted(insert(&table, &key(n), n));
        }
        let n = keys[present];
        let other = thread::spawn(move || {
            theirs.unpark();
            settled(theirs.table(), n)
        });
        let slot = settled(&table, n);
        assert_eq!(slot, other.join().unwrap(), "two entries for one connection");
        assert_eq!(live(&table, n), 1);
        assert_eq!(find(&table, &key(n), n), Some(slot));
    });
}

#[test]
fn one_connection_gets_one_entry() {
    race_for_one_key(0);
}

#[test]
fn one_connection_gets_one_entry_at_the_last_place_of_its_group() {
    race_for_one_key(6);
}

#[test]
fn one_connection_gets_one_entry_elsewhere() {
    race_for_one_key(7);
}

#[test]
fn a_found_entry_stays_what_it_is_until_the_batch_ends() {
    check(|| {
        let (table, [reader, writer, _]) = shared();
        let mut sweeper = table.sweeper().unwrap();
        let keys = neighbours(&table, 2);
        let (old, new) = (keys[0], keys[1]);
        writer.unpark();
        inserted(insert(&table, &key(old), old));
        let other = thread::spawn(move || {
            reader.unpark();
            let table = reader.table();
            if let Some(slot) = table.find(&key(old), table.hash(&key(old)), |_| true) {
                let entry = table.entry(slot);
                assert_eq!((entry.key(), entry.pair()), (key(old), old));
                // Looked at again, later in the batch.
                assert_eq!((entry.key(), entry.rport()), (key(old), 8080));
            }
            reader.park();
        });
        // It ends, and its place goes to another as soon as may be.
        let slot = find(&table, &key(old), old).unwrap();
        assert!(kill(&table, slot));
        for _ in 0..3 {
            sweep(&mut sweeper);
            writer.end_batch();
        }
        inserted(insert(&table, &key(new), new));
        other.join().unwrap();
    });
}

#[test]
fn of_those_who_end_an_entry_one_succeeds_and_the_sweep_lists_it_once() {
    check(|| {
        let (table, [ours, theirs, _]) = shared();
        let mut sweeper = table.sweeper().unwrap();
        ours.unpark();
        let slot = inserted(insert(&table, &key(0), 0));
        let seen = table.entry(slot).state_word();
        let other = thread::spawn(move || {
            theirs.unpark();
            theirs.table().kill(slot, seen, 0)
        });
        let mut ended = 0;
        let swept = sweeper.sweep(sweeper.groups(), |_, _| Fate::Kill, |_, _| ended += 1);
        other.join().unwrap();
        ours.park();
        for _ in 0..3 {
            sweeper.sweep(sweeper.groups(), |_, _| Fate::Keep, |_, _| ended += 1);
        }
        assert!(swept.ended <= 1 && ended == 1, "listed {ended} times");
        assert_eq!(table.word(slot.group()).load(Ordering::SeqCst), 0, "the place is free again");
    });
}

#[test]
fn a_connection_that_returns_while_its_old_entry_ends_has_one_live_entry() {
    check(|| {
        let (table, [ours, theirs, _]) = shared();
        ours.unpark();
        let first = inserted(insert(&table, &key(0), 0));
        let seen = table.entry(first).state_word();
        let other = thread::spawn(move || {
            theirs.unpark();
            theirs.table().kill(first, seen, 0);
            settled(theirs.table(), 0)
        });
        let slot = settled(&table, 0);
        let returned = other.join().unwrap();
        assert_eq!(live(&table, 0), 1);
        assert_eq!(find(&table, &key(0), 0), Some(returned));
        assert!(slot == first || slot == returned);
    });
}

#[test]
fn a_connection_that_two_bring_back_while_the_sweep_ends_it_has_one_live_entry() {
    check_within(Some(2), || {
        let (table, [ours, theirs, _]) = shared();
        let mut sweeper = table.sweeper().unwrap();
        ours.unpark();
        inserted(insert(&table, &key(0), 0));
        ours.park();
        let others = [ours, theirs].map(|member| {
            thread::spawn(move || {
                member.unpark();
                let slot = settled(member.table(), 0);
                member.park();
                slot
            })
        });
        sweeper.sweep(sweeper.groups(), |_, _| Fate::Kill, |_, _| {});
        sweep(&mut sweeper);
        for other in others {
            other.join().unwrap();
        }
        assert!(live(&table, 0) <= 1);
        sweep(&mut sweeper);
        sweep(&mut sweeper);
        assert_consistent(&table);
    });
}

#[test]
fn an_entry_elsewhere_is_found_whatever_ends_beside_it() {
    check(|| {
        let (table, [ours, theirs, _]) = shared();
        let keys = neighbours(&table, 9);
        ours.unpark();
        let slots: Vec<_> = keys[..8].iter().map(|&n| inserted(insert(&table, &key(n), n))).collect();
        // The eighth lives elsewhere. It stays; a ninth comes elsewhere while one of the home group ends.
        let (eighth, ninth) = (keys[7], keys[8]);
        let first = slots[0];
        let other = thread::spawn(move || {
            theirs.unpark();
            let table = theirs.table();
            assert!(kill(table, first));
            assert!(find(table, &key(eighth), eighth).is_some());
            settled(table, ninth)
        });
        let slot = settled(&table, ninth);
        assert_eq!(find(&table, &key(eighth), eighth), Some(slots[7]));
        assert_eq!(slot, other.join().unwrap());
        assert_eq!(live(&table, ninth), 1);
        assert_eq!(Word(table.word(0).load(Ordering::SeqCst)).overflow(), 2);
    });
}

#[test]
fn a_count_of_entries_elsewhere_that_returns_to_what_it_was_deceives_nobody() {
    check_within(Some(3), || {
        let (table, [ours, theirs, _]) = shared();
        let mut sweeper = table.sweeper().unwrap();
        let keys = neighbours(&table, 9);
        ours.unpark();
        let slots: Vec<_> = keys[..8].iter().map(|&n| inserted(insert(&table, &key(n), n))).collect();
        assert!(kill(&table, slots[7]));
        ours.park();
        // The one elsewhere is dead and its grace over; the next walk takes it off the count, while another is added.
        sweep(&mut sweeper);
        let n = keys[8];
        let others = [ours, theirs].map(|member| {
            thread::spawn(move || {
                member.unpark();
                settled(member.table(), n)
            })
        });
        sweep(&mut sweeper);
        let [one, two] = others.map(|other| other.join().unwrap());
        assert_eq!(one, two);
        assert_eq!(live(&table, n), 1);
        assert_consistent(&table);
    });
}
