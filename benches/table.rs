//! The connection table alone, one thread: what does finding a connection cost, and making one, by how many there are?
//!
//! Keys come in random order, in batches of 64 as the worker does it: hash and ask for the index line in a first pass,
//! ask for the entry 16 packets ahead of its use in a second.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use ringmaster::conn::table::{Insert, Record, Table, TableConfig};
use ringmaster::conn::{FlowHash, FlowKey, HashSeed, State};
use ringmaster::time::{Tick, Ticks};
use ringmaster::wire::Addr;

const SIZES: [(&str, u32); 3] = [("1k", 1 << 10), ("64k", 1 << 16), ("1M", 1 << 20)];
const BATCH: usize = 64;
const AHEAD: usize = 16;

fn table(connections: u32) -> Arc<Table> {
    let seed = HashSeed([0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03, 0x2545_f491_4f6c_dd1d]);
    Arc::new(Table::create(&TableConfig { connections, workers: 1, seed }).expect("memory for the table"))
}

/// IPv4 clients with 16 ports each, in random order.
fn keys(count: u32) -> Vec<FlowKey> {
    let mut keys: Vec<_> =
        (0..count).map(|n| FlowKey::connection(6, Addr::v4(0x0a00_0000 + n / 16), 40_000 + (n % 16) as u16)).collect();
    let mut random = 1u64;
    for at in (1..keys.len()).rev() {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        keys.swap(at, (random >> 33) as usize % (at + 1));
    }
    keys
}

/// Goes through the keys as a worker goes through its batches.
fn in_batches(table: &Table, keys: &[FlowKey], mut act: impl FnMut(&FlowKey, FlowHash)) {
    let mut hashes = [FlowHash(0); BATCH];
    for batch in keys.chunks(BATCH) {
        for (hash, key) in hashes.iter_mut().zip(batch) {
            *hash = table.hash(key);
            table.prefetch_index(*hash);
        }
        let hashes = &hashes[..batch.len()];
        hashes.iter().take(AHEAD).for_each(|&hash| table.prefetch_entry(hash));
        for (at, key) in batch.iter().enumerate() {
            if let Some(&later) = hashes.get(at + AHEAD) {
                table.prefetch_entry(later);
            }
            act(key, hashes[at]);
        }
    }
}

fn insert_all(table: &Table, keys: &[FlowKey]) {
    let record = Record {
        pair: 1,
        generation: 1,
        state: State::SynRecv,
        flags: 0,
        timeout: Ticks::from_secs(60),
        last_seen: Tick(0),
        vport: 80,
        rport: 80,
        control: None,
        hop: 0,
        epoch: 1,
        vip: None,
    };
    in_batches(table, keys, |key, hash| {
        let outcome = table.insert_or_find(key, hash, |entry| entry.pair() == 1, &record);
        assert!(matches!(outcome, Insert::Inserted(_)));
    });
}

fn find(c: &mut Criterion) {
    let mut group = c.benchmark_group("conn/find/hit");
    for (name, count) in SIZES {
        let (table, keys) = (table(count), keys(count));
        insert_all(&table, &keys);
        let member = table.member(0).expect("the first worker");
        member.unpark();
        group.throughput(Throughput::Elements(u64::from(count)));
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter(|| {
                in_batches(&table, &keys, |key, hash| {
                    let slot = table.find(key, hash, |entry| entry.pair() == 1).expect("inserted above");
                    black_box(table.entry(slot).generation());
                });
                member.end_batch();
            });
        });
    }
    group.finish();
}

fn insert(c: &mut Criterion) {
    let mut group = c.benchmark_group("conn/insert");
    group.sample_size(10);
    for (name, count) in SIZES {
        let keys = keys(count);
        group.throughput(Throughput::Elements(u64::from(count)));
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter_batched_ref(|| table(count), |table| insert_all(table, &keys), BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(benches, find, insert);
criterion_main!(benches);
