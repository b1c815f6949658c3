//! Next hops that are not known yet, and those that change.

use ringmaster::forward::Reason;
use ringmaster::io::PacketIo;
use ringmaster::service::{Hop, HopId, Method, NextHop, Options, Snapshot};
use ringmaster::time::{Tick, Ticks};
use ringmaster::wire::Mac;

use crate::offline::*;
use crate::packets::{Packet, tcp};

const VIP: &str = "192.0.2.10:80";
const CLIENT: &str = "198.51.100.7:40000";
const SERVER: &str = "10.1.0.11:80";
const NOW: Tick = Tick(100);

fn nat() -> Snapshot {
    snapshot(&[Wanted::tcp(VIP, Method::Nat, &[SERVER])], Options::RINGMASTER)
}

/// The same, with the hop of this number changed.
fn with_hop(snapshot: &Snapshot, id: HopId, hop: Hop) -> Snapshot {
    let mut network = (*snapshot.network).clone();
    network.hops[id.0 as usize] = hop;
    Snapshot { generation: snapshot.generation + 1, network: network.into(), ..snapshot.clone() }
}

#[test]
fn a_frame_waits_for_its_neighbour_and_then_leaves() {
    let known = nat();
    let mut director = director(with_hop(&known, HopId(1), Hop::default()), 100);
    assert!(pass(&mut director, CLIENTS, &tcp(CLIENT, VIP, "S").bytes(), NOW).is_empty());
    assert_eq!(director.worker.held(), 1);
    let wanted = director.shared.wanted.pop();
    assert_eq!(wanted, Some(NextHop { port: SERVERS, address: addr("10.1.0.11") }), "control is asked for it");

    director.publish(known);
    director.drain(NOW.plus(Ticks(5)));
    let sent = director.worker.io().take_sent(SERVERS);
    assert_eq!(Packet::read(&sent[0]).destination, crate::packets::end(SERVER));
    assert_eq!((director.worker.held(), director.worker.io().in_hand()), (0, 0));
    let counters = director.counters.pair(ringmaster::service::PairId(0)).unwrap();
    assert_eq!((counters.packets[0].get(), counters.connections.get()), (1, 1), "counted once, when it left");
}

#[test]
fn patience_ends_after_three_seconds() {
    let mut director = director(with_hop(&nat(), HopId(1), Hop::default()), 100);
    pass(&mut director, CLIENTS, &tcp(CLIENT, VIP, "S").bytes(), NOW);
    director.drain(NOW.plus(Ticks::from_secs(3)));
    assert_eq!(director.worker.held(), 1);
    director.drain(NOW.plus(Ticks::from_secs(3)).plus(Ticks(1)));
    assert_eq!((director.worker.held(), director.worker.io().in_hand()), (0, 0));
    assert_eq!(director.counters.reason(Reason::Unresolved), 1);
}

#[test]
fn no_more_than_a_batch_waits() {
    let mut director = director(with_hop(&nat(), HopId(1), Hop::default()), 1000);
    for n in 0..100 {
        pass(&mut director, CLIENTS, &tcp(&format!("198.51.100.7:{}", 1000 + n), VIP, "S").bytes(), NOW);
    }
    assert_eq!(director.worker.held(), 64);
    assert_eq!(director.counters.reason(Reason::Unresolved), 36);
    assert_eq!(director.worker.io().in_hand(), 64);
}

#[test]
fn a_mac_that_changes_is_followed_by_running_connections() {
    let before = nat();
    let mut director = director(before.clone(), 100);
    pass(&mut director, CLIENTS, &tcp(CLIENT, VIP, "S").bytes(), NOW);
    let moved = Mac([2, 9, 9, 9, 9, 9]);
    director.publish(with_hop(&before, HopId(1), Hop::new(SERVERS, moved, OWN[1], 1500)));
    let out = pass(&mut director, CLIENTS, &tcp(CLIENT, VIP, "A").bytes(), NOW);
    assert_eq!(out[0].1[..6], moved.0);
}

/// The way back to the client is remembered by each connection; a new route must still be taken at once.
#[test]
fn a_route_that_changes_is_followed_by_running_connections() {
    let before = nat();
    let mut director = director(before.clone(), 100);
    pass(&mut director, CLIENTS, &tcp(CLIENT, VIP, "S").bytes(), NOW);
    let reply = tcp(SERVER, CLIENT, "SA").bytes();
    assert_eq!(pass(&mut director, SERVERS, &reply, NOW)[0].1[..6], GATEWAY.0);

    let mut network = (*before.network).clone();
    let other = Mac([2, 8, 8, 8, 8, 8]);
    let next = NextHop { port: CLIENTS, address: addr("192.0.2.253") };
    network.neighbours.insert(next, HopId(network.hops.len() as u32));
    network.hops.push(Hop::new(CLIENTS, other, OWN[0], 1500));
    let route =
        ringmaster::service::Route { port: Some(CLIENTS), gateway: Some(next.address), source: None, mtu: 1500 };
    network.routes.add(addr("198.51.100.0"), 24, route);
    network.epoch += 1;
    director.publish(Snapshot { generation: 2, network: network.into(), ..before });
    assert_eq!(pass(&mut director, SERVERS, &reply, NOW)[0].1[..6], other.0);
}

#[test]
fn a_full_transmit_ring_loses_frames_and_says_so() {
    use ringmaster::conn::HashSeed;
    use ringmaster::io::mem::MemIo;
    use ringmaster::worker::{Offline, OfflineConfig};
    let io = MemIo::new(&["client0", "server0"], 256, 2048, 64);
    let config = OfflineConfig { connections: 1000, pairs: 16, seed: HashSeed([1, 2, 3]) };
    let mut director = Offline::new(io, (), nat(), &config).unwrap();
    for round in 0..2 {
        for n in 0..40 {
            let client = format!("198.51.100.{round}:{}", 1000 + n);
            assert!(director.worker.io().inject(CLIENTS, &tcp(&client, VIP, "S").bytes()));
        }
        director.worker.turn(NOW);
    }
    assert_eq!(director.counters.transmitted.get(), 64);
    assert_eq!(director.counters.reason(Reason::TransmitFull), 16);
    assert_eq!(director.worker.io().in_hand(), 0);
}
