//! The persistence engine `sip`: calls stay with their servers, whoever speaks first.

use ringmaster::conn::State;
use ringmaster::conn::table::{Insert, Record};
use ringmaster::control::view;
use ringmaster::forward::Reason;
use ringmaster::forward::calls::CallName;
use ringmaster::io::mem::MemIo;
use ringmaster::service::{Load, MarkRule, Method, Options, PairId};
use ringmaster::time::{Tick, Ticks};
use ringmaster::wire::{Block, Family, Pattern};
use ringmaster::worker::Offline;

use crate::offline::*;
use crate::packets::{self, Packet, tcp, udp};

const VIP: &str = "192.0.2.10:5060";
const TWO: [&str; 2] = ["10.1.0.11:5060", "10.1.0.12:5060"];

fn at(seconds: u32) -> Tick {
    Tick(1000).plus(Ticks::from_secs(seconds))
}

fn proxies(method: Method) -> Wanted {
    Wanted::udp(VIP, method, &TWO).persistent(60, 32).sip()
}

fn with(wanted: Wanted) -> Offline<MemIo> {
    let director = director(snapshot(&[wanted], Options::RINGMASTER), 1000);
    director.shared.calls.make_room();
    director
}

fn message(call: &str) -> Vec<u8> {
    format!("INVITE sip:bob@example.org SIP/2.0\r\nMax-Forwards: 70\r\nCall-ID: {call}\r\n\r\n").into_bytes()
}

/// What comes out of a client's datagram of a call: the last part of the server's address.
fn calls(director: &mut Offline<MemIo>, client: &str, call: &str, now: Tick) -> Option<u8> {
    let out = pass(director, CLIENTS, &udp(client, VIP, &message(call)).bytes(), now);
    out.first().filter(|(port, _)| *port == SERVERS).map(|(_, frame)| frame[33])
}

/// Where a server's datagram of a call seems to come from, if it leaves towards clients.
fn is_called(director: &mut Offline<MemIo>, server: &str, client: &str, call: &str) -> Option<String> {
    let out = pass(director, SERVERS, &udp(server, client, &message(call)).bytes(), at(0));
    let (port, frame) = out.first()?;
    let packet = Packet::read(frame);
    assert_eq!((*port, packet.destination, &packet.payload), (CLIENTS, packets::end(client), &message(call)));
    Some(format!("{}:{}", packet.source.0, packet.source.1))
}

/// The Call-IDs that are listed, and the servers that have them.
fn listed(director: &Offline<MemIo>, now: Tick) -> Vec<(Option<String>, String)> {
    let services = &director.snapshot().services;
    let entries = director.shared.table.entries().filter(|listed| listed.key.is_template());
    let views = entries.filter_map(|listed| view::connection(&director.shared, services, &listed, now));
    let mut calls: Vec<_> = views.map(|view| (view.call_id, view.destination.to_string())).collect();
    calls.sort();
    calls
}

#[test]
fn calls_of_one_client_are_scheduled_each_for_itself_and_stay() {
    for method in [Method::Nat, Method::Dr] {
        let mut director = with(proxies(method));
        let (one, other) = ("198.51.100.7", "198.51.100.8");
        let steps =
            [(one, 1, "a@x", 11), (one, 2, "b@x", 12), (one, 3, "c@x", 11), (one, 4, "b@x", 12), (one, 5, "a@x", 11)];
        if method == Method::Nat {
            for (client, port, call, server) in steps {
                assert_eq!(calls(&mut director, &format!("{client}:{port}"), call, at(0)), Some(server), "{call}");
            }
            let expected = [("a@x", TWO[0]), ("b@x", TWO[1]), ("c@x", TWO[0])];
            let expected = expected.map(|(call, server)| (Some(call.to_owned()), server.to_owned()));
            assert_eq!(listed(&director, at(0)), expected);
            assert_eq!(calls(&mut director, &format!("{other}:1"), "a@x", at(0)), Some(12), "another client's own");
            assert_eq!([0, 1].map(|pair| director.shared.loads.templates(PairId(pair))), [2, 2]);
            assert_eq!(calls(&mut director, &format!("{one}:1"), "b@x", at(0)), Some(11), "a known connection");
        } else {
            let macs = |director: &mut Offline<MemIo>, (client, port, call, _): (&str, u16, &str, u8)| {
                let frame = udp(&format!("{client}:{port}"), VIP, &message(call)).bytes();
                pass(director, CLIENTS, &frame, at(0)).remove(0).1[..6].to_vec()
            };
            let macs = steps.map(|step| macs(&mut director, step));
            assert!(macs[0] != macs[1] && macs[0] == macs[2] && macs[1] == macs[3] && macs[0] == macs[4]);
        }
    }
}

#[test]
fn a_call_is_forgotten_with_its_template() {
    let mut director = with(proxies(Method::Nat).one_packet());
    assert_eq!(calls(&mut director, "198.51.100.7:1", "a", at(0)), Some(11));
    director.sweep(at(60));
    assert_eq!(calls(&mut director, "198.51.100.7:1", "a", at(60)), Some(11), "the call goes on");
    director.sweep(at(121));
    assert_eq!((listed(&director, at(121)), director.shared.loads.templates(PairId(0))), (vec![], 0));
    assert_eq!(calls(&mut director, "198.51.100.7:1", "a", at(121)), Some(12));
}

#[test]
fn with_one_packet_scheduling_every_datagram_follows_its_call() {
    let mut director = with(proxies(Method::Nat).one_packet());
    let servers = ["a", "b", "c", "b", "a"].map(|call| calls(&mut director, "198.51.100.7:5060", call, at(0)).unwrap());
    assert_eq!(servers, [11, 12, 11, 12, 11]);
    assert_eq!(director.shared.loads.load(PairId(0)), Load::default(), "nothing is left but templates");
    // Without the engine such replies keep the server's address.
    assert_eq!(is_called(&mut director, TWO[0], "198.51.100.7:5060", "a").as_deref(), Some(VIP));
    assert_eq!(director.shared.table.entries().count(), 3);
}

#[test]
fn what_belongs_to_no_call_is_dropped() {
    let mut director = with(proxies(Method::Nat));
    for payload in [&b"OPTIONS sip:x SIP/2.0\r\nVia: y\r\n\r\n"[..], b"", b"\r\n\r\n", &message(&"x".repeat(256))] {
        assert!(pass(&mut director, CLIENTS, &udp("198.51.100.7:5060", VIP, payload).bytes(), at(0)).is_empty());
    }
    assert_eq!(director.counters.reason(Reason::NoCallId), 4);
    assert!(calls(&mut director, "198.51.100.7:5060", &"x".repeat(255), at(0)).is_some());
}

#[test]
fn a_mark_s_calls_and_nothing_else_of_it() {
    let wanted = Wanted::mark(7, Family::V4, Method::Nat, &["10.1.0.11:0", "10.1.0.12:0"]).persistent(60, 32).sip();
    let pattern = Pattern { destination: Block::new(addr("192.0.2.10"), 32), ..Pattern::ANY };
    let rule = MarkRule { mark: 7, pattern, arrival: None };
    let mut director = director(marked_snapshot(&[wanted], &[rule], Options::RINGMASTER), 1000);
    let servers = [(1, "a"), (2, "b"), (3, "a")];
    let servers = servers.map(|(port, call)| calls(&mut director, &format!("198.51.100.7:{port}"), call, at(0)));
    assert_eq!(servers, [Some(11), Some(12), Some(11)]);
    assert!(pass(&mut director, CLIENTS, &tcp("198.51.100.7:1", VIP, "S").bytes(), at(0)).is_empty());
    assert_eq!(director.counters.reason(Reason::NoCallId), 1);
}

#[test]
fn a_server_that_calls_does_so_from_the_virtual_address() {
    let mut director = with(proxies(Method::Nat));
    let client = "198.51.100.7:5060";
    assert_eq!(is_called(&mut director, TWO[1], client, "out").as_deref(), Some(VIP));
    assert_eq!(calls(&mut director, client, "out", at(0)), Some(12), "the answer");
    assert_eq!(calls(&mut director, "198.51.100.7:9", "out", at(0)), Some(12), "the call, from another port");
    assert_eq!(listed(&director, at(0)), [(Some("out".to_owned()), TWO[1].to_owned())]);
    // Another server that speaks for the call has it from now on.
    assert_eq!(is_called(&mut director, TWO[0], "198.51.100.7:7777", "out").as_deref(), Some(VIP));
    assert_eq!(calls(&mut director, "198.51.100.7:8", "out", at(0)), Some(11));
    assert_eq!(director.counters.pair(PairId(1)).unwrap().connections.get(), 2);
}

#[test]
fn other_datagrams_of_servers_stay_their_own() {
    let client = "198.51.100.7:5060";
    let mut without = with(Wanted::udp(VIP, Method::Nat, &TWO).persistent(60, 32));
    let mut direct = with(proxies(Method::Dr));
    let mut director = with(proxies(Method::Nat));
    for (director, server) in [(&mut without, TWO[0]), (&mut direct, TWO[0]), (&mut director, "10.1.0.11:5061")] {
        assert_eq!(is_called(director, server, client, "out"), None);
    }
    assert!(pass(&mut director, SERVERS, &udp(TWO[0], client, b"no call").bytes(), at(0)).is_empty());
    assert_eq!(director.shared.table.entries().count(), 0);
}

#[test]
fn without_persistence_servers_still_call_from_the_virtual_address() {
    let mut director = with(Wanted::udp(VIP, Method::Nat, &TWO).sip());
    let client = "198.51.100.7:5060";
    assert_eq!(is_called(&mut director, TWO[1], client, "out").as_deref(), Some(VIP));
    assert_eq!(calls(&mut director, client, "out", at(0)), Some(12), "the connection");
    assert_eq!(calls(&mut director, "198.51.100.7:9", "out", at(0)), Some(11), "no call is remembered");
}

/// The key holds but a part of the digest.
#[test]
fn a_template_of_another_call_under_the_same_key_is_not_taken() {
    let mut director = with(proxies(Method::Nat));
    let name = CallName::of(b"a");
    let (key, table) = (name.key(17, addr("198.51.100.7")), &director.shared.table);
    let other = Record {
        pair: 1,
        generation: 1,
        state: State::Template,
        flags: 0,
        timeout: Ticks::from_secs(60),
        last_seen: at(0),
        vport: 5060,
        rport: 5060,
        control: None,
        hop: 0,
        epoch: 0,
        vip: Some(CallName::of(b"b").beside()),
    };
    assert!(matches!(table.insert_or_find(&key, table.hash(&key), |_| false, &other), Insert::Inserted(_)));
    assert_eq!(calls(&mut director, "198.51.100.7:1", "a", at(0)), Some(11), "by turns, not by the template");
    assert_eq!(director.shared.table.entries().filter(|listed| listed.key == key).count(), 2);
}
