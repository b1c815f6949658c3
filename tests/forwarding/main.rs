//! The real binary forwards real traffic: AF_XDP over veth, in network namespaces. Needs root.
//!
//! `RINGMASTER=PATH` tests another build than the one of these tests.

#[path = "../support/association.rs"]
mod association;
#[path = "../support/fragments.rs"]
mod fragments;
#[path = "../support/icmp.rs"]
mod icmp;
#[path = "../support/packets.rs"]
mod packets;
#[path = "../support/sctp.rs"]
mod sctp_packets;
#[path = "../support/mod.rs"]
mod support;

mod dr;
mod errors;
mod flood;
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
mod sctp;
mod sip;
mod sizes;
mod synchronisation;
mod takeover;
mod textbook;
mod tun;
mod virtual_mac;
mod vlan;
mod wide;

use std::collections::BTreeMap;

use support::hosts::Family::{V4, V6};
use support::http::Answer;
use support::lab::Lab;

/// How often each server answered.
fn shares(answers: &[Answer]) -> BTreeMap<&str, usize> {
    let mut shares = BTreeMap::new();
    for answer in answers {
        *shares.entry(answer.server.as_str()).or_default() += 1;
    }
    shares
}

/// Asks for a page of the usual service of both families: every server answers as often, and sees who asked.
fn requests_are_shared_in_turn(lab: &Lab) {
    let _director = lab.start(&[lab.service(V4), lab.service(V6)]);
    for family in [V4, V6] {
        let answers = lab.ask(family, 80, 0, 60);
        assert_eq!(shares(&answers), alike(20), "{family:?}");
        assert!(answers.iter().all(|answer| answer.client == lab.clients(family)[0]), "{family:?}: {answers:?}");
    }
}

/// The shares of three servers that are treated alike.
fn alike(each: usize) -> BTreeMap<&'static str, usize> {
    ["server-1", "server-2", "server-3"].map(|server| (server, each)).into()
}
