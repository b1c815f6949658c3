//! What does not fit one packet, or one link.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::time::Duration;

use socket2::SockRef;

use crate::support::config::Service;
use crate::support::hosts::Family::{V4, V6};
use crate::support::hosts::{Family, host};
use crate::support::http;
use crate::support::lab::Lab;
use crate::support::netns::{self, Namespace};
use crate::support::udp::{self, Echo};

/// A connection that stands still for so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Some 8 kB: six frames of an MTU of 1500.
fn question() -> String {
    (0..1000).map(|number| format!("{number:07} ")).collect()
}

/// Asks once by UDP, from another port each time, and takes the answer apart into server and text.
fn ask(lab: &Lab, family: Family, port: u16, text: &str) -> (String, String) {
    let (from, to) = ((lab.clients(family)[0], port).into(), (lab.vip(family), 53).into());
    let answer = lab.client.enter(|| udp::ask(from, to, text)).unwrap_or_else(|error| panic!("{to}: {error}"));
    let (server, echoed) = answer.split_once(' ').expect("the name comes first");
    (server.to_owned(), echoed.to_owned())
}

#[test]
fn datagrams_of_8_kb_pass_by_nat_in_both_directions() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let udp = |family| Service { protocol: "UDP", port: 53, real_port: 5353, ..lab.service(family) };
    let director = lab.start(&[udp(V4), udp(V6)]);
    let long = question();
    for family in [V4, V6] {
        let _echoes: Vec<_> = lab
            .servers
            .iter()
            .map(|server| Echo::start(&server.host, &server.name, (server.address(family), 5353).into()))
            .collect();
        let mut servers: Vec<_> = (41_000..41_006)
            .map(|port| {
                let (server, echoed) = ask(&lab, family, port, &long);
                assert!(echoed == long, "{family:?}: what came back is not what was sent");
                server
            })
            .collect();
        servers.sort();
        let wanted = ["server-1", "server-1", "server-2", "server-2", "server-3", "server-3"];
        assert_eq!(servers, wanted, "{family:?}: all pieces of one datagram go to one server");
    }
    drop(director);
}

#[test]
fn datagrams_of_8_kb_reach_direct_servers() {
    if !netns::available() {
        return;
    }
    let lab = Lab::dr();
    let udp = |family| Service { protocol: "UDP", port: 53, real_port: 53, ..lab.service(family) };
    let _director = lab.start(&[udp(V4), udp(V6)]);
    let long = question();
    for family in [V4, V6] {
        let _echoes: Vec<_> = lab
            .servers
            .iter()
            .map(|server| Echo::start(&server.host, &server.name, (lab.vip(family), 53).into()))
            .collect();
        for port in 42_000..42_003 {
            assert!(ask(&lab, family, port, &long).1 == long, "{family:?}");
        }
    }
}

/// The client fills its MTU of 1500; a router between director and server, which the client has never heard of, has only
/// 1300 left and says so to the client.
#[test]
fn a_nat_client_learns_of_a_narrow_link_behind_the_director() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let (router, server) = (host("router"), host("far-server"));
    netns::veth((&lab.director, "eth2", "10.77.0.1/24"), (&router, "eth0", "10.77.0.2/24"), 2);
    netns::veth((&router, "eth1", "10.78.0.1/24"), (&server, "eth0", "10.78.0.11/24"), 1);
    router.exec("ip link set eth1 mtu 1300");
    router.exec("sysctl -qw net.ipv4.ip_forward=1");
    router.exec("ip route add default via 10.77.0.1");
    server.exec("ip route add default via 10.78.0.1");
    lab.director.exec("ip route add 10.78.0.0/24 via 10.77.0.2");
    let upload = Service { port: 9000, real_port: 9001, servers: vec!["10.78.0.11".into()], ..lab.service(V4) };
    let _director = lab.start(&[upload]);

    upload_one_mebibyte(&lab, &server, 9001);
    let learned = lab.client.exec(&format!("ip route get {}", lab.vip(V4)));
    assert!(learned.contains("mtu 1300"), "{learned}");
}

/// The client sends to port 9000 of the virtual address, and all arrives at this port of the server.
pub(super) fn upload_one_mebibyte(lab: &Lab, server: &Namespace, port: u16) {
    let listener = server.enter(|| TcpListener::bind(("0.0.0.0", port))).expect("the port is free");
    SockRef::from(&listener).set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    let sent = vec![7; 1 << 20];
    let received = std::thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let mut received = Vec::new();
            let (mut stream, _) = listener.accept()?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.read_to_end(&mut received)?;
            Ok::<_, std::io::Error>(received)
        });
        lab.client.enter(|| {
            let mut stream = http::connect(lab.clients(V4)[0], (lab.vip(V4), 9000).into()).expect("it connects");
            stream.write_all(&sent).expect("the server reads on");
            stream.shutdown(Shutdown::Write).expect("it is connected");
        });
        receiver.join().expect("it does not panic")
    });
    assert!(received.expect("the connection ends in order") == sent, "what arrived is not what was sent");
}
