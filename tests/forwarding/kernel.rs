//! What is not the director's stays with the kernel, on the same interfaces.

use std::fmt::Display;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};

use crate::support::config::{QUICK_TCP_CHECK, Service};
use crate::support::director::Director;
use crate::support::hosts::Family::{V4, V6};
use crate::support::http;
use crate::support::lab::Lab;
use crate::support::{eventually, netns};
use crate::{alike, shares};

#[test]
fn ping_of_the_vip_and_of_the_director_is_answered() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let _director = lab.start(&[lab.service(V4), lab.service(V6)]);
    for family in [V4, V6] {
        lab.client.exec(&format!("ping -q -c 3 -i 0.1 -W 2 {}", lab.vip(family)));
    }
    for address in ["198.51.100.1", "2001:db8:1::1"] {
        lab.client.exec(&format!("ping -q -c 3 -i 0.1 -W 2 {address}"));
    }
}

/// `no_accept`, the Accept_Mode of RFC 9568: services are reached and neighbours find the address, and that is all.
#[test]
fn an_address_that_accepts_nothing_serves_all_the_same() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let open = lab.config(&[lab.service(V4), lab.service(V6)]).replace("priority 255", "priority 200");
    let director =
        Director::start(&lab.director, lab.directory(), &open.replace("priority 200", "priority 200\n    no_accept"));
    let answers = |address: &dyn Display| {
        let ping = lab.client.command(&format!("ping -q -c 1 -W 1 {address}")).output();
        ping.expect("ping is installed").status.success()
    };
    lab.client.exec("ip neighbour flush all");
    for family in [V4, V6] {
        assert_eq!(shares(&lab.ask(family, 80, 0, 6)), alike(2), "{family:?}");
        assert!(!answers(&lab.vip(family)), "{family:?}");
    }
    assert!(answers(&"198.51.100.1") && answers(&"2001:db8:1::1"), "the director's own addresses are not closed");
    let refused = director.status();
    assert!(refused.contains("\"refused-no-accept\":2"), "{refused}");

    director.reload(&open);
    for family in [V4, V6] {
        eventually("it is open", || answers(&lab.vip(family)));
        assert_eq!(lab.ask(family, 80, 0, 3).len(), 3);
    }
}

#[test]
fn neighbours_are_found_while_the_director_runs() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let _director = lab.start(&[lab.service(V4), lab.service(V6)]);
    for host in [&lab.client, &lab.servers[0].host, &lab.servers[1].host, &lab.servers[2].host] {
        host.exec("ip neighbour flush all");
    }
    for family in [V4, V6] {
        assert_eq!(shares(&lab.ask(family, 80, 0, 6)), alike(2), "{family:?}");
    }
}

/// Ssh and the like: the address is the director's own, or the VIP's with a port that is no service.
#[test]
fn connections_to_the_director_itself_are_the_kernels() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let _director = lab.start(&[lab.service(V4), lab.service(V6)]);
    for (family, own) in [(V4, "198.51.100.1"), (V6, "2001:db8:1::1")] {
        for address in [own.parse::<IpAddr>().expect("it is an address"), lab.vip(family)] {
            let to = SocketAddr::new(address, 22);
            let listener = lab.director.enter(|| TcpListener::bind(to)).expect("the port is free");
            let greeting = std::thread::scope(|scope| {
                scope.spawn(|| listener.accept().and_then(|(mut stream, _)| stream.write_all(b"SSH-2.0-test\r\n")));
                lab.client.enter(|| read_all(http::connect(lab.clients(family)[0], to)))
            });
            assert_eq!(greeting.expect("the kernel answers"), b"SSH-2.0-test\r\n", "{to}");
        }
    }
}

fn read_all(stream: std::io::Result<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Replies of real servers are steered to the rings, but not those to the director's own connections.
#[test]
fn the_directors_own_connections_to_real_servers_work() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let director = lab.start(&[Service { check: QUICK_TCP_CHECK, ..lab.service(V4) }]);
    let server = SocketAddr::new(lab.servers[0].address(V4), 80);
    let own = "10.0.0.1".parse().expect("it is an address");
    for _ in 0..20 {
        let answer = lab.director.enter(|| http::ask(own, server)).expect("the reply reaches the kernel");
        assert_eq!((answer.server.as_str(), answer.client), ("server-1", own));
    }
    eventually("all servers pass their checks", || director.list().matches("-> ").count() == 3 + 1); // and the title
}
