//! DR: only the Ethernet header changes; servers answer the client themselves.

use crate::support::config::Service;
use crate::support::hosts::Family::V4;
use crate::support::lab::Lab;
use crate::support::netns;
use crate::{requests_are_shared_in_turn, shares};

#[test]
fn requests_are_shared_and_answered_by_the_servers_themselves() {
    if !netns::available() {
        return;
    }
    requests_are_shared_in_turn(&Lab::dr());
}

#[test]
fn persistence_keeps_a_client_on_its_server() {
    if !netns::available() {
        return;
    }
    let lab = Lab::dr();
    let _director = lab.start(&[Service { persistence: 50, ..lab.service(V4) }]);
    for client in 0..6 {
        assert_eq!(shares(&lab.ask(V4, 80, client, 4)).len(), 1, "client {client}");
    }
}
