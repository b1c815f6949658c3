//! `ringmaster bfd`: the sessions of BFD.

use std::io::{self, Write};
use std::process::ExitCode;

use super::client::{self, PartArgs};
use super::grid::grid;
use super::status::duration;
use crate::control::view::BfdView;

/// Show the sessions of BFD: which neighbours are alive, since when, and how soon a dead one would be noticed
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    part: PartArgs,
}

/// Prints them.
pub fn run(args: &Args) -> ExitCode {
    client::show_part(&args.part, |status| status.bfd, table)
}

fn table(out: &mut impl Write, sessions: &[BfdView]) -> io::Result<()> {
    let head =
        ["Session", "State", "Neighbour says", "For", "Neighbour", "Interval", "Detection", "Sent", "Heard", "Downs"];
    grid(out, head, sessions.iter().map(row))
}

fn row(session: &BfdView) -> [String; 10] {
    let count = |name: &str| session.counters.get(name).copied().unwrap_or_default().to_string();
    [
        session.name.clone(),
        session.state.clone(),
        session.remote_state.clone(),
        duration(session.seconds),
        session.neighbour.to_string(),
        millis(session.interval),
        millis(session.detection),
        count("sent"),
        count("received"),
        count("went-down"),
    ]
}

/// Microseconds as `50ms` or `33.25ms`.
fn millis(micros: u64) -> String {
    let text = format!("{}.{:03}", micros / 1000, micros % 1000);
    format!("{}ms", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_a_table() {
        let session = BfdView {
            name: "peer".into(),
            neighbour: [192, 0, 2, 9].into(),
            state: "Up".into(),
            remote_state: "Up".into(),
            excused: false,
            diagnostic: 0,
            seconds: 61,
            interval: 33_250,
            detection: 150_000,
            counters: [("sent", 12), ("received", 3), ("went-down", 1)].map(|(name, n)| (name.to_owned(), n)).into(),
        };
        let mut text = Vec::new();
        table(&mut text, &[session]).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "\
Session  State  Neighbour says  For       Neighbour  Interval  Detection  Sent  Heard  Downs
peer     Up     Up              00:01:01  192.0.2.9  33.25ms   150ms      12    3      1
"
        );
    }

    #[test]
    fn times_have_no_zeros_at_the_end() {
        for (micros, text) in [(0, "0ms"), (50_000, "50ms"), (3312, "3.312ms"), (100, "0.1ms"), (1_000_000, "1000ms")] {
            assert_eq!(millis(micros), text);
        }
    }
}
