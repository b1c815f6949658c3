//! GRE and GUE: what stands between the outer IP header and the packet, and what it costs. IPIP is among the methods.

use etherparse::{IpSlice, UdpSlice};
use ringmaster::forward::Reason;
use ringmaster::service::{GueChecksum, Method, Options, Tunnel};
use ringmaster::time::Tick;

use crate::offline::*;
use crate::packets::{Packet, tcp};

const NOW: Tick = Tick(100);
const GUE_PORT: u16 = 6080;

const fn gue(checksum: GueChecksum) -> Tunnel {
    Tunnel::Gue { port: GUE_PORT, checksum }
}

const KINDS: [Tunnel; 5] = [
    Tunnel::Gre { checksum: false },
    Tunnel::Gre { checksum: true },
    gue(GueChecksum::Off),
    gue(GueChecksum::On),
    gue(GueChecksum::Remote),
];

/// VIP and client of one family each.
const INSIDE: [(&str, &str); 2] =
    [("192.0.2.10:80", "198.51.100.7:40000"), ("[2001:db8::10]:80", "[2001:db8:f::7]:40000")];
/// Server, and the director's address towards it.
const OUTSIDE: [(&str, &str); 2] = [("10.1.0.11:80", "10.1.0.1"), ("[2001:db8:1::11]:80", "2001:db8:1::1")];

/// Every kind of tunnel between every two families.
fn all(mut each: impl FnMut(Tunnel, (&str, &str), (&str, &str))) {
    for tunnel in KINDS {
        for inside in INSIDE {
            for outside in OUTSIDE {
                each(tunnel, inside, outside);
            }
        }
    }
}

fn wrapped(tunnel: Tunnel, vip: &str, server: &str, packet: &Packet) -> Vec<u8> {
    let snapshot = snapshot(&[Wanted::tcp(vip, Method::Tun(tunnel), &[server])], Options::RINGMASTER);
    let mut out = pass(&mut director(snapshot, 100), CLIENTS, &packet.bytes(), NOW);
    assert_eq!(out.len(), 1, "{tunnel:?}");
    assert_eq!(out[0].0, SERVERS, "{tunnel:?}");
    out.remove(0).1
}

/// The Internet checksum as RFC 1071 writes it, over bytes that hold a right one.
fn sums_up(bytes: &[u8]) -> bool {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let total: u32 = words.sum();
    let folded = (total & 0xffff) + (total >> 16);
    (folded & 0xffff) + (folded >> 16) == 0xffff
}

/// Checks what is between outer header and packet, and returns its length.
fn check_shim(tunnel: Tunnel, inner_v6: bool, ip: &IpSlice<'_>, payload: &[u8]) -> usize {
    match tunnel {
        Tunnel::Ipip => unreachable!("not among them"),
        Tunnel::Gre { checksum } => {
            let ethertype: [u8; 2] = if inner_v6 { [0x86, 0xdd] } else { [0x08, 0x00] };
            assert_eq!(payload[..2], [if checksum { 0x80 } else { 0 }, 0]);
            assert_eq!(payload[2..4], ethertype);
            assert!(!checksum || sums_up(payload) && payload[6..8] == [0, 0]);
            if checksum { 8 } else { 4 }
        }
        Tunnel::Gue { port, checksum } => {
            let datagram = UdpSlice::from_slice(payload).unwrap();
            let header = datagram.to_header();
            assert_eq!((header.destination_port, usize::from(header.length)), (port, payload.len()));
            assert!((32768..=60999).contains(&header.source_port), "{}", header.source_port);
            let sum = match ip {
                IpSlice::Ipv4(ip) => {
                    let (from, to) = (ip.header().source(), ip.header().destination());
                    header.calc_checksum_ipv4_raw(from, to, datagram.payload())
                }
                IpSlice::Ipv6(ip) => {
                    let (from, to) = (ip.header().source(), ip.header().destination());
                    header.calc_checksum_ipv6_raw(from, to, datagram.payload())
                }
            };
            assert_eq!(header.checksum, if checksum == GueChecksum::Off { 0 } else { sum.unwrap() });
            assert_eq!(payload[8..12], [0, if inner_v6 { 41 } else { 4 }, 0, 0]);
            12
        }
    }
}

#[test]
fn the_packet_stands_whole_behind_the_headers_of_its_tunnel() {
    for payload in [&b"even"[..], b"odd"] {
        all(|tunnel, (vip, client), (server, own)| {
            let packet = tcp(client, vip, "S").with_payload(payload);
            let frame = wrapped(tunnel, vip, server, &packet);
            let ip = IpSlice::from_slice(&frame[14..]).unwrap();
            assert_eq!(
                (ip.source_addr(), ip.destination_addr()),
                (crate::packets::addr(own), crate::packets::end(server).0)
            );
            let protocol = if matches!(tunnel, Tunnel::Gre { .. }) { 47 } else { 17 };
            let (next, ttl, header_len) = match &ip {
                IpSlice::Ipv4(ip) => (ip.header().protocol().0, ip.header().ttl(), 20),
                IpSlice::Ipv6(ip) => (ip.header().next_header().0, ip.header().hop_limit(), 40),
            };
            assert_eq!((next, ttl), (protocol, 63), "{tunnel:?}");
            let payload = &frame[14 + header_len..];
            let inner_v6 = client.starts_with('[');
            let shim = check_shim(tunnel, inner_v6, &ip, payload);
            let mut inner = frame[..12].to_vec();
            inner.extend_from_slice(if inner_v6 { &[0x86, 0xdd] } else { &[8, 0] });
            inner.extend_from_slice(&payload[shim..]);
            let expected = Packet { macs: [OWN[1].0, server_mac(1).0], ..packet.with_ttl(63) };
            assert_eq!(Packet::read(&inner), expected);
        });
    }
}

/// Routers between here and the server spread flows by it; packets of one flow must keep their order.
#[test]
fn a_flow_s_gue_source_port_is_its_own() {
    let wanted = Wanted::tcp("192.0.2.10:80", Method::Tun(gue(GueChecksum::Off)), &["10.1.0.11:80"]);
    let mut director = director(snapshot(&[wanted], Options::RINGMASTER), 1000);
    let mut ports = std::collections::BTreeSet::new();
    for n in 0..100 {
        let client = format!("198.51.100.{n}:40000");
        let of = |flags: &str, director: &mut _| {
            let out = pass(director, CLIENTS, &tcp(&client, "192.0.2.10:80", flags).bytes(), NOW);
            [out[0].1[34], out[0].1[35]]
        };
        let first = of("S", &mut director);
        assert_eq!(of("A", &mut director), first);
        ports.insert(first);
    }
    assert!(ports.len() > 90, "{} of 100 flows", ports.len());
}

/// The longest packet that passes fills the MTU exactly; the next is answered with its length.
#[test]
fn the_limit_is_the_mtu_less_what_the_tunnel_adds() {
    all(|tunnel, (vip, client), (server, _)| {
        let outer = if server.starts_with('[') { 40 } else { 20 };
        let limit = 1500 - outer - usize::from(tunnel.shim());
        let headers = if client.starts_with('[') { 60 } else { 40 };
        let sized = |len: usize| tcp(client, vip, "S").with_payload(&vec![7; len - headers]).bytes();
        let snapshot = snapshot(&[Wanted::tcp(vip, Method::Tun(tunnel), &[server])], Options::RINGMASTER);
        let mut director = director(snapshot, 100);
        let fits = pass(&mut director, CLIENTS, &sized(limit), NOW);
        assert_eq!((fits[0].0, fits[0].1.len()), (SERVERS, 14 + 1500), "{tunnel:?}");
        let told = pass(&mut director, CLIENTS, &sized(limit + 1), NOW);
        assert_eq!((told[0].0, director.counters.reason(Reason::TooBig)), (CLIENTS, 1), "{tunnel:?}");
        let icmp = 14 + headers - 20;
        let word = &told[0].1[icmp + 4..icmp + 8];
        assert_eq!(u32::from_be_bytes(word.try_into().unwrap()), limit as u32, "{tunnel:?}");
    });
}
