//! What a frame costs over AF_XDP: our own rings beside those of xsk-rs, in one run.
//!
//! Both ends of a veth pair belong to one worker on one thread, so that nothing waits for anything: a batch of 64-byte UDP
//! frames is put into the transmit ring of one end, sent, and taken from the receive ring of the other. Most of each figure
//! is the kernel's way through veth in copy mode, which is the same for both; what differs is the rings' own.
//!
//! - `home`: frames begin where the kernel puts them
//! - `grown`: frames that begin earlier, as after a tunnel header was put in front
//!
//! Needs root; prints a line and ends otherwise.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

#[path = "../tests/support/netns.rs"]
mod netns;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use netns::{Namespace, veth};
use ringmaster::io::options::{Attach, RingOptions, Transfer};
use ringmaster::io::xdp::steer::{Rules, Steering};
use ringmaster::io::xdp::{Own, PortSetup, Rings, XdpIo, XskRs};
use ringmaster::io::{BATCH, Batch, PacketIo, PortId};
use ringmaster::sys::interface::Interface;
use ringmaster::wire::ServiceKey;

const HERE: PortId = PortId(0);

/// Ethernet, IPv4 and UDP of a packet to 192.0.2.10:80, without checksums: nobody looks.
const FRAME: [u8; 60] = {
    let head = *b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\0\x45\0\0\x2e\0\0\0\0\x40\x11\0\0\xc6\x33\x64\x07\xc0\0\x02\x0a\x9c\x40\0\x50\0\x1a\0\0";
    let mut frame = [0; 60];
    let mut at = 0;
    while at < head.len() {
        frame[at] = head[at];
        at += 1;
    }
    frame
};

fn main() {
    if !netns::available() {
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    for (name, grown) in [("home", 0), ("grown", 20)] {
        bench::<Own>(&mut criterion, "own", name, grown);
        bench::<XskRs>(&mut criterion, "xsk-rs", name, grown);
    }
    criterion.final_summary();
}

fn bench<R: Rings + Send>(criterion: &mut Criterion, rings: &str, name: &str, grown: u16) {
    let namespace = Namespace::new("bench");
    veth((&namespace, "here", "198.51.100.1/24"), (&namespace, "there", "198.51.100.2/24"), 1);
    let (_steering, mut io) = namespace.enter(open::<R>);
    let mut group = criterion.benchmark_group("port");
    group.throughput(Throughput::Elements(BATCH as u64)).measurement_time(Duration::from_secs(2));
    group.bench_function(BenchmarkId::new(name, rings), |bencher| bencher.iter(|| round(&mut io, grown)));
    group.finish();
}

fn open<R: Rings>() -> (Steering, XdpIo<R>) {
    let mut steering = Steering::load().unwrap();
    let ports = ["here", "there"].map(|name| {
        let interface = Interface::query(name).unwrap();
        let attached = steering.attach(&interface, Attach::Native).unwrap();
        PortSetup { interface, queues: vec![0], attached }
    });
    let options = RingOptions { frames: 1024, transfer: Transfer::Copy, busy_poll: None };
    let io = XdpIo::open(&ports, &options).unwrap();
    io.connect(&mut steering).unwrap();
    let served = ServiceKey { protocol: 17, virtual_: "192.0.2.10:80".parse().unwrap() };
    steering.update(&Rules { services: [served].into(), ..Rules::default() }).unwrap();
    (steering, io)
}

/// A batch goes out here and comes in there.
fn round<R: Rings>(io: &mut XdpIo<R>, grown: u16) {
    let mut batch = Batch::new();
    while let Some(mut frame) = io.allocate() {
        let start = frame.offset() - usize::from(grown);
        frame.set_place(start as u16, FRAME.len() as u16);
        io.slot_mut(&frame)[start..start + FRAME.len()].copy_from_slice(&FRAME);
        batch.push(frame);
        if batch.is_full() {
            break;
        }
    }
    io.transmit(HERE, &mut batch);
    assert!(batch.is_empty(), "the transmit ring has room");
    io.flush();
    let mut received = 0;
    for _ in 0..10_000 {
        io.receive(&mut batch);
        received += batch.len();
        io.recycle(&mut batch);
        if received == BATCH {
            return;
        }
    }
    panic!("{received} of {BATCH} frames arrived");
}
