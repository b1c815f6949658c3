//! What tests with real namespaces share: the namespaces, networks of hosts in them, real servers, the director.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

pub mod config;
pub mod decapsulate;
pub mod director;
pub mod ftp;
pub mod hosts;
pub mod http;
pub mod keepalived;
pub mod lab;
pub mod netns;
pub mod udp;
pub mod web;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a test waits for what must happen by itself: far more than it takes where nobody else wants the cores.
const PATIENCE: Duration = Duration::from_secs(20);

/// Looks every 50 ms whether `holds`, and panics with `what` when patience ends.
#[expect(clippy::disallowed_methods, reason = "patience with other processes is real time")]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE || begin.elapsed() < shared(PATIENCE), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How long something may take on this machine as it is that takes `alone` where everybody has a core: where eight want a core,
/// each gets an eighth of it. By the load of the last minute, or what wants to run this moment if that is more
/// (`/proc/loadavg`).
pub fn shared(alone: Duration) -> Duration {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let words: Vec<_> = text.split([' ', '/']).collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<f64>().ok()).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    alone.mul_f64((number(0).max(number(3)) / cores as f64).max(1.0))
}

/// Copies a program that is to be executed at once. By another process: as long as anybody has a file open for writing it cannot be
/// executed, and what this process has open is for a moment also open in the children that other tests start.
pub fn copy_program(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status().expect("cp is there");
    assert!(copied.success(), "{} cannot be copied to {}", from.display(), to.display());
}
