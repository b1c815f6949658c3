//! ICMP errors that are made or scheduled by choice: `nat_icmp_send`, `schedule_icmp`.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::icmp;
use crate::packets::tcp;
use crate::support::config::Service;
use crate::support::hosts::Family::{self, V4, V6};
use crate::support::lab::Lab;
use crate::support::udp::Echo;
use crate::support::{eventually, netns};

const PATIENCE: Duration = Duration::from_secs(5);

/// What a server sends from the port of its service, of no connection, goes no further; from another port it is the
/// kernel's to route.
#[test]
fn a_server_without_a_connection_is_refused_by_choice() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    lab.director.exec("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    let service = |family, protocol| Service { protocol, port: 443, real_port: 8443, ..lab.service(family) };
    let services = [V4, V6].map(|family| [service(family, "TCP"), service(family, "UDP")]);
    let _director = lab.start_with("nat_icmp_send yes", services.as_flattened());
    for family in [V4, V6] {
        let client = SocketAddr::new(lab.clients(family)[0], 7000);
        let _listener = lab.client.enter(|| TcpListener::bind(client)).expect("the port is free");
        let _echo = Echo::start(&lab.client, "client", client);
        for (port, refused) in [(8443, Some(ErrorKind::ConnectionRefused)), (8444, None)] {
            let from = SocketAddr::new(lab.servers[0].address(family), port);
            let heard = lab.servers[0].host.enter(|| [send_to(client, from), connect_to(client, from)]);
            assert_eq!(heard, [refused; 2], "{from}");
        }
    }
}

/// What goes wrong with a datagram that is to be answered.
fn send_to(to: SocketAddr, from: SocketAddr) -> Option<ErrorKind> {
    let socket = UdpSocket::bind(from).expect("the port is free");
    socket.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    socket.connect(to).expect("there is a route");
    socket.send(b"x").expect("it leaves");
    socket.recv(&mut [0; 16]).err().map(|error| error.kind())
}

fn connect_to(to: SocketAddr, from: SocketAddr) -> Option<ErrorKind> {
    let socket = Socket::new(Domain::for_address(from), Type::STREAM, None).expect("sockets are to be had");
    socket.bind(&from.into()).expect("the port is free");
    socket.connect_timeout(&to.into(), PATIENCE).err().map(|error| error.kind())
}

/// A router reports that a packet of a connection was too big, to a director that does not know that connection: another
/// one has it, which schedules alike.
#[test]
fn an_error_about_an_unknown_connection_reaches_the_server_of_its_client_by_choice() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let services = [V4, V6].map(|family| Service { scheduler: "sh", real_port: 8080, ..lab.service(family) });
    for (settings, is_told) in [("schedule_icmp no", false), ("schedule_icmp yes", true)] {
        let director = lab.start_with(settings, &services);
        for (family, number) in [(V4, 0), (V4, 1), (V6, 0), (V6, 1)] {
            let client = SocketAddr::new(lab.clients(family)[number], 40_000);
            let told = who_is_told(&lab, family, client, is_told);
            assert_eq!(told.len(), usize::from(is_told), "{client}, {settings}");
            let known = director.connections();
            assert_eq!(known.contains(&client.to_string()), is_told, "{client}, {settings}: {known}");
            // It goes where the client's next connection goes.
            for (server, about) in told {
                assert_eq!(about, SocketAddr::new(lab.servers[server].address(family), 8080));
                let next = SocketAddr::new(client.ip(), 40_001);
                let _ = lab.client.enter(|| connect_to((lab.vip(family), 80).into(), next));
                let of_next = |line: &&str| line.contains(&next.to_string());
                let known = director.connections();
                let line = known.lines().find(of_next).unwrap_or_else(|| panic!("{next} is not there: {known}"));
                assert!(line.contains(&about.to_string()), "{about}: {line}");
            }
        }
    }
}

/// The servers that are told, and whose packets they are told about, when the client's host reports to the virtual address
/// that a packet to `client` was too big. If there `is_somebody`, that is waited for.
fn who_is_told(lab: &Lab, family: Family, client: SocketAddr, is_somebody: bool) -> Vec<(usize, SocketAddr)> {
    let listen = |server: &crate::support::hosts::Server| server.host.enter(|| raw(family));
    let sockets: Vec<_> = lab.servers.iter().map(listen).collect();
    let vip = SocketAddr::new(lab.vip(family), 80).to_string();
    let about = tcp(&vip, &client.to_string(), "A").bytes();
    let kind = [(3, 4), (2, 0)][family as usize];
    let frame = icmp::error(&client.ip().to_string(), &vip, kind, 1300, &about, 60);
    let message = &frame[icmp::icmp_at(&frame)..];
    let to = SocketAddr::new(lab.vip(family), 0).into();
    lab.client.enter(|| raw(family).send_to(message, &to)).expect("there is a route");
    let mut told = Vec::new();
    eventually("a server is told", || {
        let heard = |(server, socket)| Some((server, told_by(socket, family, kind)?));
        told.extend(sockets.iter().enumerate().filter_map(heard));
        !is_somebody || !told.is_empty()
    });
    told
}

fn raw(family: Family) -> Socket {
    let (domain, protocol) = [(Domain::IPV4, Protocol::ICMPV4), (Domain::IPV6, Protocol::ICMPV6)][family as usize];
    let socket = Socket::new(domain, Type::RAW, Some(protocol)).expect("root may have it");
    socket.set_read_timeout(Some(Duration::from_millis(300))).expect("it is not zero");
    socket
}

/// The source of the packet that the next error of this kind quotes.
fn told_by(mut socket: &Socket, family: Family, (kind, code): (u8, u8)) -> Option<SocketAddr> {
    let mut buffer = [0; 256];
    while let Ok(length) = socket.read(&mut buffer) {
        // A raw socket of IPv4 gives the IP header too.
        let message = &buffer[[20, 0][family as usize]..length];
        if message.len() >= 48 && message[..2] == [kind, code] {
            let quoted = &message[8..];
            let (address, port): (IpAddr, _) = match family {
                V4 => (quoted[12..16].first_chunk::<4>().copied().expect("4").into(), &quoted[20..22]),
                V6 => (quoted[8..24].first_chunk::<16>().copied().expect("16").into(), &quoted[40..42]),
            };
            return Some(SocketAddr::new(address, u16::from_be_bytes([port[0], port[1]])));
        }
    }
    None
}
