//! Odd mixtures: what is seldom used together, or seldom at all.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ringmaster::forward::Reason;
use ringmaster::io::mem::MemIo;
use ringmaster::sched::{Flags, Kind, Setup};
use ringmaster::service::{FullNat, HandOn, MarkRule, Method, Options, PairId, Tunnel};
use ringmaster::time::Tick;
use ringmaster::wire::{Block, Family, Pattern};
use ringmaster::worker::Offline;

use crate::fragments;
use crate::icmp::error;
use crate::offline::*;
use crate::packets::{Packet, end as ip_end, tcp, udp};
use crate::sctp_packets::{read as read_sctp, sctp};

const NOW: Tick = Tick(100);
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const CLIENT: &str = "198.51.100.7:40000";
const TWO: [&str; 2] = ["10.1.0.11:0", "10.1.0.12:0"];

/// Virtual server, client, real server, local address, by family.
const ENDS: [[&str; 4]; 2] = [
    ["192.0.2.10:5000", CLIENT, "10.1.0.11:7000", "10.1.0.5"],
    ["[2001:db8::10]:5000", "[2001:db8:f::7]:40000", "[2001:db8:1::11]:7000", "2001:db8:1::5"],
];

fn everything(services: &[Wanted]) -> Offline<MemIo> {
    director(snapshot(services, Options::RINGMASTER), 100)
}

fn marked(service: Wanted, mark: u32, address: &str) -> Offline<MemIo> {
    let pattern = Pattern { destination: Block::new(addr(address), 24), ..Pattern::ANY };
    let rule = MarkRule { mark, pattern, arrival: None };
    director(marked_snapshot(&[service], &[rule], Options::RINGMASTER), 100)
}

/// The MAC address that the one frame leaves for, on the servers' side; `None` if nothing goes there.
fn server_of(director: &mut Offline<MemIo>, frame: &[u8]) -> Option<[u8; 6]> {
    let out = pass(director, CLIENTS, frame, NOW);
    out.first().filter(|(port, _)| *port == SERVERS).map(|(_, frame)| frame[..6].try_into().unwrap())
}

fn templates(director: &Offline<MemIo>) -> usize {
    director.shared.table.entries().filter(|listed| listed.key.is_template()).count()
}

fn by_full_nat(family: usize, protocol: u8) -> Wanted {
    let [vip, _, server, local] = ENDS[family];
    let full = FullNat { addresses: vec![addr(local)], ports: (1024, 2047), hand_on: HandOn::Toa };
    Wanted { protocol, full: Some(full), ..Wanted::tcp(vip, Method::Full, &[server]) }
}

#[test]
fn a_mark_by_dr_keeps_a_client_on_its_server_whatever_it_asks_for_and_by_which_protocol() {
    let mut director = marked(Wanted::mark(7, Family::V4, Method::Dr, &TWO).persistent(50, 24), 7, "192.0.2.0");
    let mut ask = |client: &str| {
        [
            tcp(client, "192.0.2.10:80", "S").bytes(),
            udp(client, "192.0.2.11:53", b"?").bytes(),
            sctp(client, "192.0.2.12:5000", INIT),
            tcp(client, "192.0.2.10:443", "S").bytes(),
        ]
        .map(|frame| server_of(&mut director, &frame).unwrap())
    };
    let (one, same_network, other) = (ask(CLIENT), ask("198.51.100.99:1"), ask("198.51.101.7:1"));
    assert_eq!((one, same_network), ([one[0]; 4], [one[0]; 4]));
    assert_eq!(other, [other[0]; 4]);
    assert_ne!(one[0], other[0]);
    assert_eq!(templates(&director), 2);
}

#[test]
fn ports_decide_about_associations_where_sh_and_mh_are_to_look_at_them() {
    let servers = ["10.1.0.11:5000", "10.1.0.12:5000", "10.1.0.13:5000"];
    let vip = ENDS[0][0];
    for kind in [Kind::Sh, Kind::Mh] {
        for (port, servers_asked) in [(false, 1), (true, 3)] {
            let setup = Setup { kind, flags: Flags { port, ..Flags::default() } };
            let wanted = Wanted { protocol: 132, ..Wanted::tcp(vip, Method::Nat, &servers) }.scheduled(setup);
            let mut director = everything(&[wanted]);
            let asked: BTreeSet<_> = (1000..1040)
                .map(|port| server_of(&mut director, &sctp(&format!("198.51.100.7:{port}"), vip, INIT)).unwrap())
                .collect();
            assert_eq!(asked.len(), servers_asked, "{kind}, port: {port}");
        }
    }
}

/// A datagram to port 0 is of the service of port 0 alone, and one from port 0 is as good as any.
#[test]
fn port_0_is_a_port() {
    let dns = Wanted::udp("192.0.2.10:53", Method::Nat, &["10.1.0.11:53"]);
    let all = Wanted::udp("192.0.2.11:0", Method::Dr, &TWO);
    let mut director = everything(&[dns, all.clone()]);
    assert!(pass(&mut director, CLIENTS, &udp(CLIENT, "192.0.2.10:0", b"?").bytes(), NOW).is_empty());
    assert_eq!(director.counters.passed.get(), 1, "it is the kernel's");
    assert!(server_of(&mut director, &udp(CLIENT, "192.0.2.11:0", b"?").bytes()).is_some());
    assert_eq!(server_of(&mut director, &udp(CLIENT, "192.0.2.11:1", b"?").bytes()), None, "without persistence");

    let nobody = "198.51.100.7:0";
    assert!(server_of(&mut director, &udp(nobody, "192.0.2.10:53", b"?").bytes()).is_some());
    let back = pass(&mut director, SERVERS, &udp("10.1.0.11:53", nobody, b"!").bytes(), NOW);
    assert_eq!(Packet::read(&back[0].1).source, ip_end("192.0.2.10:53"));
}

#[test]
fn one_packet_scheduling_with_persistence_remembers_the_client_and_no_connection() {
    for method in [Method::Dr, Method::Nat, Method::Tun(Tunnel::Ipip)] {
        for (vip, servers, client, prefix) in [
            ("192.0.2.10:53", ["10.1.0.11:53", "10.1.0.12:53"], "198.51.100.7:", 32),
            ("[2001:db8::10]:53", ["[2001:db8:1::11]:53", "[2001:db8:1::12]:53"], "[2001:db8:f::7]:", 128),
        ] {
            let mut director = everything(&[Wanted::udp(vip, method, &servers).persistent(50, prefix).one_packet()]);
            let asked: Vec<_> = (1000..1004)
                .map(|port| server_of(&mut director, &udp(&format!("{client}{port}"), vip, b"?").bytes()))
                .collect();
            assert_eq!(asked, [asked[0]; 4], "{method:?}");
            assert!(asked[0].is_some());
            assert_eq!((templates(&director), director.shared.table.len()), (1, 1));
            let of = |pair| director.counters.pair(PairId(pair)).unwrap().connections.get();
            assert_eq!([of(0), of(1)], [4, 0]);
        }
    }
}

/// Whether a server is full is the scheduler's business: a template leads to it all the same
/// (`ip_vs_conn.c: ip_vs_check_template`).
#[test]
fn a_full_server_and_one_without_weight_take_nobody_but_whom_they_have() {
    let mut wanted = Wanted::tcp("192.0.2.10:80", Method::Dr, &["10.1.0.11:80", "10.1.0.12:80"]).limited(1, 0);
    wanted.servers[1].1 = 0;
    for persistent in [false, true] {
        let wanted = if persistent { wanted.clone().persistent(50, 32) } else { wanted.clone() };
        let mut director = everything(&[wanted]);
        let mut ask = |client: &str| server_of(&mut director, &tcp(client, "192.0.2.10:80", "S").bytes()).is_some();
        let got = ["198.51.100.7:1", "198.51.100.8:1", "198.51.100.7:2"].map(&mut ask);
        assert_eq!(got, [true, false, persistent], "persistent: {persistent}");
        assert_eq!(director.counters.reason(Reason::NoServer), 1 + u64::from(!persistent));
    }
}

#[test]
fn full_nat_works_the_checksum_of_sctp_out_anew_both_ways() {
    for (family, [vip, client, server, local]) in ENDS.into_iter().enumerate() {
        let mut director = everything(&[by_full_nat(family, 132)]);
        let there = pass(&mut director, CLIENTS, &sctp(client, vip, INIT), NOW).remove(0).1;
        let (request, wrong) = read_sctp(&there);
        assert_eq!((request.source.0, request.destination, wrong), (local.parse().unwrap(), ip_end(server), [0; 4]));
        let from = std::net::SocketAddr::from(request.source).to_string();
        let back = pass(&mut director, SERVERS, &sctp(server, &from, INIT_ACK), NOW).remove(0).1;
        let (reply, wrong) = read_sctp(&back);
        assert_eq!((reply.source, reply.destination, wrong), (ip_end(vip), ip_end(client), [0; 4]));
    }
}

/// As by NAT (`ip_vs_proto_udp.c: udp_dnat_handler`), though both ends change one after the other.
#[test]
fn full_nat_gives_a_datagram_without_a_checksum_the_right_one() {
    let [vip, client, server, _] = ENDS[0];
    let mut director = everything(&[by_full_nat(0, 17)]);
    let without = |mut frame: Vec<u8>| {
        frame[40..42].fill(0);
        frame
    };
    let there = pass(&mut director, CLIENTS, &without(udp(client, vip, b"?").bytes()), NOW).remove(0).1;
    let from = std::net::SocketAddr::from(Packet::read(&there).source).to_string();
    let back = pass(&mut director, SERVERS, &without(udp(server, &from, b"!").bytes()), NOW).remove(0).1;
    for (frame, to) in [(there, server), (back, client)] {
        assert_eq!(Packet::read(&frame).destination, ip_end(to));
        assert_ne!(frame[40..42], [0, 0]);
    }
}

#[test]
fn full_nat_with_persistence_keeps_the_client_and_gives_each_connection_an_end_of_its_own() {
    let [vip, _, _, local] = ENDS[0];
    let wanted = by_full_nat(0, 6).persistent(50, 32);
    let servers = ["10.1.0.11:7000", "10.1.0.12:7000"].map(|text| (end(text), 1)).to_vec();
    let mut director = everything(&[Wanted { servers, ..wanted }]);
    let mut ask = |client: &str| {
        let out = pass(&mut director, CLIENTS, &tcp(client, vip, "S").bytes(), NOW).remove(0).1;
        let packet = Packet::read(&out);
        assert_eq!(packet.source.0, local.parse::<IpAddr>().unwrap());
        (packet.destination.0, packet.source.1)
    };
    let (one, two, other) = (ask("198.51.100.7:1"), ask("198.51.100.7:2"), ask("198.51.100.8:1"));
    assert_eq!(one.0, two.0);
    assert_ne!(one.1, two.1);
    assert_ne!(one.0, other.0);
    assert_eq!(templates(&director), 2);
}

#[test]
fn a_reply_by_full_nat_that_comes_in_pieces_leaves_in_pieces() {
    for (family, [vip, client, server, _]) in ENDS.into_iter().enumerate() {
        let mut director = everything(&[by_full_nat(family, 17)]);
        let there = pass(&mut director, CLIENTS, &udp(client, vip, b"?").bytes(), NOW).remove(0).1;
        let from = std::net::SocketAddr::from(Packet::read(&there).source).to_string();
        let whole = udp(server, &from, &[7; 2000]).bytes();
        let pieces = fragments::cut(&whole, 77, &[1000]);
        let mut out = Vec::new();
        for piece in pieces.iter().rev() {
            out.extend(pass(&mut director, SERVERS, piece, NOW));
        }
        assert!(out.len() == 2 && out.iter().all(|(port, _)| *port == CLIENTS), "{family}: {out:x?}");
        let frames: Vec<_> = out.into_iter().map(|(_, frame)| frame).collect();
        let datagram = Packet::read(&fragments::join(&frames));
        assert_eq!((datagram.source, datagram.destination), (ip_end(vip), ip_end(client)));
        assert_eq!(datagram.payload, [7; 2000]);
    }
}

/// A client that gives up on a DR or TUN server says so to the virtual address, about a reply that the director never saw.
#[test]
fn an_error_about_a_direct_reply_goes_the_way_of_requests() {
    for method in [Method::Dr, Method::Tun(Tunnel::Ipip), Method::Tun(Tunnel::Gre { checksum: true })] {
        for (vip, server, client) in [
            ("192.0.2.10:53", "10.1.0.11:53", CLIENT),
            ("[2001:db8::10]:53", "[2001:db8:1::11]:53", "[2001:db8:f::7]:40000"),
        ] {
            let mut director = everything(&[Wanted::udp(vip, method, &[server])]);
            let to = server_of(&mut director, &udp(client, vip, b"?").bytes());
            let v6 = vip.starts_with('[');
            let reply = udp(vip, client, b"!").bytes();
            let (kind, host) = (if v6 { (1, 4) } else { (3, 3) }, ip_end(client).0.to_string());
            let frame = error(&host, vip, kind, 0, &reply, 60);
            assert_eq!(server_of(&mut director, &frame), to, "{method:?} {vip}");
        }
    }
}

#[test]
fn a_datagram_in_pieces_to_a_mark_s_address_is_put_together_for_one_server() {
    let mut director = marked(Wanted::mark(7, Family::V4, Method::Tun(Tunnel::Ipip), &TWO), 7, "192.0.2.0");
    let whole = udp(CLIENT, "192.0.2.77:53", &[7; 2500]).bytes();
    let mut out = Vec::new();
    for piece in fragments::cut(&whole, 9, &[800, 1600]).iter().rev() {
        out.extend(pass(&mut director, CLIENTS, piece, NOW));
    }
    let to: Vec<_> = out.iter().map(|(port, frame)| (*port, frame[..6].to_vec())).collect();
    assert_eq!(to, vec![to[0].clone(); 3]);
    assert_eq!(to[0].0, SERVERS);
}
