//! Adverts and announcements byte for byte, as keepalived sends them.

use std::time::Duration;

use proptest::prelude::*;

use crate::vrrp::frames::announcement;
use crate::vrrp::packet::Packet;
use crate::vrrp::spec::Version;
use crate::vrrp::wire::{Advert, Authentication, Checksum, Ends, Malformed};
use crate::wire::{Addr, Mac};

pub(super) fn addr(text: &str) -> Addr {
    text.parse::<std::net::IpAddr>().unwrap().into()
}

pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn ends(source: &str, destination: &str) -> Ends {
    Ends { source: addr(source), destination: addr(destination) }
}

fn advert(version: Version, router: u8, priority: u8, interval_ms: u64, addresses: &[&str]) -> Advert {
    Advert {
        version,
        router,
        priority,
        interval: Duration::from_millis(interval_ms),
        authentication: Authentication::None,
        addresses: addresses.iter().map(|text| addr(text)).collect(),
    }
}

#[test]
fn adverts_are_those_that_keepalived_sends() {
    let password = Authentication::Password(*b"1111\0\0\0\0");
    let vip = &["192.168.146.100"][..];
    let secured = |priority| Advert { authentication: password, ..advert(Version::V2, 51, priority, 1000, vip) };
    let v3 = |priority, interval| advert(Version::V3, 51, priority, interval, vip);
    let v6 = advert(Version::V3, 52, 100, 1000, &["fe80::146:100", "fd00:146::100"]);
    let (group, peer) = (ends("192.168.146.11", "224.0.0.18"), ends("192.168.146.11", "192.168.146.12"));
    // `old_unicast_checksum`.
    let old = advert(Version::V3, 51, 100, 100, &["192.0.2.100", "192.0.2.101"]);
    let six = ends("fe80::ff:fe00:1", "ff02::12");
    for (advert, ends, form, bytes) in [
        (secured(100), group, Checksum::Journey, "21336401 0101c45a c0a89264 31313131 00000000"),
        (secured(100), peer, Checksum::Journey, "21336401 0101c45a c0a89264 31313131 00000000"),
        (secured(0), group, Checksum::Journey, "21330001 0101285b c0a89264 31313131 00000000"),
        (
            advert(Version::V2, 51, 100, 1000, vip),
            group,
            Checksum::Journey,
            "21336401 000127bd c0a89264 00000000 00000000",
        ),
        (v3(100, 1000), group, Checksum::Journey, "31336401 0064e416 c0a89264"),
        (v3(100, 1000), peer, Checksum::Journey, "31336401 00647174 c0a89264"),
        (v3(100, 1000), group, Checksum::Bare, "31336401 0064175a c0a89264"),
        (old, ends("192.0.2.1", "192.0.2.2"), Checksum::Group, "31336402 000a4361 c0000264 c0000265"),
        (v3(100, 100), group, Checksum::Journey, "31336401 000ae470 c0a89264"),
        (v3(0, 1000), group, Checksum::Journey, "31330001 00644817 c0a89264"),
        (
            v6,
            six,
            Checksum::Journey,
            "31346402 00646d28 fe800000000000000000000001460100 fd000146000000000000000000000100",
        ),
    ] {
        assert_eq!(advert.emit(ends, form), hex(bytes), "{advert:?}");
        assert_eq!(Advert::parse(&hex(bytes), ends), Ok(advert));
    }
}

#[test]
fn the_header_is_the_one_that_keepalived_sends() {
    let packet = Packet { ends: ends("192.168.146.11", "224.0.0.18"), ttl: 255, payload: &[0; 20], header: None };
    assert_eq!(packet.emit(1)[..20], hex("45c00028 00010000 ff7087de c0a8920b e0000012"));
    assert_eq!(Packet::parse(&packet.emit(1)), Some(packet));
    let packet = Packet { ends: ends("fe80::1", "ff02::12"), ttl: 255, payload: &[0; 40], header: None };
    assert_eq!(packet.emit(1)[..8], hex("6c000000 0028 70 ff"));
    assert_eq!(Packet::parse(&packet.emit(1)), Some(packet));
}

#[test]
fn only_whole_vrrp_packets_are_read_and_padding_is_cut() {
    let packet = Packet { ends: ends("192.0.2.1", "224.0.0.18"), ttl: 255, payload: &[7; 20], header: None };
    let whole = packet.emit(9);
    let padded = [&whole[..], &[0; 6]].concat();
    assert_eq!(Packet::parse(&padded), Some(packet));
    let mut other = whole.clone();
    other[9] = 17;
    let mut fragment = whole.clone();
    fragment[6] = 0x20;
    for bytes in [&whole[..39], &whole[..10], &[], &other, &fragment, &[0x44; 60]] {
        assert_eq!(Packet::parse(bytes), None);
    }
    let options = [&[0x46], &whole[1..3], &[44], &whole[4..20], &[1; 4], &whole[20..]].concat();
    assert_eq!(Packet::parse(&options), Some(packet), "options of the header are skipped");
}

#[test]
fn what_is_no_advert_is_told_apart() {
    let ends = ends("192.168.146.11", "224.0.0.18");
    let good = hex("31336401 0064e416 c0a89264");
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    for (bytes, fault) in [
        (good[..7].to_vec(), Malformed::Length),
        (good[..11].to_vec(), Malformed::Length),
        ([&good[..], &[0]].concat(), Malformed::Length),
        (with(3, 2), Malformed::Length),
        (with(0, 0x41), Malformed::Version),
        (with(0, 0x32), Malformed::Type),
        (with(2, 101), Malformed::Checksum),
    ] {
        assert_eq!(Advert::parse(&bytes, ends), Err(fault), "{bytes:02x?}");
    }
}

#[test]
fn announcements_are_those_that_keepalived_sends() {
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    assert_eq!(
        announcement(addr("192.168.146.100"), mac, false),
        hex("ffffffffffff 020000000001 0806 0001 0800 0604 0001 020000000001 c0a89264 ffffffffffff c0a89264")
    );
    let frame = announcement(addr("fd00:146::100"), mac, false);
    assert_eq!(frame.len(), 86);
    assert_eq!(frame[..22], hex("333300000001 020000000001 86dd 60000000 0020 3aff"));
    assert_eq!(frame[54..56], [136, 0]);
    assert_eq!(frame[58..62], hex("20000000"));
    assert_eq!(frame[78..], hex("0201 020000000001"));
    let (from, to, length) = (addr("fd00:146::100"), addr("ff02::1"), 32);
    let pseudo = crate::wire::checksum::pseudo_header(from, to, 58, length);
    assert_eq!(crate::wire::checksum::finish(pseudo, &frame[54..]), 0, "the checksum is right");
    assert_eq!(announcement(addr("fd00:146::100"), mac, true)[58], 0xa0, "a router says so");
}

proptest! {
    #[test]
    fn what_is_sent_is_read_back(
        v3 in any::<bool>(),
        six in any::<bool>(),
        router in 1_u8..,
        priority in any::<u8>(),
        centis in 1_u64..4096,
        password in any::<Option<[u8; 8]>>(),
        form in prop_oneof![Just(Checksum::Journey), Just(Checksum::Bare), Just(Checksum::Group)],
        addresses in proptest::collection::vec(any::<u32>(), 0..20),
    ) {
        let v3 = v3 || six;
        let address = |bits: u32| if six { Addr { hi: 0xfd00 << 48, lo: u64::from(bits) } } else { Addr::v4(bits) };
        let advert = Advert {
            version: if v3 { Version::V3 } else { Version::V2 },
            router,
            priority,
            interval: if v3 { Duration::from_millis(centis * 10) } else { Duration::from_secs(centis % 255 + 1) },
            authentication: password.filter(|_| !v3).map_or(Authentication::None, Authentication::Password),
            addresses: addresses.into_iter().map(address).collect(),
        };
        let ends = if six { ends("fe80::1", "ff02::12") } else { ends("192.0.2.1", "224.0.0.18") };
        let bytes = advert.emit(ends, form);
        prop_assert_eq!(Advert::parse(&bytes, ends), Ok(advert));
    }

    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..120), first in 0_u8..8) {
        let mut bytes = bytes;
        if let Some(byte) = bytes.first_mut() {
            *byte = *byte & 0xf | first << 4;
        }
        if let Some(packet) = Packet::parse(&bytes) {
            let _ = Advert::parse(packet.payload, packet.ends);
        }
        let _ = Advert::parse(&bytes, ends("192.0.2.1", "224.0.0.18"));
    }
}
