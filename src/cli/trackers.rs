//! `ringmaster trackers`: what instances of VRRP track, and what that does to them.

use std::io::{self, Write};
use std::process::ExitCode;

use super::client::{self, PartArgs};
use super::grid::grid;
use crate::control::view::{EffectView, TrackerView};

/// Show what VRRP instances track: scripts, processes, files, interfaces, BFD, and what they do to priorities
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    part: PartArgs,
}

/// Prints them.
pub fn run(args: &Args) -> ExitCode {
    client::show_part(&args.part, |status| status.trackers, table)
}

fn table(out: &mut impl Write, trackers: &[TrackerView]) -> io::Result<()> {
    grid(out, ["Kind", "Tracker", "Reading", "Effect"], trackers.iter().map(row))
}

fn row(tracker: &TrackerView) -> [String; 4] {
    let effects: Vec<String> = tracker.effects.iter().map(effect).collect();
    [tracker.kind.clone(), tracker.name.clone(), tracker.reading.clone(), effects.join(", ")]
}

fn effect(effect: &EffectView) -> String {
    let EffectView { subject, met, weight } = effect;
    match (met, weight) {
        (false, _) => format!("{subject} FAULT"),
        (true, 0) => format!("{subject} none"),
        (true, weight) => format!("{subject} {weight:+}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trackers_are_a_table() {
        let effect = |subject: &str, met, weight| EffectView { subject: subject.into(), met, weight };
        let tracker = |kind: &str, name: &str, reading: &str, effects| TrackerView {
            kind: kind.into(),
            name: name.into(),
            reading: reading.into(),
            effects,
        };
        let trackers = [
            tracker("script", "check", "down", vec![effect("VI_1", true, -20), effect("VI_2", false, 0)]),
            tracker("file", "switch", "-3", vec![effect("G", true, 0), effect("VI_1", true, 30)]),
        ];
        let mut text = Vec::new();
        table(&mut text, &trackers).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "\
Kind    Tracker  Reading  Effect
script  check    down     VI_1 -20, VI_2 FAULT
file    switch   -3       G none, VI_1 +30
"
        );
    }
}
