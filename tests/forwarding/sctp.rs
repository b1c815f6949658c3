//! SCTP: whole associations through the director, and what it lists of them meanwhile.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::alike;
use crate::association::{Client, Server};
use crate::support::config::Service;
use crate::support::director::Director;
use crate::support::hosts::Family::{self, V4, V6};
use crate::support::lab::Lab;
use crate::support::netns;

const PORT: u16 = 5000;

#[test]
fn nat_maps_ports_and_follows_both_sides() {
    if netns::available() {
        let states = ["C-SENT", "ESTABLISHED", "ESTABLISHED", "S-ACK-SENT", "CLOSED"];
        through(&Lab::nat(), 7000, |lab, family, server| lab.servers[server].address(family), states);
    }
}

#[test]
fn dr_follows_the_client_alone() {
    if netns::available() {
        let states = ["INIT1", "ESTABLISHED", "ESTABLISHED", "S-RECEIVED", "CLOSED"];
        through(&Lab::dr(), PORT, |lab, family, _| lab.vip(family), states);
    }
}

/// Three associations of each family; servers answer from what `serving` says, and from `real_port`.
fn through(lab: &Lab, real_port: u16, serving: impl Fn(&Lab, Family, usize) -> std::net::IpAddr, states: [&str; 5]) {
    let service = |family| Service { protocol: "SCTP", port: PORT, real_port, ..lab.service(family) };
    let director = lab.start(&[service(V4), service(V6)]);
    for family in [V4, V6] {
        let serve = |(number, server): (usize, &crate::support::hosts::Server)| {
            Server::start(&server.host, &server.name, (serving(lab, family, number), real_port).into())
        };
        let _servers: Vec<_> = lab.servers.iter().enumerate().map(serve).collect();
        let mut shares = BTreeMap::new();
        for port in 40_000..40_003 {
            let from = SocketAddr::new(lab.clients(family)[0], port);
            let client = lab.client.enter(|| Client::new(from, (lab.vip(family), PORT).into()));
            let (server, seen) = live(&client, || state(&director, from));
            assert_eq!(seen, states, "{family:?}");
            *shares.entry(server).or_default() += 1;
        }
        let alike: BTreeMap<_, _> = alike(1).into_iter().map(|(name, each)| (name.to_owned(), each)).collect();
        assert_eq!(shares, alike, "{family:?}");
    }
}

/// A whole association; the server's name, and the states after each exchange.
fn live(client: &Client, state: impl Fn() -> String) -> (String, [String; 5]) {
    let cookie = client.init();
    let begun = state();
    client.echo_cookie(&cookie);
    let established = state();
    let server = client.ask();
    let used = state();
    client.shut_down();
    let ending = state();
    client.complete();
    let closed = || state() == "CLOSED";
    crate::support::eventually("the last chunk has come by", closed);
    (server, [begun, established, used, ending, state()])
}

/// What is listed of the association from this port.
fn state(director: &Director, from: SocketAddr) -> String {
    let (connections, from) = (director.connections(), from.to_string());
    let mut lines = connections.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.find(|words| words.first() == Some(&"SCTP") && words.get(3) == Some(&from.as_str()));
    line.unwrap_or_else(|| panic!("{from} is not listed:\n{connections}"))[2].to_owned()
}
