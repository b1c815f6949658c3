//! Any sequence of calls against a `BTreeMap`.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Insert { key: u32, pair: u32 },
    Find { key: u32, pair: u32 },
    Touch { key: u32, pair: u32, now: u32 },
    Change { key: u32, pair: u32, state: State },
    Kill { key: u32, pair: u32 },
    Sweep { groups: u32, now: u32 },
    EndBatch,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = || (0..60u32, 0..2u32);
    let step = prop_oneof![
        6 => which().prop_map(|(key, pair)| Step::Insert { key, pair }),
        2 => which().prop_map(|(key, pair)| Step::Find { key, pair }),
        2 => (which(), 0..8000u32).prop_map(|((key, pair), now)| Step::Touch { key, pair, now }),
        2 => (which(), prop_oneof![Just(State::Established), Just(State::Close), Just(State::FinWait)])
            .prop_map(|((key, pair), state)| Step::Change { key, pair, state }),
        3 => which().prop_map(|(key, pair)| Step::Kill { key, pair }),
        2 => (1..20u32, 3000..9000u32).prop_map(|(groups, now)| Step::Sweep { groups, now }),
        2 => Just(Step::EndBatch),
    ];
    prop::collection::vec(step, 1..400)
}

/// What the model knows of a live entry.
#[derive(Debug, PartialEq)]
struct Known {
    slot: Slot,
    last_seen: u32,
    state: State,
}

/// The one line of a table of eight groups is every key's whole choice.
fn free_places(table: &Table) -> usize {
    let words = table.mapping.index().iter().map(|word| Word(word.load(Ordering::SeqCst)));
    words.map(|word| word.free().count()).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// 120 possible entries in 56 places: overflow and refusals are part of it.
    #[test]
    fn the_table_does_what_a_map_does(steps in steps()) {
        let table = table(30);
        let member = table.member(0).unwrap();
        let mut sweeper = table.sweeper().unwrap();
        member.unpark();
        let mut model: BTreeMap<(u32, u32), Known> = BTreeMap::new();
        let mut killed = 0;
        let mut ended = 0;
        let mut at_start = true;
        for step in steps {
            match step {
                Step::Insert { key: n, pair } => match (insert(&table, &key(n), pair), model.get(&(n, pair))) {
                    (Insert::Found(slot), Some(known)) => prop_assert_eq!(slot, known.slot),
                    (Insert::Inserted(slot), None) => {
                        prop_assert!(model.values().all(|known| known.slot != slot), "the slot is another's");
                        model.insert((n, pair), Known { slot, last_seen: 100, state: State::SynRecv });
                    }
                    // The one line of this table is every key's whole choice, so full means full.
                    (Insert::Full, None) => prop_assert_eq!(free_places(&table), 0),
                    (outcome, known) => prop_assert!(false, "{:?} where {:?}", outcome, known),
                },
                Step::Find { key: n, pair } => {
                    prop_assert_eq!(find(&table, &key(n), pair), model.get(&(n, pair)).map(|known| known.slot));
                }
                Step::Touch { key: n, pair, now } => {
                    if let Some(known) = model.get_mut(&(n, pair)) {
                        table.entry(known.slot).touch(Tick(now));
                        known.last_seen = now;
                    }
                }
                Step::Change { key: n, pair, state } => {
                    if let Some(known) = model.get_mut(&(n, pair)) {
                        let entry = table.entry(known.slot);
                        prop_assert_eq!(entry.change_state(entry.state_word(), state, 0), Ok(()));
                        known.state = state;
                    }
                }
                Step::Kill { key: n, pair } => {
                    if let Some(known) = model.remove(&(n, pair)) {
                        prop_assert!(kill(&table, known.slot));
                        killed += 1;
                    }
                }
                Step::Sweep { groups, now } => {
                    let before = model.len();
                    let decide = |_: Slot, entry: &Entry| if entry.is_expired(Tick(now)) { Fate::Kill } else { Fate::Keep };
                    let mut gone = Vec::new();
                    let whole = at_start && groups >= sweeper.groups();
                    at_start = sweeper.sweep(groups, decide, |slot, _| gone.push(slot)).wrapped;
                    ended += gone.len();
                    let expired = |known: &Known| now.saturating_sub(known.last_seen) > 60 * 64;
                    prop_assert!(model.values().all(|known| expired(known) || !gone.contains(&known.slot)));
                    model.retain(|_, known| !gone.contains(&known.slot));
                    if whole {
                        prop_assert!(!model.values().any(expired), "a whole walk ends all that has expired");
                    }
                    killed += before - model.len();
                }
                Step::EndBatch => member.end_batch(),
            }
            prop_assert_eq!(table.len(), model.len());
        }
        let mut listed: Vec<_> = table.entries().map(|listed| (listed.slot, listed.record.last_seen.0, listed.record.state)).collect();
        let mut known: Vec<_> = model.values().map(|known| (known.slot, known.last_seen, known.state)).collect();
        listed.sort_by_key(|row| row.0);
        known.sort_by_key(|row| row.0);
        prop_assert_eq!(listed, known);
        assert_consistent(&table);

        // Ends everything: each entry is reported once in its life, and nothing remains.
        killed += model.len();
        member.park();
        for _ in 0..8 {
            ended += sweeper.sweep(sweeper.groups(), |_, _| Fate::Kill, |_, _| {}).ended as usize;
        }
        prop_assert_eq!(ended, killed);
        assert_blank(&table);
    }
}
