//! Services by firewall mark and for all ports, FTP's data ports, one-packet scheduling.

use std::net::IpAddr;

use ringmaster::forward::Counter;
use ringmaster::io::PortId;
use ringmaster::io::mem::MemIo;
use ringmaster::service::{Arrival, MarkRule, Method, Options, PairId, Services};
use ringmaster::time::Tick;
use ringmaster::wire::{Block, Family, Pattern};
use ringmaster::worker::Offline;

use crate::offline::*;
use crate::packets::{Packet, end as ip_end, tcp, udp};

const NOW: Tick = Tick(100);
const CLIENT: &str = "198.51.100.7:40000";
const TWO: [&str; 2] = ["10.1.0.11:0", "10.1.0.12:0"];

/// Port and packet of the one frame that comes out.
fn only(director: &mut Offline<MemIo>, port: PortId, packet: &Packet) -> (PortId, Packet) {
    let out = pass(director, port, &packet.bytes(), NOW);
    assert_eq!(out.len(), 1, "{packet:?}: {out:x?}");
    (out[0].0, Packet::read(&out[0].1))
}

/// The server's address and port that a new connection goes to; `None` if it is answered or goes nowhere.
fn server_of(director: &mut Offline<MemIo>, packet: &Packet) -> Option<(IpAddr, u16)> {
    let out = pass(director, CLIENTS, &packet.bytes(), NOW);
    out.first().filter(|(port, _)| *port == SERVERS).map(|(_, frame)| Packet::read(frame).destination)
}

fn destination(mark: u32, address: &str, length: u8) -> MarkRule {
    let pattern = Pattern { destination: Block::new(addr(address), length), ..Pattern::ANY };
    MarkRule { mark, pattern, arrival: None }
}

/// Connections of one client port to several addresses and ports of one mark are told apart in both directions, whether
/// the rule's addresses can be counted or not.
#[test]
fn a_mark_service_translates_for_every_address_and_port_it_is_reached_by() {
    for (client, hidden, vips, family, prefixes) in [
        (CLIENT, "10.1.0.11:0", ["192.0.2.10:80", "192.0.2.10:81", "192.0.2.77:80"], Family::V4, [24, 0]),
        (
            "[2001:db8:f::7]:40000",
            "[2001:db8:1::11]:0",
            ["[2001:db8:9::1]:80", "[2001:db8:9::1]:81", "[2001:db8:9::2]:80"],
            Family::V6,
            [120, 0],
        ),
    ] {
        for prefix in prefixes {
            let rule = destination(7, &ip_end(vips[0]).0.to_string(), prefix);
            let service = Wanted::mark(7, family, Method::Nat, &[hidden]);
            let mut director = director(marked_snapshot(&[service], &[rule], Options::RINGMASTER), 100);
            for vip in vips {
                let server = (ip_end(hidden).0, ip_end(vip).1);
                let (port, request) = only(&mut director, CLIENTS, &tcp(client, vip, "S"));
                assert_eq!((port, request.destination, request.source), (SERVERS, server, ip_end(client)));
            }
            // The server can tell connections to one of its ports apart by the client's port alone.
            let (port, again) = only(&mut director, CLIENTS, &tcp(client, vips[1], "A"));
            assert_eq!((port, again.destination.1), (SERVERS, 81));
            let reply = Packet { source: (ip_end(hidden).0, 81), ..tcp(client, client, "SA") };
            let (port, reply) = only(&mut director, SERVERS, &reply);
            assert_eq!((port, reply.source, reply.destination), (CLIENTS, ip_end(vips[1]), ip_end(client)));
            let pair = director.counters.pair(PairId(0)).unwrap();
            assert_eq!([&pair.connections, &pair.packets[0], &pair.packets[1]].map(Counter::get), [3, 4, 1]);
        }
    }
}

#[test]
fn a_mark_holds_before_an_address_and_an_address_before_all_ports() {
    let exact = Wanted::tcp("192.0.2.10:80", Method::Nat, &["10.1.0.11:8080"]);
    let all = Wanted::tcp("192.0.2.10:0", Method::Nat, &["10.1.0.12:0"]).persistent(50, 32);
    let mark = Wanted::mark(7, Family::V4, Method::Nat, &["10.1.0.13:0"]);
    let from_servers = Arrival { port: SERVERS, ifindex: 2 };
    let of = |pattern| MarkRule { pattern, ..MarkRule::all(7) };
    let rules = [
        MarkRule { mark: 99, ..of(Pattern { ports: (90, 90), ..Pattern::ANY }) },
        of(Pattern { source: Block::new(addr("198.51.100.0"), 24), protocol: Some(6), ..Pattern::ANY }),
        MarkRule { arrival: Some(from_servers), ..MarkRule::all(7) },
    ];
    let mut director = director(marked_snapshot(&[exact, all, mark], &rules, Options::RINGMASTER), 100);
    for (client, vip, expected) in [
        ("198.51.100.1:1", "192.0.2.10:80", "10.1.0.13:80"),
        ("198.51.100.1:1", "203.0.113.5:9", "10.1.0.13:9"),
        ("203.0.113.1:1", "192.0.2.10:80", "10.1.0.11:8080"),
        ("203.0.113.1:1", "192.0.2.10:81", "10.1.0.12:81"),
        // A mark without a service is as good as none.
        ("198.51.100.1:1", "192.0.2.10:90", "10.1.0.12:90"),
    ] {
        assert_eq!(server_of(&mut director, &tcp(client, vip, "S")), Some(ip_end(expected)), "{client} to {vip}");
    }
    assert_eq!(server_of(&mut director, &udp("198.51.100.1:1", "203.0.113.5:9", b"")), None);
}

#[test]
fn all_ports_of_an_address_go_where_the_client_s_first_went() {
    let service = Wanted::tcp("192.0.2.10:0", Method::Nat, &TWO).persistent(50, 32);
    let mut director = director(snapshot(&[service], Options::RINGMASTER), 100);
    let mut to = |client: &str, port: u16| {
        server_of(&mut director, &tcp(client, &format!("192.0.2.10:{port}"), "S"))
            .map(|(server, port)| (server.to_string(), port))
    };
    for port in [80, 443, 22, 9999] {
        assert_eq!(to("198.51.100.7:40000", port), Some(("10.1.0.11".into(), port)));
        assert_eq!(to("198.51.100.8:40000", port), Some(("10.1.0.12".into(), port)));
    }
    let templates = director.shared.table.entries().filter(|listed| listed.key.is_template());
    assert!(templates.map(|listed| (listed.record.vport, listed.record.rport)).eq([(0, 0); 2]));
}

#[test]
fn without_persistence_a_service_for_all_ports_refuses() {
    let mut director = director(snapshot(&[Wanted::tcp("192.0.2.10:0", Method::Nat, &TWO)], Options::RINGMASTER), 100);
    let out = pass(&mut director, CLIENTS, &tcp(CLIENT, "192.0.2.10:80", "S").bytes(), NOW);
    assert_eq!((out.len(), out[0].0), (1, CLIENTS));
    assert_eq!(out[0].1[34..36], [3, 3], "ICMP port unreachable");
}

#[test]
fn a_persistent_ftp_service_takes_the_data_connections_and_a_plain_one_none() {
    let ftp = Wanted::tcp("192.0.2.10:21", Method::Nat, &["10.1.0.11:2121", "10.1.0.12:2121"]);
    for (service, passive) in [(ftp.clone(), false), (ftp.persistent(50, 32), true)] {
        let mut director = director(snapshot(&[service], Options::RINGMASTER), 100);
        let mut port_of = |port: u16| {
            server_of(&mut director, &tcp(CLIENT, &format!("192.0.2.10:{port}"), "S")).map(|(server, port)| {
                assert_eq!(server.to_string(), "10.1.0.11");
                port
            })
        };
        assert_eq!(port_of(21), Some(2121));
        for port in [20, 1024, 50000] {
            assert_eq!(port_of(port), passive.then_some(port));
        }
        assert_eq!([80, 1023].map(&mut port_of), [None; 2]);
    }
}

/// `rport` for a server with a port of its own: without persistence it stands for every port.
#[test]
fn a_server_s_own_port_stands_for_all_ports_of_a_mark_without_persistence() {
    let service = Wanted::mark(7, Family::V4, Method::Nat, &["10.1.0.11:8080"]);
    for (service, expected) in [(service.clone(), 8080), (service.persistent(50, 32), 443)] {
        let rules = [destination(7, "192.0.2.10", 32)];
        let mut director = director(marked_snapshot(&[service], &rules, Options::RINGMASTER), 100);
        let server = server_of(&mut director, &tcp(CLIENT, "192.0.2.10:443", "S"));
        assert_eq!(server, Some((ip_end("10.1.0.11:0").0, expected)));
    }
}

#[test]
fn one_packet_scheduling_chooses_for_each_datagram_and_remembers_nothing() {
    let service = Wanted::udp("192.0.2.10:53", Method::Nat, &["10.1.0.11:5353", "10.1.0.12:5353"]).one_packet();
    let mut director = director(snapshot(&[service], Options::RINGMASTER), 100);
    let servers: Vec<_> = (0..4)
        .map(|_| server_of(&mut director, &udp(CLIENT, "192.0.2.10:53", b"x")).unwrap())
        .map(|(server, port)| format!("{server}:{port}"))
        .collect();
    assert_eq!(servers, ["10.1.0.11:5353", "10.1.0.12:5353", "10.1.0.11:5353", "10.1.0.12:5353"]);
    assert!(director.shared.table.is_empty());
    for pair in [0, 1] {
        let counters = director.counters.pair(PairId(pair)).unwrap();
        assert_eq!([&counters.connections, &counters.packets[0], &counters.bytes[0]].map(Counter::get), [2, 2, 58]);
    }
    // A datagram that can go no further is refused like any other.
    let out = pass(&mut director, CLIENTS, &udp(CLIENT, "192.0.2.10:53", b"x").with_ttl(1).bytes(), NOW);
    assert_eq!((out[0].0, out[0].1[34]), (CLIENTS, 11), "time exceeded");
}

#[test]
fn one_packet_scheduling_leaves_the_tcp_of_a_mark_alone() {
    let service = Wanted::mark(7, Family::V4, Method::Dr, &TWO).one_packet();
    let rules = [destination(7, "192.0.2.10", 32)];
    let mut director = director(marked_snapshot(&[service], &rules, Options::RINGMASTER), 100);
    pass(&mut director, CLIENTS, &udp(CLIENT, "192.0.2.10:53", b"x").bytes(), NOW);
    assert!(director.shared.table.is_empty());
    pass(&mut director, CLIENTS, &tcp(CLIENT, "192.0.2.10:53", "S").bytes(), NOW);
    assert_eq!(director.shared.table.len(), 1);
}

/// All that such a server sends comes to the workers, which must give back what is no reply.
#[test]
fn what_a_server_that_answers_from_any_port_sends_for_itself_is_the_kernel_s() {
    let service = Wanted::tcp("192.0.2.10:0", Method::Nat, &TWO).persistent(50, 32);
    let plain = Wanted::tcp("192.0.2.11:80", Method::Nat, &["10.1.0.13:80"]);
    let mut director = director(snapshot(&[service, plain], Options::RINGMASTER), 100);
    let own = tcp("10.1.0.11:50000", "203.0.113.80:443", "S");
    let other = tcp("10.1.0.13:50000", "203.0.113.80:443", "S");
    let frames = [own.clone(), own.with_ttl(1), other].map(|packet| packet.bytes());
    for frame in &frames {
        assert!(pass(&mut director, SERVERS, frame, NOW).is_empty());
    }
    assert_eq!(director.worker.io().take_passed(), frames, "as they came");
    assert_eq!(director.counters.passed.get(), 3);
}

/// What a connection of a mark knows outlives the mark's service and its rules.
#[test]
fn connections_of_a_removed_mark_service_are_still_known() {
    let service = Wanted::mark(7, Family::V4, Method::Nat, &["10.1.0.11:0"]);
    let rules = [destination(7, "192.0.2.10", 32)];
    let options = Options { expire_nodest_conn: false, last_service_ends_all: false, ..Options::RINGMASTER };
    let before = marked_snapshot(&[service], &rules, options);
    let pair = *before.services.pair(PairId(0)).unwrap();
    let mut director = director(before.clone(), 100);
    only(&mut director, CLIENTS, &tcp(CLIENT, "192.0.2.10:80", "S"));

    let mut builder = ringmaster::service::ServicesBuilder::default();
    builder.marks(rules.to_vec());
    builder.add_removed(PairId(0), pair, &before.network);
    let services: Services = builder.build();
    assert!(services.marks_in_use.contains(&7));
    director.publish(ringmaster::service::Snapshot { services: services.into(), ..before });
    let (port, reply) = only(&mut director, SERVERS, &tcp("10.1.0.11:80", CLIENT, "SA"));
    assert_eq!((port, reply.source), (CLIENTS, ip_end("192.0.2.10:80")));
    assert!(pass(&mut director, CLIENTS, &tcp(CLIENT, "192.0.2.10:80", "A").bytes(), NOW).is_empty());
}
