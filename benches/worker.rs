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
            scheduler: ringmaster::sched::Kind::Rr,
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
    fn batch(&mut self) {
        self.traffic.inject(self.director.worker.io());
        self.turn();
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

fn bench_floor(group: &mut BenchmarkGroup<'_, WallTime>) {
    for (name, v6) in [("floor4", false), ("floor6", true)] {
        let case = Case { name, method: Method::Nat, v6 };
        let mut io = MemIo::new(&["client0", "server0"], 1024, 2048, 512);
        let mut traffic = Traffic::new(case, 1 << 10);
        group.bench_function(BenchmarkId::new(name, ""), |bench| {
            bench.iter(|| floor_batch(&mut io, &mut traffic));
        });
        group.bench_function(BenchmarkId::new(name.replace("floor", "inject"), ""), |bench| {
            bench.iter(|| {
                traffic.inject(&mut io);
                let mut batch = Batch::new();
                io.receive(&mut batch);
                io.recycle(&mut batch);
            });
        });
    }
}

fn bench_established(group: &mut BenchmarkGroup<'_, WallTime>) {
    for case in CASES {
        for (name, flows) in FLOWS.into_iter().filter(|&(_, flows)| flows <= MOST || case.name == "nat4") {
            let mut established = Established::new(case, flows, 0);
            group.bench_function(BenchmarkId::new(case.name, name), |bench| bench.iter(|| established.batch()));
        }
    }
}

/// New connections into a table that holds a million others already. Each measurement opens what criterion asks for,
/// with the table renewed, outside the measured time, before it is full.
fn bench_open(group: &mut BenchmarkGroup<'_, WallTime>) {
    const PRESENT: u32 = 1 << 20;
    const ROOM: u32 = 1 << 20;
    for (name, case) in [("open4", CASES[0]), ("open6", CASES[3])] {
        let renew = || Established::new(case, PRESENT, ROOM);
        let (mut established, mut next) = (renew(), PRESENT);
        let syn = established.syn;
        group.bench_function(BenchmarkId::new(name, "1M"), |bench| {
            bench.iter_custom(|batches| {
                let mut spent = Duration::ZERO;
                for _ in 0..batches {
                    if next + BATCH as u32 > PRESENT + ROOM {
                        (established, next) = (renew(), PRESENT);
                    }
                    let start = WallTime.start();
                    established.requests(next..next + BATCH as u32, &syn);
                    spent += WallTime.end(start);
                    next += BATCH as u32;
                }
                spent
            });
        });
    }
}

fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("worker");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(20);
    bench_floor(&mut group);
    bench_established(&mut group);
    bench_open(&mut group);
    group.finish();
}

criterion_group!(benches, all);
criterion_main!(benches);
