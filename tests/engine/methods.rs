//! What each forwarding method changes in a packet, and what it leaves alone.

use ringmaster::conn::State;
use ringmaster::service::{Method, Options};
use ringmaster::time::Tick;

use crate::fragments::fix_header;
use crate::offline::*;
use crate::packets::{Packet, end as ip_end, tcp, udp};

const NOW: Tick = Tick(100);

/// The one frame that comes out.
fn only(mut out: Vec<(ringmaster::io::PortId, Vec<u8>)>) -> (ringmaster::io::PortId, Vec<u8>) {
    assert_eq!(out.len(), 1, "{out:x?}");
    out.remove(0)
}

/// Both directions of a NAT exchange, with a port that is mapped.
fn nat_round_trip(vip: &str, client: &str, server: &str, protocol: u8) {
    let wanted = match protocol {
        6 => Wanted::tcp(vip, Method::Nat, &[server]),
        _ => Wanted::udp(vip, Method::Nat, &[server]),
    };
    let mut director = director(snapshot(&[wanted], Options::RINGMASTER), 1000);
    let make = |from: &str, to: &str, flags: &str| match protocol {
        6 => tcp(from, to, flags).with_payload(b"some payload"),
        _ => udp(from, to, b"some payload"),
    };
    let (port, frame) = only(pass(&mut director, CLIENTS, &make(client, vip, "S").bytes(), NOW));
    assert_eq!(port, SERVERS);
    let request = Packet::read(&frame);
    let expected = Packet { macs: [OWN[1].0, server_mac(1).0], ..make(client, server, "S").with_ttl(63) };
    assert_eq!(request, expected);

    let (port, frame) = only(pass(&mut director, SERVERS, &make(server, client, "SA").bytes(), NOW));
    assert_eq!(port, CLIENTS);
    let expected = Packet { macs: [OWN[0].0, GATEWAY.0], ..make(vip, client, "SA").with_ttl(63) };
    assert_eq!(Packet::read(&frame), expected);
    assert_eq!(ringmaster::io::PacketIo::in_hand(director.worker.io()), 0);
}

#[test]
fn nat_rewrites_both_directions_and_maps_the_port() {
    nat_round_trip("192.0.2.10:80", "198.51.100.7:40000", "10.1.0.11:8080", 6);
    nat_round_trip("192.0.2.10:53", "198.51.100.7:40000", "10.1.0.11:5353", 17);
    nat_round_trip("[2001:db8::10]:80", "[2001:db8:f::7]:40000", "[2001:db8:1::11]:8080", 6);
    nat_round_trip("[2001:db8::10]:53", "[2001:db8:f::7]:40000", "[2001:db8:1::11]:5353", 17);
}

#[test]
fn dr_changes_only_macs_and_ttl() {
    for (vip, client, server) in [
        ("192.0.2.10:80", "198.51.100.7:40000", "10.1.0.11:80"),
        ("[2001:db8::10]:80", "[2001:db8:f::7]:40000", "[2001:db8:1::11]:80"),
    ] {
        let snapshot = snapshot(&[Wanted::tcp(vip, Method::Dr, &[server])], Options::RINGMASTER);
        let mut director = director(snapshot, 1000);
        let packet = tcp(client, vip, "S").with_payload(b"x");
        let (port, frame) = only(pass(&mut director, CLIENTS, &packet.bytes(), NOW));
        assert_eq!(port, SERVERS);
        assert_eq!(Packet::read(&frame), Packet { macs: [OWN[1].0, server_mac(1).0], ..packet.with_ttl(63) });
    }
}

/// All four combinations of inner and outer family.
#[test]
fn a_tunnel_wraps_the_packet_as_it_is() {
    for (vip, client) in [("192.0.2.10:80", "198.51.100.7:40000"), ("[2001:db8::10]:80", "[2001:db8:f::7]:40000")] {
        for (server, own, outer) in [("10.1.0.11:80", "10.1.0.1", 20), ("[2001:db8:1::11]:80", "2001:db8:1::1", 40)] {
            let snapshot = snapshot(&[Wanted::tcp(vip, Method::IPIP, &[server])], Options::RINGMASTER);
            let mut director = director(snapshot, 1000);
            let packet = tcp(client, vip, "S").with_payload(b"x");
            let (port, frame) = only(pass(&mut director, CLIENTS, &packet.bytes(), NOW));
            assert_eq!(port, SERVERS);
            assert_eq!(frame[..12], [server_mac(1).0, OWN[1].0].concat());
            let v6 = outer == 40;
            assert_eq!(frame[12..14], if v6 { [0x86, 0xdd] } else { [8, 0] });
            let inner_v6 = client.starts_with('[');
            let protocol = if inner_v6 { 41 } else { 4 };
            let sliced = etherparse::IpSlice::from_slice(&frame[14..]).unwrap();
            let (source, destination) = (sliced.source_addr(), sliced.destination_addr());
            assert_eq!((source, destination), (crate::packets::addr(own), ip_end(server).0));
            let (ttl, next) = if v6 { (frame[21], frame[20]) } else { (frame[22], frame[23]) };
            assert_eq!((ttl, next), (63, protocol), "the inner TTL, decremented");
            if let Some(header) = sliced.ipv4() {
                let header = header.header();
                assert_eq!(header.header_checksum(), header.to_header().calc_header_checksum());
                assert_eq!(usize::from(header.total_len()), frame.len() - 14);
            }
            // What is inside is the packet as it came, but for the TTL.
            let mut inner = frame[..14].to_vec();
            inner[12..14].copy_from_slice(if inner_v6 { &[0x86, 0xdd] } else { &[8, 0] });
            inner.extend_from_slice(&frame[14 + outer..]);
            let expected = Packet { macs: [OWN[1].0, server_mac(1).0], ..packet.with_ttl(63) };
            assert_eq!(Packet::read(&inner), expected);
        }
    }
}

/// RFC 6040 and the kernel: DSCP is copied, ECN too, but CE becomes ECT(0); DF is copied.
#[test]
fn a_tunnel_header_takes_over_dscp_ecn_and_df() {
    let snapshot = snapshot(&[Wanted::tcp("192.0.2.10:80", Method::IPIP, &["10.1.0.11:80"])], Options::RINGMASTER);
    let mut director = director(snapshot, 1000);
    for (tos, outer) in [(0x00, 0x00), (0xb8, 0xb8), (0x01, 0x01), (0x02, 0x02), (0x03, 0x02), (0xbb, 0xba)] {
        for flags in [0x40, 0x00] {
            let mut frame = tcp("198.51.100.7:40000", "192.0.2.10:80", "S").bytes();
            frame[15] = tos;
            frame[18..21].copy_from_slice(&[0x12, 0x34, flags]);
            fix_header(&mut frame);
            let (_, out) = only(pass(&mut director, CLIENTS, &frame, NOW));
            assert_eq!((out[15], out[20], out[35]), (outer, flags, tos), "TOS {tos:#x}");
            let id = if flags == 0 { [0x12, 0x34] } else { [0, 0] };
            assert_eq!(out[18..20], id, "what is never cut needs no identification");
        }
    }
}

#[test]
fn padding_does_not_travel() {
    let snapshot = snapshot(&[Wanted::tcp("192.0.2.10:80", Method::Nat, &["10.1.0.11:80"])], Options::RINGMASTER);
    let mut director = director(snapshot, 1000);
    let mut frame = tcp("198.51.100.7:40000", "192.0.2.10:80", "S").bytes();
    frame.resize(60, 0xee);
    let (_, out) = only(pass(&mut director, CLIENTS, &frame, NOW));
    assert_eq!(out.len(), 54);
}

#[test]
fn replies_leave_alone_what_they_do_not_belong_to() {
    let snapshot = snapshot(&[Wanted::tcp("192.0.2.10:80", Method::Nat, &["10.1.0.11:80"])], Options::RINGMASTER);
    let mut director = director(snapshot, 1000);
    pass(&mut director, CLIENTS, &tcp("198.51.100.7:40000", "192.0.2.10:80", "S").bytes(), NOW);
    for (from, to) in [
        ("10.1.0.11:81", "198.51.100.7:40000"),
        ("10.1.0.12:80", "198.51.100.7:40000"),
        ("10.1.0.11:80", "198.51.100.7:40001"),
        ("10.1.0.11:80", "198.51.100.8:40000"),
    ] {
        assert!(pass(&mut director, SERVERS, &tcp(from, to, "SA").bytes(), NOW).is_empty());
    }
    assert_eq!(director.counters.passed.get(), 4);
    let entry = director.shared.table.entries().next().unwrap();
    assert_eq!(entry.record.state, State::SynRecv);
}

/// The filter of virtual addresses answers "yes" for some that are none: a client with such an address must be served.
#[test]
fn a_client_whose_address_the_vip_filter_mistakes_is_served() {
    let vips: Vec<String> = (0..200).map(|host| format!("192.0.2.{host}:80")).collect();
    let wanted: Vec<_> = vips.iter().map(|vip| Wanted::tcp(vip, Method::Nat, &["10.1.0.11:80"])).collect();
    let snapshot = snapshot(&wanted, Options::RINGMASTER);
    let filter = snapshot.services.vips.clone();
    let mut director = director(snapshot, 10_000);
    let mut mistaken = 0;
    for host in 0..2000u32 {
        let client = format!("198.18.{}.{}:40000", host / 256, host % 256);
        mistaken += u32::from(filter.may_contain(end(&client).addr));
        let request = pass(&mut director, CLIENTS, &tcp(&client, "192.0.2.7:80", "S").bytes(), NOW);
        assert_eq!(request.len(), 1, "{client}");
        let (port, frame) = only(pass(&mut director, SERVERS, &tcp("10.1.0.11:80", &client, "SA").bytes(), NOW));
        assert_eq!((port, Packet::read(&frame).source), (CLIENTS, ip_end("192.0.2.7:80")), "{client}");
    }
    assert!(mistaken > 10, "the test meets what it is about: {mistaken}");
}
