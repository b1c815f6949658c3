//! Frames of a local stack: their transport checksum is only the pseudo header's sum.

use ringmaster::forward::Reason;
use ringmaster::io::PacketIo;
use ringmaster::service::{Method, Options};
use ringmaster::time::Tick;
use ringmaster::wire::checksum::{fold, pseudo_header};

use crate::offline::*;
use crate::packets::{Packet, tcp, udp};

const NOW: Tick = Tick(100);

/// Leaves the checksum as a sending stack with checksum offload does.
fn unfinished(packet: &Packet) -> Vec<u8> {
    let mut frame = packet.bytes();
    let l4 = if packet.source.0.is_ipv4() { 34 } else { 54 };
    let (protocol, at) = if matches!(packet.kind, crate::packets::Kind::Udp) { (17, l4 + 6) } else { (6, l4 + 16) };
    let length = (frame.len() - l4) as u32;
    let sum = fold(pseudo_header(packet.source.0.into(), packet.destination.0.into(), protocol, length));
    frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// `Packet::read` verifies every checksum of what came out, inner ones too.
#[test]
fn an_unfinished_checksum_is_finished_in_every_method() {
    for method in [Method::Nat, Method::Dr, Method::IPIP] {
        for (vip, client, server) in [
            ("192.0.2.10:80", "198.51.100.7:40000", "10.1.0.11:80"),
            ("[2001:db8::10]:80", "[2001:db8:f::7]:40000", "[2001:db8:1::11]:80"),
        ] {
            let services = [Wanted::tcp(vip, method, &[server]), Wanted::udp(vip, method, &[server])];
            let mut director = director(snapshot(&services, Options::RINGMASTER), 100);
            for packet in [tcp(client, vip, "S").with_payload(b"odd"), udp(client, vip, b"odd")] {
                let mut frame = pass(&mut director, CLIENTS, &unfinished(&packet), NOW).remove(0).1;
                if method == Method::IPIP {
                    let outer = if vip.starts_with('[') { 40 } else { 20 };
                    frame.drain(14..14 + outer);
                }
                assert_eq!(Packet::read(&frame).payload, b"odd");
            }
            assert_eq!(director.counters.checksum_completed.get(), 2);
        }
    }
}

#[test]
fn what_is_given_to_the_kernel_is_finished_too() {
    let mut director =
        director(snapshot(&[Wanted::tcp("192.0.2.10:80", Method::Nat, &["10.1.0.11:80"])], Options::RINGMASTER), 100);
    let nobodys = [tcp("10.1.0.11:80", "203.0.113.9:25", "S"), udp("[2001:db8::7]:53", "[2001:db8::8]:53", b"odd")];
    for packet in &nobodys {
        assert!(pass(&mut director, SERVERS, &unfinished(packet), NOW).is_empty());
    }
    let passed = director.worker.io().take_passed();
    assert_eq!(passed.iter().map(|frame| Packet::read(frame)).collect::<Vec<_>>(), nobodys);
    assert_eq!(director.counters.checksum_completed.get(), 2);
}

/// As a real ring, that of the port in memory has its bounds.
#[test]
fn what_finds_no_room_on_its_way_to_the_kernel_is_counted() {
    let mut director =
        director(snapshot(&[Wanted::tcp("192.0.2.10:80", Method::Nat, &["10.1.0.11:80"])], Options::RINGMASTER), 100);
    let frame = tcp("10.1.0.11:80", "203.0.113.9:25", "S").bytes();
    for _ in 0..600 {
        assert!(pass(&mut director, SERVERS, &frame, NOW).is_empty());
    }
    let passed = director.worker.io().take_passed().len();
    assert_eq!(director.counters.passed.get(), passed as u64);
    assert_eq!(director.counters.reason(Reason::NotPassed), 600 - passed as u64);
    assert!((1..600).contains(&passed) && director.worker.io().in_hand() == 0);
}

#[test]
fn a_port_of_real_hardware_is_spared_the_test() {
    let mut director =
        director(snapshot(&[Wanted::tcp("192.0.2.10:80", Method::Nat, &["10.1.0.11:80"])], Options::RINGMASTER), 100);
    director.worker.io().set_partial_checksums(false);
    pass(&mut director, CLIENTS, &unfinished(&tcp("198.51.100.7:40000", "192.0.2.10:80", "S")), NOW);
    assert_eq!(director.counters.checksum_completed.get(), 0);
}

#[test]
fn a_wrong_checksum_stays_wrong_by_as_much() {
    let mut director =
        director(snapshot(&[Wanted::tcp("192.0.2.10:80", Method::Nat, &["10.1.0.11:80"])], Options::RINGMASTER), 100);
    let mut frame = tcp("198.51.100.7:40000", "192.0.2.10:80", "S").bytes();
    let good = pass(&mut director, CLIENTS, &frame, NOW).remove(0).1;
    frame[51] ^= 0x10;
    let bad = pass(&mut director, CLIENTS, &frame, NOW).remove(0).1;
    assert_ne!(good[50..52], bad[50..52]);
}

#[test]
fn udp_without_a_checksum_gets_one_where_it_is_rewritten() {
    for (vip, client, server, at) in [
        ("192.0.2.10:53", "198.51.100.7:40000", "10.1.0.11:5353", 40),
        ("[2001:db8::10]:53", "[2001:db8:f::7]:40000", "[2001:db8:1::11]:5353", 60),
    ] {
        let mut director = director(snapshot(&[Wanted::udp(vip, Method::Nat, &[server])], Options::RINGMASTER), 100);
        for (port, from, to, rewritten) in [
            (CLIENTS, client, vip, udp(client, server, b"payload")),
            (SERVERS, server, client, udp(vip, client, b"payload")),
        ] {
            let mut frame = udp(from, to, b"payload").bytes();
            frame[at..at + 2].fill(0);
            let out = pass(&mut director, port, &frame, NOW).remove(0).1;
            assert_eq!(out[at..at + 2], rewritten.bytes()[at..at + 2]);
        }
    }
}

#[test]
fn udp_without_a_checksum_stays_without_where_it_is_not() {
    let vip = "192.0.2.10:53";
    let mut director = director(snapshot(&[Wanted::udp(vip, Method::Dr, &["10.1.0.11:53"])], Options::RINGMASTER), 100);
    let mut frame = udp("198.51.100.7:40000", vip, b"query").bytes();
    frame[40..42].fill(0);
    let out = pass(&mut director, CLIENTS, &frame, NOW).remove(0).1;
    assert_eq!(out[40..42], [0, 0]);
}
