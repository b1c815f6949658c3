//! ICMP errors about connections and about tunnel packets: to the other side, with everything put right.

use std::net::IpAddr;

use ringmaster::forward::{Counter, Reason};
use ringmaster::io::mem::MemIo;
use ringmaster::io::{PacketIo, PortId};
use ringmaster::service::{Method, Options, PairId};
use ringmaster::time::{Tick, Ticks};
use ringmaster::worker::Offline;

use crate::fragments::{cut, fix_header, join, ones};
use crate::icmp::{error, host, icmp_at, icmp_sum};
use crate::offline::*;
use crate::packets::{Packet, addr as ip, tcp, udp};

const NOW: Tick = Tick(100);
/// Service, client, server, a router, the director, by family.
const ENDS: [[&str; 5]; 2] = [
    ["192.0.2.10:80", "198.51.100.7:40000", "10.1.0.11:8080", "203.0.113.9", "10.1.0.1"],
    ["[2001:db8::10]:80", "[2001:db8:f::7]:40000", "[2001:db8:1::11]:8080", "2001:db8:99::9", "2001:db8:1::1"],
];
/// "Too big" with 1300 bytes, by family, and "port unreachable".
const TOO_BIG: [(u8, u8); 2] = [(3, 4), (2, 0)];
const UNREACHABLE: [(u8, u8); 2] = [(3, 3), (1, 4)];

/// A director that knows one connection.
fn connected(family: usize, method: Method, udp_too: bool) -> Offline<MemIo> {
    let [vip, client, server, ..] = ENDS[family];
    let server = if method == Method::Nat { server } else { &server.replace("8080", "80") };
    let services = [Wanted::tcp(vip, method, &[server]), Wanted::udp(vip, method, &[server])];
    let mut director = director(snapshot(&services[..1 + usize::from(udp_too)], Options::KERNEL), 100);
    assert_eq!(pass(&mut director, CLIENTS, &tcp(client, vip, "S").bytes(), NOW).len(), 1);
    if udp_too {
        assert_eq!(pass(&mut director, CLIENTS, &udp(client, vip, b"x").bytes(), NOW).len(), 1);
    }
    director
}

/// Source and destination of an untagged IP packet at `at`, and the 4 bytes behind its plain header.
fn read(frame: &[u8], at: usize) -> (IpAddr, IpAddr, [u8; 4]) {
    let four = |at: usize| -> [u8; 4] { frame[at..at + 4].try_into().unwrap() };
    let sixteen = |at: usize| -> [u8; 16] { frame[at..at + 16].try_into().unwrap() };
    match frame[at] >> 4 {
        4 => (four(at + 12).into(), four(at + 16).into(), four(at + 20)),
        _ => (sixteen(at + 8).into(), sixteen(at + 24).into(), four(at + 40)),
    }
}

fn ports(from: u16, to: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (from.to_be_bytes(), to.to_be_bytes());
    [a, b, c, d]
}

fn only(mut out: Vec<(PortId, Vec<u8>)>) -> (PortId, Vec<u8>) {
    assert_eq!(out.len(), 1, "{out:x?}");
    out.remove(0)
}

fn counted(director: &Offline<MemIo>) -> [u64; 4] {
    let pair = director.counters.pair(PairId(0)).unwrap();
    [&pair.packets[0], &pair.bytes[0], &pair.packets[1], &pair.bytes[1]].map(Counter::get)
}

/// How much of the quoted packet behind its IP header an error may hold: ports alone, eight bytes, or more.
const QUOTED: [usize; 4] = [4, 8, 9, 60];

#[test]
fn an_error_from_the_client_s_side_reaches_the_nat_server_as_if_it_were_its_own() {
    for family in [0, 1] {
        let [vip, client, server, router, _] = ENDS[family];
        for quoted in QUOTED {
            let mut director = connected(family, Method::Nat, false);
            let about = tcp(vip, client, "A").with_payload(&[7; 40]).bytes();
            let header = icmp_at(&about) - 14;
            let came = error(router, vip, TOO_BIG[family], 1300, &about, header + quoted);
            let (port, frame) = only(pass(&mut director, CLIENTS, &came, NOW));
            let at = icmp_at(&frame);
            assert_eq!((port, &frame[..6]), (SERVERS, &server_mac(1).0[..]));
            assert_eq!((read(&frame, 14).0, read(&frame, 14).1), (ip(router), host(server)));
            assert_eq!(read(&frame, at + 8), (host(server), host(client), ports(8080, 40000)));
            assert_eq!((icmp_sum(&frame), frame.len()), (0xffff, came.len()), "{quoted} bytes quoted");
            if family == 0 {
                assert_eq!((ones(&frame[14..34]), ones(&frame[42..62])), (0xffff, 0xffff), "both header checksums");
                assert_eq!(frame[22], 63);
            } else {
                assert_eq!(frame[21], 63);
            }
            assert_eq!(frame[at + 8 + header + 4..], came[at + 8 + header + 4..], "the rest is as it came");
            let request = if family == 0 { 40 } else { 60 };
            assert_eq!(counted(&director), [2, request + (came.len() as u64 - 14), 0, 0]);
        }
    }
}

/// A router before the server is hidden like the server: it speaks of an address that the client does not know.
#[test]
fn an_error_from_the_server_s_side_reaches_the_client_as_if_from_the_virtual_server() {
    for family in [0, 1] {
        let [vip, client, server, router, _] = ENDS[family];
        for (from, quoted) in [(router, 8), (router, 60), (server, 4)] {
            let mut director = connected(family, Method::Nat, true);
            let from = host(from).to_string();
            let about = udp(client, server, &[7; 40]).bytes();
            let header = icmp_at(&about) - 14;
            let came = error(&from, client, UNREACHABLE[family], 0, &about, header + quoted);
            let (port, frame) = only(pass(&mut director, SERVERS, &came, NOW));
            assert_eq!((port, &frame[..6]), (CLIENTS, &GATEWAY.0[..]));
            assert_eq!((read(&frame, 14).0, read(&frame, 14).1), (host(vip), host(client)));
            assert_eq!(read(&frame, icmp_at(&frame) + 8), (host(client), host(vip), ports(40000, 80)));
            assert_eq!(icmp_sum(&frame), 0xffff);
            if family == 0 {
                assert_eq!((ones(&frame[14..34]), ones(&frame[42..62])), (0xffff, 0xffff), "both header checksums");
            }
        }
    }
}

/// Direct servers and those behind tunnels get the error as it is: it is about their own packets.
#[test]
fn direct_servers_get_the_error_untouched() {
    for family in [0, 1] {
        let [vip, client, _, router, _] = ENDS[family];
        for method in [Method::Dr, Method::IPIP] {
            let mut director = connected(family, method, false);
            let about = tcp(vip, client, "A").bytes();
            let came = error(router, vip, UNREACHABLE[family], 0, &about, 60);
            let (port, frame) = only(pass(&mut director, CLIENTS, &came, NOW));
            let header = if method == Method::Dr { 0 } else { icmp_at(&frame) - 14 };
            let inner = &frame[14 + header..];
            assert_eq!((port, inner[if family == 0 { 8 } else { 7 }]), (SERVERS, 63));
            assert_eq!(inner[inner.len() - 48..], came[came.len() - 48..]);
        }
    }
}

/// Neither the clock nor the state of a connection moves: anybody can send errors.
#[test]
fn an_error_keeps_no_connection_alive() {
    let [vip, client, _, router, _] = ENDS[0];
    let mut director = connected(0, Method::Nat, false);
    let came = error(router, vip, UNREACHABLE[0], 0, &tcp(vip, client, "A").bytes(), 28);
    let later = NOW.plus(Ticks::from_secs(59));
    assert_eq!(pass(&mut director, CLIENTS, &came, later).len(), 1);
    director.sweep(later.plus(Ticks::from_secs(2)));
    assert!(director.shared.table.is_empty());
}

/// The sweep may come round late: what is over is over without it.
#[test]
fn an_error_about_a_connection_whose_time_has_run_out_is_nobodys() {
    let [vip, client, _, router, _] = ENDS[0];
    let came = error(router, vip, UNREACHABLE[0], 0, &tcp(vip, client, "A").bytes(), 28);
    for (after, sent) in [(Ticks::from_secs(60), 1), (Ticks(60 * 64 + 1), 0)] {
        let mut director = connected(0, Method::Nat, false);
        assert_eq!(pass(&mut director, CLIENTS, &came, NOW.plus(after)).len(), sent, "{after:?}");
        assert_eq!(director.shared.table.is_empty(), sent == 0);
        assert_eq!(director.counters.passed.get(), 1 - sent as u64);
        assert_eq!(director.shared.loads.load(PairId(0)).total(), sent as u32);
    }
    let [vip, client, _, router, own] = ENDS[0];
    for (after, sent) in [(Ticks::from_secs(900), 1), (Ticks(900 * 64 + 1), 0)] {
        let mut director = connected(0, Method::IPIP, false);
        let about = tunnelled(&mut director, &tcp(client, vip, "A"));
        let came = error(router, own, UNREACHABLE[0], 0, &about, 68);
        assert_eq!(
            pass(&mut director, SERVERS, &came, NOW.plus(after)).len(),
            sent,
            "about a tunnel packet: {after:?}"
        );
        assert_eq!(director.shared.table.is_empty(), sent == 0);
    }
}

#[test]
fn errors_that_cannot_be_true_or_concern_nobody_go_no_further() {
    let [vip, client, server, router, _] = ENDS[0];
    let about = tcp(vip, client, "A").with_payload(&[1; 20]).bytes();
    let good = |kind| error(router, vip, kind, 0, &about, 40);
    let mut wrong_sum = good((3, 1));
    wrong_sum[36] ^= 1;
    let mut wrong_header = good((3, 1));
    wrong_header[24] ^= 1;
    let mut of_a_later_piece = about.clone();
    of_a_later_piece[21] = 1;
    fix_header(&mut of_a_later_piece);
    let unknown = tcp(vip, "198.51.100.7:50000", "A").bytes();
    let cases = [
        ("a redirect", good((5, 1)), None),
        ("a parameter problem", good((12, 0)), None),
        ("a wrong checksum", wrong_sum, Some(Reason::BadChecksum)),
        ("a wrong header checksum", wrong_header, Some(Reason::BadChecksum)),
        ("about a later piece", error(router, vip, (3, 1), 0, &of_a_later_piece, 40), None),
        ("about an unknown connection", error(router, vip, (3, 1), 0, &unknown, 28), None),
        ("without ports", error(router, vip, (3, 1), 0, &about, 23), None),
        ("without a quote", error(router, vip, (3, 1), 0, &about, 0), None),
    ];
    for (what, frame, reason) in cases {
        let mut director = connected(0, Method::Nat, false);
        assert!(pass(&mut director, CLIENTS, &frame, NOW).is_empty(), "{what}");
        match reason {
            Some(reason) => assert_eq!(director.counters.reason(reason), 1, "{what}"),
            None => assert_eq!(director.counters.passed.get(), 1, "{what}"),
        }
        assert_eq!(counted(&director), [1, 40, 0, 0], "{what}");
    }
    // About a server's packet of another connection: the kernel's to route.
    let mut director = connected(0, Method::Nat, false);
    let others = error(router, "198.51.100.9", (3, 1), 0, &tcp("198.51.100.9:1", server, "A").bytes(), 28);
    assert!(pass(&mut director, SERVERS, &others, NOW).is_empty());
    assert_eq!(director.worker.io().take_passed(), [others]);
}

/// An error that is too long for the next link is cut, DF or not, and one in pieces is put together first.
#[test]
fn an_error_in_pieces_is_translated_and_leaves_in_pieces() {
    let [vip, client, server, router, _] = ENDS[0];
    let mut director = connected(0, Method::Nat, false);
    let about = tcp(vip, client, "A").with_payload(&[7; 300]).bytes();
    let came = error(router, vip, (3, 3), 0, &about, 340);
    let out: Vec<_> = cut(&came, 5, &[144])
        .iter()
        .flat_map(|piece| pass(&mut director, CLIENTS, piece, NOW))
        .map(|out| out.1)
        .collect();
    assert_eq!(out.len(), 2);
    let whole = join(&out);
    assert_eq!(icmp_sum(&whole), 0xffff);
    assert_eq!(read(&whole, 42), (host(server), host(client), ports(8080, 40000)));
}

/// The frame that a tunnel packet left in.
fn tunnelled(director: &mut Offline<MemIo>, packet: &Packet) -> Vec<u8> {
    let (port, frame) = only(pass(director, CLIENTS, &packet.bytes(), NOW));
    assert_eq!(port, SERVERS);
    frame
}

/// The kernel tells the client the old size first; told the new one, it need not lose a second packet.
#[test]
fn a_tunnel_s_smaller_mtu_is_learned_and_told_to_the_client() {
    for (family, overhead) in [(0, 20u32), (1, 40)] {
        let [vip, client, _, router, own] = ENDS[family];
        for (tells_new, first_told) in [(false, 1500), (true, 1350)] {
            let mut director = connected(family, Method::IPIP, false);
            let options = Options { tunnel_error_tells_new_mtu: tells_new, ..Options::KERNEL };
            let known = director.snapshot().clone();
            director.publish(ringmaster::service::Snapshot { options, generation: 2, ..known });
            let sized = |size: usize| {
                let header = if family == 0 { 40 } else { 60 };
                tcp(client, vip, "A").with_payload(&vec![1; size - header])
            };
            let sent = tunnelled(&mut director, &sized(1400));
            let came = error(router, own, TOO_BIG[family], 1350, &sent, 120);
            let (port, frame) = only(pass(&mut director, SERVERS, &came, NOW));
            let at = icmp_at(&frame);
            assert_eq!((port, (frame[at], frame[at + 1])), (CLIENTS, TOO_BIG[family]));
            assert_eq!(frame[at + 4..at + 8], (first_told - overhead).to_be_bytes());
            assert_eq!((read(&frame, 14).0, read(&frame, 14).1), (host(vip), host(client)));
            assert_eq!(read(&frame, at + 8), (host(client), host(vip), ports(40000, 80)));
            assert_eq!(icmp_sum(&frame), 0xffff);

            let limit = 1350 - overhead as usize;
            let (port, frame) = only(pass(&mut director, CLIENTS, &sized(limit + 1).bytes(), NOW));
            assert_eq!((port, &frame[at + 4..at + 8]), (CLIENTS, &(limit as u32).to_be_bytes()[..]));
            tunnelled(&mut director, &sized(limit));
            let late = NOW.plus(Ticks::from_secs(601));
            assert_eq!(
                pass(&mut director, CLIENTS, &sized(limit + 1).bytes(), late)[0].0,
                SERVERS,
                "forgotten in time"
            );
        }
    }
}

/// Every kind of tunnel is known again in the quote, with its checksum and without.
#[test]
fn errors_about_gre_and_gue_packets_are_understood() {
    use ringmaster::service::{GueChecksum, Tunnel};
    let gue = |checksum| Tunnel::Gue { port: 6080, checksum };
    for family in [0, 1] {
        let [vip, client, _, router, own] = ENDS[family];
        for tunnel in [
            Tunnel::Gre { checksum: false },
            Tunnel::Gre { checksum: true },
            gue(GueChecksum::Off),
            gue(GueChecksum::On),
        ] {
            let mut director = connected(family, Method::Tun(tunnel), false);
            let sent = tunnelled(&mut director, &tcp(client, vip, "A").with_payload(&[1; 1300]));
            let (port, frame) =
                only(pass(&mut director, SERVERS, &error(router, own, TOO_BIG[family], 1290, &sent, 150), NOW));
            let at = icmp_at(&frame);
            assert_eq!(
                (port, read(&frame, at + 8)),
                (CLIENTS, (host(client), host(vip), ports(40000, 80))),
                "{tunnel:?}"
            );
            // To a server of another kind of tunnel, it would be somebody else's.
            let mut other = connected(family, Method::IPIP, false);
            assert!(pass(&mut other, SERVERS, &error(router, own, TOO_BIG[family], 1290, &sent, 150), NOW).is_empty());
        }
    }
}

#[test]
fn other_errors_about_a_tunnel_packet_reach_the_client_as_they_are() {
    let [vip, client, _, router, own] = ENDS[0];
    let mut director = connected(0, Method::IPIP, false);
    let sent = tunnelled(&mut director, &tcp(client, vip, "A").with_payload(&[1; 20]));
    for kind in [(3, 1), (3, 13), (11, 0)] {
        let (port, frame) = only(pass(&mut director, SERVERS, &error(router, own, kind, 0, &sent, 68), NOW));
        assert_eq!((port, (frame[34], frame[35])), (CLIENTS, kind));
        assert_eq!(frame[42..], sent[34..82], "what was quoted of the client's packet");
    }
    // Not about this server, not of this connection, not to the director, with a wrong checksum.
    let mut elsewhere = sent.clone();
    elsewhere[33] ^= 1;
    fix_header(&mut elsewhere);
    let mut unknown = sent.clone();
    unknown[54] ^= 1;
    let mut wrong = error(router, own, (3, 1), 0, &sent, 68);
    wrong[36] ^= 1;
    let strangers = [
        error(router, own, (3, 1), 0, &elsewhere, 68),
        error(router, own, (3, 1), 0, &unknown, 68),
        error(router, "10.1.0.77", (3, 1), 0, &sent, 68),
        wrong,
    ];
    for stranger in strangers {
        assert!(pass(&mut director, SERVERS, &stranger, NOW).is_empty());
    }
    assert_eq!(director.counters.reason(Reason::BadChecksum), 1);
}

/// A client that lets its packets be cut is not told; they are cut from now on.
#[test]
fn without_df_a_learned_mtu_only_cuts() {
    let [vip, client, _, router, own] = ENDS[0];
    let mut director = connected(0, Method::IPIP, false);
    let mut long = tcp(client, vip, "A").with_payload(&[1; 1360]).bytes();
    long[20] = 0;
    fix_header(&mut long);
    let sent = only(pass(&mut director, CLIENTS, &long, NOW)).1;
    assert!(pass(&mut director, SERVERS, &error(router, own, (3, 4), 1300, &sent, 68), NOW).is_empty());
    assert_eq!(director.counters.reason(Reason::TunnelError), 1);
    let pieces: Vec<_> = pass(&mut director, CLIENTS, &long, NOW).into_iter().map(|(_, frame)| frame).collect();
    assert_eq!(pieces.iter().map(|piece| piece.len() - 14).collect::<Vec<_>>(), [1300, 140]);
    assert_eq!(join(&pieces).len(), 14 + 1420);
    assert_eq!(director.worker.io().in_hand(), 0);
}

#[test]
fn errors_of_the_director_s_own_are_few() {
    let [vip, client, ..] = ENDS[0];
    let mut director = director(snapshot(&[Wanted::tcp(vip, Method::Nat, &[])], Options::RINGMASTER), 100);
    let syn = tcp(client, vip, "S").bytes();
    let answered: usize = (0..20).map(|_| pass(&mut director, CLIENTS, &syn, NOW).len()).sum();
    assert_eq!((answered, director.counters.reason(Reason::NoServer)), (6, 20));
    let other = tcp("198.51.100.8:1", vip, "S").bytes();
    assert_eq!(pass(&mut director, CLIENTS, &other, NOW).len(), 1);
}
