//! SCTP: its checksum, its states by first chunks, and what is told to those without an association.

use ringmaster::conn::State;
use ringmaster::forward::Reason;
use ringmaster::io::PortId;
use ringmaster::io::mem::MemIo;
use ringmaster::service::{Load, Method, Options, PairId};
use ringmaster::time::{Tick, Ticks};
use ringmaster::worker::Offline;

use crate::offline::*;
use crate::packets;
use crate::sctp_packets::{read, sctp};

const VIP: &str = "192.0.2.10:5000";
const CLIENT: &str = "198.51.100.7:40000";
const TWO: [&str; 2] = ["10.1.0.11:5000", "10.1.0.12:5000"];

// Chunk types (RFC 9260 3.2).
const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const ABORT: u8 = 6;
const SHUTDOWN: u8 = 7;
const SHUTDOWN_ACK: u8 = 8;
const COOKIE_ECHO: u8 = 10;
const COOKIE_ACK: u8 = 11;
const SHUTDOWN_COMPLETE: u8 = 14;

fn with(method: Method, servers: &[&str], options: Options) -> Offline<MemIo> {
    director(snapshot(&[Wanted { protocol: 132, ..Wanted::tcp(VIP, method, servers) }], options), 1000)
}

fn at(seconds: u32) -> Tick {
    Tick::default().plus(Ticks::from_secs(1000 + seconds))
}

/// One packet from the client; where it went.
fn send(director: &mut Offline<MemIo>, chunk: u8, now: Tick) -> Option<u8> {
    let out = pass(director, CLIENTS, &sctp(CLIENT, VIP, chunk), now);
    out.first().filter(|(port, _)| *port == SERVERS).map(|(_, frame)| frame[33])
}

fn states(director: &Offline<MemIo>) -> Vec<State> {
    director.shared.table.entries().map(|listed| listed.record.state).collect()
}

#[test]
fn nat_maps_the_port_and_works_the_checksum_out_anew() {
    for (vip, client, server) in
        [(VIP, CLIENT, "10.1.0.11:7000"), ("[2001:db8::10]:5000", "[2001:db8:f::7]:40000", "[2001:db8:1::11]:7000")]
    {
        let wanted = Wanted { protocol: 132, ..Wanted::tcp(vip, Method::Nat, &[server]) };
        let mut director = director(snapshot(&[wanted], Options::RINGMASTER), 100);
        let there = pass(&mut director, CLIENTS, &sctp(client, vip, INIT), at(0)).remove(0);
        let back = pass(&mut director, SERVERS, &sctp(server, client, INIT_ACK), at(0)).remove(0);
        for ((port, frame), expected_port, from, to) in [(there, SERVERS, client, server), (back, CLIENTS, vip, client)]
        {
            let (packet, wrong) = read(&frame);
            assert_eq!(
                (port, packet.source, packet.destination),
                (expected_port, packets::end(from), packets::end(to))
            );
            assert_eq!((packet.ttl, wrong), (63, [0; 4]));
        }
    }
}

#[test]
fn a_wrong_checksum_stays_as_it_is_unless_the_port_changes() {
    for (server, still_wrong) in [("10.1.0.11:5000", [0, 0, 1, 0]), ("10.1.0.11:7000", [0; 4])] {
        let mut director = with(Method::Nat, &[server], Options::RINGMASTER);
        let mut frame = sctp(CLIENT, VIP, INIT);
        frame[34 + 10] ^= 1;
        let out = pass(&mut director, CLIENTS, &frame, at(0)).remove(0).1;
        assert_eq!(read(&out).1, still_wrong, "{server}");
    }
}

/// A local stack leaves it to hardware that is not there.
#[test]
fn a_checksum_that_was_left_out_is_completed_in_every_method() {
    for method in [Method::Nat, Method::Dr, Method::IPIP] {
        let mut director = with(method, &TWO[..1], Options::RINGMASTER);
        let mut frame = sctp(CLIENT, VIP, INIT);
        frame[34 + 8..34 + 12].fill(0);
        let mut out = pass(&mut director, CLIENTS, &frame, at(0)).remove(0).1;
        if method == Method::IPIP {
            out.drain(14..34);
        }
        assert_eq!((read(&out).1, director.counters.checksum_completed.get()), ([0; 4], 1), "{method:?}");
    }
}

#[test]
fn an_association_from_its_first_chunk_to_its_expiry() {
    let mut director = with(Method::Nat, &TWO[..1], Options::RINGMASTER);
    let mut seen = Vec::new();
    for (from, chunk) in [
        (CLIENTS, INIT),
        (SERVERS, INIT_ACK),
        (CLIENTS, COOKIE_ECHO),
        (SERVERS, COOKIE_ACK),
        (CLIENTS, DATA),
        (CLIENTS, SHUTDOWN),
        (SERVERS, SHUTDOWN_ACK),
        (CLIENTS, SHUTDOWN_COMPLETE),
    ] {
        let frame = if from == CLIENTS { sctp(CLIENT, VIP, chunk) } else { sctp(TWO[0], CLIENT, chunk) };
        assert_eq!(pass(&mut director, from, &frame, at(0)).len(), 1);
        seen.push((states(&director)[0], director.shared.loads.load(PairId(0)).active));
    }
    let expected = [
        (State::SctpInit1, 0),
        (State::SctpCookieSent, 0),
        (State::SctpCookieReplied, 0),
        (State::SctpEstablished, 1),
        (State::SctpEstablished, 1),
        (State::SctpShutdownReceived, 0),
        (State::SctpShutdownAckSent, 0),
        (State::SctpClosed, 0),
    ];
    assert_eq!(seen, expected);
    director.sweep(at(61));
    assert_eq!(states(&director).len(), 1, "61 s are not over");
    director.sweep(at(62));
    assert_eq!((states(&director), director.shared.loads.load(PairId(0))), (vec![], Load::default()));
}

#[test]
fn a_closed_association_s_port_may_be_used_again_at_once() {
    for (mode, second) in [(1, Some(12)), (0, Some(11))] {
        let mut director = with(Method::Nat, &TWO, Options { conn_reuse_mode: mode, ..Options::KERNEL });
        assert_eq!(send(&mut director, INIT, at(0)), Some(11));
        assert_eq!(send(&mut director, INIT, at(0)), Some(11), "the client tries again");
        assert_eq!(send(&mut director, ABORT, at(0)), Some(11));
        assert_eq!(send(&mut director, INIT, at(0)), second, "mode {mode}");
    }
}

#[test]
fn only_an_init_opens_an_association_but_by_choice() {
    for (sloppy_sctp, opened) in [(false, [None, None, Some(11)]), (true, [Some(11), None, Some(12)])] {
        let mut director = with(Method::Nat, &TWO, Options { sloppy_sctp, ..Options::RINGMASTER });
        for (n, (chunk, expected)) in [DATA, ABORT, INIT].into_iter().zip(opened).enumerate() {
            let frame = sctp(&format!("198.51.100.{n}:1"), VIP, chunk);
            let out = pass(&mut director, CLIENTS, &frame, at(0));
            assert_eq!(out.first().filter(|out| out.0 == SERVERS).map(|out| out.1[33]), expected, "chunk {chunk}");
        }
    }
}

fn told(vip: &str, client: &str, options: Options) -> (Vec<(PortId, Vec<u8>)>, u64) {
    let wanted = Wanted { protocol: 132, ..Wanted::tcp(vip, Method::Nat, &[]) };
    let mut director = director(snapshot(&[wanted], options), 100);
    let out = pass(&mut director, CLIENTS, &sctp(client, vip, DATA), at(0));
    (out, director.counters.reason(Reason::NoConnection))
}

/// As by a Linux that has no SCTP loaded, which is what LVS hands such packets to.
#[test]
fn a_packet_of_no_association_learns_that_nobody_speaks_sctp() {
    let (out, counted) = told(VIP, CLIENT, Options::RINGMASTER);
    assert_eq!((out[0].0, &out[0].1[34..36], &out[0].1[38..42]), (CLIENTS, &[3, 2][..], &[0; 4][..]));
    assert_eq!((&out[0].1[26..30], counted), (&[192, 0, 2, 10][..], 1));
    let (out, _) = told("[2001:db8::10]:5000", "[2001:db8:f::7]:1", Options::RINGMASTER);
    assert_eq!((&out[0].1[54..56], &out[0].1[58..62]), (&[4, 1][..], &[0, 0, 0, 6][..]), "the next header's number");
    let (out, counted) = told(VIP, CLIENT, Options { reset_unknown: false, ..Options::RINGMASTER });
    assert_eq!((out.len(), counted), (0, 1));
}
