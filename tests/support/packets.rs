//! Frames for tests and benchmarks, built and taken apart by `etherparse`: an implementation other than ours.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, unreachable_pub, reason = "each test target uses its part")]

use std::net::IpAddr;

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};

/// What a test says of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub macs: [[u8; 6]; 2],
    pub source: (IpAddr, u16),
    pub destination: (IpAddr, u16),
    pub ttl: u8,
    pub kind: Kind,
    pub payload: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP with these flags: any of `S`, `A`, `F`, `R`, `P`.
    Tcp(String),
    Udp,
}

pub fn addr(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// `192.0.2.1:80` or `[2001:db8::1]:80`.
pub fn end(text: &str) -> (IpAddr, u16) {
    let socket: std::net::SocketAddr = text.parse().unwrap();
    (socket.ip(), socket.port())
}

/// A TCP segment with the given flags and no payload, from MAC 02:..:c0 to 02:..:d0.
pub fn tcp(source: &str, destination: &str, flags: &str) -> Packet {
    let kind = Kind::Tcp(flags.to_owned());
    Packet {
        macs: [CLIENT_MAC, DIRECTOR_MAC],
        source: end(source),
        destination: end(destination),
        ttl: 64,
        kind,
        payload: vec![],
    }
}

/// A UDP datagram.
pub fn udp(source: &str, destination: &str, payload: &[u8]) -> Packet {
    Packet { kind: Kind::Udp, payload: payload.to_vec(), ..tcp(source, destination, "") }
}

pub const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xc0];
pub const DIRECTOR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xd0];

impl Packet {
    pub fn with_payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    pub fn with_ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut frame = Vec::new();
        let ethernet = PacketBuilder::ethernet2(self.macs[0], self.macs[1]);
        let ip = match (self.source.0, self.destination.0) {
            (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), self.ttl),
            (IpAddr::V6(from), IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), self.ttl),
            mixed => panic!("mixed families: {mixed:?}"),
        };
        match &self.kind {
            Kind::Udp => ip.udp(self.source.1, self.destination.1).write(&mut frame, &self.payload).unwrap(),
            Kind::Tcp(flags) => {
                let mut step = ip.tcp(self.source.1, self.destination.1, 1000, 8192);
                for flag in flags.chars() {
                    step = match flag {
                        'S' => step.syn(),
                        'A' => step.ack(2000),
                        'F' => step.fin(),
                        'R' => step.rst(),
                        'P' => step.psh(),
                        other => panic!("no such flag: {other}"),
                    };
                }
                step.write(&mut frame, &self.payload).unwrap();
            }
        }
        frame
    }

    /// Takes a frame apart, and checks every checksum in it.
    pub fn read(frame: &[u8]) -> Self {
        let sliced = SlicedPacket::from_ethernet(frame).expect("a well-formed frame");
        let Some(etherparse::LinkSlice::Ethernet2(ethernet)) = sliced.link else { panic!("not Ethernet") };
        let (source, destination, ttl) = match sliced.net.expect("an IP packet") {
            NetSlice::Ipv4(ip) => {
                let header = ip.header();
                assert_eq!(header.header_checksum(), header.to_header().calc_header_checksum(), "IP header checksum");
                (IpAddr::V4(header.source_addr()), IpAddr::V4(header.destination_addr()), header.ttl())
            }
            NetSlice::Ipv6(ip) => {
                let header = ip.header();
                (IpAddr::V6(header.source_addr()), IpAddr::V6(header.destination_addr()), header.hop_limit())
            }
            NetSlice::Arp(_) => panic!("an IP packet"),
        };
        let (ports, kind, payload) = match sliced.transport.expect("TCP or UDP") {
            TransportSlice::Tcp(segment) => {
                let sum = match (source, destination) {
                    (IpAddr::V4(a), IpAddr::V4(b)) => segment.calc_checksum_ipv4(a.octets(), b.octets()),
                    (IpAddr::V6(a), IpAddr::V6(b)) => segment.calc_checksum_ipv6(a.octets(), b.octets()),
                    _ => unreachable!(),
                };
                assert_eq!(segment.checksum(), sum.unwrap(), "TCP checksum");
                let set = [
                    ('S', segment.syn()),
                    ('A', segment.ack()),
                    ('F', segment.fin()),
                    ('R', segment.rst()),
                    ('P', segment.psh()),
                ];
                let flags = set.iter().filter(|(_, on)| *on).map(|(flag, _)| flag).collect();
                ((segment.source_port(), segment.destination_port()), Kind::Tcp(flags), segment.payload().to_vec())
            }
            TransportSlice::Udp(datagram) => {
                let header = datagram.to_header();
                if header.checksum != 0 {
                    let sum = match (source, destination) {
                        (IpAddr::V4(a), IpAddr::V4(b)) => {
                            header.calc_checksum_ipv4_raw(a.octets(), b.octets(), datagram.payload())
                        }
                        (IpAddr::V6(a), IpAddr::V6(b)) => {
                            header.calc_checksum_ipv6_raw(a.octets(), b.octets(), datagram.payload())
                        }
                        _ => unreachable!(),
                    };
                    assert_eq!(header.checksum, sum.unwrap(), "UDP checksum");
                }
                ((datagram.source_port(), datagram.destination_port()), Kind::Udp, datagram.payload().to_vec())
            }
            other => panic!("TCP or UDP, not {other:?}"),
        };
        Self {
            macs: [ethernet.source(), ethernet.destination()],
            source: (source, ports.0),
            destination: (destination, ports.1),
            ttl,
            kind,
            payload,
        }
    }
}
