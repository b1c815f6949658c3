//! The files of `configs/`, as people copy them from tutorials, run as they stand.

use crate::support::director::Director;
use crate::support::hosts::Family::V4;
use crate::support::lab::Lab;
use crate::support::netns;
use crate::{alike, shares};

#[test]
fn nat() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let _director = start(&lab, include_str!("../../configs/nat.conf"));
    let mut met = Vec::new();
    for client in 0..4 {
        let answers = lab.ask(V4, 80, client, 3);
        assert_eq!(shares(&answers).len(), 1, "client {client} persists: {answers:?}");
        met.push(answers[0].clone());
    }
    assert_eq!(shares(&met), two_alike(2));
}

#[test]
fn dr() {
    if !netns::available() {
        return;
    }
    let lab = Lab::dr();
    let _director = start(&lab, include_str!("../../configs/dr.conf"));
    assert_eq!(shares(&lab.ask(V4, 80, 0, 20)), two_alike(10));
}

#[test]
fn tun() {
    if !netns::available() {
        return;
    }
    let lab = Lab::tun();
    let _director = start(&lab, include_str!("../../configs/tun.conf"));
    assert_eq!(shares(&lab.ask(V4, 80, 0, 20)), two_alike(10));
}

fn start(lab: &Lab, config: &str) -> Director {
    Director::start(&lab.director, lab.directory(), config)
}

/// The files have two real servers.
fn two_alike(each: usize) -> std::collections::BTreeMap<&'static str, usize> {
    alike(each).into_iter().take(2).collect()
}
