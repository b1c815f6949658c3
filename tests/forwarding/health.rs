//! A dead server leaves the rotation, and comes back by itself.

use crate::support::config::{QUICK_HTTP_GET, QUICK_TCP_CHECK, Service};
use crate::support::hosts::Family::V4;
use crate::support::lab::Lab;
use crate::support::{eventually, netns};
use crate::{alike, shares};

#[test]
fn tcp_check_takes_a_dead_server_out_and_brings_it_back() {
    leaves_and_comes_back(Lab::nat, QUICK_TCP_CHECK);
}

#[test]
fn http_get_takes_a_dead_server_out_and_brings_it_back() {
    leaves_and_comes_back(Lab::dr, QUICK_HTTP_GET);
}

fn leaves_and_comes_back(lab: fn() -> Lab, check: &'static str) {
    if !netns::available() {
        return;
    }
    let mut lab = lab();
    let director = lab.start(&[Service { check, ..lab.service(V4) }]);
    let dead = format!("-> {}:80 ", lab.servers[1].address(V4));
    assert_eq!(shares(&lab.ask(V4, 80, 0, 12)), alike(4), "all servers are alive");

    lab.servers[1].stop_web();
    eventually("the dead server leaves", || !director.list().contains(&dead));
    assert_eq!(shares(&lab.ask(V4, 80, 0, 12)), [("server-1", 6), ("server-3", 6)].into());

    let directory = lab.directory().to_owned();
    lab.servers[1].start_web(&directory);
    eventually("the server comes back", || director.list().contains(&dead));
    assert_eq!(shares(&lab.ask(V4, 80, 0, 12)), alike(4), "it takes its share again");
}

#[test]
fn persistence_does_not_tie_a_client_to_a_dead_server() {
    if !netns::available() {
        return;
    }
    let mut lab = Lab::nat();
    let director = lab.start(&[Service { persistence: 50, check: QUICK_TCP_CHECK, ..lab.service(V4) }]);
    let met = lab.ask(V4, 80, 0, 2).swap_remove(0).server;
    let server = lab.servers.iter_mut().find(|server| server.name == met).expect("a server answered");
    let line = format!("-> {}:80 ", server.address(V4));
    server.stop_web();
    eventually("the dead server leaves", || !director.list().contains(&line));
    let answers = lab.ask(V4, 80, 0, 4);
    assert_eq!(shares(&answers).len(), 1, "it persists with another server: {answers:?}");
    assert_ne!(answers[0].server, met);
}
