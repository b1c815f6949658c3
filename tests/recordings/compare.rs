//! Recorded and present frames and listings, side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::scenario::Frame;

/// Compares what left one port in one step, in order. `Err` says what is different.
pub fn frames(recorded: &[&Frame], present: &[Vec<u8>]) -> Result<(), String> {
    let same = recorded.len() == present.len()
        && recorded.iter().zip(present).all(|(frame, bytes)| blank(&frame.bytes, frame) == blank(bytes, frame));
    if same {
        return Ok(());
    }
    let mut text = String::new();
    for frame in recorded {
        write_frame(&mut text, "recorded", &blank(&frame.bytes, frame));
    }
    for (at, bytes) in present.iter().enumerate() {
        let bytes = recorded.get(at).map_or_else(|| bytes.clone(), |frame| blank(bytes, frame));
        write_frame(&mut text, "present ", &bytes);
    }
    Err(text)
}

/// The bytes without those that nobody can predict.
fn blank(bytes: &[u8], frame: &Frame) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for &(offset, length) in &frame.mask {
        if let Some(masked) = bytes.get_mut(offset..offset + length) {
            masked.fill(0);
        }
    }
    bytes
}

fn write_frame(text: &mut String, whose: &str, bytes: &[u8]) {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(text, "      {whose} {hex}").expect("a string takes everything");
}

/// Compares two listings of services: each service with its servers is a block, and neither the order of blocks nor
/// that of servers counts, for `ipvsadm` does not sort addresses as numbers.
pub fn services(recorded: &str, present: &str) -> Result<(), String> {
    equal(&blocks(recorded), &blocks(present), recorded, present)
}

fn blocks(text: &str) -> BTreeSet<Vec<&str>> {
    let mut blocks: Vec<Vec<&str>> = Vec::new();
    for line in text.lines() {
        match blocks.last_mut() {
            Some(block) if line.starts_with("  ->") => block.push(line),
            _ => blocks.push(vec![line]),
        }
    }
    blocks.iter_mut().for_each(|block| block[1..].sort_unstable());
    blocks.into_iter().collect()
}

/// Compares two listings of connections as sets; one may be a second ahead of the other.
pub fn connections(recorded: &str, present: &str) -> Result<(), String> {
    let different = || Err(side_by_side(recorded, present));
    let (mut left, right): (Vec<_>, Vec<_>) =
        (present.lines().map(connection).collect(), recorded.lines().map(connection).collect());
    if left.len() != right.len() {
        return different();
    }
    for (line, expires) in right {
        let alike = |(other, its): &(String, Option<i64>)| *other == line && is_near(*its, expires);
        let Some(at) = left.iter().position(alike) else { return different() };
        left.swap_remove(at);
    }
    Ok(())
}

fn is_near(a: Option<i64>, b: Option<i64>) -> bool {
    a.zip(b).map_or(a == b, |(a, b)| (a - b).abs() <= 1)
}

/// A line without its time to expiry, and that time in seconds.
fn connection(line: &str) -> (String, Option<i64>) {
    let time = line.split_whitespace().nth(1).and_then(|time| {
        let (minutes, seconds) = time.split_once(':')?;
        Some((time, minutes.parse::<i64>().ok()? * 60 + seconds.parse::<i64>().ok()?))
    });
    match time {
        Some((text, seconds)) => (line.replacen(text, &"-".repeat(text.len()), 1), Some(seconds)),
        None => (line.to_owned(), None),
    }
}

/// The rows of a table: what stands first in each service's and server's line, by service and name.
pub type Rows<T> = BTreeMap<String, T>;

/// Compares counters with a listing by `--stats --exact`.
pub fn counters(recorded: &str, present: &Rows<[u64; 5]>) -> Result<(), String> {
    let recorded_rows: Option<Rows<[u64; 5]>> =
        rows(recorded).map(|(name, rest)| Some((name, numbers(&rest)?))).collect();
    let recorded_rows = recorded_rows.ok_or_else(|| format!("not understood:\n{recorded}"))?;
    equal(&recorded_rows, present, recorded, &format!("{present:#?}"))
}

fn numbers(words: &[&str]) -> Option<[u64; 5]> {
    let numbers: Option<Vec<u64>> = words.iter().map(|word| word.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// Compares the order of servers with a listing by `--nosort`.
pub fn order(recorded: &str, present: &BTreeMap<String, Vec<String>>) -> Result<(), String> {
    let mut services: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, _) in rows(recorded) {
        match name.split_once(" -> ") {
            Some((service, server)) => services.entry(service.to_owned()).or_default().push(server.to_owned()),
            None => _ = services.entry(name).or_default(),
        }
    }
    equal(&services, present, recorded, &format!("{present:#?}"))
}

/// The lines behind the heading: `TCP ADDRESS` or `TCP ADDRESS -> ADDRESS`, and the words that follow.
fn rows(text: &str) -> impl Iterator<Item = (String, Vec<&str>)> {
    let mut service = String::new();
    let body = text.lines().filter(|line| !line.starts_with("IP Virtual") && !line.starts_with("Prot"));
    body.filter(|line| !line.contains("RemoteAddress")).map(move |line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // `FWM 7 IPv6` is the one name of three words.
        let length = if words.get(2) == Some(&"IPv6") { 3 } else { 2 };
        let (head, rest) = words.split_at(words.len().min(length));
        let name = match head {
            ["->", server] => format!("{service} -> {server}"),
            _ => {
                service = head.join(" ");
                service.clone()
            }
        };
        (name, rest.to_vec())
    })
}

fn equal<T: PartialEq>(a: &T, b: &T, recorded: &str, present: &str) -> Result<(), String> {
    if a == b { Ok(()) } else { Err(side_by_side(recorded, present)) }
}

fn side_by_side(recorded: &str, present: &str) -> String {
    let indented = |text: &str| text.lines().map(|line| format!("        {line}\n")).collect::<String>();
    format!("      recorded\n{}      present\n{}", indented(recorded), indented(present))
}
