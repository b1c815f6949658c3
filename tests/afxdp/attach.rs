//! Going on with the rings of a worker that ended without a word: nothing that waited in a ring is lost or doubled, and no
//! slot.

#![expect(unsafe_code, reason = "takes inherited descriptors by number")]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Child, Stdio};
use std::time::Duration;

use ringmaster::io::options::{Attach, Transfer};
use ringmaster::io::xdp::steer::{AttachMode, Steering};
use ringmaster::io::xdp::{Descriptors, Own, PortSetup, XdpIo};
use ringmaster::io::{BATCH, Batch, PacketIo};
use ringmaster::sys::clock;
use ringmaster::sys::interface::Interface;
use ringmaster::wire::Mac;
use rustix::io::{FdFlags, fcntl_setfd};

use super::{
    BACK, CLIENT, Network, PATIENCE, QUIET, VIP, assert_conserved, collect, forward, forward_within, full_batch,
};

const FRAMES: usize = 256;
const SLOTS: usize = 2 * FRAMES * 2;

struct Scene {
    network: Network,
    ports: Vec<PortSetup>,
    _steering: Steering,
}

impl Scene {
    fn new() -> Option<(Self, XdpIo<Own>)> {
        let network = Network::new(1)?;
        let (steering, io) = network.start::<Own>(Attach::Native, Transfer::Copy, &[0], FRAMES);
        let ports = network.director.enter(ports);
        Some((Self { network, ports, _steering: steering }, io))
    }

    fn attach(&self, kept: Descriptors) -> XdpIo<Own> {
        XdpIo::attach(&self.ports, FRAMES, kept).unwrap()
    }
}

/// The director's ports, as its namespace knows them.
fn ports() -> Vec<PortSetup> {
    let setup =
        |name| PortSetup { interface: Interface::query(name).unwrap(), queues: vec![0], attached: AttachMode::Native };
    ["d0", "s0"].map(setup).to_vec()
}

/// Ends a worker as death would: no slot is given back, no ring is drained; only what was kept open stays.
fn die(io: XdpIo<Own>, in_hand: Batch) -> Descriptors {
    let kept = io.descriptors().unwrap();
    drop((io, in_hand));
    kept
}

#[test]
fn what_waits_in_rings_is_met_by_the_next_worker() {
    let Some((scene, mut io)) = Scene::new() else { return };
    let (client, server) = (scene.network.client(), scene.network.server());
    let front = scene.ports[0].interface.mac;
    let mut sent = 0;
    let mut send = |count: u32| {
        for number in sent..sent + count {
            client.send(front, (CLIENT, 40000), (VIP, 80), number);
        }
        sent += count;
        sent
    };
    for generation in 0..4 {
        // More than a lap of the rings, so that their indices and slots are well mixed.
        for _ in 0..5 {
            let end = send(100);
            assert_eq!(forward(&mut io, server.mac, 100), 100);
            for number in end - 100..end {
                assert_eq!(server.receive(80), Some(number));
            }
        }
        // When it dies, 10 frames of a batch are in the transmit ring, of which the kernel was not told, and 54 are in hand;
        // 36 wait, and 50 more arrive while nobody is there.
        let end = send(100);
        let mut hand = full_batch(&mut io);
        let held = hand.len() as u32;
        let mut given: Batch = hand.drain(..10).collect();
        for frame in &given {
            let start = frame.offset();
            io.slot_mut(frame)[start..start + 6].copy_from_slice(&server.mac.0);
        }
        io.transmit(BACK, &mut given);
        let kept = die(io, hand);
        send(50);

        io = scene.attach(kept);
        assert_eq!(io.census().total(), SLOTS, "generation {generation}");
        let waiting: Vec<_> = (end - 100 + held..end + 50).collect();
        assert_eq!(collect(&mut io, waiting.len()), waiting, "generation {generation}: all, once, in order");
        io.flush();
        for number in end - 100..end - 90 {
            assert_eq!(server.receive(80), Some(number), "what was in the transmit ring is sent");
        }
        assert_conserved(&mut io, SLOTS);
        assert_eq!(io.ports()[0].mode, "native, copy, 1 queue");
    }
}

/// Numbered packets go through a process that is killed in their midst, again and again. What was in its hands is lost;
/// nothing else is, nothing comes twice or out of turn, and in the end every slot is accounted for.
#[test]
fn a_killed_process_takes_nothing_with_it_but_what_was_in_its_hands() {
    const KILLS: u32 = 12;
    if let Ok(inherited) = std::env::var(INHERITED) {
        return relay(&inherited);
    }
    let Some((scene, io)) = Scene::new() else { return };
    let (client, server) = (scene.network.client(), scene.network.server());
    let front = scene.ports[0].interface.mac;
    let kept = io.descriptors().unwrap();
    drop(io);
    let (mut sent, mut last, mut arrived) = (0, None, 0);
    let mut send = |count: u32| {
        for number in sent..sent + count {
            client.send(front, (CLIENT, 40000), (VIP, 80), number);
        }
        sent += count;
        sent
    };
    let mut receive_within = |patience| {
        let number = server.receive_within(patience, 80)?;
        assert!(last < Some(number), "{number} after {last:?}");
        last = Some(number);
        arrived += 1;
        Some(number)
    };
    for kill in 0..KILLS {
        let mut relay = relay_over(&scene.network, &kept, server.mac);
        let first = send(10) - 10;
        // At least one of these passes it; then it is alive.
        while receive_within(PATIENCE).expect("the relay forwards") < first {}
        send(100);
        // Anywhere from at once to a millisecond later.
        let until = clock::now() + Duration::from_micros(u64::from(kill) * 90);
        while clock::now() < until {}
        relay.kill().unwrap();
        relay.wait().unwrap();
        send(20);
    }
    let mut io = scene.attach(kept);
    let total = send(0);
    while forward_within(QUIET, &mut io, server.mac, 1) > 0 {}
    while receive_within(QUIET).is_some() {}
    assert!(total - arrived <= KILLS * BATCH as u32, "{arrived} of {total} in {KILLS} kills");
    assert!(arrived > KILLS * 20, "{arrived}: what came while nobody was there has arrived, for one");
    assert_conserved(&mut io, SLOTS);
}

/// The test above.
const RELAYED: &str = "attach::a_killed_process_takes_nothing_with_it_but_what_was_in_its_hands";
/// Where it tells its relay which descriptors it has inherited, and where to send: `slots ledger d0 s0 MAC`.
const INHERITED: &str = "RINGMASTER_TEST_INHERITED";

/// Another process: this very test, in the part of the relay.
fn relay_over(network: &Network, kept: &Descriptors, to: Mac) -> Child {
    let files = [&kept.slots, &kept.ledger, &kept.sockets[0], &kept.sockets[1]];
    for file in files {
        fcntl_setfd(file, FdFlags::empty()).unwrap();
    }
    let numbers = files.map(|file| file.as_raw_fd().to_string());
    let program = std::env::current_exe().unwrap();
    network
        .director
        .command(&format!("{} --exact {RELAYED}", program.display()))
        .env(INHERITED, format!("{} {to}", numbers.join(" ")))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Forwards until it is killed.
fn relay(inherited: &str) {
    let words: Vec<_> = inherited.split(' ').collect();
    // SAFETY: these descriptors were inherited for this, and nothing else here knows of them.
    let file = |at: usize| unsafe { OwnedFd::from_raw_fd(words[at].parse().unwrap()) };
    let kept = Descriptors { slots: file(0), ledger: file(1), sockets: vec![file(2), file(3)] };
    let octets: Vec<_> = words[4].split(':').map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect();
    let mut io = XdpIo::attach(&ports(), FRAMES, kept).unwrap();
    // It is killed, or else ends when nobody needs it any more.
    forward(&mut io, Mac(octets.try_into().unwrap()), usize::MAX);
}

#[test]
fn every_free_slot_of_the_dead_can_be_had() {
    let Some((scene, mut io)) = Scene::new() else { return };
    let mut hand = Batch::new();
    for _ in 0..BATCH {
        hand.push(io.allocate().unwrap());
    }
    let mut io = scene.attach(die(io, hand));
    let mut held = Vec::new();
    while let Some(frame) = io.allocate() {
        held.push(frame);
        assert!(held.len() <= SLOTS, "more than there are");
    }
    assert_eq!(held.len(), SLOTS / 2, "all that are not in the fill rings");
    for frame in held {
        io.recycle(&mut Batch::from_iter([frame]));
    }
    assert_conserved(&mut io, SLOTS);
}

#[test]
fn what_was_opened_otherwise_is_refused() {
    let Some((scene, io)) = Scene::new() else { return };
    let other_ports = [PortSetup { queues: vec![0, 1], ..scene.ports[0].clone() }];
    let missing = Descriptors { sockets: Vec::new(), ..io.descriptors().unwrap() };
    let swapped = {
        let Descriptors { slots, ledger, sockets } = io.descriptors().unwrap();
        Descriptors { slots: ledger, ledger: slots, sockets }
    };
    let refused = [
        ("other rings", XdpIo::attach(&scene.ports, 2 * FRAMES, io.descriptors().unwrap())),
        ("other queues", XdpIo::attach(&other_ports, FRAMES, io.descriptors().unwrap())),
        ("no sockets", XdpIo::attach(&scene.ports, FRAMES, missing)),
        ("files in the wrong order", XdpIo::attach(&scene.ports, FRAMES, swapped)),
    ];
    for (what, result) in refused {
        let error = result.map(drop).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the rings of the previous director were made for other ports, frames or layouts: open new ones",
            "{what}"
        );
    }
}
