//! The real binary forwards real traffic: AF_XDP over veth, in network namespaces. Needs root.
//!
//! `RINGMASTER=PATH` tests another build than the one of these tests.

#[path = "../support/mod.rs"]
mod support;

mod dr;
mod ftp;
mod full_nat;
mod health;
mod ipvsadm;
mod kernel;
mod lifecycle;
mod movement;
mod nat;
mod returned;
mod rings;
mod sizes;
mod synchronisation;
mod takeover;
mod textbook;
mod tun;
mod virtual_mac;
mod wide;

use std::collections::BTreeMap;

use support::http::Answer;

/// How often each server answered.
fn shares(answers: &[Answer]) -> BTreeMap<&str, usize> {
    let mut shares = BTreeMap::new();
    for answer in answers {
        *shares.entry(answer.server.as_str()).or_default() += 1;
    }
    shares
}

/// The shares of three servers that are treated alike.
fn alike(each: usize) -> BTreeMap<&'static str, usize> {
    ["server-1", "server-2", "server-3"].map(|server| (server, each)).into()
}
