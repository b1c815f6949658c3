//! Crowded groups, and tables up to their size and beyond.

use super::*;

/// Keys with the same home group and, if asked, the same tag as `key(0)`.
fn colliding(table: &Table, same_tag: bool) -> impl Iterator<Item = u32> {
    let (geometry, seed) = (table.geometry, table.seed());
    let place = move |n| {
        let hash = seed.hash(&key(n));
        (geometry.home(hash), same_tag.then(|| crate::conn::table::Geometry::tag(hash)))
    };
    (0..4_000_000).filter(move |&n| place(n) == place(0))
}

#[test]
fn keys_with_one_home_and_one_tag_are_told_apart() {
    let table = table(200);
    let keys: Vec<_> = colliding(&table, true).take(12).collect();
    assert_eq!(keys.len(), 12);
    let slots: Vec<_> = keys.iter().map(|&n| inserted(insert(&table, &key(n), 1))).collect();
    for (&n, &slot) in keys.iter().zip(&slots) {
        assert_eq!((find(&table, &key(n), 1), table.entry(slot).key()), (Some(slot), key(n)));
        assert_eq!(insert(&table, &key(n), 1), Insert::Found(slot));
    }
    assert!(kill(&table, slots[3]) && kill(&table, slots[9]));
    for (at, &n) in keys.iter().enumerate() {
        assert_eq!(find(&table, &key(n), 1).is_some(), at != 3 && at != 9, "{at}");
    }
}

#[test]
fn a_crowded_home_uses_its_line_then_a_second_and_then_refuses() {
    let table = table(2000);
    let mut sweeper = table.sweeper().unwrap();
    let lines = |slot: Slot| slot.group() / 8;
    let home_line = table.geometry.home(table.hash(&key(0))) / 8;
    // One client port to many services: one key, so one home and one second line.
    let slots: Vec<_> = (0..112).map(|pair| inserted(insert(&table, &key(0), pair))).collect();
    assert!(slots[..7].iter().all(|slot| slot.group() == table.geometry.home(table.hash(&key(0)))));
    assert!(slots[..56].iter().all(|&slot| lines(slot) == home_line));
    assert!(slots[56..].iter().all(|&slot| lines(slot) == lines(slots[56]) && lines(slot) != home_line));
    assert_eq!(insert(&table, &key(0), 112), Insert::Full);
    assert_eq!((table.refused_full(), table.refused_busy()), (1, 0));
    for (pair, &slot) in (0..).zip(&slots) {
        assert_eq!(find(&table, &key(0), pair), Some(slot));
    }
    assert_consistent(&table);

    assert!(kill(&table, slots[111]));
    assert_eq!(insert(&table, &key(0), 112), Insert::Full, "its grace has not passed");
    sweep(&mut sweeper);
    sweep(&mut sweeper);
    assert_eq!(insert(&table, &key(0), 112), Insert::Inserted(slots[111]));
    for slot in slots {
        assert!(kill(&table, slot));
    }
    sweep(&mut sweeper);
    sweep(&mut sweeper);
    assert_blank(&table);
}

#[test]
fn a_home_that_cannot_count_further_refuses() {
    let table = table(20_000);
    let taken = colliding(&table, false).take(200).map(|n| insert(&table, &key(n), n)).collect::<Vec<_>>();
    let placed = taken.iter().filter(|outcome| matches!(outcome, Insert::Inserted(_))).count();
    assert_eq!((taken.len(), placed), (200, 7 + 127), "a home group's own places, and what seven bits count");
    assert!(taken[134..].iter().all(|outcome| *outcome == Insert::Full));
    assert_consistent(&table);
}

#[test]
fn a_table_holds_what_it_was_made_for() {
    let table = table(100_000);
    for n in 0..100_000 {
        inserted(insert(&table, &key(n), n));
    }
    assert_eq!(table.len(), 100_000);
    assert!((0..100_000).all(|n| find(&table, &key(n), n).is_some()));
    assert!((100_000..200_000).all(|n| find(&table, &key(n), n).is_none()));

    // Beyond: three quarters of the slots without a refusal to speak of, and never a wrong one after it.
    let beyond = table.capacity() / 4 * 3;
    let refused = (100_000..beyond).filter(|&n| insert(&table, &key(n), n) == Insert::Full).count();
    assert!(refused <= 10, "{refused} refused below a load of 0.75");
    let refused_later = (beyond..table.capacity()).filter(|&n| insert(&table, &key(n), n) == Insert::Full).count();
    assert!(refused_later > 0);
    assert_eq!(table.refused_full(), (refused + refused_later) as u64);
    assert_eq!(table.len() + refused + refused_later, table.capacity() as usize);
    assert!((0..100_000).all(|n| find(&table, &key(n), n).is_some()));
}

#[test]
fn a_large_table_is_estimated_and_a_small_one_counted() {
    let small = table(2000);
    for n in 0..700 {
        inserted(insert(&small, &key(n), 1));
    }
    assert_eq!(small.estimated_len(), 700);
    let large = table(600_000);
    for n in 0..300_000 {
        inserted(insert(&large, &key(n), 1));
    }
    let estimated = large.estimated_len();
    assert_eq!(large.len(), 300_000);
    assert!((297_000..303_000).contains(&estimated), "{estimated}");
    assert_ne!(estimated, 300_000, "not all of it was counted");
}
