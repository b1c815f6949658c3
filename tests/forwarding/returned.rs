//! What reaches a worker and is the kernel's goes back to it.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use rustix::process::Signal;
use socket2::{Domain, Protocol, Socket, Type};

use crate::support::config::Service;
use crate::support::hosts::Family::{self, V4, V6};
use crate::support::lab::Lab;
use crate::support::udp::{self, Echo};
use crate::support::{eventually, netns};
use crate::{alike, shares};

const PATIENCE: Duration = Duration::from_secs(5);

/// Pieces of datagrams to a virtual address are steered before anybody knows to which port they go.
#[test]
fn what_comes_in_pieces_to_the_vip_is_received() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let director = lab.start(&[lab.service(V4), lab.service(V6)]);
    let text = "x".repeat(4000);
    for family in [V4, V6] {
        lab.client.exec(&format!("ping -q -c 3 -i 0.1 -W 2 -s 3000 {}", lab.vip(family)));

        let to = SocketAddr::new(lab.vip(family), 7777);
        let _echo = Echo::start(&lab.director, "director", to);
        let answer = lab.client.enter(|| udp::ask((client(&lab, family), 41_000).into(), to, &text));
        assert_eq!(answer.expect("the echo comes back"), format!("director {text}"), "{family:?}");
    }
    let status = director.ask("status");
    assert_eq!((counter(&status, "gathered"), counter(&status, "passed")), (6, 6), "{status}");
}

/// What a NAT server sends from the port of its service is steered, but the kernel is its router, and says so as well.
#[test]
fn a_server_gets_through_from_the_very_port_of_its_service() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    // The strictest test of sources that there is, and packets that come by no wire.
    lab.director.exec("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=1");
    let service = |family, protocol| Service { protocol, port: 443, real_port: 8443, ..lab.service(family) };
    let services = [V4, V6].map(|family| [service(family, "TCP"), service(family, "UDP")]);
    let _director = lab.start(services.as_flattened());
    for family in [V4, V6] {
        let (server, client) = (lab.servers[0].address(family), lab.clients(family)[0]);
        let greeting = greeting(&lab, (server, 8443).into(), (client, 7000).into());
        assert_eq!(greeting, (server, b"hello".to_vec()), "{family:?}");

        let _echo = Echo::start(&lab.client, "client", (client, 53).into());
        for length in [10, 4000] {
            let text = "x".repeat(length);
            let answer = lab.servers[0].host.enter(|| udp::ask((server, 8443).into(), (client, 53).into(), &text));
            assert_eq!(answer.expect("the echo comes back"), format!("client {text}"), "{family:?}");
        }
    }
    let error = lab.servers[0].host.enter(|| error_about_a_short_lived_datagram(&lab));
    assert_eq!(error, (11, [10, 0, 0, 1]), "time exceeded, by the director");
}

#[test]
fn what_goes_back_is_masqueraded_by_the_kernel_s_rules() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    lab.director.exec("sysctl -qw net.ipv4.ip_forward=1");
    lab.director.exec("nft add table ip lab");
    lab.director.exec("nft add chain ip lab out { type nat hook postrouting priority 100 ; }");
    lab.director.exec("nft add rule ip lab out oifname eth0 masquerade");
    let _director = lab.start(&[Service { port: 443, real_port: 8443, ..lab.service(V4) }]);
    let (from, to) = (SocketAddr::new(lab.servers[0].address(V4), 8443), SocketAddr::new(client(&lab, V4), 7000));
    assert_eq!(greeting(&lab, from, to), ("198.51.100.1".parse().expect("it is an address"), b"hello".to_vec()));
}

/// What a server sends to a client of the lab by TCP, from a port of its choice, and as whom the client knows it.
fn greeting(lab: &Lab, from: SocketAddr, to: SocketAddr) -> (IpAddr, Vec<u8>) {
    let listener = lab.client.enter(|| TcpListener::bind(to)).expect("the port is free");
    let connect = || -> std::io::Result<()> {
        let socket = Socket::new(Domain::for_address(from), Type::STREAM, None)?;
        socket.bind(&from.into())?;
        socket.connect_timeout(&to.into(), PATIENCE)?;
        TcpStream::from(socket).write_all(b"hello")
    };
    lab.servers[0].host.enter(connect).expect("the server gets through");
    let (mut stream, peer) = listener.accept().expect("somebody has connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("the other end closes");
    (peer.ip(), bytes)
}

/// Type and sender of the ICMP message about a datagram from the port of the service that lives for one hop.
fn error_about_a_short_lived_datagram(lab: &Lab) -> (u8, [u8; 4]) {
    let errors = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).expect("root may have it");
    errors.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    let socket = UdpSocket::bind((lab.servers[0].address(V4), 8443)).expect("the port is free");
    socket.set_ttl(1).expect("a TTL of 1 is allowed");
    socket.send_to(b"x", (lab.clients(V4)[0], 9)).expect("it leaves");
    let mut packet = [0; 128];
    let length = (&errors).read(&mut packet).expect("there is an answer");
    assert!(length > 20, "a raw socket gives the IP header too");
    (packet[20], [packet[12], packet[13], packet[14], packet[15]])
}

/// Errors for a virtual address are steered: those about the kernel's own sockets there must reach them.
#[test]
fn an_error_about_the_kernel_s_own_packet_reaches_its_socket() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let _director = lab.start(&[lab.service(V4), lab.service(V6)]);
    for family in [V4, V6] {
        assert_eq!(refusal(&lab, family), Some(ErrorKind::ConnectionRefused), "{family:?}");
    }
}

/// What the director hears that sends a datagram from the VIP to a closed port.
fn refusal(lab: &Lab, family: Family) -> Option<ErrorKind> {
    let (vip, closed): (SocketAddr, SocketAddr) = ((lab.vip(family), 7777).into(), (client(lab, family), 9).into());
    lab.director.enter(|| {
        let socket = UdpSocket::bind(vip).expect("the port is free");
        socket.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
        socket.connect(closed).expect("there is a route");
        socket.send(b"x").expect("it leaves");
        socket.recv(&mut [0; 8]).err().map(|error| error.kind())
    })
}

fn client(lab: &Lab, family: Family) -> IpAddr {
    lab.clients(family)[0]
}

#[test]
fn without_a_way_back_it_says_so_and_forwards() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let mut director = lab.start(&[lab.service(V4)]);
    let links = lab.director.exec("ip -o link show");
    let name = links.split([' ', '@', ':']).find(|word| word.starts_with("rmk-")).expect("it is there").to_owned();
    assert!(director.end_by(Signal::TERM).success());
    lab.director.exec(&format!("ip link add {name} type veth peer name other"));

    let director = lab.start(&[lab.service(V4)]);
    assert_eq!(director.log().matches("cannot go back").count(), 1, "{}", director.log());
    assert_eq!(shares(&lab.ask(V4, 80, 0, 3)), alike(1));
    let to = SocketAddr::new(lab.vip(V4), 7777);
    let socket = lab.client.enter(|| UdpSocket::bind((client(&lab, V4), 0))).expect("a port is free");
    socket.send_to(&[0; 4000], to).expect("there is a route");
    eventually("three pieces are counted", || {
        director.ask("status --all").lines().any(|line| line.split_whitespace().eq(["ended-not-passed", "3"]))
    });
    assert!(lab.director.exec("ip link show").contains(&name), "it was not the director's");
}

/// The value of a counter in what `status` prints.
fn counter(status: &str, name: &str) -> u64 {
    let mut values = status.lines().filter_map(|line| line.trim().strip_prefix(name)?.trim().parse().ok());
    values.next().unwrap_or_else(|| panic!("there is no {name}:\n{status}"))
}
