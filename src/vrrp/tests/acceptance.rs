//! Which adverts count: the verdicts of keepalived, and one better.

use std::time::Duration;

use super::bytes::addr;
use crate::vrrp::accept::{Heard, Rejection, judge, same_addresses};
use crate::vrrp::packet::Packet;
use crate::vrrp::proof::Proof;
use crate::vrrp::spec::{Peer, Peers, Spec, Version};
use crate::vrrp::wire::{Advert, Authentication, Checksum, Ends};
use crate::wire::Family;

const PASSWORD: [u8; 8] = *b"1111\0\0\0\0";

/// An advert and its journey, as they should be; each case spoils one thing.
struct Case {
    advert: Advert,
    ends: Ends,
    ttl: u8,
    spoil: Option<usize>,
}

fn good() -> Case {
    let advert = Advert {
        version: Version::V2,
        router: 51,
        priority: 100,
        interval: Duration::from_secs(1),
        authentication: Authentication::Password(PASSWORD),
        addresses: vec![addr("192.0.2.100"), addr("192.0.2.101")],
    };
    let ends = Ends { source: addr("192.0.2.11"), destination: addr("224.0.0.18") };
    Case { advert, ends, ttl: 255, spoil: None }
}

fn spec() -> Spec {
    Spec {
        proof: Proof::Password(PASSWORD),
        addresses: vec![addr("192.0.2.101"), addr("192.0.2.100")],
        ..Spec::new("VI", "eth0", 51, Family::V4)
    }
}

fn verdict(spec: &Spec, case: &Case) -> Result<Heard, Rejection> {
    let mut payload = case.advert.emit(case.ends, Checksum::Journey);
    if let Some(at) = case.spoil {
        payload[at] ^= 1;
    }
    let packet = Packet { ends: case.ends, ttl: case.ttl, payload: &payload, header: None };
    judge(spec, Some(addr("192.0.2.12")), &packet).map(|(heard, _)| heard)
}

#[test]
fn the_verdicts_are_those_of_keepalived() {
    let heard = Heard {
        from: addr("192.0.2.11"),
        priority: 100,
        interval: Duration::from_secs(1),
        checksum: Checksum::Journey,
    };
    assert_eq!(verdict(&spec(), &good()), Ok(heard));
    let change = |change: fn(&mut Case)| {
        let mut case = good();
        change(&mut case);
        verdict(&spec(), &case)
    };
    for (what, got, expected) in [
        (
            "wrong password",
            change(|case| case.advert.authentication = Authentication::Password([1; 8])),
            Rejection::Authentication,
        ),
        ("no password", change(|case| case.advert.authentication = Authentication::None), Rejection::Authentication),
        (
            "another type",
            change(|case| case.advert.authentication = Authentication::Other(2)),
            Rejection::Authentication,
        ),
        ("version 3", change(|case| case.advert.version = Version::V3), Rejection::Version),
        ("a router on the way", change(|case| case.ttl = 254), Rejection::Ttl),
        ("checksum", change(|case| case.spoil = Some(2)), Rejection::Checksum),
        ("interval", change(|case| case.advert.interval = Duration::from_secs(2)), Rejection::Interval),
        ("unicast", change(|case| case.ends.destination = addr("192.0.2.12")), Rejection::Mode),
        ("our own address", change(|case| case.ends.source = addr("192.0.2.12")), Rejection::Own),
    ] {
        assert_eq!(got, Err(expected), "{what}");
    }
    assert!(change(|case| case.advert.addresses.truncate(1)).is_ok(), "other addresses are told of, not refused");
}

#[test]
fn version_3_takes_the_master_s_interval_and_either_checksum() {
    let spec = Spec { version: Version::V3, proof: Proof::None, ..spec() };
    let mut case = good();
    case.advert.version = Version::V3;
    case.advert.authentication = Authentication::None;
    case.advert.interval = Duration::from_millis(250);
    assert_eq!(verdict(&spec, &case).map(|heard| heard.interval), Ok(Duration::from_millis(250)));
    let payload = case.advert.emit(case.ends, Checksum::Bare);
    assert!(judge(&spec, None, &Packet { ends: case.ends, ttl: 255, payload: &payload, header: None }).is_ok());
}

#[test]
fn peers_of_old_age_have_another_checksum() {
    let peers = Peers::Unicast { peers: vec![], ttl: 255, only_peers: false };
    let learning = Spec { version: Version::V3, proof: Proof::None, peers, ..spec() };
    let mut case = good();
    (case.advert.version, case.advert.authentication) = (Version::V3, Authentication::None);
    case.ends.destination = addr("192.0.2.12");
    let old = case.advert.emit(case.ends, Checksum::Group);
    let packet = Packet { ends: case.ends, ttl: 255, payload: &old, header: None };
    for (spec, expected) in [
        (learning.clone(), Ok(Checksum::Group)),
        (Spec { learns_checksum: false, ..learning.clone() }, Err(Rejection::Checksum)),
        (Spec { learns_checksum: false, checksum: Checksum::Group, ..learning.clone() }, Ok(Checksum::Group)),
    ] {
        assert_eq!(judge(&spec, None, &packet).map(|(heard, _)| heard.checksum), expected);
    }
    assert_eq!(
        verdict(&learning, &case).map(|heard| heard.checksum),
        Ok(Checksum::Journey),
        "the usual one is no old one"
    );
}

#[test]
fn unicast_knows_its_peers() {
    let peers = |only_peers| Peers::Unicast {
        peers: vec![Peer { address: addr("192.0.2.11"), ttl: (250, 255) }],
        ttl: 255,
        only_peers,
    };
    let mut case = good();
    case.ends.destination = addr("192.0.2.12");
    for (source, ttl, only_peers, expected) in [
        ("192.0.2.11", 255, true, None),
        ("192.0.2.11", 250, true, None),
        ("192.0.2.11", 249, true, Some(Rejection::Ttl)),
        ("192.0.2.99", 3, false, None),
        ("192.0.2.99", 255, true, Some(Rejection::Source)),
    ] {
        (case.ends.source, case.ttl) = (addr(source), ttl);
        let spec = Spec { peers: peers(only_peers), ..spec() };
        assert_eq!(verdict(&spec, &case).err(), expected, "{source} {ttl} {only_peers}");
    }
    case.ends = good().ends;
    assert_eq!(verdict(&Spec { peers: peers(false), ..spec() }, &case), Err(Rejection::Mode), "multicast");
}

#[test]
fn addresses_are_compared_as_sets() {
    let with = |list: &[&str]| Advert { addresses: list.iter().map(|text| addr(text)).collect(), ..good().advert };
    for (list, same) in [
        (&["192.0.2.100", "192.0.2.101"][..], true),
        (&["192.0.2.101", "192.0.2.100"], true),
        (&["192.0.2.100"], false),
        (&["192.0.2.100", "192.0.2.100"], false),
        (&["192.0.2.100", "192.0.2.101", "192.0.2.102"], false),
        (&["192.0.2.100", "192.0.2.102"], false),
    ] {
        assert_eq!(same_addresses(&spec(), &with(list)), same, "{list:?}");
    }
}
