//! The AF_XDP port and the steering program between real (virtual) interfaces. Needs root; skipped otherwise.
//!
//! ```text
//! client c0 ───── d0 director s0 ───── e0 server
//! 10.1.0.2    10.1.0.1      10.2.0.1   10.2.0.2       VIP 10.1.0.100 on d0
//! ```
//!
//! Every test runs over our own rings and over those of xsk-rs.
//!
//! Waits here are for the kernel to hand over frames that were already sent; all are bounded, by far more than it takes: on a busy
//! machine it does so when a thread of its own gets a turn.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod attach;
mod link;
#[path = "../support/netns.rs"]
mod netns;

use std::net::IpAddr;
use std::time::Duration;

use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
use link::Link;
use netns::{Namespace, veth};
use ringmaster::io::options::{Attach, RingOptions, Transfer};
use ringmaster::io::xdp::steer::{AttachMode, Counters, Fallback, Rules, Steering};
use ringmaster::io::xdp::{Faults, Losses, Own, PortSetup, Rings, SetupError, XdpIo, XskRs};
use ringmaster::io::{BATCH, Batch, HEADROOM, PacketIo, PortId};
use ringmaster::sys::clock;
use ringmaster::sys::interface::Interface;
use ringmaster::wire::{Endpoint, Mac, ServiceKey};

/// Each test over both kinds of rings.
macro_rules! over_both {
    ($($test:ident)*) => {
        mod own {
            $(#[test] fn $test() { super::$test::<super::Own>() })*
        }
        mod xsk_rs {
            $(#[test] fn $test() { super::$test::<super::XskRs>() })*
        }
    };
}

over_both! {
    served_packets_come_to_the_ring_and_the_rest_to_the_kernel
    rules_can_be_changed_and_what_no_socket_takes_falls_back
    a_long_burst_is_forwarded_from_port_to_port_and_every_slot_comes_back
    slots_come_round_in_the_order_in_which_they_went
    a_worker_can_own_several_queues_and_workers_can_share_a_port
    packets_may_grow_into_the_headroom_and_shrink
    what_does_not_fit_stays_with_the_worker_in_order
    what_finds_no_room_is_counted
    a_second_director_is_told_so_and_the_first_leaves_nothing_behind
    what_a_newcomer_meets_is_said_in_one_sentence
}

const CLIENT: [u8; 4] = [10, 1, 0, 2];
const VIP: [u8; 4] = [10, 1, 0, 100];
const SERVER: [u8; 4] = [10, 2, 0, 2];
const DIRECTOR: [u8; 4] = [10, 2, 0, 1];
const UDP: u8 = 17;
/// How long may be waited for what must come.
const PATIENCE: Duration = Duration::from_secs(10);
/// For so long nothing comes any more.
const QUIET: Duration = Duration::from_millis(500);
const FRONT: PortId = PortId(0);
const BACK: PortId = PortId(1);

/// Three namespaces and the wires between them.
struct Network {
    client: Namespace,
    director: Namespace,
    server: Namespace,
}

impl Network {
    fn new(queues: usize) -> Option<Self> {
        if !netns::available() {
            return None;
        }
        let (client, director, server) = (Namespace::new("c"), Namespace::new("d"), Namespace::new("s"));
        veth((&client, "c0", "10.1.0.2/24"), (&director, "d0", "10.1.0.1/24"), queues);
        veth((&director, "s0", "10.2.0.1/24"), (&server, "e0", "10.2.0.2/24"), queues);
        director.exec("ip address add 10.1.0.100/32 dev d0");
        client.exec("ip route add default via 10.1.0.1");
        server.exec("ip route add default via 10.2.0.1");
        Some(Self { client, director, server })
    }

    fn client(&self) -> Station {
        self.client.enter(|| Station::at("c0"))
    }

    fn server(&self) -> Station {
        self.server.enter(|| Station::at("e0"))
    }

    /// Attaches, opens `queues` of both ports, and serves the VIP and the server's replies at UDP port 80.
    fn start<R: Rings>(
        &self,
        attach: Attach,
        transfer: Transfer,
        queues: &[u32],
        frames: usize,
    ) -> (Steering, XdpIo<R>) {
        self.director.enter(|| {
            let mut steering = Steering::load().unwrap();
            let ports = ["d0", "s0"].map(|name| {
                let interface = Interface::query(name).unwrap();
                let attached = steering.attach(&interface, attach).unwrap();
                PortSetup { interface, queues: queues.to_vec(), attached }
            });
            let io = XdpIo::open(&ports, &options(frames, transfer)).unwrap();
            io.connect(&mut steering).unwrap();
            steering.update(&rules()).unwrap();
            (steering, io)
        })
    }
}

/// A station at the end of a wire.
struct Station {
    link: Link,
    mac: Mac,
}

impl Station {
    fn at(interface: &str) -> Self {
        let interface = Interface::query(interface).unwrap();
        Self { link: Link::open(interface.index), mac: interface.mac }
    }

    /// Sends a UDP packet whose payload begins with `number`.
    fn send(&self, to: Mac, (source, source_port): ([u8; 4], u16), (destination, port): ([u8; 4], u16), number: u32) {
        self.link.send(&udp(self.mac, to, (source, source_port), (destination, port), number));
    }

    /// The number in the next UDP packet to `port`, which must come.
    fn receive(&self, port: u16) -> Option<u32> {
        self.receive_within(PATIENCE, port)
    }

    /// The same, if it comes before it has been quiet for so long.
    fn receive_within(&self, patience: Duration, port: u16) -> Option<u32> {
        let frame = self.link.next(patience, |frame| destination_port(frame) == Some(port))?;
        number(&frame)
    }
}

fn options(frames: usize, transfer: Transfer) -> RingOptions {
    RingOptions { frames, transfer, busy_poll: None }
}

fn rules() -> Rules {
    let address = |octets: [u8; 4]| Endpoint::new(IpAddr::from(octets), 0).addr;
    Rules {
        services: [ServiceKey { protocol: UDP, virtual_: Endpoint { addr: address(VIP), port: 80 } }].into(),
        servers: [(UDP, Endpoint { addr: address(SERVER), port: 8080 })].into(),
        vips: [address(VIP)].into(),
        server_addresses: [address(SERVER)].into(),
        local_addresses: [address(DIRECTOR), address([10, 1, 0, 1]), address(VIP)].into(),
        ..Rules::default()
    }
}

fn udp(from: Mac, to: Mac, source: ([u8; 4], u16), destination: ([u8; 4], u16), number: u32) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(from.0, to.0).ipv4(source.0, destination.0, 64).udp(source.1, destination.1);
    let mut frame = Vec::new();
    builder.write(&mut frame, &[&number.to_be_bytes()[..], &[0; 32]].concat()).unwrap();
    frame
}

fn destination_port(frame: &[u8]) -> Option<u16> {
    match SlicedPacket::from_ethernet(frame).ok()?.transport? {
        TransportSlice::Udp(udp) => Some(udp.destination_port()),
        _ => None,
    }
}

fn number(frame: &[u8]) -> Option<u32> {
    match SlicedPacket::from_ethernet(frame).ok()?.transport? {
        TransportSlice::Udp(udp) => Some(u32::from_be_bytes(udp.payload().get(..4)?.try_into().unwrap())),
        _ => None,
    }
}

/// Waits for `count` frames and returns the numbers in them; the frames go back.
fn collect<R: Rings>(io: &mut XdpIo<R>, count: usize) -> Vec<u32> {
    collect_within(PATIENCE, io, count)
}

/// The same, but for so long at most.
fn collect_within<R: Rings>(patience: Duration, io: &mut XdpIo<R>, count: usize) -> Vec<u32> {
    let (mut numbers, begin) = (Vec::new(), clock::now());
    while clock::now() < begin + patience {
        let mut batch = Batch::new();
        io.receive(&mut batch);
        for frame in &batch {
            let place = frame.offset()..frame.offset() + frame.len();
            numbers.extend(number(&io.slot_mut(frame)[place]));
        }
        io.recycle(&mut batch);
        if numbers.len() >= count {
            break;
        }
        io.wait(Duration::from_millis(1));
    }
    numbers
}

/// Receives until a batch is full.
fn full_batch<R: Rings>(io: &mut XdpIo<R>) -> Batch {
    let mut batch = Batch::new();
    until("a batch is full", || {
        io.receive(&mut batch);
        batch.is_full()
    });
    batch
}

/// Looks every millisecond whether `holds`, and panics with `what` when patience ends.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = clock::now();
    while !holds() {
        assert!(clock::now() < begin + PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Nothing is in hand, nothing is being sent, nothing is missing.
fn assert_conserved<R: Rings>(io: &mut XdpIo<R>, slots: usize) {
    io.flush();
    let census = io.census();
    assert_eq!((io.in_hand(), census.in_hand, census.transmit, census.total()), (0, 0, 0, slots), "{census:?}");
    assert_eq!(io.faults(), Faults::default());
}

const MODES: [(Attach, AttachMode); 3] =
    [(Attach::Auto, AttachMode::Native), (Attach::Native, AttachMode::Native), (Attach::Generic, AttachMode::Generic)];

/// Forwards what has come in to the back port, with its destination MAC changed to `to`, until `count` were received.
fn forward<R: Rings>(io: &mut XdpIo<R>, to: Mac, count: usize) -> usize {
    forward_within(PATIENCE, io, to, count)
}

/// The same, but for so long at most.
fn forward_within<R: Rings>(patience: Duration, io: &mut XdpIo<R>, to: Mac, count: usize) -> usize {
    let (mut received, begin) = (0, clock::now());
    while clock::now() < begin + patience {
        let mut batch = Batch::new();
        io.receive(&mut batch);
        received += batch.len();
        for frame in &batch {
            let start = frame.offset();
            io.slot_mut(frame)[start..start + 6].copy_from_slice(&to.0);
        }
        io.transmit(BACK, &mut batch);
        assert!(batch.is_empty(), "the transmit ring has room");
        io.flush();
        if received >= count {
            break;
        }
        io.wait(Duration::from_millis(1));
    }
    received
}

fn served_packets_come_to_the_ring_and_the_rest_to_the_kernel<R: Rings + Send>() {
    let Some(network) = Network::new(1) else { return };
    let (client, server) = (network.client(), network.server());
    for (wanted, obtained) in MODES {
        let (mut steering, mut io) = network.start::<R>(wanted, Transfer::Auto, &[0], 256);
        assert_eq!(io.ports()[0].mode, format!("{obtained}, copy, 1 queue"));
        assert!(io.ports()[0].partial_checksums, "veth is a software device");
        assert_eq!(io.ports()[0].max_frame, 1514);
        let [front, back] = network.director.enter(|| ["d0", "s0"].map(|name| Interface::query(name).unwrap().mac));

        // The kernel answers ARP and echo for the VIP while it is served.
        network.client.exec("ip neigh flush dev c0");
        network.client.exec("ping -c 2 -i 0.01 -W 1 10.1.0.100");

        // A burst of the ring's size, all of it before the worker looks.
        for number in 0..200 {
            client.send(front, (CLIENT, 40000), (VIP, 80), number);
        }
        assert_eq!(collect(&mut io, 200), (0..200).collect::<Vec<_>>(), "all, once, in order");

        // A server's packet to a client is ours; to the director (a health check) it is the kernel's.
        server.send(back, (SERVER, 8080), (CLIENT, 40000), 7);
        assert_eq!(collect(&mut io, 1), [7]);
        let check = network.director.enter(|| std::net::UdpSocket::bind("10.2.0.1:40000").unwrap());
        check.set_read_timeout(Some(PATIENCE)).unwrap();
        server.send(back, (SERVER, 8080), (DIRECTOR, 40000), 8);
        let mut answer = [0; 64];
        check.recv(&mut answer).expect("the reply of a health check comes to the kernel");
        assert_eq!(answer[..4], 8_u32.to_be_bytes());

        let Counters { redirected, dropped, .. } = steering.counters().unwrap();
        assert_eq!((redirected, dropped), (201, 0));
        assert_conserved(&mut io, 2 * 256 * 2);
    }
}

fn rules_can_be_changed_and_what_no_socket_takes_falls_back<R: Rings + Send>() {
    let Some(network) = Network::new(1) else { return };
    let client = network.client();
    let (mut steering, mut io) = network.start::<R>(Attach::Auto, Transfer::Copy, &[0], 256);
    let front = network.director.enter(|| Interface::query("d0").unwrap().mac);
    let kernel = network.director.enter(|| std::net::UdpSocket::bind("10.1.0.100:80").unwrap());
    kernel.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0; 64];

    client.send(front, (CLIENT, 40000), (VIP, 80), 1);
    assert_eq!(collect(&mut io, 1), [1]);
    steering.update(&Rules { services: [].into(), ..rules() }).unwrap();
    client.send(front, (CLIENT, 40000), (VIP, 80), 2);
    kernel.recv(&mut buffer).expect("no longer served");
    assert_eq!(buffer[..4], 2_u32.to_be_bytes());
    steering.update(&rules()).unwrap();
    client.send(front, (CLIENT, 40000), (VIP, 80), 3);
    assert_eq!(collect(&mut io, 1), [3]);

    drop(io);
    let before = steering.counters().unwrap().dropped;
    client.send(front, (CLIENT, 40000), (VIP, 80), 4);
    until("it is dropped", || steering.counters().unwrap().dropped == before + 1);
    kernel.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(kernel.recv(&mut buffer).is_err(), "dropped");
    kernel.set_read_timeout(Some(PATIENCE)).unwrap();
    steering.set_fallback(Fallback::Pass).unwrap();
    client.send(front, (CLIENT, 40000), (VIP, 80), 5);
    kernel.recv(&mut buffer).expect("passed");
    assert_eq!(buffer[..4], 5_u32.to_be_bytes());
}

fn a_long_burst_is_forwarded_from_port_to_port_and_every_slot_comes_back<R: Rings + Send>() {
    const BURST: u32 = 20_000;
    let Some(network) = Network::new(1) else { return };
    let (client, server) = (network.client(), network.server());
    let (mut steering, mut io) = network.start::<R>(Attach::Auto, Transfer::Auto, &[0], 4096);
    let front = network.director.enter(|| Interface::query("d0").unwrap().mac);
    for start in (0..BURST).step_by(2000) {
        for number in start..start + 2000 {
            client.send(front, (CLIENT, 40000), (VIP, 80), number);
        }
        assert_eq!(forward(&mut io, server.mac, 2000), 2000);
        for number in start..start + 2000 {
            assert_eq!(server.receive(80), Some(number));
        }
    }
    assert_eq!(steering.counters().unwrap().redirected, u64::from(BURST));
    assert_conserved(&mut io, 2 * 4096 * 2);
}

fn slots_come_round_in_the_order_in_which_they_went<R: Rings + Send>() {
    let Some(network) = Network::new(1) else { return };
    let (client, server) = (network.client(), network.server());
    let (_steering, mut io) = network.start::<R>(Attach::Auto, Transfer::Auto, &[0], BATCH);
    let front = network.director.enter(|| Interface::query("d0").unwrap().mac);
    for round in 0..6 {
        for number in 0..BATCH as u32 {
            client.send(front, (CLIENT, 40000), (VIP, 80), number);
        }
        let mut batch = full_batch(&mut io);
        let places: Vec<_> = batch.iter().map(|frame| io.slot_mut(frame).as_ptr() as usize).collect();
        let ascending = places.windows(2).filter(|pair| pair[1].wrapping_sub(pair[0]) == 2048).count();
        // Kernels that send 32 frames a call give them back in two pieces.
        assert!(ascending >= BATCH - 3, "round {round}: {ascending} neighbours in {places:x?}");
        for frame in &batch {
            let start = frame.offset();
            io.slot_mut(frame)[start..start + 6].copy_from_slice(&server.mac.0);
        }
        // Some are sent and some are dropped; both ways back keep the order.
        if round % 2 == 0 {
            io.transmit(BACK, &mut batch)
        } else {
            io.recycle(&mut batch)
        }
        io.flush();
    }
}

fn a_worker_can_own_several_queues_and_workers_can_share_a_port<R: Rings + Send>() {
    let Some(network) = Network::new(2) else { return };
    let client = network.client();
    let front = network.director.enter(|| Interface::query("d0").unwrap().mac);
    // Senders choose the queue by flow: many flows meet both.
    let send = || {
        for flow in 0..64 {
            client.send(front, (CLIENT, 40000 + flow), (VIP, 80), u32::from(flow));
        }
    };
    let (steering, mut both) = network.start::<R>(Attach::Auto, Transfer::Auto, &[0, 1], 128);
    assert_eq!(both.ports()[0].mode, "native, copy, 2 queues");
    send();
    let mut numbers = collect(&mut both, 64);
    numbers.sort_unstable();
    assert_eq!(numbers, (0..64).collect::<Vec<_>>());
    assert_conserved(&mut both, 4 * 128 * 2);
    drop((steering, both));

    let (mut steering, mut first) = network.start::<R>(Attach::Auto, Transfer::Auto, &[0], 128);
    let mut second = network.director.enter(|| {
        let ports = ["d0", "s0"].map(|name| Interface::query(name).unwrap());
        let ports = ports.map(|interface| PortSetup { interface, queues: vec![1], attached: AttachMode::Native });
        XdpIo::<R>::open(&ports, &options(128, Transfer::Auto)).unwrap()
    });
    second.connect(&mut steering).unwrap();
    send();
    // How many come to each is not known: none of them any more when it has been quiet.
    let mut numbers = collect_within(QUIET, &mut first, 64);
    let of_first = numbers.len();
    numbers.extend(collect(&mut second, 64 - of_first));
    assert!((1..64).contains(&of_first), "both queues were met, not {of_first} of 64 frames on one");
    numbers.sort_unstable();
    assert_eq!(numbers, (0..64).collect::<Vec<_>>());
}

fn packets_may_grow_into_the_headroom_and_shrink<R: Rings + Send>() {
    let Some(network) = Network::new(1) else { return };
    let server = network.server();
    let (_steering, mut io) = network.start::<R>(Attach::Auto, Transfer::Auto, &[0], 256);
    let packet = |number| udp(Mac::default(), server.mac, (CLIENT, 1), (SERVER, 9), number);
    let move_by = [0, HEADROOM as i32, 1, -1, -14, -64];
    for (number, shift) in (0..).zip(move_by) {
        let mut frame = io.allocate().unwrap();
        let packet = packet(number);
        let start = u16::try_from(frame.offset() as i32 - shift).unwrap();
        frame.set_place(start, packet.len() as u16);
        io.slot_mut(&frame)[usize::from(start)..][..packet.len()].copy_from_slice(&packet);
        let mut batch = Batch::from_iter([frame]);
        assert_eq!(io.in_hand(), 1);
        io.transmit(BACK, &mut batch);
        io.flush();
        let sent = server.link.next(PATIENCE, |frame| destination_port(frame) == Some(9));
        assert_eq!(sent.as_ref(), Some(&packet), "shifted by {shift}");
    }
    assert_conserved(&mut io, 2 * 256 * 2);

    // What cannot be sent is dropped and counted, and its slot is not lost.
    let mut frame = io.allocate().unwrap();
    frame.set_place(0, 13);
    io.transmit(FRONT, &mut Batch::from_iter([frame]));
    assert_eq!(io.faults().unsendable, 1);
    assert_eq!((io.in_hand(), io.census().total()), (0, 2 * 256 * 2));
}

fn what_does_not_fit_stays_with_the_worker_in_order<R: Rings + Send>() {
    let Some(network) = Network::new(1) else { return };
    let (_steering, mut io) = network.start::<R>(Attach::Auto, Transfer::Auto, &[0], BATCH);
    let slots = 2 * BATCH * 2;
    // All slots that are not in the fill rings can be had, and no more.
    let mut held = Vec::new();
    while let Some(frame) = io.allocate() {
        held.push(frame);
        assert!(held.len() <= slots);
    }
    assert_eq!((held.len(), io.in_hand(), io.census().free), (slots / 2, slots / 2, 0));
    for frame in held {
        io.recycle(&mut Batch::from_iter([frame]));
    }
    assert_conserved(&mut io, slots);
}

fn what_finds_no_room_is_counted<R: Rings + Send>() {
    let Some(network) = Network::new(1) else { return };
    let client = network.client();
    let (_steering, mut io) = network.start::<R>(Attach::Auto, Transfer::Copy, &[0], BATCH);
    let front = network.director.enter(|| Interface::query("d0").unwrap().mac);
    let gauge = io.gauge().unwrap();
    assert_eq!(gauge.losses().unwrap(), Losses::default());
    assert_eq!(gauge.census(), io.census(), "the same file, seen twice");
    for number in 0..BATCH as u32 + 10 {
        client.send(front, (CLIENT, 40000), (VIP, 80), number);
    }
    // All of it before the worker looks, who would make room.
    let lost = || {
        let Losses { ring_full, no_slot, .. } = gauge.losses().unwrap();
        ring_full + no_slot
    };
    until("the rest has found no room", || lost() == 10);
    assert_eq!(collect(&mut io, BATCH), (0..BATCH as u32).collect::<Vec<_>>());
    let Losses { ring_full, no_slot, dropped, invalid } = gauge.losses().unwrap();
    assert_eq!((ring_full + no_slot, dropped, invalid), (10, no_slot, 0), "{ring_full} {no_slot}");
}

fn a_second_director_is_told_so_and_the_first_leaves_nothing_behind<R: Rings + Send>() {
    let Some(network) = Network::new(1) else { return };
    let (mut steering, io) = network.start::<R>(Attach::Native, Transfer::Copy, &[0], 256);
    let (busy_port, busy_queue) = network.director.enter(|| {
        let interface = Interface::query("d0").unwrap();
        let port = Steering::load().unwrap().attach(&interface, Attach::Auto).unwrap_err();
        let generic = Steering::load().unwrap().attach(&interface, Attach::Generic).unwrap_err();
        assert!(matches!(generic, SetupError::PortBusy { .. }), "{generic}");
        let setup = PortSetup { interface, queues: vec![0], attached: AttachMode::Native };
        (port, XdpIo::<R>::open(&[setup], &options(256, Transfer::Auto)).unwrap_err())
    });
    assert_eq!(
        busy_port.to_string(),
        "d0 has an XDP program already: stop the other director or program, or remove it with \
         `ip link set dev d0 xdp off`"
    );
    assert_eq!(
        busy_queue.to_string(),
        "queue 0 of d0 is already bound: stop the other director or AF_XDP program first"
    );

    let programs = || network.director.exec("ip -d link").matches("prog/xdp").count();
    assert_eq!(programs(), 2);
    steering.detach(&network.director.enter(|| Interface::query("s0").unwrap()));
    assert_eq!(programs(), 1);
    drop((steering, io));
    assert_eq!(programs(), 0);
    // And all can be had again at once.
    drop(network.start::<R>(Attach::Native, Transfer::Copy, &[0], 256));
}

fn what_a_newcomer_meets_is_said_in_one_sentence<R: Rings + Send>() {
    let Some(network) = Network::new(1) else { return };
    network
        .client
        .exec("ip link add wide numrxqueues 1 numtxqueues 1 type veth peer name many numrxqueues 4 numtxqueues 4");
    network.client.exec("ip link set wide up");
    network.client.exec("ip link set many up");
    network.director.exec("ip link set d0 mtu 9000");
    network.server.exec("ip link set e0 mtu 3600");
    let setup = |name: &str| {
        let interface = Interface::query(name).unwrap();
        PortSetup { interface, queues: vec![0], attached: AttachMode::Native }
    };
    let open = |name: &str, transfer| XdpIo::<R>::open(&[setup(name)], &options(256, transfer)).unwrap_err();
    let attach = |name: &str| Steering::load().unwrap().attach(&setup(name).interface, Attach::Auto).unwrap_err();
    let jumbo = network.director.enter(|| open("d0", Transfer::Auto));
    let zero_copy = network.director.enter(|| open("s0", Transfer::ZeroCopy));
    let peer = network.director.enter(|| attach("s0"));
    network.director.exec("ip link set s0 mtu 3600");
    let larger = network.director.enter(|| attach("s0"));
    let queues = network.client.enter(|| attach("wide"));
    let cases = [
        (jumbo, "the MTU of d0 is 9000, but XDP takes at most 3758 there: `ip link set dev d0 mtu 3758`"),
        (larger, "the MTU of s0 is 3600, but XDP takes at most 3506 there: `ip link set dev s0 mtu 3506`"),
        (
            peer,
            "the peer of s0 has an MTU above 3506, too large for native XDP: lower it there, or choose `attach generic`",
        ),
        (zero_copy, "the driver of s0 does not support zero-copy: choose `transfer auto`"),
        (
            queues,
            "wide has fewer receive queues than its peer has transmit queues: \
             `ethtool -L wide rx N` with the peer's number, or create the pair with equal numbers",
        ),
    ];
    for (error, sentence) in cases {
        assert_eq!(error.to_string(), sentence);
    }
}
