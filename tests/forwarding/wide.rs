//! Services by firewall mark and for all ports.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use crate::support::director::Director;
use crate::support::hosts::Family::{self, V4, V6};
use crate::support::http::{self, Answer};
use crate::support::lab::Lab;
use crate::support::netns;
use crate::{alike, shares};

/// A virtual server over all servers of the lab, with further lines.
fn service(lab: &Lab, name: &str, family: Family, lines: &str) -> String {
    let server =
        |server: &crate::support::hosts::Server| format!("    real_server {} {{\n    }}\n", server.address(family));
    let servers: String = lab.servers.iter().map(server).collect();
    format!("virtual_server {name} {{\n    lb_algo rr\n    lb_kind NAT\n    protocol TCP\n    {lines}\n{servers}}}\n")
}

fn start(lab: &Lab, services: &str) -> Director {
    Director::start(&lab.director, lab.directory(), &(lab.config(&[]) + services))
}

fn ask(lab: &Lab, family: Family, client: usize, to: SocketAddr) -> Answer {
    let from = lab.clients(family)[client];
    lab.client.enter(|| http::ask(from, to)).unwrap_or_else(|error| panic!("{from} asks {to}: {error}"))
}

#[test]
fn all_ports_of_an_address_lead_a_client_to_one_server() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let services = [V4, V6].map(|family| service(&lab, &lab.vip(family).to_string(), family, "persistence_timeout 50"));
    // For the way back to the servers of what is no service's.
    lab.director.exec("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    let director = start(&lab, &services.concat());
    for family in [V4, V6] {
        let mut first = Vec::new();
        for client in 0..6 {
            let answers: Vec<_> =
                [80, 8080, 80].map(|port| ask(&lab, family, client, (lab.vip(family), port).into())).into();
            assert_eq!(shares(&answers).len(), 1, "{family:?}, client {client}: {answers:?}");
            first.push(answers[0].clone());
        }
        assert_eq!(shares(&first), alike(2), "{family:?}");
    }
    assert!(director.list().contains("10.0.0.100:0 rr persistent 50"), "{}", director.list());
    // Whatever such a server sends is steered to the workers: its own connections must still get through, and so
    // must those of the director to it.
    for family in [V4, V6] {
        assert_eq!(server_connects_to_the_client(&lab, family), b"hello");
    }
    lab.director.exec("curl --silent --fail --max-time 5 http://10.0.0.22/");
    lab.servers[0].host.exec("ping -q -c 2 -i 0.1 -W 2 10.0.0.1");
}

/// A connection from a real server through the director, which is no reply to anything.
fn server_connects_to_the_client(lab: &Lab, family: Family) -> Vec<u8> {
    let (server, to) = (&lab.servers[0], SocketAddr::new(lab.clients(family)[0], 7000));
    let listener = lab.client.enter(|| TcpListener::bind(to)).expect("the port is free");
    let connection = server.host.enter(|| http::connect(server.address(family), to));
    connection.expect("the server gets through").write_all(b"hello").expect("and writes");
    read_one(&listener)
}

/// All that comes by a connection that is there already.
fn read_one(listener: &TcpListener) -> Vec<u8> {
    let (mut stream, _) = listener.accept().expect("somebody has connected");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("it is not zero");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("the other end closes");
    bytes
}

#[test]
fn a_mark_serves_any_address_and_leaves_the_director_its_own() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let rules =
        "ringmaster {\n    mark 7 {\n        interface eth0\n        protocol TCP\n        ports 80 8080\n    }\n}\n";
    let services = [service(&lab, "fwmark 7", V4, ""), service(&lab, "fwmark 7 inet6", V6, "")].concat() + rules;
    let director = start(&lab, &services);
    for (family, elsewhere) in [(V4, ["203.0.113.80", "203.0.113.81"]), (V6, ["2001:db8:99::80", "2001:db8:99::81"])] {
        let elsewhere = elsewhere.map(|address| address.parse::<IpAddr>().expect("it is an address"));
        let mut answers = Vec::new();
        for round in 0..3 {
            answers.push(ask(&lab, family, round, (lab.vip(family), 80).into()));
            answers.push(ask(&lab, family, round, (elsewhere[0], 80).into()));
            answers.push(ask(&lab, family, round, (elsewhere[1], 8080).into()));
        }
        assert_eq!(shares(&answers), alike(3), "{family:?}: {answers:?}");
    }
    let listed = director.list();
    assert!(listed.contains("FWM  7 rr\n") && listed.contains("FWM  7 IPv6 rr\n"), "{listed}");
    assert!(director.connections().contains("203.0.113.81:8080"), "{}", director.connections());

    // No rule names the director's own address, though the port is marked.
    let own = SocketAddr::from(([198, 51, 100, 1], 80));
    let listener = lab.director.enter(|| TcpListener::bind(own)).expect("the port is free");
    let connection = lab.client.enter(|| http::connect(lab.clients(V4)[0], own));
    connection.expect("the kernel answers").write_all(b"kernel").expect("and takes what is written");
    assert_eq!(read_one(&listener), b"kernel");
}

/// The servers stand for caches here, and one of them for the origin.
#[test]
fn where_no_cache_is_left_the_origin_answers() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    lab.director.exec("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    let marks =
        "ringmaster {\n    cache_bypass yes\n    mark 7 {\n        interface eth0\n        ports 80\n    }\n}\n";
    let caches = |weight: u32| {
        let of = |name, family| {
            service(&lab, name, family, "").replace(" {\n    }\n", &format!(" {{\n        weight {weight}\n    }}\n"))
        };
        [of("fwmark 7", V4), of("fwmark 7 inet6", V6)].concat() + marks
    };
    let director = start(&lab, &caches(0));
    for family in [V4, V6] {
        let origin = SocketAddr::new(lab.servers[1].address(family), 80);
        let held = lab.client.enter(|| http::connect(lab.clients(family)[1], origin)).expect("the origin answers");
        assert_eq!(ask(&lab, family, 0, origin).server, "server-2", "{family:?}");
        let known = director.connections();
        assert!(known.contains(["0.0.0.0:0", "[::]:0"][family as usize]), "{family:?}: {known}");

        director.reload(&(lab.config(&[]) + &caches(1)));
        let answers: Vec<_> = (0..6).map(|client| ask(&lab, family, client, origin)).collect();
        assert_eq!(shares(&answers), alike(2), "{family:?}");
        let mut held = held;
        held.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("it is open");
        let mut answer = String::new();
        held.read_to_string(&mut answer).expect("the origin answers");
        assert!(answer.contains("server-2"), "{family:?}: {answer}");
        director.reload(&(lab.config(&[]) + &caches(0)));
    }
}
