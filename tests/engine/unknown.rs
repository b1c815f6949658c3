//! What belongs to no connection, where sysctls of LVS have a say: errors that are scheduled, servers that are told.

use ringmaster::conn::State;
use ringmaster::forward::Reason;
use ringmaster::io::PortId;
use ringmaster::io::mem::MemIo;
use ringmaster::service::{Method, Options, PairId};
use ringmaster::time::{Tick, Ticks};
use ringmaster::worker::Offline;

use crate::icmp::{error, host, icmp_at, icmp_sum};
use crate::offline::*;
use crate::packets::{tcp, udp};

const NOW: Tick = Tick(100);
const UNREACHABLE: [(u8, u8); 2] = [(3, 3), (1, 4)];
/// Service, client, two servers, a router, the director on the servers' side, by family.
const ENDS: [[&str; 6]; 2] = [
    ["192.0.2.10:80", "198.51.100.7:40000", "10.1.0.11:8080", "10.1.0.12:8080", "203.0.113.9", "10.1.0.1"],
    [
        "[2001:db8::10]:80",
        "[2001:db8:f::7]:40000",
        "[2001:db8:1::11]:8080",
        "[2001:db8:1::12]:8080",
        "2001:db8:99::9",
        "2001:db8:1::1",
    ],
];

fn at_work(wanted: Wanted, options: Options) -> Offline<MemIo> {
    director(snapshot(&[wanted], options), 100)
}

/// A router's error about a segment from the virtual server to the client, eight bytes of it quoted.
fn error_about(family: usize, client: &str) -> Vec<u8> {
    let [vip, _, _, _, router, _] = ENDS[family];
    let about = tcp(vip, client, "A").bytes();
    error(router, vip, UNREACHABLE[family], 0, &about, icmp_at(&about) - 14 + 8)
}

/// Where the outer packet goes.
fn destination(frame: &[u8]) -> std::net::IpAddr {
    match icmp_at(frame) {
        34 => <[u8; 4]>::try_from(&frame[30..34]).unwrap().into(),
        _ => <[u8; 16]>::try_from(&frame[38..54]).unwrap().into(),
    }
}

#[test]
fn an_error_about_an_unknown_connection_is_scheduled_by_choice() {
    for family in [0, 1] {
        let [vip, client, first, second, ..] = ENDS[family];
        let wanted = Wanted::tcp(vip, Method::Nat, &[first, second]);
        let mut without = at_work(wanted.clone(), Options::RINGMASTER);
        assert!(pass(&mut without, CLIENTS, &error_about(family, client), NOW).is_empty());
        assert!(without.shared.table.is_empty());

        let options = Options { schedule_icmp: true, ..Options::RINGMASTER };
        let mut director = at_work(wanted, options);
        for (from, server) in [(client, first), (client, first), (&client.replace("40000", "40001"), second)] {
            let out = pass(&mut director, CLIENTS, &error_about(family, from), NOW);
            let (port, frame) = &out[0];
            assert_eq!((*port, destination(frame), icmp_sum(frame)), (SERVERS, host(server), 0xffff), "{from}");
            let quote = icmp_at(frame) + 8 + icmp_at(frame) - 14;
            assert_eq!(frame[quote..quote + 2], 8080u16.to_be_bytes(), "the server's port is in the quote");
        }
        let states: Vec<_> = director.shared.table.entries().map(|listed| listed.record.state).collect();
        assert_eq!(states, [State::None; 2]);
        // The client itself is led to the same server, and else they are soon forgotten.
        let out = pass(&mut director, CLIENTS, &tcp(&client.replace("40000", "40001"), vip, "S").bytes(), NOW);
        assert_eq!(crate::packets::Packet::read(&out[0].1).destination, crate::packets::end(second));
        director.sweep(NOW.plus(Ticks::from_secs(4)));
        assert_eq!(director.shared.table.len(), 1);
        assert_eq!(director.counters.pair(PairId(0)).unwrap().connections.get(), 1);
    }
}

#[test]
fn no_error_is_scheduled_that_nobody_could_have_sent() {
    let [vip, client, first, ..] = ENDS[0];
    let options = Options { schedule_icmp: true, ..Options::RINGMASTER };
    let mut director = at_work(Wanted::tcp(vip, Method::Nat, &[first]), options);
    let mut broken = error_about(0, client);
    *broken.last_mut().unwrap() ^= 1;
    for frame in [broken, error_about(0, "224.0.0.1:40000"), error_about(0, "198.51.100.7:20")] {
        assert!(pass(&mut director, CLIENTS, &frame, NOW).is_empty());
    }
    assert!(director.shared.table.is_empty());
    let mut nobody = at_work(Wanted::tcp(vip, Method::Nat, &[]), options);
    assert!(pass(&mut nobody, CLIENTS, &error_about(0, client), NOW).is_empty(), "no error about an error");
    assert_eq!(nobody.counters.reason(Reason::NoServer), 1);
}

/// What left unasked from a server, and the type and code of the answer, if there is one.
fn told(director: &mut Offline<MemIo>, frame: &[u8]) -> Option<(PortId, std::net::IpAddr, [u8; 2])> {
    let out = pass(director, SERVERS, frame, NOW);
    let (port, answer) = out.first()?;
    let at = icmp_at(answer);
    Some((*port, destination(answer), [answer[at], answer[at + 1]]))
}

#[test]
fn a_server_is_told_that_there_is_no_connection_by_choice() {
    for family in [0, 1] {
        let [vip, client, server, other, _, own] = ENDS[family];
        let wanted = Wanted::tcp(vip, Method::Nat, &[server]);
        let mut without = at_work(wanted.clone(), Options::RINGMASTER);
        assert_eq!(told(&mut without, &tcp(server, client, "A").bytes()), None, "it is the kernel's");

        let options = Options { nat_icmp_send: true, ..Options::RINGMASTER };
        let mut director = at_work(wanted, options);
        let (kind, code) = UNREACHABLE[family];
        let expected = Some((SERVERS, host(server), [kind, code]));
        assert_eq!(told(&mut director, &tcp(server, client, "A").bytes()), expected);
        let out = pass(&mut director, SERVERS, &tcp(server, client, "SA").bytes(), NOW).remove(0).1;
        let source = if family == 0 { &out[26..30] } else { &out[22..38] };
        let own = match host(own) {
            std::net::IpAddr::V4(own) => own.octets().to_vec(),
            std::net::IpAddr::V6(own) => own.octets().to_vec(),
        };
        assert_eq!(source, own, "by the director itself");
        for frame in [tcp(server, client, "R"), udp(server, client, b""), tcp(other, client, "A")] {
            assert_eq!(told(&mut director, &frame.bytes()), None, "{frame:?}");
        }
        assert_eq!(director.counters.reason(Reason::NoConnection), 2);
    }
}
