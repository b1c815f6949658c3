//! Death at every write, and what the next process makes of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::panic::AssertUnwindSafe;

use proptest::prelude::*;
use rustix::fs::{MemfdFlags, SealFlags};

use super::*;
use crate::conn::table::{Member, Recovered, TableError};

/// A second process's view of the table's file.
fn heir(table: &Table) -> OwnedFd {
    table.fd().try_clone_to_owned().unwrap()
}

/// What is known from outside: keys whose insert or death was completed, and the one whose call was cut short.
#[derive(Default)]
struct Log {
    live: BTreeMap<u32, bool>,
    pending: Option<u32>,
}

/// Overfills a table, ends a third, sweeps, and fills up again: every path that writes.
fn work(table: &Table, member: &Member, sweeper: &mut Sweeper, log: &RefCell<Log>) {
    let run = |n: u32, call: &dyn Fn() -> Option<bool>| {
        log.borrow_mut().pending = Some(n);
        let outcome = call();
        let mut log = log.borrow_mut();
        log.pending = None;
        if let Some(live) = outcome {
            log.live.insert(n, live);
        }
    };
    let put =
        |n| run(n, &|| matches!(insert(table, &key(n), n), Insert::Inserted(_) | Insert::Found(_)).then_some(true));
    let end = |n| run(n, &|| find(table, &key(n), n).map(|slot| !kill(table, slot)));
    member.unpark();
    (0..100).for_each(put);
    (0..100).step_by(3).for_each(end);
    member.end_batch();
    for _ in 0..3 {
        sweeper.sweep(5, |_, _| Fate::Keep, |_, _| {});
        member.end_batch();
        sweeper.sweep(5, |_, _| Fate::Keep, |_, _| {});
    }
    (100..125).for_each(put);
    member.park();
}

#[test]
fn death_at_any_write_loses_and_doubles_nothing() {
    let mut deaths = 0;
    let mut found = Recovered::default();
    for writes in 0..20_000 {
        let table = table(36);
        let member = table.member(0).unwrap();
        let mut sweeper = table.sweeper().unwrap();
        let log = RefCell::default();
        let survived = fuse::survives(writes, AssertUnwindSafe(|| work(&table, &member, &mut sweeper, &log)));
        let recovered = check_heir(&table, &log.into_inner(), writes);
        found.freed = found.freed.max(recovered.freed);
        found.corrected = found.corrected.max(recovered.corrected);
        if survived {
            break;
        }
        deaths += 1;
    }
    assert!((1000..20_000).contains(&deaths), "{deaths} deaths");
    assert!(found.freed > 5 && found.corrected > 0, "{found:?}: nothing was ever left half done");
}

/// Attaches to a dead process's table, checks it against the log, and lives with it.
fn check_heir(dead: &Table, log: &Log, writes: u32) -> Recovered {
    let (table, recovered) = Table::attach(heir(dead)).unwrap();
    let table = Arc::new(table);
    assert_consistent(&table);
    assert_eq!((table.seed(), recovered.kept as usize), (SEED, table.len()));
    let mut live: Vec<_> = table.entries().map(|listed| (listed.record.pair, listed)).collect();
    live.sort_by_key(|(n, _)| *n);
    for &(n, listed) in &live {
        assert_eq!((listed.key, listed.record), (key(n), record(n)), "death after {writes} writes");
        assert_eq!(find(&table, &key(n), n), Some(listed.slot));
    }
    let numbers: Vec<_> = live.iter().map(|(n, _)| *n).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "doubled: {numbers:?}");
    for (&n, &lives) in &log.live {
        assert!(numbers.contains(&n) == lives || log.pending == Some(n), "key {n} after {writes} writes: {lives}");
    }

    let (again, second) = Table::attach(heir(&table)).unwrap();
    assert_eq!(second, Recovered { kept: recovered.kept, ..Recovered::default() }, "a repaired table needs no repair");
    drop(again);

    let mut sweeper = table.sweeper().unwrap();
    assert!((200..230).all(|n| insert(&table, &key(n), n) != Insert::Busy), "no lock is left");
    sweeper.sweep(sweeper.groups(), |_, _| Fate::Kill, |_, _| {});
    sweep(&mut sweeper);
    assert_blank(&table);
    recovered
}

#[test]
fn bonds_to_templates_are_counted_anew() {
    let table = table(50);
    let template = FlowKey::template(6, Addr::v4(0x0a00_0000));
    let home = Record { state: State::Template, hop: 17, ..record(1) };
    let control = inserted(table.insert_or_find(&template, table.hash(&template), of_pair(1), &home));
    let stranger = inserted(insert(&table, &key(40), 40));
    let bonds = [(1, Some(control)), (2, Some(control)), (3, Some(stranger)), (4, Some(Slot::new(1 << 30))), (5, None)];
    for (n, control) in bonds {
        inserted(table.insert_or_find(&key(n), table.hash(&key(n)), of_pair(n), &Record { control, ..record(n) }));
    }
    let (heir, recovered) = Table::attach(heir(&table)).unwrap();
    assert_eq!(recovered, Recovered { kept: 7, orphaned: 2, ..Recovered::default() });
    assert_eq!(heir.entry(control).children(), 2);
    let bond = |n| heir.entry(find(&heir, &key(n), n).unwrap()).control();
    assert_eq!([1, 2, 3, 4, 5].map(bond), [Some(control), Some(control), None, None, None]);

    let entry = heir.entry(control);
    entry.add_child();
    (0..5).for_each(|_| entry.remove_child());
    assert_eq!(entry.children(), 0, "never below");
}

#[test]
fn workers_and_counters_of_the_dead_are_not_waited_for() {
    let table = table(50);
    table.member(0).unwrap().unpark();
    let member = table.member(0).unwrap();
    member.unpark();
    let (heir, _) = Table::attach(heir(&table)).unwrap();
    let heir = Arc::new(heir);
    let mut sweeper = heir.sweeper().unwrap();
    assert!(kill(&heir, inserted(insert(&heir, &key(1), 1))));
    assert_eq!((sweep(&mut sweeper).ended, sweep(&mut sweeper).freed), (1, 1));
}

#[test]
fn damage_that_no_crash_leaves_is_cleared_away_too() {
    type Damage = (&'static str, fn(&Table, Slot));
    let damages: [Damage; 5] = [
        ("an unknown state", |table, slot| table.entry(slot).overwrite_state(99)),
        ("no key", |table, slot| table.entry(slot).clear_key()),
        ("no tag", |table, slot| {
            table.word(slot.group()).fetch_and(Word::freed(slot.position()), Ordering::SeqCst);
        }),
        ("a dying tag", |table, slot| {
            table.word(slot.group()).fetch_or(Word::dying(slot.position()), Ordering::SeqCst);
        }),
        ("another's key", |table, slot| table.entry(slot).fill(&key(8), &record(8), table.vip_cell(slot))),
    ];
    for (damage, inflict) in damages {
        let table = table(50);
        let slot = inserted(insert(&table, &key(1), 1));
        inserted(insert(&table, &key(2), 2));
        inflict(&table, slot);
        let (heir, recovered) = Table::attach(heir(&table)).unwrap();
        assert_eq!((recovered.kept, recovered.freed), (1, 1), "{damage}");
        assert_consistent(&heir);
        assert!(find(&heir, &key(1), 1).is_none() && find(&heir, &key(2), 2).is_some(), "{damage}");
    }
}

#[test]
fn what_the_repair_does_not_look_at_the_first_sweep_clears_away() {
    let dead = table(50);
    let slot = inserted(insert(&dead, &key(1), 1));
    inserted(insert(&dead, &key(2), 2));
    dead.word(slot.group()).fetch_and(Word::freed(slot.position()), Ordering::SeqCst);
    let table = Arc::new(Table::map(heir(&dead)).unwrap());
    let mut shown = Vec::new();
    let recovered = table.recover(|listed| shown.push(listed.key));
    assert_eq!((recovered, shown), (Recovered { kept: 1, ..Recovered::default() }, vec![key(2)]));
    let mut sweeper = table.sweeper().unwrap();
    let swept = sweeper.sweep(sweeper.groups(), |_, _| Fate::Keep, |_, _| {});
    assert_eq!((swept.freed, swept.seen, swept.ended), (1, 1, 0));
    assert_consistent(&table);
    assert!(find(&table, &key(1), 1).is_none() && find(&table, &key(2), 2).is_some());
}

proptest! {
    /// Whatever stands in a table that a director has left, nothing breaks that works with it.
    #[test]
    fn no_scribbles_break_the_one_who_finds_them(
        scribbles in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 1..60),
    ) {
        let dead = table(50);
        (0..40).for_each(|n| _ = insert(&dead, &key(n), n));
        for (at, word) in scribbles {
            let places = dead.geometry.bytes() / size_of::<u64>();
            rustix::io::pwrite(dead.fd(), &word.to_le_bytes(), (at.index(places) * size_of::<u64>()) as u64).unwrap();
        }
        let Ok((table, _)) = Table::attach(heir(&dead)) else { return Ok(()) };
        let table = Arc::new(table);
        let Some(member) = table.member(0) else { return Ok(()) };
        member.unpark();
        let mut sweeper = table.sweeper().unwrap();
        for round in 0..4 {
            (0..60).for_each(|n| _ = find(&table, &key(n), n));
            (60..70).for_each(|n| _ = insert(&table, &key(n + round), n));
            sweeper.sweep(sweeper.groups(), |_, _| Fate::Keep, |_, _| {});
            member.end_batch();
        }
        member.park();
    }
}

#[test]
fn a_file_that_is_no_table_of_ours_is_refused() {
    let file = |bytes: &[u8], seals| {
        let file = rustix::fs::memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::io::pwrite(&file, bytes, 0).unwrap();
        rustix::fs::fcntl_add_seals(&file, seals).unwrap();
        file
    };
    let good = {
        let table = table(30);
        inserted(insert(&table, &key(1), 1));
        let mut bytes = vec![0; table.geometry.bytes()];
        rustix::io::pread(table.fd(), &mut bytes, 0).unwrap();
        bytes
    };
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let seals = SealFlags::SHRINK | SealFlags::GROW;
    assert_eq!(Table::attach(file(&good, seals)).unwrap().1.kept, 1, "a true copy is a table");
    let refused = |file: OwnedFd| Table::attach(file).unwrap_err();
    assert!(matches!(refused(file(&good, SealFlags::empty())), TableError::Unsealed));
    assert!(matches!(refused(file(&good[..10], seals)), TableError::NotATable));
    assert!(matches!(refused(file(&[], seals)), TableError::NotATable));
    assert!(matches!(refused(file(&with(0, b'r'), seals)), TableError::NotATable));
    assert!(matches!(refused(file(&with(8, 77), seals)), TableError::Layout { found: 77, needed: 3 }));
    assert!(matches!(refused(file(&good[..good.len() - 4096], seals)), TableError::Damaged(_)));
    for (field, at) in [("workers", 14), ("groups", 16), ("groups", 19), ("ticks", 20)] {
        assert!(matches!(refused(file(&with(at, 0xff), seals)), TableError::Damaged(_)), "{field}");
    }
    assert!(matches!(refused(std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into()), TableError::NotATable));
}
