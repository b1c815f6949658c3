//! Packets of the director's own: resets and ICMP errors.

use etherparse::{Icmpv4Slice, Icmpv6Slice, SlicedPacket};
use ringmaster::forward::Reason;
use ringmaster::service::{Method, Options};
use ringmaster::time::Tick;

use crate::offline::*;
use crate::packets::{CLIENT_MAC, Kind, Packet, tcp, udp};

const NOW: Tick = Tick(100);
const VIP: &str = "192.0.2.10:80";
const VIP6: &str = "[2001:db8::10]:80";
const CLIENT: &str = "198.51.100.7:40000";
const CLIENT6: &str = "[2001:db8:f::7]:40000";

#[test]
fn a_segment_of_no_connection_is_reset_as_the_kernel_would() {
    for (vip, client, server) in [(VIP, CLIENT, "10.1.0.11:80"), (VIP6, CLIENT6, "[2001:db8:1::11]:80")] {
        let mut director = director(snapshot(&[Wanted::tcp(vip, Method::Nat, &[server])], Options::RINGMASTER), 100);
        let out = pass(&mut director, CLIENTS, &tcp(client, vip, "PA").with_payload(b"hello").bytes(), NOW);
        let reset = Packet::read(&out[0].1);
        let expected = Packet { macs: [OWN[0].0, CLIENT_MAC], ..tcp(vip, client, "R") };
        assert_eq!((out[0].0, reset), (CLIENTS, expected));
        let l4 = out[0].1.len() - 20;
        assert_eq!(out[0].1[l4 + 4..l4 + 8], 2000u32.to_be_bytes(), "the acknowledged number");
        assert_eq!(out[0].1[l4 + 14..l4 + 16], [0, 0], "window");

        // Without ACK, the reset acknowledges what came: the FIN and five bytes.
        let out = pass(&mut director, CLIENTS, &tcp(client, vip, "F").with_payload(b"hello").bytes(), NOW);
        assert_eq!(Packet::read(&out[0].1).kind, Kind::Tcp("AR".into()));
        assert_eq!(out[0].1[l4 + 8..l4 + 12], 1006u32.to_be_bytes());
        assert_eq!(director.counters.answered.get(), 2);

        assert!(pass(&mut director, CLIENTS, &tcp(client, vip, "R").bytes(), NOW).is_empty(), "never answer a reset");
        assert_eq!(director.counters.reason(Reason::NoConnection), 3);
    }
}

#[test]
fn an_ipv4_reset_has_id_0_and_df() {
    let mut director =
        director(snapshot(&[Wanted::tcp(VIP, Method::Nat, &["10.1.0.11:80"])], Options::RINGMASTER), 100);
    let out = pass(&mut director, CLIENTS, &tcp(CLIENT, VIP, "A").bytes(), NOW);
    assert_eq!(out[0].1[14..24], [0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6]);
}

#[test]
fn without_a_server_the_client_is_told_that_the_port_is_unreachable() {
    let mut director = director(
        snapshot(&[Wanted::tcp(VIP, Method::Nat, &[]), Wanted::udp(VIP6, Method::Nat, &[])], Options::RINGMASTER),
        100,
    );
    let mut syn = tcp(CLIENT, VIP, "S").bytes();
    syn.resize(60, 0);
    let out = pass(&mut director, CLIENTS, &syn, NOW);
    let frame = &out[0].1;
    assert_eq!(frame[14..16], [0x45, 0xc0], "precedence internetwork control");
    assert_eq!((frame[20], frame[22]), (0, 64), "no DF, TTL 64");
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    assert_eq!(sliced.net.unwrap().ipv4_ref().unwrap().header().source_addr().to_string(), "192.0.2.10");
    let icmp = Icmpv4Slice::from_slice(&frame[34..]).unwrap();
    assert_eq!((icmp.type_u8(), icmp.code_u8()), (3, 3));
    assert_eq!(icmp.checksum(), icmp.header().icmp_type.calc_checksum(icmp.payload()));
    assert_eq!(icmp.payload(), &syn[14..54], "the packet as it came, without padding");

    let query = udp(CLIENT6, VIP6, &[7; 1300]).bytes();
    let out = pass(&mut director, CLIENTS, &query, NOW);
    let frame = &out[0].1;
    assert_eq!(frame.len(), 14 + 1280, "no more than the smallest MTU of IPv6");
    let icmp = Icmpv6Slice::from_slice(&frame[54..]).unwrap();
    assert_eq!((icmp.type_u8(), icmp.code_u8()), (1, 4));
    assert!(icmp.is_checksum_valid(addr("2001:db8::10").octets(), addr("2001:db8:f::7").octets()));
    assert_eq!(director.counters.reason(Reason::NoServer), 2);
}

#[test]
fn a_ttl_that_runs_out_is_reported_in_both_directions() {
    let mut director =
        director(snapshot(&[Wanted::tcp(VIP, Method::Nat, &["10.1.0.11:80"])], Options::RINGMASTER), 100);
    let out = pass(&mut director, CLIENTS, &tcp(CLIENT, VIP, "S").with_ttl(1).bytes(), NOW);
    assert_eq!((out[0].0, out[0].1[34], out[0].1[35]), (CLIENTS, 11, 0));
    assert_eq!(out[0].1[42 + 8], 1, "the quote has the TTL as received");
    let out = pass(&mut director, SERVERS, &tcp("10.1.0.11:80", CLIENT, "SA").with_ttl(1).bytes(), NOW);
    assert_eq!((out[0].0, out[0].1[34]), (SERVERS, 11));
    assert_eq!(out[0].1[26..34], [10, 1, 0, 1, 10, 1, 0, 11], "from the director to the server");
    assert_eq!(director.counters.reason(Reason::TtlExpired), 2);
}

/// 1500 bytes fit NAT and DR; a tunnel needs 20 of them.
#[test]
fn a_packet_too_big_is_reported_with_the_size_that_fits() {
    for (method, limit) in [(Method::Nat, 1500), (Method::IPIP, 1480)] {
        let mut director = director(snapshot(&[Wanted::tcp(VIP, method, &["10.1.0.11:80"])], Options::RINGMASTER), 100);
        let sized = |len: usize| tcp(CLIENT, VIP, "S").with_payload(&vec![1; len - 40]).bytes();
        assert_eq!(pass(&mut director, CLIENTS, &sized(limit), NOW)[0].0, SERVERS);
        let out = pass(&mut director, CLIENTS, &sized(limit + 1), NOW);
        let frame = &out[0].1;
        assert_eq!((out[0].0, frame[34], frame[35]), (CLIENTS, 3, 4));
        assert_eq!(usize::from(u16::from_be_bytes([frame[40], frame[41]])), limit);
        assert_eq!(frame[42 + 8], 63, "the kernel quotes the TTL after it was decremented");
        assert_eq!(frame.len(), 14 + 576);
    }
    let mut director =
        director(snapshot(&[Wanted::tcp(VIP6, Method::IPIP, &["[2001:db8:1::11]:80"])], Options::RINGMASTER), 100);
    let out = pass(&mut director, CLIENTS, &tcp(CLIENT6, VIP6, "S").with_payload(&[1; 1401]).bytes(), NOW);
    assert_eq!((out[0].1[54], out[0].1[55]), (2, 0));
    assert_eq!(out[0].1[58..62], 1460u32.to_be_bytes());
}

/// Not from groups, networks and loopback, and neither from the director's own addresses, virtual or not.
#[test]
fn connections_come_from_single_hosts_only() {
    let mut director = director(snapshot(&[Wanted::udp("192.0.2.10:53", Method::Nat, &[])], Options::RINGMASTER), 100);
    for client in ["0.0.0.0:1", "127.0.0.1:1", "224.0.0.1:1", "255.255.255.255:1", "192.0.2.10:1", "10.1.0.1:1"] {
        assert!(pass(&mut director, CLIENTS, &udp(client, "192.0.2.10:53", b"").bytes(), NOW).is_empty(), "{client}");
    }
    assert_eq!(director.counters.reason(Reason::BadSource), 6);
    assert_eq!(director.counters.answered.get(), 0);
    assert_eq!(pass(&mut director, CLIENTS, &udp("198.51.100.7:1", "192.0.2.10:53", b"").bytes(), NOW).len(), 1);
}

#[test]
fn what_is_not_served_is_passed_to_the_kernel() {
    let mut director =
        director(snapshot(&[Wanted::tcp(VIP, Method::Nat, &["10.1.0.11:80"])], Options::RINGMASTER), 100);
    for packet in [tcp(CLIENT, "192.0.2.10:22", "S"), udp(CLIENT, VIP, b"x"), tcp(CLIENT, "192.0.2.1:80", "S")] {
        assert!(pass(&mut director, CLIENTS, &packet.bytes(), NOW).is_empty());
    }
    let mut arp = vec![0xff; 6];
    arp.extend_from_slice(&[2, 0, 0, 0, 0, 0xc0, 8, 6, 0, 1]);
    arp.resize(60, 0);
    assert!(pass(&mut director, CLIENTS, &arp, NOW).is_empty());
    assert_eq!(director.counters.passed.get(), 4);
}
