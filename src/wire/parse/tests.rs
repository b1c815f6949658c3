//! Tests of the header parser, with `etherparse` as builder and as second opinion.

use etherparse::{PacketBuilder, SlicedPacket};
use proptest::prelude::*;

use super::*;

fn tcp4(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([192, 0, 2, 1], [198, 51, 100, 7], 33)
        .tcp(40000, 80, 7, 1024)
        .syn()
        .write(&mut frame, payload)
        .unwrap();
    frame
}

fn udp6(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv6([0x20; 16], [0x21; 16], 9)
        .udp(5353, 53)
        .write(&mut frame, payload)
        .unwrap();
    frame
}

fn addr(text: &str) -> Addr {
    text.parse::<std::net::IpAddr>().unwrap().into()
}

/// The frame's bytes as `parse_common` gets them: in a buffer full of something else.
fn common(frame: &[u8]) -> Option<Parsed> {
    let mut head = [0xa5; HEAD];
    let shown = frame.len().min(HEAD);
    head[..shown].copy_from_slice(&frame[..shown]);
    parse_common(&head, frame.len())
}

#[test]
fn a_tcp_syn() {
    let parsed = parse(&tcp4(b"hello")).unwrap();
    assert_eq!((parsed.source, parsed.source_port), (addr("192.0.2.1"), 40000));
    assert_eq!((parsed.destination, parsed.destination_port), (addr("198.51.100.7"), 80));
    assert_eq!((parsed.l3, parsed.l4, parsed.end), (14, 34, 59));
    assert_eq!((parsed.protocol, parsed.ttl, parsed.fragment), (Protocol::TCP, 33, Fragment::Whole));
    assert!(parsed.flags.syn() && !parsed.flags.ack());
}

#[test]
fn an_ipv6_datagram() {
    let parsed = parse(&udp6(b"hello")).unwrap();
    assert_eq!(parsed.family(), Family::V6);
    assert_eq!((parsed.source_port, parsed.destination_port), (5353, 53));
    assert_eq!((parsed.l4, parsed.end, parsed.ttl), (54, 67, 9));
}

#[test]
fn padding_is_not_part_of_the_packet() {
    let mut frame = tcp4(b"");
    frame.resize(60, 0xee);
    assert_eq!(parse(&frame).unwrap().end, 54);
    assert_eq!(common(&frame).unwrap().end, 54);
}

#[test]
fn vlan_tags_are_stepped_over() {
    let plain = tcp4(b"x");
    let mut tagged = plain.clone();
    tagged.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
    assert_eq!(parse(&tagged).unwrap().l3, 18);
    tagged.splice(12..12, [0x88, 0xa8, 0x00, 0x06]);
    let parsed = parse(&tagged).unwrap();
    assert_eq!((parsed.l3, parsed.source_port), (22, 40000));
    tagged.splice(12..12, [0x81, 0x00, 0x00, 0x07]);
    assert_eq!(parse(&tagged).unwrap_err(), ParseError::NotIp, "three tags are nobody's network");
}

#[test]
fn ipv4_options_and_fragments() {
    let mut frame = tcp4(b"");
    frame.splice(34..34, [1, 1, 1, 0]);
    frame[14] = 0x46;
    frame[17] += 4;
    assert_eq!(parse(&frame).unwrap().l4, 38);
    assert!(common(&frame).is_none());

    let mut first = tcp4(b"");
    first[20] = 0x20;
    assert_eq!(parse(&first).unwrap().fragment, Fragment::First);
    let mut later = tcp4(b"");
    later[21] = 3;
    let parsed = parse(&later).unwrap();
    assert_eq!((parsed.fragment, parsed.source_port), (Fragment::Later, 0));
    assert!(common(&first).is_none() && common(&later).is_none());
}

#[test]
fn ipv6_extension_headers_are_followed() {
    // A hop-by-hop header of 8 bytes and a fragment header (atomic), then UDP.
    let mut frame = udp6(b"");
    frame.splice(54..54, [44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 9]);
    frame[20] = 0;
    frame[19] += 16;
    let parsed = parse(&frame).unwrap();
    assert_eq!((parsed.protocol, parsed.l4, parsed.fragment), (17, 70, Fragment::Atomic));
    frame[65] = 1;
    assert_eq!(parse(&frame).unwrap().fragment, Fragment::First);
    frame[65] = 8;
    assert_eq!(parse(&frame).unwrap().fragment, Fragment::Later);
    // A chain without end.
    let mut endless = udp6(&[0; 200]);
    endless[20] = HOP_BY_HOP;
    for header in endless[54..].chunks_mut(8) {
        header.fill(0);
    }
    assert_eq!(parse(&endless).unwrap_err(), ParseError::Malformed);
}

#[test]
fn every_way_to_be_too_short() {
    for frame in [tcp4(b"payload"), udp6(b"payload")] {
        for length in 0..frame.len() {
            let verdict = parse(&frame[..length]);
            assert_eq!(verdict.unwrap_err(), ParseError::Truncated, "{length} of {} bytes", frame.len());
            assert!(common(&frame[..length]).is_none());
        }
    }
}

#[test]
fn impossible_fields() {
    let malformed = |edit: fn(&mut Vec<u8>)| {
        let mut frame = tcp4(b"");
        edit(&mut frame);
        assert!(common(&frame).is_none());
        parse(&frame).unwrap_err()
    };
    assert_eq!(malformed(|f| f[14] = 0x65), ParseError::Malformed, "version");
    assert_eq!(malformed(|f| f[14] = 0x44), ParseError::Malformed, "header length below 20");
    assert_eq!(malformed(|f| f[17] = 19), ParseError::Malformed, "total length below the header's");
    assert_eq!(malformed(|f| f[17] = 30), ParseError::Truncated, "total length cuts TCP short");
    assert_eq!(malformed(|f| f[46] = 0x40), ParseError::Malformed, "TCP data offset below 5");
    assert_eq!(malformed(|f| f[13] = 0x06), ParseError::NotIp, "ARP");
    let mut mapped = udp6(b"");
    mapped[22..38].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1]);
    assert_eq!(parse(&mapped).unwrap_err(), ParseError::Malformed, "IPv4-mapped source");
}

proptest! {
    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
        let _ = common(&bytes);
    }

    /// Mutated real frames reach deep into the parser; both parsers and a foreign one must agree on them.
    #[test]
    fn three_parsers_agree(
        v6 in any::<bool>(), at in 12usize..60, value in any::<u8>(), payload in 0usize..40, padding in 0usize..8,
    ) {
        let mut frame = if v6 { udp6(&vec![7; payload]) } else { tcp4(&vec![7; payload]) };
        frame.extend(std::iter::repeat_n(0, padding));
        if at < frame.len() {
            frame[at] = value;
        }
        let ours = parse(&frame);
        if let Some(fast) = common(&frame) {
            let slow = ours.expect("what the fast parser takes, the full one takes");
            prop_assert_eq!(format!("{fast:?}"), format!("{slow:?}"));
        }
        if let (Ok(ours), Ok(theirs)) = (ours, SlicedPacket::from_ethernet(&frame)) {
            use etherparse::TransportSlice::*;
            match theirs.transport {
                Some(Tcp(tcp)) if ours.protocol == Protocol::TCP =>
                    prop_assert_eq!((tcp.source_port(), tcp.destination_port()), (ours.source_port, ours.destination_port)),
                Some(Udp(udp)) if ours.protocol == Protocol::UDP =>
                    prop_assert_eq!((udp.source_port(), udp.destination_port()), (ours.source_port, ours.destination_port)),
                _ => {}
            }
        }
    }
}
