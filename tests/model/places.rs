//! Who there is: services, destinations, clients and servers.

use std::net::IpAddr;

use crate::steps::{Method, Part};

/// TCP, UDP, SCTP.
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const SCTP: u8 = 132;

/// A virtual service that there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Protocol, address and port (0: all ports).
    Address(u8, IpAddr, u16),
    /// Mark; of IPv6?
    Mark(u32, bool),
}

impl Key {
    pub fn is_v6(self) -> bool {
        match self {
            Key::Address(_, address, _) => address.is_ipv6(),
            Key::Mark(_, v6) => v6,
        }
    }

    /// Whether its servers must have the service's port unless they translate.
    pub fn fixed_port(self) -> Option<u16> {
        match self {
            Key::Address(.., port) => Some(port),
            Key::Mark(..) => None,
        }
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// All services that there may be.
pub fn services() -> Vec<Key> {
    let address = |protocol, text, port| Key::Address(protocol, ip(text), port);
    vec![
        address(TCP, "192.0.2.10", 80),
        address(TCP, "2001:db8::10", 80),
        address(UDP, "192.0.2.10", 53),
        address(UDP, "2001:db8::10", 53),
        address(SCTP, "192.0.2.11", 5000),
        address(SCTP, "2001:db8::11", 5000),
        address(TCP, "192.0.2.12", 0),
        address(UDP, "192.0.2.12", 0),
        Key::Mark(7, false),
        Key::Mark(9, true),
    ]
}

/// Packets to these addresses are marked.
pub fn marks() -> [(IpAddr, u32); 2] {
    [(ip("192.0.2.13"), 7), (ip("2001:db8::13"), 9)]
}

/// Where clients send to.
pub fn destinations() -> Vec<(u8, IpAddr, u16)> {
    [
        (TCP, "192.0.2.10", 80),
        (TCP, "2001:db8::10", 80),
        (UDP, "192.0.2.10", 53),
        (UDP, "2001:db8::10", 53),
        (SCTP, "192.0.2.11", 5000),
        (SCTP, "2001:db8::11", 5000),
        (TCP, "192.0.2.12", 80),
        (TCP, "192.0.2.12", 443),
        (UDP, "192.0.2.12", 80),
        (TCP, "192.0.2.13", 80),
        (UDP, "192.0.2.13", 53),
        (UDP, "192.0.2.13", 54),
        (SCTP, "192.0.2.13", 5000),
        (TCP, "2001:db8::13", 80),
        (UDP, "2001:db8::13", 53),
        (TCP, "192.0.2.10", 81),
    ]
    .map(|(protocol, text, port)| (protocol, ip(text), port))
    .to_vec()
}

pub fn client(number: usize, v6: bool) -> IpAddr {
    let all = match v6 {
        false => ["198.51.100.7", "198.51.100.9", "198.51.101.7", "203.0.113.9"],
        true => ["2001:db8:f::7", "2001:db8:f::9", "2001:db8:f:1::7", "2001:db8:e::9"],
    };
    ip(all[number % all.len()])
}

/// Clients have a few ports, among them the one of FTP's data. Destinations that may share a server's end have each their
/// own, or it would not be defined whose a reply is.
pub fn client_port(number: usize, to: usize) -> u16 {
    const SHARED: usize = 6;
    match number % 16 {
        0 => 20,
        number => 40_000 + (number % 3) as u16 + if to < SHARED { 0 } else { 100 * to as u16 },
    }
}

/// Servers of a service.
pub const SERVERS: usize = 4;

/// Server `number` of service `service`: each service has servers of its own.
pub fn server(service: usize, number: usize, part: &Part) -> (IpAddr, u16) {
    let key = services()[service];
    // One server is of the other family, if it is reached by a tunnel.
    let across = part.method == Method::Tun && number == SERVERS - 1;
    let v6 = key.is_v6() != across;
    let address = match v6 {
        false => format!("10.1.{service}.{}", 11 + number),
        true => format!("2001:db8:1:{service}::{}", 11 + number),
    };
    let port = match (part.method, key.fixed_port()) {
        (_, Some(0)) => [0, 8080][number % 2 * usize::from(part.method == Method::Nat)],
        (Method::Nat, _) => [8080, 80, 0, 8081][number],
        (_, Some(port)) => port,
        (_, None) => 0,
    };
    (ip(&address), port)
}

/// Which part of a client's address makes it the same client: IPv4 netmask or IPv6 prefix length.
pub fn granularity(which: usize, v6: bool) -> u128 {
    let length = if v6 { [128, 64, 48][which % 3] } else { [32, 24, 16][which % 3] };
    let width = if v6 { 128 } else { 32 };
    u128::MAX << (128 - length) >> (128 - width)
}
