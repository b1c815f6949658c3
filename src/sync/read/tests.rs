use proptest::prelude::*;

use super::*;
use crate::sync::wire::{DEFAULT_MAXLEN, Message};

fn read(bytes: &[u8]) -> Result<Vec<Result<Option<SyncRecord>, Malformed>>, Malformed> {
    Incoming::parse(bytes).map(|message| message.records().collect())
}

fn v4() -> SyncRecord {
    SyncRecord {
        protocol: 6,
        flags: Flags(0x183),
        state: 4,
        fwmark: 9,
        timeout: 120,
        client: "198.51.100.7:40000".parse().unwrap(),
        virtual_: "192.0.2.1:80".parse().unwrap(),
        real: "10.1.0.11:8080".parse().unwrap(),
        call: None,
    }
}

fn v6() -> SyncRecord {
    SyncRecord {
        client: "[2001:db8::7]:40000".parse().unwrap(),
        virtual_: "[2001:db8:1::1]:443".parse().unwrap(),
        real: "[2001:db8:2::b]:8443".parse().unwrap(),
        ..v4()
    }
}

fn written(records: &[SyncRecord]) -> Vec<u8> {
    let mut message = Message::new(7, DEFAULT_MAXLEN);
    records.iter().for_each(|record| assert!(message.push(record)));
    message.finish()
}

/// A message of version 1 around records that are given as they stand.
fn framed(count: u8, records: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0, 7, 0, 0, count, 1, 0, 0];
    records.iter().for_each(|record| bytes.extend(*record));
    let size = (bytes.len() as u16).to_be_bytes();
    bytes[2..4].copy_from_slice(&size);
    bytes
}

/// A record with options behind it, padded.
fn with_options(record: &SyncRecord, options: &[u8]) -> Vec<u8> {
    let mut bytes = written(&[*record])[HEADER..].to_vec();
    bytes.extend(options);
    let length = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[test]
fn what_is_written_is_read() {
    let records = [v4(), v6(), v4()];
    let expected: Vec<_> = records.iter().map(|&record| Ok(Some(record))).collect();
    assert_eq!(read(&written(&records)), Ok(expected));
    assert_eq!(Incoming::parse(&written(&records)).unwrap().syncid, 7);
}

/// What Linux 6.12.111 sent for two connections by DR that ended, the second of which it knew from us, each with its
/// template.
#[test]
fn a_message_of_a_live_kernel() {
    #[rustfmt::skip]
    let bytes = [
        0x00, 0x07, 0x00, 0x98, 0x04, 0x01, 0x00, 0x00, 0x00, 0x06, 0x00, 0x24, 0x00, 0x00, 0x01, 0x83, 0x00, 0x04, 0x9c, 0x40,
        0x00, 0x50, 0x00, 0x50, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x78, 0x0a, 0x01, 0x00, 0x01, 0x0a, 0x09, 0x09, 0x09,
        0x0a, 0x01, 0x00, 0x04, 0x00, 0x06, 0x00, 0x24, 0x00, 0x00, 0x11, 0x83, 0x00, 0x01, 0x00, 0x00, 0x00, 0x50, 0x00, 0x50,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x68, 0x0a, 0x01, 0x00, 0x01, 0x0a, 0x09, 0x09, 0x09, 0x0a, 0x01, 0x00, 0x04,
        0x00, 0x06, 0x00, 0x24, 0x00, 0x00, 0x11, 0x83, 0x00, 0x01, 0x00, 0x00, 0x00, 0x50, 0x00, 0x50, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x01, 0x68, 0x0a, 0x01, 0x00, 0x01, 0x0a, 0x09, 0x09, 0x09, 0x0a, 0x01, 0x00, 0x04, 0x00, 0x06, 0x00, 0x24,
        0x00, 0x00, 0x01, 0xa3, 0x00, 0x04, 0x9c, 0x41, 0x00, 0x50, 0x00, 0x50, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x78,
        0x0a, 0x01, 0x00, 0x01, 0x0a, 0x09, 0x09, 0x09, 0x0a, 0x01, 0x00, 0x04,
    ];
    let connection = |port: u16, flags| SyncRecord {
        protocol: 6,
        flags: Flags(flags),
        state: 4,
        fwmark: 0,
        timeout: 120,
        client: Endpoint::new(std::net::Ipv4Addr::new(10, 1, 0, 1), port),
        virtual_: "10.9.9.9:80".parse().unwrap(),
        real: "10.1.0.4:80".parse().unwrap(),
        call: None,
    };
    let template = SyncRecord { state: 1, timeout: 360, ..connection(0, 0x1183) };
    let expected = [connection(40000, 0x183), template, template, connection(40001, 0x1a3)];
    assert_eq!(read(&bytes), Ok(expected.map(|record| Ok(Some(record))).to_vec()));
}

#[test]
fn version_0_knows_less_and_may_carry_sequence_numbers() {
    #[rustfmt::skip]
    let plain = [
        0, 6, 0x9c, 0x40, 0x00, 0x50, 0x1f, 0x90, 0xc6, 0x33, 0x64, 0x07, 0xc0, 0x00, 0x02, 0x01,
        0x0a, 0x01, 0x00, 0x0b, 0x01, 0x83, 0x00, 0x04,
    ];
    let mut shifted = plain;
    shifted[20] = 0x02;
    let mut bytes = vec![2, 7, 0, 4 + 24 + 24 + 24];
    bytes.extend(shifted);
    bytes.extend([0xaa; 24]);
    bytes.extend(plain);
    let expected = SyncRecord { fwmark: 0, timeout: 0, ..v4() };
    let first = SyncRecord { flags: Flags(0x283), ..expected };
    assert_eq!(read(&bytes), Ok(vec![Ok(Some(first)), Ok(Some(expected))]));

    bytes[0] = 3;
    assert_eq!(read(&bytes).unwrap()[2], Err(Malformed::Truncated), "more are announced than there are");
}

#[test]
fn a_message_with_a_wrong_frame_is_not_read() {
    let good = written(&[v4()]);
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        bytes
    };
    let cases: [(&str, Vec<u8>, Malformed); 4] = [
        ("nothing", vec![], Malformed::Header),
        ("three bytes", vec![0, 0, 0], Malformed::Header),
        ("says it is longer", changed(3, 45), Malformed::Size),
        ("cut short", good[..43].to_vec(), Malformed::Size),
    ];
    for (what, bytes, fault) in cases {
        assert_eq!(read(&bytes), Err(fault), "{what}");
    }
    // The first byte is 0, so as version 0 it holds no record: a later version tells us nothing, but does no harm.
    for (at, to) in [(5, 2), (6, 1), (7, 1)] {
        assert_eq!(read(&changed(at, to)), Ok(vec![]), "byte {at}");
    }
}

#[test]
fn a_broken_record_ends_the_message_and_those_before_it_count() {
    let good = with_options(&v4(), &[]);
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        bytes
    };
    let cases = [
        ("too long for the message", changed(3, 200), Malformed::Truncated),
        ("shorter than its kind", changed(3, 35), Malformed::Truncated),
        ("IPv6 in 36 bytes", changed(0, 1), Malformed::Truncated),
        ("another version", changed(2, 0x10), Malformed::Kind),
        ("another kind", changed(0, 2), Malformed::Kind),
        ("half a record", good[..20].to_vec(), Malformed::Truncated),
        ("an option without length", with_options(&v4(), &[1]), Malformed::Options),
        ("an empty option", with_options(&v4(), &[2, 0]), Malformed::Options),
        ("an option that is longer than its record", with_options(&v4(), &[2, 3, 0, 0]), Malformed::Options),
        ("short sequence numbers", with_options(&v4(), &[1, 2, 0, 0]), Malformed::Options),
        ("a long name", with_options(&v4(), &[&[3, 17][..], &[0; 17]].concat()), Malformed::Options),
        ("an option twice", with_options(&v4(), &[2, 1, 0, 2, 1, 0]), Malformed::Options),
    ];
    for (what, broken, fault) in cases {
        let bytes = framed(3, &[&good, &broken, &good]);
        let last = if broken.len() < RECORD_V4 { framed(2, &[&good, &broken]) } else { bytes };
        assert_eq!(read(&last), Ok(vec![Ok(Some(v4())), Err(fault)]), "{what}");
    }
}

#[test]
fn options_are_understood_or_skipped_and_drop_their_record_only_if_they_must() {
    let call = SyncRecord { flags: Flags(0x1100), state: 0, call: CallId::new(b"a@b"), ..v4() };
    let sequences = [&[1, 24][..], &[0; 24]].concat();
    let cases: [(&str, SyncRecord, &[u8], bool); 12] = [
        ("sequence numbers", v4(), &sequences, true),
        ("marked as ignorable", v4(), &[0x41, 24].iter().copied().chain([0; 24]).collect::<Vec<_>>(), true),
        ("an unknown one, ignorable", v4(), &[0x50, 3, 1, 2, 3], true),
        ("an unknown one, mandatory", v4(), &[0x10, 3, 1, 2, 3], false),
        ("option 0, mandatory", v4(), &[0, 1, 0], false),
        ("an engine's data of a connection", v4(), &[2, 3, 1, 2, 3], true),
        ("an engine's data of a template", call, &[2, 3, b'a', b'@', b'b', 3, 3, b's', b'i', b'p'], true),
        ("data that no Call-ID has", call, &[2, 3, 1, 2, 3, 3, 3, b's', b'i', b'p'], false),
        ("another engine", call, &[2, 3, b'a', b'@', b'b', 3, 3, b'x', b'i', b'p'], false),
        ("data without an engine", call, &[2, 3, b'a', b'@', b'b'], false),
        ("an engine without data", call, &[3, 3, b's', b'i', b'p'], false),
        ("option 7 twice, ignorable", v4(), &[0x47, 1, 0, 0x47, 1, 0], true),
    ];
    for (what, record, options, kept) in cases {
        // A record behind it shows that padding is stepped over.
        let bytes =
            framed(2, &[&with_options(&SyncRecord { call: None, ..record }, options), &with_options(&v6(), &[])]);
        assert_eq!(read(&bytes), Ok(vec![Ok(kept.then_some(record)), Ok(Some(v6()))]), "{what}");
    }
}

#[test]
fn the_last_record_needs_no_padding() {
    let mut record = with_options(&v4(), &[0x50, 3, 1, 2, 3]);
    record.truncate(41);
    assert_eq!(read(&framed(1, &[&record])), Ok(vec![Ok(Some(v4()))]));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), framed in any::<bool>()) {
        if framed && bytes.len() >= HEADER {
            let size = (bytes.len() as u16).to_be_bytes();
            bytes[0] = 0;
            bytes[2..4].copy_from_slice(&size);
            bytes[5..8].copy_from_slice(&[1, 0, 0]);
        }
        if let Ok(records) = read(&bytes) {
            prop_assert!(records.len() <= 255);
            let faults = records.iter().filter(|record| record.is_err()).count();
            prop_assert!(faults == 0 || (faults == 1 && records.last().is_some_and(Result::is_err)));
        }
    }

    #[test]
    fn a_good_message_with_one_wrong_byte_never_yields_more_than_it_held(at in 1usize..152, to in any::<u8>()) {
        let mut bytes = written(&[v4(), v6(), v4()]);
        bytes[at] = to;
        if let Ok(records) = read(&bytes) {
            prop_assert!(records.iter().filter(|record| record.is_ok()).count() <= 4);
        }
    }

    #[test]
    fn records_survive_the_journey(
        protocol in any::<u8>(), flags in any::<u32>(), state in any::<u16>(), fwmark in any::<u32>(), timeout in any::<u32>(),
        ports in any::<[u16; 3]>(), low in any::<[u32; 3]>(), is_v6 in any::<bool>(), id in "[a-z0-9@]{0,255}",
    ) {
        let address = |bits: u32| if is_v6 { Addr { hi: 0x2001_0db8 << 32, lo: u64::from(bits) } } else { Addr::v4(bits) };
        let end = |nth: usize| Endpoint { addr: address(low[nth]), port: ports[nth] };
        let flags = Flags(flags);
        let call = CallId::new(id.as_bytes()).filter(|_| flags.any(Flags::TEMPLATE));
        let record = SyncRecord { protocol, flags, state, fwmark, timeout, client: end(0), virtual_: end(1), real: end(2), call };
        prop_assert_eq!(read(&written(&[record])), Ok(vec![Ok(Some(record))]));
    }
}
