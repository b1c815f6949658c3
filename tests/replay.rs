//! `ringmaster replay` over the public captures: whatever they hold, every record is accounted for.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ringmaster::io::HEADROOM;
use ringmaster::io::pcap::Reader;
use ringmaster::wire::{Parsed, Protocol, parse};

#[test]
fn captures_go_through_with_every_record_accounted_for() {
    let here = tempfile::tempdir().unwrap();
    let [config, one, two] = ["director.conf", "one.pcap", "two.pcap"].map(|name| here.path().join(name));
    for capture in captures() {
        let name = capture.display();
        let Look { records, usable, config: text } = look_at(&capture);
        fs::write(&config, text).unwrap();

        let output = replay(&config, &capture, &one);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(i32::from(!usable)), "{name}: {complaint}");
        assert_eq!(complaint.contains(&format!("ringmaster: {name}: ")), !usable, "{name}: {complaint}");

        let report = String::from_utf8(output.stdout.clone()).unwrap();
        let numbers: Vec<usize> = report.lines().take(records).map(|line| line[..8].trim().parse().unwrap()).collect();
        assert!(numbers.into_iter().eq(1..=records), "{name}: every record is listed once, in order");
        let ends = ["transmitted", "answered", "passed", "dropped", "refused"].map(|title| count(&report, title));
        assert_eq!(ends.iter().sum::<usize>(), records, "{name}: {report}");
        assert_eq!(count(&report, "accounted for"), records, "{name}");
        assert_eq!(frames(&one), ends[0] + ends[1], "{name}: what was sent was written");

        let again = replay(&config, &capture, &two);
        assert_eq!(output.stdout, again.stdout, "{name}");
        assert!(fs::read(&one).unwrap() == fs::read(&two).unwrap(), "{name}: the same input gives the same output");
    }
}

#[test]
fn problems_are_told_in_one_sentence() {
    let here = tempfile::tempdir().unwrap();
    let at = |name: &str| here.path().join(name);
    let good =
        "virtual_server 192.0.2.1 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\nreal_server 10.0.0.1 80 {\n}\n}\n";
    fs::write(at("good.conf"), good).unwrap();
    fs::write(at("bad.conf"), "virtual_server {\n").unwrap();
    fs::write(at("text"), "this is no capture").unwrap();
    fs::write(at("empty.pcap"), [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0])
        .unwrap();
    let path = |name: &str| at(name).display().to_string();
    let rows = [
        ("good.conf", "gone", "out", format!("ringmaster: {}: No such file or directory (os error 2)\n", path("gone"))),
        (
            "good.conf",
            "text",
            "out",
            format!(
                "ringmaster: {}: packet 1, byte 4: this is neither pcap nor pcapng: it begins with [74, 68, 69, 73]\n",
                path("text")
            ),
        ),
        (
            "good.conf",
            "empty.pcap",
            "empty.pcap",
            format!(
                "ringmaster: {} is the capture itself, which would be overwritten; choose another file to write to\n",
                path("empty.pcap")
            ),
        ),
        (
            "good.conf",
            "empty.pcap",
            "no/out",
            format!("ringmaster: cannot write: {}: No such file or directory (os error 2)\n", path("no/out")),
        ),
    ];
    for (config, capture, written, sentence) in rows {
        let output = replay(&at(config), &at(capture), &at(written));
        assert_eq!(String::from_utf8_lossy(&output.stderr), sentence);
        assert_eq!(output.status.code(), Some(1));
    }
    let broken = replay(&at("bad.conf"), &at("empty.pcap"), &at("out"));
    assert_eq!(broken.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&broken.stderr).starts_with(&path("bad.conf")));
    let empty = replay(&at("good.conf"), &at("empty.pcap"), &at("out"));
    assert_eq!(empty.status.code(), Some(0), "an empty capture is replayed soon");
}

/// The captures that come beside the project, or those in the folder that `TRACES` names; none, and a line that says so,
/// where there are none.
fn captures() -> Vec<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/traces");
    let folder = std::env::var_os("TRACES").map_or_else(beside, PathBuf::from);
    let mut found = Vec::new();
    let mut folders = vec![folder.clone()];
    while let Some(entries) = folders.pop().map(fs::read_dir) {
        for path in entries.into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if File::open(&path).is_ok_and(|file| Reader::new(file).is_ok()) {
                found.push(path);
            }
        }
    }
    if found.is_empty() {
        println!("skipped: no captures in {}", folder.display());
    }
    found.sort();
    found
}

/// What a test must know of a capture beforehand.
struct Look {
    records: usize,
    /// Whether it can be read to its end and has a frame that fits a buffer, or no record at all.
    usable: bool,
    /// A configuration that serves what the capture's clients ask for, by all methods in turn.
    config: String,
}

fn look_at(capture: &Path) -> Look {
    /// Services in a configuration.
    const MOST: usize = 64;
    let mut wanted = BTreeSet::new();
    let mut reader = Reader::new(File::open(capture).unwrap()).unwrap();
    let (mut records, mut fit) = (0, 0);
    let whole = loop {
        let record = match reader.read() {
            Ok(Some(record)) => record,
            end => break end.is_ok(),
        };
        records += 1;
        let Ok(frame) = record.frame else { continue };
        fit += usize::from(frame.len() <= (1 << 16) - HEADROOM);
        let Some(service) = parse(frame).ok().and_then(|parsed| asked_for(&parsed)) else { continue };
        if wanted.len() < MOST {
            wanted.insert(service);
        }
    };
    Look { records, usable: whole && (fit > 0 || records == 0), config: config_for(&wanted) }
}

/// The service that a packet would open a connection to.
fn asked_for(parsed: &Parsed) -> Option<(IpAddr, u16, &'static str)> {
    let name = match parsed.protocol {
        Protocol::TCP if parsed.flags.syn() && !parsed.flags.ack() => "TCP",
        Protocol::UDP => "UDP",
        _ => return None,
    };
    let address = IpAddr::from(parsed.destination);
    let broadcast = address == IpAddr::from([255; 4]);
    let unicast = !address.is_multicast() && !address.is_unspecified() && !broadcast;
    (unicast && parsed.destination_port != 0).then_some((address, parsed.destination_port, name))
}

fn config_for(services: &BTreeSet<(IpAddr, u16, &'static str)>) -> String {
    let mut config = String::new();
    for ((address, port, name), kind) in services.iter().zip(["NAT", "DR", "TUN"].into_iter().cycle()) {
        let network = if address.is_ipv4() { "10.99.0." } else { "fd00:99::" };
        writeln!(config, "virtual_server {address} {port} {{\nlb_algo rr\nlb_kind {kind}\nprotocol {name}").unwrap();
        for server in 1..=3 {
            writeln!(config, "real_server {network}{server} {port} {{\n}}").unwrap();
        }
        writeln!(config, "}}").unwrap();
    }
    config
}

/// How many frames a capture of ours holds; all must be whole.
fn frames(capture: &Path) -> usize {
    let mut reader = Reader::new(File::open(capture).unwrap()).unwrap();
    let mut frames = 0;
    while let Some(record) = reader.read().unwrap() {
        assert!(record.frame.is_ok() && !record.cut);
        frames += 1;
    }
    frames
}

fn replay(config: &Path, capture: &Path, written: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringmaster"))
        .args(["replay", "--verdicts", "-f"])
        .args([config, capture, Path::new("-w"), written])
        .output()
        .unwrap()
}

/// The number behind a title of the report.
fn count(report: &str, title: &str) -> usize {
    let line = report.lines().rfind(|line| line.starts_with(title)).unwrap_or_else(|| panic!("no {title} in {report}"));
    line[title.len()..].split_whitespace().next().unwrap().parse().unwrap()
}
