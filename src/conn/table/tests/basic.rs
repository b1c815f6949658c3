//! One thread, one thing at a time.

use super::*;
use crate::conn::table::{Residence, TableError};

#[test]
fn an_entry_is_found_with_what_was_put_in() {
    let table = table(100);
    for n in 0..50 {
        let control = (n % 3 == 0).then(|| Slot::new(n));
        let vip = (n % 5 == 0).then(|| Addr::v4(n));
        let written = Record { control, vip, ..record(n) };
        let slot = inserted(table.insert_or_find(&key(n), table.hash(&key(n)), of_pair(n), &written));
        assert_eq!(find(&table, &key(n), n), Some(slot));
        let listed = table.listed(slot).unwrap();
        assert_eq!((listed.slot, listed.key, listed.record), (slot, key(n), written));
        assert_eq!(table.vip(table.entry(slot)), vip.unwrap_or_default());
        assert_eq!(table.slot(slot.number()), Some(slot));
    }
    assert_eq!(find(&table, &key(50), 50), None);
    assert_eq!((table.len(), table.is_empty()), (50, false));
    assert_eq!(table.entries().count(), 50);
    assert_eq!(table.slot(table.capacity()), None);
    assert_consistent(&table);
}

#[test]
fn one_client_port_may_talk_to_several_services() {
    let table = table(100);
    let first = inserted(insert(&table, &key(1), 1));
    let second = inserted(insert(&table, &key(1), 2));
    assert_ne!(first, second);
    assert_eq!(insert(&table, &key(1), 2), Insert::Found(second));
    assert_eq!(
        (find(&table, &key(1), 1), find(&table, &key(1), 2), find(&table, &key(1), 3)),
        (Some(first), Some(second), None)
    );
    assert!(kill(&table, first));
    assert_eq!((find(&table, &key(1), 1), find(&table, &key(1), 2)), (None, Some(second)));
}

#[test]
fn a_state_changes_only_from_the_one_seen() {
    let table = table(10);
    let slot = inserted(insert(&table, &key(1), 1));
    let entry = table.entry(slot);
    let seen = entry.state_word();
    assert_eq!(entry.change_state(seen, State::Established, 7), Ok(()));
    let now = entry.state_word();
    assert_eq!((now.state(), now.flags()), (State::Established, 7));
    assert_eq!(entry.change_state(seen, State::Close, 0), Err(now));
    assert!(!table.kill(slot, seen, 0), "it is another state that was seen");
    assert!(table.kill(slot, now, 9));
    assert!(!table.kill(slot, entry.state_word(), 0), "it is dead already");
    assert_eq!(entry.change_state(now, State::Close, 0), Err(entry.state_word()));
    assert_eq!((entry.state_word().ended_in(), entry.state_word().flags()), (State::Established, 9));
}

#[test]
fn time_is_the_caller_s() {
    let table = table(10);
    let entry = table.entry(inserted(insert(&table, &key(1), 1)));
    let last = Tick(100).plus(Ticks::from_secs(60));
    assert!(!entry.is_expired(last));
    assert!(entry.is_expired(last.plus(Ticks(1))));
    entry.touch(Tick(101));
    assert!(!entry.is_expired(last.plus(Ticks(1))));
    entry.set_timeout(Ticks(1));
    assert!(entry.is_expired(Tick(103)) && !entry.is_expired(Tick(102)));
}

#[test]
fn a_slot_is_free_again_only_after_the_batch_that_might_be_looking() {
    let table = table(10);
    let member = table.member(0).unwrap();
    let mut sweeper = table.sweeper().unwrap();
    member.unpark();
    let slot = inserted(insert(&table, &key(1), 1));
    assert!(kill(&table, slot));
    assert_eq!((find(&table, &key(1), 1), table.len()), (None, 0));
    let mut ended = Vec::new();
    let swept = sweeper.sweep(
        sweeper.groups(),
        |_, _| Fate::Keep,
        |slot, entry| ended.push((slot, entry.state_word().ended_in())),
    );
    assert_eq!((swept.ended, swept.freed, swept.wrapped), (1, 0, true));
    assert_eq!(ended, [(slot, State::SynRecv)]);
    for _ in 0..3 {
        let swept = sweep(&mut sweeper);
        assert_eq!((swept.ended, swept.freed), (0, 0), "the worker is still in that batch");
        assert_eq!(table.entry(slot).key(), key(1));
    }
    let again = inserted(insert(&table, &key(1), 1));
    assert_ne!(again, slot);
    member.end_batch();
    assert_eq!(sweep(&mut sweeper).freed, 1);
    assert!(kill(&table, again));
    sweep(&mut sweeper);
    member.park();
    assert_eq!(sweep(&mut sweeper).freed, 1, "parking ends the batch");
    assert_blank(&table);
}

#[test]
fn members_and_sweeper_are_given_out_once() {
    let table = table(10);
    let member = table.member(0).unwrap();
    assert!(table.member(0).is_none() && table.member(1).is_none());
    drop(member);
    assert!(table.member(0).is_some());
    assert!(table.sweeper().is_some());
    assert!(table.sweeper().is_none());
}

#[test]
fn sizes_are_checked_and_as_promised() {
    let create = |connections, workers| Table::create(&TableConfig { connections, workers, seed: SEED });
    assert!(matches!(create(0, 1), Err(TableError::Connections(0))));
    assert!(matches!(create(u32::MAX, 1), Err(TableError::Connections(u32::MAX))));
    assert!(matches!(create(1, 0), Err(TableError::Workers(0))));
    assert!(matches!(create(1, 5000), Err(TableError::Workers(5000))));
    let table = create(50_000, 200).unwrap();
    // In units of 512 bytes, whatever the file system's blocks; what lies behind the entries has not been touched.
    let bytes = rustix::fs::fstat(table.fd()).unwrap().st_blocks * 512;
    assert!(bytes <= 50_000 * 120, "{bytes} bytes");
    assert!(table.capacity() >= 50_000 * 10 / 6);
    assert_ne!(table.residence(), Residence::OnDemand);
}

#[test]
fn requests_are_counted_as_far_as_nine_beside_the_hop_and_its_epoch() {
    let table = table(100);
    let entry = table.entry(inserted(insert(&table, &key(1), 7)));
    entry.count_request(false);
    assert_eq!((entry.requests(), entry.hop(), entry.epoch()), (0, 9, 3));
    (0..4).for_each(|_| entry.count_request(true));
    entry.set_hop(11, LAST_EPOCH);
    assert_eq!((entry.requests(), entry.hop(), entry.epoch()), (4, 11, LAST_EPOCH));
    (0..20).for_each(|_| entry.count_request(true));
    entry.set_timeout(Ticks::from_secs(9));
    assert_eq!((entry.requests(), entry.epoch(), entry.timeout()), (9, LAST_EPOCH, Ticks::from_secs(9)));
}

#[test]
fn what_is_found_near_is_what_is_found() {
    let table = table(2000);
    // Two of three are there, some of them twice under one key, and so many that some live outside their group.
    for n in (0..3000).filter(|n| n % 3 != 0) {
        inserted(insert(&table, &key(n), n));
        if n % 5 == 0 {
            inserted(insert(&table, &key(n), n + 1));
        }
    }
    for n in 0..3000 {
        for pair in [n, n + 1] {
            let (key, hash) = (key(n), table.hash(&key(n)));
            let near = table.find_near(table.prefetch_entry(hash), &key, hash, of_pair(pair));
            assert_eq!(near, find(&table, &key, pair), "{n} {pair}");
            assert_eq!(near.is_some(), n % 3 != 0 && (pair == n || n % 5 == 0), "{n} {pair}");
        }
    }
}
