//! NAT: the director stands between clients and servers, in both directions.

use std::net::IpAddr;

use crate::support::config::Service;
use crate::support::hosts::Family::{self, V4, V6};
use crate::support::http;
use crate::support::lab::Lab;
use crate::support::netns;
use crate::support::udp::{self, Echo};
use crate::{alike, requests_are_shared_in_turn, shares};

#[test]
fn round_robin_shares_are_exact_and_servers_see_the_client() {
    if !netns::available() {
        return;
    }
    requests_are_shared_in_turn(&Lab::nat());
}

#[test]
fn ports_are_mapped() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let mapped = |family| Service { port: 8000, real_port: 8080, ..lab.service(family) };
    let _director = lab.start(&[mapped(V4), mapped(V6)]);
    for family in [V4, V6] {
        assert_eq!(shares(&lab.ask(family, 8000, 0, 9)), alike(3), "{family:?}");
    }
}

#[test]
fn persistence_keeps_a_client_on_its_server() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let persistent = |family| Service { persistence: 50, ..lab.service(family) };
    let _director = lab.start(&[persistent(V4), persistent(V6)]);
    for family in [V4, V6] {
        let mut first = Vec::new();
        for client in 0..6 {
            let answers = lab.ask(family, 80, client, 5);
            assert_eq!(shares(&answers).len(), 1, "{family:?}, client {client}: {answers:?}");
            first.push(answers[0].clone());
        }
        assert_eq!(shares(&first), alike(2), "{family:?}: new clients are still scheduled in turn");
    }
}

#[test]
fn udp_is_balanced_and_answered_from_the_vip() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let udp = |family| Service { protocol: "UDP", port: 53, real_port: 5353, ..lab.service(family) };
    let _director = lab.start(&[udp(V4), udp(V6)]);
    for family in [V4, V6] {
        let _echoes: Vec<_> = lab
            .servers
            .iter()
            .map(|server| Echo::start(&server.host, &server.name, (server.address(family), 5353).into()))
            .collect();
        let mut answers = ask_by_udp(&lab, family, 30);
        answers.sort();
        let wanted = ["server-1 hello", "server-2 hello", "server-3 hello"].map(|answer| [answer; 10]).concat();
        assert_eq!(answers, wanted, "{family:?}");
    }
}

fn ask_by_udp(lab: &Lab, family: Family, times: usize) -> Vec<String> {
    let (from, to) = (lab.clients(family)[0], (lab.vip(family), 53).into());
    // From ports of our choice: one that came up twice would meet its connection again, and not be scheduled.
    let ask =
        |port| udp::ask((from, port).into(), to, "hello").unwrap_or_else(|error| panic!("{from} asks {to}: {error}"));
    lab.client.enter(|| (40_000..).take(times).map(ask).collect())
}

#[test]
fn a_long_download_arrives_intact() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    lab.offer_file(100 << 20);
    let _director = lab.start(&[lab.service(V4), lab.service(V6)]);
    for family in [V4, V6] {
        lab.download(family);
    }
}

#[test]
fn ten_thousand_short_connections_all_complete() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let _director = lab.start(&[lab.service(V4)]);
    let clients = lab.clients(V4);
    let to = (lab.vip(V4), 80).into();
    let each = |from: IpAddr| {
        (0..1667).filter_map(|_| http::ask(from, to).err()).map(|error| error.to_string()).collect::<Vec<_>>()
    };
    let failures: Vec<_> = std::thread::scope(|scope| {
        let asking: Vec<_> = clients
            .iter()
            .map(|&from| {
                scope.spawn({
                    let lab = &lab;
                    move || lab.client.enter(|| each(from))
                })
            })
            .collect();
        asking.into_iter().flat_map(|thread| thread.join().expect("no request panics")).collect()
    });
    assert!(failures.is_empty(), "{} failed, the first: {}", failures.len(), failures[0]);
    assert_eq!(resets(&lab), 0, "connections were reset");
}

/// Connections of the client that ended by a reset (RFC 4022 `tcpEstabResets` and `tcpAttemptFails`).
fn resets(lab: &Lab) -> u64 {
    let counters = lab.client.exec("cat /proc/net/snmp");
    let mut lines = counters.lines().filter(|line| line.starts_with("Tcp: ")).map(|line| line.split_whitespace());
    let (names, values) = (lines.next().expect("names come first"), lines.next().expect("values come second"));
    let of = names.zip(values).filter(|(name, _)| ["EstabResets", "AttemptFails"].contains(name));
    of.map(|(_, value)| value.parse::<u64>().expect("a counter is a number")).sum()
}
