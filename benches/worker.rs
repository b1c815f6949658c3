//! What one packet costs, beside a floor measured in the same run.
//!
//! Everything runs over rings in memory, 64-byte TCP frames in 2 KiB slots, batches of 64, at most 128 frames in flight;
//! writing the frame into its slot is part of every figure, the floor's too. The floor is a worker that only swaps MAC
//! addresses, IP addresses and ports; it meets the same frames on the same rings, both directions mixed.
//!
//! - `floor4`, `floor6`: the floor
//! - `inject4`, `inject6`: what of all figures is the writing of frames and their way back to the pool
//! - `nat4`, `dr4`, `tun4`, `nat6`, `dr6`, `tun6` / `N`: established packets of N connections in random order over 256
//!   pairs of service and server; NAT in both directions mixed
//! - `open4`, `open6`: new connections
//!
//! In the end comes a table of what each row takes beside the floor, of which [`beside`] takes turns with the row: a machine
//! that is slow for a while is slow for both.

#[path = "../tests/support/offline.rs"]
mod offline;

use std::hint::select_unpredictable as select;
use std::time::Duration;

use criterion::measurement::{Measurement, WallTime};
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use offline::{CLIENTS, SERVERS, Wanted, director, snapshot};
use ringmaster::io::mem::MemIo;
use ringmaster::io::{BATCH, Batch, PacketIo, PortId};
use ringmaster::service::{Method, Options};
use ringmaster::time::Tick;
use ringmaster::wire::{Addr, Endpoint, checksum};
use ringmaster::worker::Offline;

const VIPS: u32 = 16;
const SERVERS_EACH: u32 = 16;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const FLOWS: [(&str, u32); 6] =
    [("1", 1), ("1k", 1 << 10), ("64k", 1 << 16), ("256k", 1 << 18), ("1M", 1 << 20), ("10M", 10 << 20)];
/// The most flows of all methods but IPv4 NAT: a row of more takes a while to prepare, and 1.5 GB.
const MOST: u32 = 1 << 20;

/// The three ways and both families.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    method: Method,
    v6: bool,
}

const CASES: [Case; 6] = [
    Case { name: "nat4", method: Method::Nat, v6: false },
    Case { name: "dr4", method: Method::Dr, v6: false },
    Case { name: "tun4", method: Method::IPIP, v6: false },
    Case { name: "nat6", method: Method::Nat, v6: true },
    Case { name: "dr6", method: Method::Dr, v6: true },
    Case { name: "tun6", method: Method::IPIP, v6: true },
];

/// A repeatable source of disorder.
struct Shuffle(u64);

impl Shuffle {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn order(&mut self, count: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..count).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, (self.next() % (at as u64 + 1)) as usize);
        }
        order
    }
}

/// One of two endpoints, without a branch.
#[inline(always)]
fn either(first: bool, a: Endpoint, b: Endpoint) -> Endpoint {
    let addr = Addr { hi: select(first, a.addr.hi, b.addr.hi), lo: select(first, a.addr.lo, b.addr.lo) };
    Endpoint { addr, port: select(first, a.port, b.port) }
}

impl Case {
    #[inline(always)]
    fn address(self, network: u32, host: u32) -> Addr {
        if self.v6 {
            let prefix = if network == 0x0a01_0000 {
                0x2001_0db8_0001_0000
            } else {
                0x2001_0db8_0000_0000 | u64::from(network >> 24)
            };
            Addr { hi: prefix, lo: 0x1_0000_0000_0000 + u64::from(host) }
        } else {
            Addr::v4(network + host)
        }
    }

    #[inline(always)]
    fn vip(self, index: u32) -> Endpoint {
        Endpoint { addr: self.address(0xc000_0200, 10 + index), port: 80 }
    }

    #[inline(always)]
    fn real(self, vip: u32, server: u32) -> Endpoint {
        let port = if self.method == Method::Nat { 8080 } else { 80 };
        Endpoint { addr: self.address(0x0a01_0000, 256 + vip * SERVERS_EACH + server), port }
    }

    #[inline(always)]
    fn client(self, flow: u32) -> Endpoint {
        Endpoint { addr: self.address(0x6440_0000, flow >> 2), port: 1024 + (flow & 3) as u16 * 7001 }
    }

    fn services(self) -> Vec<Wanted> {
        let of = |vip| Wanted {
            protocol: 6,
            virtual_: self.vip(vip),
            scheduler: ringmaster::sched::Kind::Rr.into(),
            method: self.method,
            persistence: None,
            thresholds: Default::default(),
            limits: Default::default(),
            engine: None,
            one_packet: false,
            full: Default::default(),
            bypass: false,
            servers: (0..SERVERS_EACH).map(|server| (self.real(vip, server), 1)).collect(),
        };
        (0..VIPS).map(of).collect()
    }

    /// A 64-byte frame (60 without FCS; 74 for IPv6) that lacks its ends.
    fn template(self, flags: u8) -> Template {
        let mut bytes = [0; 74];
        bytes[..12].copy_from_slice(&[2, 0, 0, 0, 0, 0xd0, 2, 0, 0, 0, 0, 0xc0]);
        let l4 = if self.v6 {
            bytes[12..22].copy_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, 6, 64]);
            54
        } else {
            bytes[12..26].copy_from_slice(&[8, 0, 0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0]);
            34
        };
        bytes[l4 + 12] = 0x50;
        bytes[l4 + 13] = flags;
        bytes[l4 + 16] = 0x55;
        // Of IPv4, what the addresses are to be added to; it fits, as a sum of five words.
        Template { bytes, v6: self.v6, sum: checksum::sum(&bytes[14..24]) as u32 }
    }

    /// Where a packet of `flow` arrives, and its ends. The servers are taken in rotation, so a flow's server follows
    /// from its number. Requests and replies take turns at random: a branch here would be a cost of the measurement.
    #[inline(always)]
    fn ends(self, flow: u32, reply: bool) -> (PortId, Endpoint, Endpoint) {
        let vip = flow % VIPS;
        let (client, virtual_) = (self.client(flow), self.vip(vip));
        let real = self.real(vip, flow / VIPS % SERVERS_EACH);
        (select(reply, SERVERS, CLIENTS), either(reply, real, client), either(reply, client, virtual_))
    }

    /// Whether the packet at this place of the order is a reply: half of NAT's are.
    fn is_reply(self, at: usize) -> bool {
        (self.method == Method::Nat) & (at.count_ones() % 2 == 1)
    }
}

/// What all frames of a case have in common.
#[derive(Clone, Copy)]
struct Template {
    bytes: [u8; 74],
    v6: bool,
    /// Of the IPv4 header without addresses.
    sum: u32,
}

impl Template {
    /// Puts a frame on the wire of a port.
    #[inline(always)]
    fn inject(&self, io: &mut MemIo, (port, from, to): (PortId, Endpoint, Endpoint)) {
        let injected = if self.v6 {
            io.inject_with(port, 74, |frame| {
                let Some(frame) = frame.first_chunk_mut::<74>() else { return };
                frame.copy_from_slice(&self.bytes);
                frame[22..38].copy_from_slice(&from.addr.octets());
                frame[38..54].copy_from_slice(&to.addr.octets());
                put_ports(&mut frame[54..58], from, to);
            })
        } else {
            io.inject_with(port, 60, |frame| {
                let Some(frame) = frame.first_chunk_mut::<60>() else { return };
                frame.copy_from_slice(&self.bytes[..60]);
                let [from_addr, to_addr] = [from.addr.low32(), to.addr.low32()];
                let words = |address: u32| (address >> 16) + (address & 0xffff);
                let sum = self.sum + words(from_addr) + words(to_addr);
                let sum = (sum & 0xffff) + (sum >> 16);
                frame[24..26].copy_from_slice(&(!(sum + (sum >> 16)) as u16).to_be_bytes());
                frame[26..30].copy_from_slice(&from_addr.to_be_bytes());
                frame[30..34].copy_from_slice(&to_addr.to_be_bytes());
                put_ports(&mut frame[34..38], from, to);
            })
        };
        assert!(injected);
    }
}

#[inline(always)]
fn put_ports(at: &mut [u8], from: Endpoint, to: Endpoint) {
    at[..2].copy_from_slice(&from.port.to_be_bytes());
    at[2..].copy_from_slice(&to.port.to_be_bytes());
}

/// Packets of established connections, in random order.
struct Traffic {
    case: Case,
    template: Template,
    order: Vec<u32>,
    at: usize,
}

impl Traffic {
    fn new(case: Case, flows: u32) -> Self {
        Self { case, template: case.template(ACK), order: Shuffle(88172645463325252).order(flows), at: 0 }
    }

    /// Puts a batch on the wire. Whatever is known of the family beforehand is no cost of the measurement.
    fn inject(&mut self, io: &mut MemIo) {
        match self.case.v6 {
            false => self.inject_as::<false>(io),
            true => self.inject_as::<true>(io),
        }
    }

    #[inline(always)]
    fn inject_as<const V6: bool>(&mut self, io: &mut MemIo) {
        let case = Case { v6: V6, ..self.case };
        let template = Template { v6: V6, ..self.template };
        for _ in 0..BATCH {
            self.at = if self.at + 1 < self.order.len() { self.at + 1 } else { 0 };
            template.inject(io, case.ends(self.order[self.at], case.is_reply(self.at)));
        }
    }
}

/// A director with as many established connections as its traffic has.
struct Established {
    director: Offline<MemIo>,
    traffic: Traffic,
    syn: Template,
    now: Tick,
}

impl Established {
    fn new(case: Case, flows: u32, room: u32) -> Self {
        let mut director = director(snapshot(&case.services(), Options::RINGMASTER), (flows + room).max(1 << 16));
        director.worker.io().set_partial_checksums(false);
        let mut filled = Self { director, traffic: Traffic::new(case, flows), syn: case.template(SYN), now: Tick(1) };
        for template in [filled.syn, filled.traffic.template] {
            for first in (0..flows).step_by(BATCH) {
                filled.requests(first..flows.min(first + BATCH as u32), &template);
            }
        }
        filled
    }

    /// A request of each of these flows.
    fn requests(&mut self, flows: std::ops::Range<u32>, template: &Template) {
        for flow in flows {
            template.inject(self.director.worker.io(), self.traffic.case.ends(flow, false));
        }
        self.turn();
    }

    fn turn(&mut self) {
        let received = self.director.worker.turn(self.now);
        debug_assert!(received <= BATCH);
        let mut sent = 0;
        for port in [CLIENTS, SERVERS] {
            self.director.worker.io().drain_sent(port, |_| sent += 1);
        }
        assert_eq!(sent, received, "every frame of an established connection leaves");
    }

    /// One batch of established packets.
    fn batch(&mut self) -> Duration {
        self.traffic.inject(self.director.worker.io());
        self.turn();
        Duration::ZERO
    }
}

/// The floor: the same rings, the same frames, and nothing but a swap of the ends.
fn floor_batch(io: &mut MemIo, traffic: &mut Traffic) {
    traffic.inject(io);
    let mut batch = Batch::new();
    let mut outgoing = [Batch::new(), Batch::new()];
    io.receive(&mut batch);
    for frame in batch.drain(..) {
        swap_ends(io.slot_mut(&frame), traffic.case.v6);
        outgoing[usize::from(frame.port() == CLIENTS)].push(frame);
    }
    for (port, frames) in [CLIENTS, SERVERS].into_iter().zip(&mut outgoing) {
        io.transmit(port, frames);
        io.drain_sent(port, |_| {});
    }
}

fn swap_ends(slot: &mut [u8], v6: bool) {
    let frame = &mut slot[ringmaster::io::HEADROOM..][..74];
    let (macs, _) = frame.split_at_mut(12);
    macs.rotate_left(6);
    if v6 {
        frame[22..54].rotate_left(16);
        frame[54..58].rotate_left(2);
    } else {
        frame[26..34].rotate_left(4);
        frame[34..38].rotate_left(2);
    }
}

/// The floor, ready to run.
struct Floor {
    io: MemIo,
    traffic: Traffic,
}

impl Floor {
    fn new(v6: bool) -> Self {
        let case = Case { name: if v6 { "floor6" } else { "floor4" }, method: Method::Nat, v6 };
        let io = MemIo::new(&["client0", "server0"], 1024, 2048, 512);
        Self { io, traffic: Traffic::new(case, 1 << 10) }
    }

    fn batch(&mut self) -> Duration {
        floor_batch(&mut self.io, &mut self.traffic);
        Duration::ZERO
    }
}

/// A row of the table in the end: nanoseconds a packet, in the median.
struct Row {
    name: String,
    floor: f64,
    row: f64,
    /// The median of the turns' ratios, not the ratio of the medians.
    ratio: f64,
}

/// Lets a row and the floor take turns of some milliseconds. `batch` returns what of its time is no cost of its packets.
fn beside(name: String, v6: bool, mut batch: impl FnMut() -> Duration) -> Row {
    const TURNS: usize = 61;
    const TURN: Duration = Duration::from_millis(8);
    let mut floor = Floor::new(v6);
    let mut turns = Vec::with_capacity(TURNS);
    for _ in 0..TURNS {
        turns.push((per_packet(TURN, || floor.batch()), per_packet(TURN, &mut batch)));
    }
    let median = |of: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = turns.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[TURNS / 2]
    };
    Row { name, floor: median(|turn| turn.0), row: median(|turn| turn.1), ratio: median(|turn| turn.1 / turn.0) }
}

/// Nanoseconds a packet of batches for as long as that.
fn per_packet(turn: Duration, mut batch: impl FnMut() -> Duration) -> f64 {
    let start = WallTime.start();
    let mut packets = 0;
    let mut besides = Duration::ZERO;
    loop {
        for _ in 0..8 {
            besides += batch();
        }
        packets += 8 * BATCH;
        let elapsed = WallTime.end(start) - besides;
        if elapsed >= turn {
            return elapsed.as_nanos() as f64 / packets as f64;
        }
    }
}

fn print(rows: &[Row]) {
    println!("\n{:<12} {:>12} {:>10} {:>16}", "", "ns a packet", "the floor", "times the floor");
    for Row { name, floor, row, ratio } in rows {
        println!("{name:<12} {row:>12.1} {floor:>10.1} {ratio:>16.2}");
    }
}

fn bench_floor(group: &mut BenchmarkGroup<'_, WallTime>) {
    for v6 in [false, true] {
        let mut floor = Floor::new(v6);
        let name = floor.traffic.case.name;
        group.bench_function(BenchmarkId::new(name, ""), |bench| bench.iter(|| floor.batch()));
        group.bench_function(BenchmarkId::new(name.replace("floor", "inject"), ""), |bench| {
            bench.iter(|| {
                floor.traffic.inject(&mut floor.io);
                let mut batch = Batch::new();
                floor.io.receive(&mut batch);
                floor.io.recycle(&mut batch);
            });
        });
    }
}

fn bench_established(group: &mut BenchmarkGroup<'_, WallTime>, rows: &mut Vec<Row>) {
    for case in CASES {
        for (name, flows) in FLOWS.into_iter().filter(|&(_, flows)| flows <= MOST || case.name == "nat4") {
            let mut wanted = None;
            group.bench_function(BenchmarkId::new(case.name, name), |bench| {
                let established = wanted.get_or_insert_with(|| Established::new(case, flows, 0));
                bench.iter(|| established.batch());
            });
            if let Some(mut established) = wanted {
                rows.push(beside(format!("{} {name}", case.name), case.v6, || established.batch()));
            }
        }
    }
}

/// New connections, into a table that holds a million others already, and is renewed before it is full.
struct Opening {
    case: Case,
    established: Established,
    next: u32,
}

impl Opening {
    const PRESENT: u32 = 1 << 20;
    const ROOM: u32 = 1 << 20;

    fn new(case: Case) -> Self {
        Self { case, established: Established::new(case, Self::PRESENT, Self::ROOM), next: Self::PRESENT }
    }

    /// A batch of them, and how long the table's renewal took, if it was time for that.
    fn batch(&mut self) -> Duration {
        let start = WallTime.start();
        let full = self.next + BATCH as u32 > Self::PRESENT + Self::ROOM;
        if full {
            *self = Self::new(self.case);
        }
        let renewing = if full { WallTime.end(start) } else { Duration::ZERO };
        let syn = self.established.syn;
        self.established.requests(self.next..self.next + BATCH as u32, &syn);
        self.next += BATCH as u32;
        renewing
    }
}

fn bench_open(group: &mut BenchmarkGroup<'_, WallTime>, rows: &mut Vec<Row>) {
    for (name, case) in [("open4", CASES[0]), ("open6", CASES[3])] {
        let mut wanted = None;
        group.bench_function(BenchmarkId::new(name, "1M"), |bench| {
            let opening = wanted.get_or_insert_with(|| Opening::new(case));
            bench.iter_custom(|batches| {
                let start = WallTime.start();
                let renewing = (0..batches).map(|_| opening.batch()).sum();
                WallTime.end(start) - renewing
            });
        });
        if let Some(mut opening) = wanted {
            rows.push(beside(format!("{name} 1M"), case.v6, || opening.batch()));
        }
    }
}

fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("worker");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(20);
    let mut rows = Vec::new();
    bench_floor(&mut group);
    bench_established(&mut group, &mut rows);
    bench_open(&mut group, &mut rows);
    group.finish();
    print(&rows);
}

criterion_group!(benches, all);
criterion_main!(benches);
