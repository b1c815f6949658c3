//! Recorded and present frames and listings, side by side.

use std::collections::BTreeSet;
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

/// Compares what a command printed: connections as a set, services in the order of the kernel's list block by block, and
/// all else as it stands.
pub fn listing(args: &str, recorded: &str, present: &str) -> Result<(), String> {
    match recorded {
        _ if args.contains("--nosort") => blocks(recorded, present),
        _ if recorded.starts_with("IPVS connection entries") => connections(recorded, present),
        _ => text(recorded, present),
    }
}

/// Compares word by word.
pub fn text(recorded: &str, present: &str) -> Result<(), String> {
    equal(&recorded, &present, recorded, present)
}

/// Compares two listings by `--nosort`: each service with its servers is a block, whose lines have an order; that of the
/// blocks is arbitrary.
fn blocks(recorded: &str, present: &str) -> Result<(), String> {
    equal(&split(recorded), &split(present), recorded, present)
}

fn split(text: &str) -> BTreeSet<Vec<&str>> {
    let mut blocks: Vec<Vec<&str>> = Vec::new();
    for line in text.lines() {
        match blocks.last_mut() {
            Some(block) if line.starts_with("  ->") => block.push(line),
            _ => blocks.push(vec![line]),
        }
    }
    blocks.into_iter().collect()
}

/// Compares two listings of connections as sets; one may be a second ahead of the other.
fn connections(recorded: &str, present: &str) -> Result<(), String> {
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

fn equal<T: PartialEq>(a: &T, b: &T, recorded: &str, present: &str) -> Result<(), String> {
    if a == b { Ok(()) } else { Err(side_by_side(recorded, present)) }
}

fn side_by_side(recorded: &str, present: &str) -> String {
    let indented = |text: &str| text.lines().map(|line| format!("        {line}\n")).collect::<String>();
    format!("      recorded\n{}      present\n{}", indented(recorded), indented(present))
}
