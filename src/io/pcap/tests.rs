//! Files of every shape, whole and broken.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

/// A record without what it borrows.
#[derive(Clone, Debug, PartialEq)]
struct Owned {
    number: u64,
    time: Duration,
    original: u32,
    cut: bool,
    reframed: bool,
    frame: Result<Vec<u8>, Refusal>,
}

/// All records of a file, and the sentence it ends with if it is broken.
fn read(bytes: &[u8]) -> (Vec<Owned>, Option<String>) {
    let mut records = Vec::new();
    let mut reader = match Reader::new(Cursor::new(bytes.to_vec())) {
        Ok(reader) => reader,
        Err(error) => return (records, Some(error.to_string())),
    };
    loop {
        match reader.read() {
            Ok(Some(Record { number, time, original, cut, reframed, frame })) => {
                let frame = frame.map(<[u8]>::to_vec);
                records.push(Owned { number, time, original, cut, reframed, frame });
            }
            Ok(None) => return (records, None),
            Err(error) => {
                assert!(matches!(reader.read(), Ok(None)), "nothing follows an error");
                return (records, Some(error.to_string()));
            }
        }
    }
}

/// Lays out numbers in one byte order.
#[derive(Clone, Copy, Debug)]
enum Order {
    Big,
    Little,
}

impl Order {
    fn words(self, words: &[u32]) -> Vec<u8> {
        let bytes = |word: &u32| match self {
            Order::Big => word.to_be_bytes(),
            Order::Little => word.to_le_bytes(),
        };
        words.iter().flat_map(bytes).collect()
    }

    fn halves(self, halves: &[u16]) -> Vec<u8> {
        let bytes = |half: &u16| match self {
            Order::Big => half.to_be_bytes(),
            Order::Little => half.to_le_bytes(),
        };
        halves.iter().flat_map(bytes).collect()
    }

    fn pcap(self, magic: u32, link: u32, records: &[u8]) -> Vec<u8> {
        let head = [self.words(&[magic]), self.halves(&[2, 4]), self.words(&[0, 0, 65535, link])].concat();
        [head.as_slice(), records].concat()
    }

    fn record(self, seconds: u32, fraction: u32, original: u32, bytes: &[u8]) -> Vec<u8> {
        [self.words(&[seconds, fraction, bytes.len() as u32, original]), bytes.to_vec()].concat()
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
        let length = (12 + body.len() + padding.len()) as u32;
        [self.words(&[kind, length]), body.to_vec(), padding, self.words(&[length])].concat()
    }

    fn section(self) -> Vec<u8> {
        let body = [self.words(&[0x1a2b_3c4d]), self.halves(&[1, 0]), vec![0xff; 8]].concat();
        self.block(0x0a0d_0d0a, &body)
    }

    fn interface(self, link: u16, snap_length: u32, options: &[u8]) -> Vec<u8> {
        self.block(1, &[self.halves(&[link, 0]), self.words(&[snap_length]), options.to_vec()].concat())
    }

    fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
        [self.halves(&[code, value.len() as u16]), value.to_vec(), padding].concat()
    }

    fn enhanced(self, interface: u32, stamp: u32, original: u32, bytes: &[u8]) -> Vec<u8> {
        let head = self.words(&[interface, 0, stamp, bytes.len() as u32, original]);
        self.block(6, &[head, bytes.to_vec()].concat())
    }
}

const ORDERS: [Order; 2] = [Order::Big, Order::Little];

fn whole(number: u64, time: Duration, frame: &[u8]) -> Owned {
    Owned { number, time, original: frame.len() as u32, cut: false, reframed: false, frame: Ok(frame.to_vec()) }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn pcap_is_read_in_both_orders_and_units_plain_and_packed() {
    for order in ORDERS {
        for (magic, unit) in [(0xa1b2_c3d4, Duration::from_micros(1)), (0xa1b2_3c4d, Duration::from_nanos(1))] {
            let records = [order.record(7, 250, 5, b"first"), order.record(8, 0, 9, b"cut")].concat();
            let file = order.pcap(magic, 1, &records);
            let cut = Owned { original: 9, cut: true, ..whole(2, Duration::from_secs(8), b"cut") };
            let want = vec![whole(1, Duration::from_secs(7) + 250 * unit, b"first"), cut];
            assert_eq!(read(&file), (want.clone(), None), "{order:?} {unit:?}");
            assert_eq!(read(&gzip(&file)), (want.clone(), None), "{order:?} {unit:?} in gzip");
            let two_members = [gzip(&file[..30]), gzip(&file[30..])].concat();
            assert_eq!(read(&two_members), (want, None), "{order:?} {unit:?} in two gzip members");
        }
    }
}

#[test]
fn a_frame_check_sequence_is_left_off() {
    let announced = 1 | 1 << 26 | 2 << 28;
    let pcap = Order::Big.pcap(0xa1b2_c3d4, announced, &Order::Big.record(0, 0, 9, b"frame\x01\x02\x03\x04"));
    assert_eq!(read(&pcap).0[0].frame, Ok(b"frame".to_vec()));
    let part = Order::Big.pcap(0xa1b2_c3d4, announced, &Order::Big.record(0, 0, 9, b"frame\x01"));
    assert_eq!(read(&part).0[0].frame, Ok(b"frame".to_vec()), "what is left of it after the snap length");
    let silent = Order::Big.pcap(0xa1b2_c3d4, 1 | 2 << 28, &Order::Big.record(0, 0, 9, b"frame\x01\x02\x03\x04"));
    assert_eq!(read(&silent).0[0].frame, Ok(b"frame\x01\x02\x03\x04".to_vec()), "only if the header says so");
    let order = Order::Little;
    let interface = order.interface(1, 0, &order.option(13, &[32]));
    let ng = [order.section(), interface, order.enhanced(0, 0, 9, b"frame\x01\x02\x03\x04")].concat();
    assert_eq!(read(&ng).0[0].frame, Ok(b"frame".to_vec()));
}

/// Two sections of different byte order; interfaces of two clocks and two link types; all packet blocks; blocks and
/// options that mean nothing here; an option list without an end mark.
fn mixed_pcapng() -> (Vec<u8>, Vec<Owned>) {
    let [b, l] = ORDERS;
    let comment = |order: Order| order.option(1, b"not \xff UTF-8");
    let milliseconds = [comment(b), b.option(9, &[3]), b.option(14, &[0, 0, 0, 0, 0, 0, 0, 100]), b.option(0, &[])];
    let obsolete = [l.halves(&[0, 9]), l.words(&[0, 2_000_000, 3, 3]), b"obs".to_vec()].concat();
    let simple = [l.words(&[4]), b"simp".to_vec()].concat();
    let file = [
        b.section(),
        b.interface(1, 0, &milliseconds.concat()),
        b.interface(0, 0, &comment(b)),
        b.block(5, &[0; 20]),
        b.enhanced(0, 1500, 4, b"one!"),
        b.enhanced(1, 9, 6, &[2, 0, 0, 0, 0x45, 7]),
        l.section(),
        l.interface(1, 3, &[]),
        l.block(2, &obsolete),
        l.block(3, &simple[..7]),
        l.block(0x4000_0bad, b"custom"),
        l.enhanced(0, 3_000_000, 3, b"end"),
    ];
    let mut loopback = [0; 16];
    loopback[12..].copy_from_slice(&[8, 0, 0x45, 7]);
    let want = vec![
        whole(1, Duration::from_millis(101_500), b"one!"),
        Owned { original: 6, reframed: true, ..whole(2, Duration::from_micros(9), &loopback) },
        whole(3, Duration::from_secs(2), b"obs"),
        Owned { original: 4, cut: true, ..whole(4, Duration::from_secs(2), b"sim") },
        whole(5, Duration::from_secs(3), b"end"),
    ];
    (file.concat(), want)
}

#[test]
fn pcapng_is_read_over_sections_and_interfaces() {
    let (file, want) = mixed_pcapng();
    assert_eq!(read(&file), (want.clone(), None));
    assert_eq!(read(&gzip(&file)), (want, None));
}

#[test]
fn a_broken_file_says_what_is_wrong_and_where() {
    let o = Order::Big;
    let micro = |records: &[u8]| o.pcap(0xa1b2_c3d4, 1, records);
    let one = o.record(0, 0, 1, b"x");
    let ng = |blocks: &[Vec<u8>]| [o.section(), o.interface(1, 0, &[]), blocks.concat()].concat();
    let mut ends_differ = o.enhanced(0, 0, 4, b"four");
    *ends_differ.last_mut().unwrap() = 9;
    let mut version_2 = o.section();
    version_2[13] = 2;
    let damaged = "the file is damaged";
    let rows: &[(&str, Vec<u8>, usize, String)] = &[
        ("empty", vec![], 0, "packet 1, byte 0: the capture is empty".into()),
        ("short", vec![0xa1, 0xb2], 0, "packet 1, byte 2: the capture ends in the middle of a record".into()),
        (
            "ELF",
            b"\x7fELF rest".to_vec(),
            0,
            "packet 1, byte 4: this is neither pcap nor pcapng: it begins with [7f, 45, 4c, 46]".into(),
        ),
        (
            "version",
            [o.words(&[0xa1b2_c3d4]), o.halves(&[2, 2])].concat(),
            0,
            "packet 1, byte 8: version 2.2 of the format is not known".into(),
        ),
        (
            "header",
            micro(&[])[..20].to_vec(),
            0,
            "packet 1, byte 20: the capture ends in the middle of a record".into(),
        ),
        (
            "record header",
            micro(&[one.clone(), vec![0; 7]].concat()),
            1,
            "packet 2, byte 48: the capture ends in the middle of a record".into(),
        ),
        (
            "record body",
            micro(&[one.clone(), one[..16].to_vec()].concat()),
            1,
            "packet 2, byte 57: the capture ends in the middle of a record".into(),
        ),
        (
            "record length",
            micro(&[one.clone(), o.words(&[0, 0, 262_145, 1])].concat()),
            1,
            format!(
                "packet 2, byte 57: a packet of 262145 bytes is announced, longer than any capture holds: {damaged}"
            ),
        ),
        (
            "byte order",
            o.words(&[0x0a0d_0d0a, 28, 0x0102_0304]),
            0,
            format!("packet 1, byte 12: a section's byte-order mark is [01, 02, 03, 04]: {damaged}"),
        ),
        ("pcapng version", version_2, 0, "packet 1, byte 16: version 2.0 of the format is not known".into()),
        (
            "block too short",
            ng(&[o.words(&[6, 8])]),
            0,
            format!("packet 1, byte 56: a block of 8 bytes cannot hold what it should: {damaged}"),
        ),
        (
            "block length odd",
            ng(&[o.words(&[6, 33])]),
            0,
            format!("packet 1, byte 56: a block of 33 bytes cannot hold what it should: {damaged}"),
        ),
        (
            "packet longer than its block",
            ng(&[o.enhanced(0, 0, 1, b"x"), o.block(6, &o.words(&[0, 0, 0, 5, 5, 0]))]),
            1,
            format!("packet 2, byte 112: a block of 36 bytes cannot hold what it should: {damaged}"),
        ),
        (
            "option longer than its block",
            [o.section(), o.interface(1, 0, &o.halves(&[2, 60]))].concat(),
            0,
            format!("packet 1, byte 48: a block of 24 bytes cannot hold what it should: {damaged}"),
        ),
        (
            "block ends",
            ng(&[ends_differ]),
            0,
            format!("packet 1, byte 84: a block begins with length 36 and ends with length 9: {damaged}"),
        ),
        (
            "interface",
            ng(&[o.enhanced(1, 0, 1, b"x")]),
            0,
            "packet 1, byte 60: the packet names interface 1, which its section does not describe".into(),
        ),
    ];
    for (title, file, packets, sentence) in rows {
        let (records, end) = read(file);
        assert_eq!((records.len(), end.as_ref()), (*packets, Some(sentence)), "{title}");
    }
    // A gzip file without its check sum.
    let packed = gzip(&micro(&one));
    let (records, end) = read(&packed[..packed.len() - 8]);
    assert_eq!(records.len(), 1, "what could be unpacked is kept");
    assert!(end.unwrap().starts_with("packet 2, byte 41: cannot read the capture: "));
}

#[test]
fn interfaces_are_not_remembered_without_end() {
    let o = Order::Little;
    let file = [o.section(), o.interface(1, 0, &[]).repeat((1 << 16) + 1)].concat();
    assert!(read(&file).1.unwrap().ends_with("a section describes more than 65536 interfaces: the file is damaged"));
}

/// Whole files of all formats to do damage to.
fn samples() -> Vec<Vec<u8>> {
    let records = [Order::Big.record(1, 2, 6, &[2, 0, 0, 0, 0x45, 7]), Order::Big.record(3, 4, 60, &[7; 40])].concat();
    let pcap = Order::Big.pcap(0xa1b2_3c4d, 0, &records);
    let ng = mixed_pcapng().0;
    vec![gzip(&pcap), gzip(&ng), pcap, ng]
}

#[test]
fn a_file_cut_anywhere_keeps_what_came_before() {
    for file in samples() {
        let (all, end) = read(&file);
        assert_eq!(end, None);
        for length in 0..file.len() {
            let (records, _) = read(&file[..length]);
            assert!(all.starts_with(&records), "cut at {length}");
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_end_somehow(mut bytes in prop::collection::vec(any::<u8>(), 0..400), begin in 0..5usize) {
        let begin: &[u8] = match begin {
            0 => &[],
            1 => &[0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4],
            2 => &[0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0],
            3 => &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0],
            _ => &[0x1f, 0x8b, 8, 0],
        };
        bytes.splice(0..0, begin.iter().copied());
        read(&bytes);
    }

    #[test]
    fn one_wrong_byte_harms_nothing_before_it(at in any::<prop::sample::Index>(), value in any::<u8>()) {
        for mut file in samples() {
            let at = at.index(file.len());
            let (before, _) = read(&file[..at]);
            file[at] = value;
            let (records, _) = read(&file);
            // What a damaged deflate block still gives is up to its decoder.
            prop_assert!(records.starts_with(&before) || file.starts_with(&[0x1f, 0x8b]));
        }
    }

    #[test]
    fn what_is_written_is_read_again(
        frames in prop::collection::vec((any::<u32>(), 0..1_000_000_000u32, prop::collection::vec(any::<u8>(), 0..99)), 0..9),
        nano in any::<bool>(),
    ) {
        let (resolution, unit) = if nano { (Resolution::Nano, 1) } else { (Resolution::Micro, 1000) };
        let mut writer = Writer::new(Vec::new(), resolution).unwrap();
        let mut want = Vec::new();
        for (number, (seconds, fraction, frame)) in (1..).zip(&frames) {
            writer.write(Duration::new((*seconds).into(), *fraction), frame).unwrap();
            want.push(whole(number, Duration::new((*seconds).into(), fraction / unit * unit), frame));
        }
        let file = writer.finish().unwrap();
        prop_assert_eq!(Reader::new(Cursor::new(file.clone())).unwrap().resolution(), resolution);
        prop_assert_eq!(read(&file), (want, None));
    }
}

#[test]
fn the_format_s_end_of_time_is_an_error() {
    let mut writer = Writer::new(Vec::new(), Resolution::Micro).unwrap();
    let late = Duration::from_secs(1 << 32);
    assert_eq!(writer.write(late, b"").unwrap_err().to_string(), "pcap files end in the year 2106");
}

/// The public captures that come beside the project; `None`, and a line that says so, where they are not at hand.
fn traces() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/traces");
    let folder = std::env::var_os("TRACES").map_or_else(beside, PathBuf::from);
    if folder.join("MANIFEST.json").exists() {
        return Some(folder);
    }
    println!("skipped: no captures in {}", folder.display());
    None
}

#[test]
fn public_captures_hold_what_their_manifest_says() {
    let Some(folder) = traces() else { return };
    let manifest = std::fs::read(folder.join("MANIFEST.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    for entry in manifest.as_array().unwrap() {
        let name = entry["file"].as_str().unwrap();
        let (records, end) = read(&std::fs::read(folder.join(name)).unwrap());
        let count = |which: fn(&Owned) -> bool| records.iter().filter(|record| which(record)).count() as u64;
        let longest = records.iter().map(|record| u64::from(record.original)).max();
        assert_eq!(end, None, "{name}");
        assert_eq!(count(|_| true), entry["packets"], "{name}");
        assert_eq!(count(|record| record.cut), entry["truncated_packets"], "{name}");
        assert_eq!(longest, entry["max_original_frame"].as_u64(), "{name}");
        assert_eq!(count(|record| record.frame.is_err()), 0, "{name}");
        if entry["format"] != "pcapng-be" {
            let foreign = entry["linktype"] != 1;
            assert_eq!(count(|record| record.reframed), if foreign { records.len() as u64 } else { 0 }, "{name}");
        }
    }
}
