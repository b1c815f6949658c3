//! Authentication headers and trailers: the bytes, and what is not taken.

use std::time::Duration;

use super::bytes::{addr, hex};
use super::pains::ms;
use crate::vrrp::accept::Rejection;
use crate::vrrp::packet::Packet;
use crate::vrrp::proof::Proof;
use crate::vrrp::proof::trailer::{Key, Mode, Trailer};
use crate::vrrp::spec::{Peer, Peers, Version};
use crate::vrrp::{Routers, Spec};
use crate::wire::Family;

/// As keepalived 2.2.7 sent them, with the password 1111: its first adverts, by multicast and to a peer.
const HEADERS: [&str; 2] = [
    "45c00040 00010000 ff338803 c0a8920b e0000012 70040000 c0a8920b 00000001 70ac5f4d757dfca4a5d41776 \
     21336401 020125bd c0a89264 00000000 00000000",
    "45c00040 00010000 ff331561 c0a8920b c0a8920c 70040000 c0a8920b 00000001 ca4efbe1f4f01444957aab61 \
     21336401 020125bd c0a89264 00000000 00000000",
];

/// Worked out by Python's `hmac` and `hashlib` from the description in `proof::trailer`, with the key 00 01 02 ... 1f as
/// number 1 and the sequence 0x65432100_8000_0007: version 2 by multicast, version 3 to a peer, version 3 over IPv6.
const TRAILERS: [&str; 3] = [
    "21336401 000127bd c0a89264 0000000000000000 01010000 65432100 80000007 79db9a664b2e17bc8bff63b227874048",
    "31336401 00647174 c0a89264 01010000 65432100 80000007 6827fbb2c31e0f0d838feeffa9549819",
    "31346402 00646a3c fe800000000000000000000001460100 fd000146000000000000000000000100 \
     01010000 65432100 80000007 17b0eee35c7d744cdf04a6783e4f6059",
];

fn spec(proof: Proof) -> Spec {
    Spec { proof, addresses: vec![addr("192.168.146.100")], ..Spec::new("VI", "eth0", 51, Family::V4) }
}

fn to_peer(spec: Spec) -> Spec {
    let peer = Peer { address: addr("192.168.146.12"), ttl: (0, 255) };
    Spec { peers: Peers::Unicast { peers: vec![peer], ttl: 255, only_peers: false }, ..spec }
}

fn header() -> Proof {
    Proof::Header(*b"1111\0\0\0\0")
}

fn trailer(mode: Mode) -> Trailer {
    Trailer { keys: vec![(1, Key((0..32).collect())), (2, Key(vec![7; 40]))], active: 1, mode, window: Some(5) }
}

fn enforced() -> Proof {
    Proof::Trailer(trailer(Mode::Enforce))
}

/// The time of day in [`TRAILERS`].
fn wall() -> Duration {
    Duration::from_secs(0x6543_2100) + ms(500)
}

/// A director that sends from `own`, at this time of day.
fn director(spec: Spec, own: &str, wall: Duration) -> Routers {
    let mut routers = Routers::new(vec![spec], &[], ms(0), ms(0));
    routers.set_clock(wall, ms(0));
    routers.interface(0, Some(addr(own)), ms(0));
    routers
}

/// What a director sends first.
fn sent(spec: Spec, own: &str) -> Vec<u8> {
    director(spec, own, ms(0)).datagrams(0, 100, ms(0)).remove(0).1
}

/// What a director that expects `proof` makes of packets: how many count, and why others do not.
fn heard(spec: Spec, wall: Duration, packets: &[Vec<u8>]) -> (u64, Vec<Rejection>) {
    let mut routers = director(spec, "192.168.146.13", wall);
    for bytes in packets {
        routers.received("eth0", &Packet::parse(bytes).expect("it is VRRP"), ms(0));
    }
    let counters = routers.members()[0].counters();
    let refused = Rejection::ALL.into_iter().flat_map(|why| vec![why; counters.rejected[why as usize] as usize]);
    (counters.received, refused.collect())
}

#[test]
fn headers_are_those_of_keepalived() {
    assert_eq!(sent(spec(header()), "192.168.146.11"), hex(HEADERS[0]));
    assert_eq!(sent(to_peer(spec(header())), "192.168.146.11"), hex(HEADERS[1]));
    assert_eq!(heard(spec(header()), ms(0), &[hex(HEADERS[0])]), (1, vec![]));
    assert_eq!(heard(to_peer(spec(header())), ms(0), &[hex(HEADERS[1])]), (1, vec![]));
}

#[test]
fn an_altered_missing_or_repeated_header_does_not_count() {
    let good = hex(HEADERS[0]);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] ^= byte;
        bytes
    };
    let bad = Rejection::Authentication;
    // The address that it is for, index, sequence, value, and the last byte of the advert's own data.
    for at in [5, 27, 31, 40, 63] {
        let (counted, why) = heard(spec(header()), ms(0), &[with(at, 1)]);
        assert_eq!((counted, why.len()), (0, 1), "byte {at}");
    }
    assert_eq!(heard(spec(header()), ms(0), &[with(1, 0x20)]), (1, vec![]), "routers may change the type of service");
    assert_eq!(heard(spec(header()), ms(0), &[with(36, 1)]), (0, vec![bad]));
    assert_eq!(heard(spec(header()), ms(0), &[good.clone(), good.clone()]), (1, vec![Rejection::Replay]));
    assert_eq!(heard(spec(header()), ms(0), &[sent(spec(Proof::None), "192.168.146.11")]), (0, vec![bad]));
    assert_eq!(heard(spec(Proof::None), ms(0), &[good]), (0, vec![bad]));
    let other = sent(spec(Proof::Header(*b"2222\0\0\0\0")), "192.168.146.11");
    assert_eq!(heard(spec(header()), ms(0), &[other]), (0, vec![bad]));
}

#[test]
fn trailers_are_those_that_keepalived_describes() {
    let v3 = |spec| Spec { version: Version::V3, ..spec };
    let v6 = Spec {
        addresses: vec![addr("fe80::146:100"), addr("fd00:146::100")],
        proof: enforced(),
        ..Spec::new("VI", "eth0", 52, Family::V6)
    };
    for (spec, own, header, expected) in [
        (spec(enforced()), "192.168.146.11", 20, TRAILERS[0]),
        (v3(to_peer(spec(enforced()))), "192.168.146.11", 20, TRAILERS[1]),
        (v6, "fe80::ff:fe00:1", 40, TRAILERS[2]),
    ] {
        let mut sender = director(spec.clone(), own, wall());
        // The counter goes on from 0 while the clock stands still.
        let packet = (0..8).map(|_| sender.datagrams(0, 100, ms(0)).remove(0).1).last().expect("eight were sent");
        assert_eq!(packet[header..], hex(expected), "{spec:?}");
        let own = if header == 20 { "192.168.146.13" } else { "fe80::3" };
        let mut receiver = director(spec, own, wall());
        receiver.received("eth0", &Packet::parse(&packet).expect("it is VRRP"), ms(0));
        assert_eq!(receiver.members()[0].counters().received, 1);
    }
}

#[test]
fn an_altered_missing_late_or_repeated_trailer_does_not_count() {
    let of = |proof, wall| director(spec(proof), "192.168.146.11", wall).datagrams(0, 100, ms(0)).remove(0).1;
    let good = of(enforced(), wall());
    let enforcing = |wall, packets: &[Vec<u8>]| heard(spec(enforced()), wall, packets);
    let bad = Rejection::Authentication;
    assert_eq!(enforcing(wall(), std::slice::from_ref(&good)), (1, vec![]));
    assert_eq!(enforcing(wall(), &[good.clone(), good.clone()]), (1, vec![Rejection::Replay]));
    // Scheme, number of the key, what is reserved, time, value.
    for at in [40, 41, 42, 47, 67] {
        let mut altered = good.clone();
        altered[at] ^= 1;
        assert_eq!(enforcing(wall(), &[altered]), (0, vec![bad]), "byte {at}");
    }
    assert_eq!(enforcing(wall() + ms(6000), std::slice::from_ref(&good)), (0, vec![Rejection::Stale]));
    assert_eq!(enforcing(wall() - ms(6000), std::slice::from_ref(&good)), (0, vec![Rejection::Stale]));
    let other_source = [&good[..15], &[77], &good[16..]].concat();
    assert_eq!(enforcing(wall(), &[other_source]), (0, vec![bad]), "it names its sender");

    // A migration: without, receive-only, permissive, enforced.
    let (without, second) = (of(Proof::None, wall()), Proof::Trailer(Trailer { active: 2, ..trailer(Mode::Enforce) }));
    let receiving = Proof::Trailer(trailer(Mode::ReceiveOnly));
    let permissive = Proof::Trailer(trailer(Mode::Permissive));
    assert_eq!(of(receiving.clone(), wall()), without);
    assert_eq!(of(permissive.clone(), wall()), good);
    assert_eq!(enforcing(wall(), std::slice::from_ref(&without)), (0, vec![bad]));
    for proof in [receiving, permissive] {
        assert_eq!(heard(spec(proof.clone()), wall(), &[without.clone(), good.clone()]), (2, vec![]));
        let mut altered = good.clone();
        altered[67] ^= 1;
        assert_eq!(heard(spec(proof), wall(), &[altered]), (0, vec![bad]), "what is there must be right");
    }
    assert_eq!(enforcing(wall(), &[of(second, wall())]), (1, vec![]), "any of the keys");
    assert_eq!(heard(spec(Proof::None), wall(), &[good]), (0, vec![Rejection::Length]));
}
