//! Many clients of one service, so that there is much to take over.

use std::net::{Ipv4Addr, SocketAddrV4};

use etherparse::PacketBuilder;
use socket2::{Domain, Protocol, Socket, Type};

use crate::Scene;

/// Of one client address.
const PORTS: std::ops::Range<u16> = 1024..61_024;
/// The first client address.
const FIRST: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 1);
/// Datagrams in a row, and the pause after them, so that no ring overflows.
const BURST: u32 = 1000;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(8);

/// How many connections are asked for in the environment, besides the few that a test makes.
pub(crate) fn wanted() -> Option<u32> {
    std::env::var("SURVIVE_CONNECTIONS").ok()?.parse().ok()
}

/// Has so many clients send a datagram each to a service, until the director has a connection for each.
pub(crate) fn gather(scene: &Scene, to: SocketAddrV4, clients: u32) {
    let raw = || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255))).expect("root may");
    let socket = scene.lab.client.enter(raw);
    for round in 0.. {
        (0..clients).for_each(|client| send(&socket, client, to));
        let status: serde_json::Value = serde_json::from_str(&scene.director.status()).expect("it is JSON");
        let known = status["connections"].as_u64().expect("it is a number");
        println!("{known} connections");
        if known >= clients.into() {
            break;
        }
        assert!(round < 10, "{known} of {clients} are known");
    }
}

fn send(socket: &Socket, client: u32, to: SocketAddrV4) {
    let ports = u32::from(PORTS.end - PORTS.start);
    let from = Ipv4Addr::from_bits(FIRST.to_bits() + client / ports);
    let port = PORTS.start + u16::try_from(client % ports).expect("it is less than a port");
    let packet = PacketBuilder::ipv4(from.octets(), to.ip().octets(), 64).udp(port, to.port());
    let mut bytes = Vec::with_capacity(64);
    packet.write(&mut bytes, b"here").expect("there is room");
    socket.send_to(&bytes, &to.into()).expect("there is a route");
    if client % BURST == BURST - 1 {
        std::thread::sleep(PAUSE);
    }
}
