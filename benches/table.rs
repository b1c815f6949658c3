//! The connection table alone: what finding a connection costs, making one and ending one, by how many there are.
//!
//! Keys come in random order, in batches of 64 as the worker does it: hash and ask for the index line in a first pass,
//! ask for the entry 16 packets ahead of its use in a second. 10 M connections take 1.1 GiB.
//!
//! - `find/hit` / `N`: known connections, one thread
//! - `insert` / `N`: new ones into an empty table
//! - `sweep/idle` / `N`: a walk that shows every connection and ends none, per connection; what it takes of a core at the
//!   director's pace is in the report
//! - `sweep/expire` / `N`: walks that end all and free their places
//!
//! After them a report: memory, the share of a core that sweeping takes, refusals when there is no more room, and how
//! much more two threads find than one, in one table and in a table each: the latter is all that the machine has to give. Two
//! threads need two idle cores.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;

use criterion::measurement::{Measurement, WallTime};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group};

use ringmaster::conn::table::{Fate, Insert, Member, Pace, Record, Sweeper, Table, TableConfig};
use ringmaster::conn::{FlowHash, FlowKey, HashSeed, State};
use ringmaster::sys::clock;
use ringmaster::time::{TICKS_PER_SECOND, Tick, Ticks};
use ringmaster::wire::Addr;

const SIZES: [(&str, u32); 5] =
    [("1k", 1 << 10), ("64k", 1 << 16), ("256k", 1 << 18), ("1M", 1 << 20), ("10M", 10_000_000)];
const BATCH: usize = 64;
const AHEAD: usize = 16;

fn table(connections: u32) -> Arc<Table> {
    table_for(connections, 1)
}

fn table_for(connections: u32, workers: u32) -> Arc<Table> {
    let seed = HashSeed([0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03, 0x2545_f491_4f6c_dd1d]);
    Arc::new(Table::create(&TableConfig { connections, workers, seed }).expect("memory for the table"))
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
        hashes.iter().take(AHEAD).for_each(|&hash| _ = table.prefetch_entry(hash));
        for (at, key) in batch.iter().enumerate() {
            if let Some(&later) = hashes.get(at + AHEAD) {
                table.prefetch_entry(later);
            }
            act(key, hashes[at]);
        }
    }
}

fn record() -> Record {
    Record {
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
    }
}

/// Inserts new connections; says how many there was no place for.
fn insert_all(table: &Table, keys: &[FlowKey]) -> usize {
    let (record, mut refused) = (record(), 0);
    in_batches(table, keys, |key, hash| match table.insert_or_find(key, hash, |entry| entry.pair() == 1, &record) {
        Insert::Inserted(_) => {}
        Insert::Full => refused += 1,
        other => panic!("keys are not repeated, and nobody else is there: {other:?}"),
    });
    refused
}

fn find_all(member: &Member, keys: &[FlowKey]) {
    let table = member.table();
    in_batches(table, keys, |key, hash| {
        let slot = table.find(key, hash, |entry| entry.pair() == 1).expect("inserted above");
        black_box(table.entry(slot).generation());
    });
    member.end_batch();
}

fn find(c: &mut Criterion) {
    let mut group = c.benchmark_group("conn/find/hit");
    group.sample_size(10);
    for (name, count) in SIZES {
        let (table, keys) = (table(count), keys(count));
        assert_eq!(insert_all(&table, &keys), 0);
        let member = table.member(0).expect("the first worker");
        member.unpark();
        group.throughput(Throughput::Elements(u64::from(count)));
        group.bench_function(BenchmarkId::from_parameter(name), |b| b.iter(|| find_all(&member, &keys)));
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

fn sweep(c: &mut Criterion) {
    let mut group = c.benchmark_group("conn/sweep");
    group.sample_size(10);
    for (name, count) in SIZES {
        let keys = keys(count);
        group.throughput(Throughput::Elements(u64::from(count)));
        group.bench_function(BenchmarkId::new("idle", name), |b| {
            let table = table(count);
            insert_all(&table, &keys);
            let mut sweeper = table.sweeper().expect("the first");
            b.iter(|| walk(&mut sweeper, Tick(0)));
        });
        group.bench_function(BenchmarkId::new("expire", name), |b| {
            let filled = || {
                let table = table(count);
                insert_all(&table, &keys);
                table.sweeper().expect("the first")
            };
            b.iter_batched_ref(
                filled,
                |sweeper| (0..2).for_each(|_| walk(sweeper, Tick(1 << 20))),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// One whole walk as the director does it, ending what has expired by `now`.
fn walk(sweeper: &mut Sweeper, now: Tick) {
    let fate = |entry: &ringmaster::conn::table::Entry| if entry.is_expired(now) { Fate::Kill } else { Fate::Keep };
    let swept = sweeper.sweep(sweeper.groups(), |_, entry| fate(entry), |_, _| {});
    black_box(swept);
}

/// What is no time per connection.
fn report() {
    const CONNECTIONS: u32 = 10_000_000;
    let (all, keys) = (table_for(CONNECTIONS, 2), keys(CONNECTIONS / 3 * 4));
    let (present, more) = keys.split_at(CONNECTIONS as usize);
    insert_all(&all, present);
    let bytes = f64::from(all.capacity()) * (64.0 + 8.0 / 7.0);
    println!(
        "memory: {:.1} bytes a connection at a load of {:.2}",
        bytes / f64::from(CONNECTIONS),
        f64::from(CONNECTIONS) / f64::from(all.capacity())
    );
    paced_sweep(&all);
    for (part, keys) in more.chunks(more.len() / 4).enumerate() {
        let refused = insert_all(&all, keys);
        println!(
            "full: filled to {:.2}, {refused} of {} refused",
            all.len() as f64 / f64::from(all.capacity()),
            keys.len()
        );
        assert!(part < 8);
    }
    drop(all);
    for (name, count) in SIZES {
        let keys = keys_in_halves(count);
        let full = |workers| {
            let table = table_for(count, workers);
            keys.iter().for_each(|half| assert_eq!(insert_all(&table, half), 0));
            table
        };
        let member = |table: &Arc<Table>, worker| table.member(worker).expect("it has so many workers");
        let common = {
            let table = full(2);
            gain(&[0, 1].map(|worker| member(&table, worker)), &keys)
        };
        let apart = gain(&[full(1), full(1)].map(|table| member(&table, 0)), &keys);
        println!("two threads, {name}: {common:.2} times what one finds; with a table each {apart:.2}");
    }
}

/// How many times what one thread finds is found by two: the median of five turns of both.
fn gain(members: &[Member; 2], keys: &[Vec<FlowKey>; 2]) -> f64 {
    let rounds = (10_000_000 / keys[0].len() as u32).max(1);
    let mut gains = [(); 5].map(|()| {
        let alone = rate(&members[..1], keys, rounds);
        rate(members, keys, rounds) / alone
    });
    gains.sort_by(f64::total_cmp);
    gains[2]
}

/// What the sweep takes of a core at the pace that it finds for itself.
fn paced_sweep(table: &Arc<Table>) {
    let (mut sweeper, mut pace) = (table.sweeper().expect("the first"), Pace::default());
    for number in 1..=3 {
        let before = clock::processor();
        walk(&mut sweeper, Tick(0));
        let cost = clock::processor() - before;
        let takes = f64::from(pace.walk().0) / f64::from(TICKS_PER_SECOND);
        println!("sweep {number}: {cost:.1?} in {takes:.1} s, {:.1} % of a core", 100.0 * cost.as_secs_f64() / takes);
        pace.spend(cost);
        pace.walked();
    }
}

/// Each thread's own half of the connections.
fn keys_in_halves(count: u32) -> [Vec<FlowKey>; 2] {
    let mut keys = keys(count);
    let second = keys.split_off(count as usize / 2);
    [keys, second]
}

/// Connections found a nanosecond by as many threads as there are members.
fn rate(members: &[Member], keys: &[Vec<FlowKey>; 2], rounds: u32) -> f64 {
    let barrier = Barrier::new(members.len());
    let one = |member: &Member, keys: &[FlowKey]| {
        member.unpark();
        find_all(member, keys);
        barrier.wait();
        let start = WallTime.start();
        (0..rounds).for_each(|_| find_all(member, keys));
        let spent = WallTime.end(start);
        member.park();
        f64::from(rounds) * keys.len() as f64 / spent.as_nanos() as f64
    };
    thread::scope(|scope| {
        let threads: Vec<_> =
            members.iter().zip(keys).map(|(member, keys)| scope.spawn(|| one(member, keys))).collect();
        threads.into_iter().map(|thread| thread.join().expect("found all")).sum()
    })
}

criterion_group!(benches, find, insert, sweep);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    report();
}
