//! Tests of the table as a whole.

#![cfg_attr(feature = "loom", allow(dead_code, unused_imports, reason = "the checker uses a part"))]

#[cfg(not(feature = "loom"))]
mod basic;
#[cfg(not(feature = "loom"))]
mod capacity;
#[cfg(not(feature = "loom"))]
mod crash;
#[cfg(not(feature = "loom"))]
pub(super) mod fuse;
#[cfg(feature = "loom")]
mod interleavings;
#[cfg(not(feature = "loom"))]
mod model;
#[cfg(not(feature = "loom"))]
mod race;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Entry, Fate, Insert, LAST_EPOCH, Record, Slot, Sweeper, Swept, Table, TableConfig, Word};
use crate::conn::{FlowKey, HashSeed, State};
use crate::time::{Tick, Ticks};
use crate::wire::Addr;

const SEED: HashSeed = HashSeed([0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03, 0x2545_f491_4f6c_dd1d]);

/// A table for so many connections and one worker.
fn table(connections: u32) -> Arc<Table> {
    Arc::new(Table::create(&TableConfig { connections, workers: 1, seed: SEED }).unwrap())
}

/// The `n`th of a family of keys, every other one IPv6.
fn key(n: u32) -> FlowKey {
    let client = match n % 2 {
        0 => Addr::v4(0x0a00_0000 + n / 1000),
        _ => Addr { hi: 0x2001_0db8_0000_0000 | u64::from(n / 1000), lo: u64::from(n) << 20 },
    };
    FlowKey::connection(6, client, (n % 1000) as u16)
}

/// A connection of a pair.
fn record(pair: u32) -> Record {
    Record {
        pair,
        generation: pair ^ 0x5555_5555,
        state: State::SynRecv,
        flags: 5,
        timeout: Ticks::from_secs(60),
        last_seen: Tick(100),
        vport: 80,
        rport: 8080,
        control: None,
        hop: 9,
        epoch: 3,
        vip: None,
    }
}

fn of_pair(pair: u32) -> impl Fn(&Entry) -> bool {
    move |entry| entry.pair() == pair
}

fn insert(table: &Table, key: &FlowKey, pair: u32) -> Insert {
    table.insert_or_find(key, table.hash(key), of_pair(pair), &record(pair))
}

fn find(table: &Table, key: &FlowKey, pair: u32) -> Option<Slot> {
    table.find(key, table.hash(key), of_pair(pair))
}

fn inserted(insert: Insert) -> Slot {
    match insert {
        Insert::Inserted(slot) => slot,
        other => panic!("not inserted: {other:?}"),
    }
}

fn kill(table: &Table, slot: Slot) -> bool {
    table.kill(slot, table.entry(slot).state_word(), 0)
}

/// One whole walk that ends nothing.
fn sweep(sweeper: &mut Sweeper) -> Swept {
    sweeper.sweep(sweeper.groups(), |_, _| Fate::Keep, |_, _| {})
}

/// Every index word, and every entry's key and state, must be as in a new table.
fn assert_blank(table: &Table) {
    for (group, word) in table.mapping.index().iter().enumerate() {
        let word = word.load(Ordering::SeqCst);
        assert_eq!(word, 0, "index word of group {group}: {word:#018x}");
    }
    for (slot, entry) in table.mapping.entries().iter().enumerate() {
        assert!(entry.is_blank(), "slot {slot}: {entry:?}");
    }
}

/// Index, overflow counts and entries must tell the same story.
fn assert_consistent(table: &Table) {
    let mut elsewhere = vec![0; table.geometry.groups() as usize];
    for slot in (0..table.capacity()).map(Slot::new) {
        let entry = table.entry(slot);
        let byte = Word(table.word(slot.group()).load(Ordering::SeqCst)).byte(slot.position());
        assert_eq!(byte == 0, entry.is_blank(), "{slot:?}: byte {byte}, {entry:?}");
        if byte != 0 {
            let home = table.geometry.home(table.hash(&entry.key()));
            elsewhere[home as usize] += u32::from(home != slot.group());
        }
    }
    for (group, &count) in elsewhere.iter().enumerate() {
        let word = Word(table.mapping.index()[group].load(Ordering::SeqCst));
        assert_eq!((word.is_locked(), word.overflow()), (false, count), "group {group}");
    }
}
