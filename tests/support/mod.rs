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

use std::time::{Duration, Instant};

/// How long a test waits for what must happen by itself. Far more than it takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Looks every 50 ms whether `holds`, and panics with `what` when patience ends.
#[expect(clippy::disallowed_methods, reason = "patience with other processes is real time")]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
