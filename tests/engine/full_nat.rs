//! Full NAT: both ends change both ways, local ends are nobody else's, and servers are told of clients.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;
use ringmaster::control::view;
use ringmaster::forward::Reason;
use ringmaster::io::mem::MemIo;
use ringmaster::service::{FullNat, HandOn, Method, Options, ProxyVersion};
use ringmaster::time::{Tick, Ticks};
use ringmaster::wire::handed_on;
use ringmaster::worker::Offline;

use crate::fragments::ones;
use crate::icmp::{error, icmp_at, icmp_sum};
use crate::offline::*;
use crate::packets::{Packet, end as ip_end, tcp, udp};

/// Virtual server, client, real server, local address, by family.
const ENDS: [[&str; 4]; 2] = [
    ["192.0.2.10:80", "198.51.100.7:40000", "10.1.0.11:8080", "10.1.0.5"],
    ["[2001:db8::10]:80", "[2001:db8:f::7]:40000", "[2001:db8:1::11]:8080", "2001:db8:1::5"],
];

fn at(seconds: u32) -> Tick {
    Tick(100).plus(Ticks::from_secs(seconds))
}

fn full(locals: &[&str], ports: (u16, u16), hand_on: HandOn) -> FullNat {
    FullNat { addresses: locals.iter().map(|text| addr(text)).collect(), ports, hand_on }
}

fn wanted(vip: &str, servers: &[&str], full: FullNat) -> Wanted {
    Wanted { full: Some(full), ..Wanted::tcp(vip, Method::Full, servers) }
}

fn at_work(family: usize, hand_on: HandOn) -> Offline<MemIo> {
    let [vip, _, server, local] = ENDS[family];
    let full = full(&[local], (1024, 32767), hand_on);
    director(snapshot(&[wanted(vip, &[server], full)], Options::RINGMASTER), 1000)
}

/// A TCP segment in as many words as these tests need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Segment {
    source: String,
    destination: String,
    flags: &'static str,
    sequence: u32,
    acknowledgment: u32,
    options: Vec<u8>,
    payload: Vec<u8>,
}

impl Segment {
    fn of(source: &str, destination: &str, flags: &'static str, sequence: u32, acknowledgment: u32) -> Self {
        let (source, destination) = (source.to_owned(), destination.to_owned());
        Self { source, destination, flags, sequence, acknowledgment, ..Self::default() }
    }

    fn saying(self, payload: &[u8]) -> Self {
        Self { payload: payload.to_vec(), ..self }
    }

    fn with(self, options: &[u8]) -> Self {
        Self { options: options.to_vec(), ..self }
    }

    fn bytes(&self) -> Vec<u8> {
        use etherparse::PacketBuilder;
        let ((from, sport), (to, dport)) = (ip_end(&self.source), ip_end(&self.destination));
        let ethernet = PacketBuilder::ethernet2(crate::packets::CLIENT_MAC, crate::packets::DIRECTOR_MAC);
        let ip = match (from, to) {
            (std::net::IpAddr::V4(from), std::net::IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), 64),
            (std::net::IpAddr::V6(from), std::net::IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), 64),
            mixed => panic!("{mixed:?}"),
        };
        let mut step = ip.tcp(sport, dport, self.sequence, 8192);
        for flag in self.flags.chars() {
            step = match flag {
                'S' => step.syn(),
                'A' => step.ack(self.acknowledgment),
                'F' => step.fin(),
                'R' => step.rst(),
                other => panic!("no such flag: {other}"),
            };
        }
        let mut frame = Vec::new();
        step.options_raw(&self.options).unwrap().write(&mut frame, &self.payload).unwrap();
        frame
    }

    fn read(frame: &[u8]) -> Self {
        let packet = Packet::read(frame);
        let sliced = SlicedPacket::from_ethernet(frame).unwrap();
        if let Some(NetSlice::Ipv4(ip)) = &sliced.net {
            assert_eq!(usize::from(ip.header().total_len()), frame.len() - 14);
        }
        let Some(TransportSlice::Tcp(segment)) = sliced.transport else { panic!("TCP") };
        let flags = match packet.kind {
            crate::packets::Kind::Tcp(flags) => ["S", "SA", "A", "FA", "AF", "R", "RA"].into_iter().find(|known| {
                let sort = |text: &str| text.chars().filter(|c| *c != 'P').collect::<BTreeSet<_>>();
                sort(known) == sort(&flags)
            }),
            crate::packets::Kind::Udp => None,
        };
        Self {
            source: SocketAddr::from(packet.source).to_string(),
            destination: SocketAddr::from(packet.destination).to_string(),
            flags: flags.unwrap(),
            sequence: segment.sequence_number(),
            acknowledgment: segment.acknowledgment_number(),
            options: segment.options().to_vec(),
            payload: packet.payload,
        }
    }
}

/// Sends a segment in and reads the one that comes out.
fn send(director: &mut Offline<MemIo>, from: ringmaster::io::PortId, segment: &Segment, now: Tick) -> Segment {
    let out = pass(director, from, &segment.bytes(), now);
    assert_eq!(out.len(), 1, "{segment:?}");
    let (port, frame) = &out[0];
    assert_ne!(*port, from, "it crosses the director");
    Segment::read(frame)
}

#[test]
fn both_ends_change_both_ways() {
    for [vip, client, server, local] in ENDS {
        for protocol in [6, 17] {
            let nat = full(&[local], (1024, 32767), HandOn::Nothing);
            let snapshot = snapshot(&[Wanted { protocol, ..wanted(vip, &[server], nat) }], Options::RINGMASTER);
            let mut director = director(snapshot, 1000);
            let make = |from: &str, to: &str, flags: &str| match protocol {
                6 => tcp(from, to, flags).with_payload(b"some payload"),
                _ => udp(from, to, b"some payload"),
            };
            let out = pass(&mut director, CLIENTS, &make(client, vip, "S").bytes(), at(0));
            let request = Packet::read(&out[0].1);
            let own = SocketAddr::from(request.source).to_string();
            assert_eq!(request.source.0, crate::packets::addr(local));
            let expected = Packet { macs: [OWN[1].0, server_mac(1).0], ..make(&own, server, "S").with_ttl(63) };
            assert_eq!((out[0].0, request), (SERVERS, expected));

            let out = pass(&mut director, SERVERS, &make(server, &own, "SA").bytes(), at(0));
            let expected = Packet { macs: [OWN[0].0, GATEWAY.0], ..make(vip, client, "SA").with_ttl(63) };
            assert_eq!((out[0].0, Packet::read(&out[0].1)), (CLIENTS, expected));

            let again = pass(&mut director, CLIENTS, &make(client, vip, "A").bytes(), at(1));
            assert_eq!(SocketAddr::from(Packet::read(&again[0].1).source).to_string(), own, "it keeps its local end");
        }
    }
}

#[test]
fn strangers_find_nothing_at_a_local_end() {
    let [vip, client, server, _] = ENDS[0];
    let mut director = at_work(0, HandOn::Nothing);
    let own = send(&mut director, CLIENTS, &Segment::of(client, vip, "S", 1, 0), at(0)).source;
    for (from, to) in [("10.1.0.12:8080", own.as_str()), ("10.1.0.11:8081", &own), (server, "10.1.0.5:900")] {
        let out = pass(&mut director, SERVERS, &tcp(from, to, "SA").bytes(), at(0));
        let answer = Segment::read(&out[0].1);
        assert_eq!((answer.flags, answer.source.as_str(), answer.destination.as_str()), ("R", to, from));
    }
    // Past the local end, the server does not reach the client either.
    assert!(pass(&mut director, SERVERS, &tcp(server, client, "SA").bytes(), at(0)).is_empty());
    // Nor can a client come from a local end.
    assert!(pass(&mut director, CLIENTS, &tcp(&own, vip, "A").bytes(), at(0)).iter().all(|(port, _)| *port == CLIENTS));
}

#[test]
fn a_listing_shows_the_connection_once_with_its_local_end() {
    let [vip, client, server, _] = ENDS[0];
    let mut director = at_work(0, HandOn::Toa);
    let own = send(&mut director, CLIENTS, &Segment::of(client, vip, "S", 1, 0), at(0)).source;
    let (shared, services) = (&director.shared, &director.snapshot().services);
    let shown: Vec<_> =
        shared.table.entries().filter_map(|listed| view::connection(shared, services, &listed, at(0))).collect();
    assert_eq!(shown.len(), 1);
    let text = |end: SocketAddr| end.to_string();
    assert_eq!(
        [text(shown[0].source), text(shown[0].virtual_), text(shown[0].destination), text(shown[0].local.unwrap())],
        [client.to_owned(), vip.to_owned(), server.to_owned(), own]
    );
    let load = director.shared.loads.load(ringmaster::service::PairId(0));
    assert_eq!((load.active, load.inactive), (1, 0), "it counts once");
}

/// Local ends run out, are refused with a reason, and come back with the sweep; no two connections ever share one.
#[test]
fn ends_run_out_and_come_back() {
    let [vip, _, server, local] = ENDS[0];
    let nat = full(&[local, "10.1.0.6"], (2000, 2009), HandOn::Nothing);
    let mut director = director(snapshot(&[wanted(vip, &[server], nat)], Options::RINGMASTER), 1000);
    let open = |director: &mut Offline<MemIo>, port: u16, now: Tick| {
        let out = pass(director, CLIENTS, &tcp(&format!("198.51.100.7:{port}"), vip, "S").bytes(), now);
        out.first().map(|(_, frame)| SocketAddr::from(Packet::read(frame).source))
    };
    let first: BTreeSet<_> = (0..20).map(|at_| open(&mut director, 40000 + at_, at(0)).unwrap()).collect();
    assert_eq!(first.len(), 20, "every end once");
    assert_eq!(open(&mut director, 41000, at(0)), None);
    assert_eq!(director.counters.reason(Reason::NoLocalEnd), 1);
    // A server's reset ends one soon.
    let refused = first.first().unwrap().to_string();
    assert_eq!(pass(&mut director, SERVERS, &tcp(server, &refused, "RA").bytes(), at(1)).len(), 1);
    for _ in 0..4 {
        director.sweep(at(12));
        director.drain(at(12));
    }
    let again = open(&mut director, 41000, at(12)).unwrap();
    assert_eq!(again.to_string(), refused);
    assert_eq!(open(&mut director, 41001, at(12)), None, "one was free, and is taken");
    // All of them, once their time has run out.
    for _ in 0..4 {
        director.sweep(at(200));
        director.drain(at(200));
    }
    assert!(director.shared.table.is_empty());
    let later: BTreeSet<_> = (0..20).map(|at_| open(&mut director, 42000 + at_, at(200)).unwrap()).collect();
    assert_eq!(later, first);
}

#[test]
fn two_services_of_one_server_share_no_local_end() {
    let [vip, client, server, local] = ENDS[0];
    let nat = || full(&[local], (2000, 2003), HandOn::Nothing);
    let services = [wanted(vip, &[server], nat()), wanted("192.0.2.11:80", &[server], nat())];
    let other_server = wanted("192.0.2.12:80", &["10.1.0.12:8080"], nat());
    let snapshot = snapshot(&[services[0].clone(), services[1].clone(), other_server], Options::RINGMASTER);
    let mut director = director(snapshot, 1000);
    let host = client.split(':').next().unwrap();
    let mut seen = BTreeMap::new();
    for port in 0..4 {
        for vip in [vip, "192.0.2.11:80", "192.0.2.12:80"] {
            let client = format!("{host}:{}", 40000 + port);
            let out = pass(&mut director, CLIENTS, &tcp(&client, vip, "S").bytes(), at(0));
            if let Some((_, frame)) = out.first() {
                let packet = Packet::read(frame);
                let other = seen.insert((packet.source, packet.destination), (client.clone(), vip));
                assert_eq!(other, None, "{client} to {vip}");
            }
        }
    }
    assert_eq!(seen.len(), 8, "four to each server");
    for ((local, server), (client, vip)) in seen {
        let [local, server] = [local, server].map(|end| SocketAddr::from(end).to_string());
        let reply = pass(&mut director, SERVERS, &tcp(&server, &local, "SA").bytes(), at(0));
        let reply = Packet::read(&reply[0].1);
        assert_eq!((reply.source, reply.destination), (ip_end(vip), ip_end(&client)));
    }
}

const MSS: [u8; 4] = [2, 4, 5, 0xb4];

#[test]
fn toa_stands_in_the_handshake_and_no_further() {
    for (family, length) in [(0, 8_u16), (1, 20)] {
        let [vip, client, server, _] = ENDS[family];
        let mut director = at_work(family, HandOn::Toa);
        let toa = handed_on::toa(end(client)).to_vec();
        let syn = send(&mut director, CLIENTS, &Segment::of(client, vip, "S", 1000, 0).with(&MSS), at(0));
        assert_eq!(syn.options, [&toa[..], &MSS].concat());
        let own = syn.source;
        let answer = send(&mut director, SERVERS, &Segment::of(server, &own, "SA", 5000, 1001).with(&MSS), at(0));
        let lowered = 1460 - length;
        assert_eq!(answer.options, [&[2, 4][..], &lowered.to_be_bytes()].concat());
        for (acknowledged, payload, has) in
            [(5001, &b""[..], true), (5001, b"GET /", true), (5002, b"more", false), (9000, b"", false)]
        {
            let request = Segment::of(client, vip, "A", 1001, acknowledged).saying(payload);
            let seen = send(&mut director, CLIENTS, &request, at(0));
            let options = if has { toa.clone() } else { Vec::new() };
            let expected = Segment { options, source: own.clone(), destination: server.to_owned(), ..request };
            assert_eq!(seen, expected);
        }
    }
}

/// A header or a packet without room for it goes without, and is otherwise as it should be.
#[test]
fn toa_is_left_out_where_it_does_not_fit() {
    let [vip, client, server, _] = ENDS[0];
    let mut director = at_work(0, HandOn::Toa);
    let options = [&MSS[..], &[1; 32]].concat();
    let syn = send(&mut director, CLIENTS, &Segment::of(client, vip, "S", 1000, 0).with(&options), at(0));
    assert_eq!(syn.options, options);
    send(&mut director, SERVERS, &Segment::of(server, &syn.source, "SA", 5000, 1001), at(0));
    for (payload, has) in [(1452, true), (1453, false), (1460, false)] {
        let request = Segment::of(client, vip, "A", 1001, 5001).saying(&vec![7; payload]);
        let seen = send(&mut director, CLIENTS, &request, at(0));
        assert_eq!((seen.options.len(), seen.payload.len()), (if has { 8 } else { 0 }, payload));
    }
}

/// What a server makes of the segments that it gets: a stream, put together by its numbers.
#[derive(Default)]
struct Stream(BTreeMap<u32, u8>);

impl Stream {
    fn take(&mut self, first: u32, segment: &Segment) {
        for (number, &byte) in (segment.sequence.wrapping_sub(first)..).zip(&segment.payload) {
            assert_eq!(*self.0.entry(number).or_insert(byte), byte, "what is sent again is the same");
        }
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.iter().zip(0..).take_while(|((number, _), at)| **number == *at).map(|((_, &byte), _)| byte).collect()
    }
}

fn header(family: usize, version: ProxyVersion) -> Vec<u8> {
    let [vip, client, ..] = ENDS[family];
    HandOn::Proxy(version).header(end(client), end(vip)).unwrap().to_vec()
}

#[test]
fn a_proxy_header_comes_first_and_numbers_follow() {
    for family in [0, 1] {
        for version in [ProxyVersion::V1, ProxyVersion::V2] {
            let [vip, client, server, _] = ENDS[family];
            let header = header(family, version);
            let length = header.len() as u32;
            let mut director = at_work(family, HandOn::Proxy(version));
            let first = u32::MAX - 10;
            let syn = Segment::of(client, vip, "S", first.wrapping_sub(1), 0).with(&MSS);
            let out = send(&mut director, CLIENTS, &syn, at(0));
            assert_eq!((out.sequence, &out.options[..], out.payload.len()), (first.wrapping_sub(1), &MSS[..], 0));
            let own = out.source;
            let out = send(&mut director, SERVERS, &Segment::of(server, &own, "SA", 5000, first).with(&MSS), at(0));
            let lowered = 1460 - length as u16;
            assert_eq!((out.acknowledgment, &out.options[2..]), (first, &lowered.to_be_bytes()[..]));

            let mut stream = Stream::default();
            let mut say = |director: &mut Offline<MemIo>, flags, sequence: u32, payload: &[u8]| {
                let request = Segment::of(client, vip, flags, first.wrapping_add(sequence), 5001).saying(payload);
                let out = send(director, CLIENTS, &request, at(0));
                stream.take(first, &out);
                (out.sequence.wrapping_sub(first), stream.bytes())
            };
            let hear = |director: &mut Offline<MemIo>, acknowledged: u32, sack: Option<[u32; 2]>| {
                let at_server = |number: u32| first.wrapping_add(number);
                let blocks = sack.map_or(Vec::new(), |[from, to]| {
                    [&[1, 1, 5, 10][..], &at_server(from).to_be_bytes(), &at_server(to).to_be_bytes()].concat()
                });
                let reply = Segment::of(server, &own, "A", 5001, at_server(acknowledged)).with(&blocks);
                let out = send(director, SERVERS, &reply, at(0));
                let blocks: Vec<u32> = out
                    .options
                    .get(4..)
                    .unwrap_or_default()
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|word| u32::from_be_bytes(*word).wrapping_sub(first))
                    .collect();
                (out.acknowledgment.wrapping_sub(first), blocks)
            };
            assert_eq!(say(&mut director, "A", 0, b""), (0, header.clone()), "with the bare acknowledgment");
            assert_eq!(say(&mut director, "A", 0, b"GET /"), (0, [&header[..], b"GET /"].concat()), "and again");
            assert_eq!(say(&mut director, "A", 5, b" HTTP"), (5 + length, [&header[..], b"GET / HTTP"].concat()));
            assert_eq!(hear(&mut director, 3, None), (0, vec![]), "part of the header is nothing of the client's");
            assert_eq!(hear(&mut director, 0, Some([length + 5, length + 10])), (0, vec![5, 10]));
            assert_eq!(hear(&mut director, length, None), (0, vec![]));
            assert_eq!(say(&mut director, "A", 0, b"GET /").0, length, "the server has the header");
            assert_eq!(hear(&mut director, length + 10, None), (10, vec![]));
            assert_eq!(say(&mut director, "FA", 10, b"").0, 10 + length);
            assert_eq!(hear(&mut director, length + 11, None), (11, vec![]));
        }
    }
}

/// If header and data do not fit together, the header goes alone; the client sends its data again, behind it.
#[test]
fn a_proxy_header_goes_alone_where_data_leave_no_room() {
    let [vip, client, server, _] = ENDS[0];
    let header = header(0, ProxyVersion::V1);
    let mut director = at_work(0, HandOn::Proxy(ProxyVersion::V1));
    let own = send(&mut director, CLIENTS, &Segment::of(client, vip, "S", 999, 0), at(0)).source;
    send(&mut director, SERVERS, &Segment::of(server, &own, "SA", 5000, 1000), at(0));
    let data = Segment::of(client, vip, "FA", 1000, 5001).saying(&[7; 1460]);
    let out = send(&mut director, CLIENTS, &data, at(0));
    assert_eq!((out.flags, out.payload), ("A", header.clone()));
    let reply = send(&mut director, SERVERS, &Segment::of(server, &own, "A", 5001, 1000 + header.len() as u32), at(0));
    assert_eq!(reply.acknowledgment, 1000);
    let out = send(&mut director, CLIENTS, &data, at(1));
    assert_eq!((out.flags, out.sequence, out.payload), ("FA", 1000 + header.len() as u32, vec![7; 1460]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the client cuts, repeats and reorders its bytes, and whatever the server has acknowledged by then, the
    /// server's stream is the header and then the client's.
    #[test]
    fn a_server_gets_the_header_and_the_stream(
        first in any::<u32>(),
        cuts in prop::collection::vec((0_usize..300, 0_usize..60, any::<bool>()), 1..40),
    ) {
        let [vip, client, server, _] = ENDS[0];
        let header = header(0, ProxyVersion::V2);
        let text: Vec<u8> = (0..3000_u32).map(|at| (at * 7) as u8).collect();
        let mut director = at_work(0, HandOn::Proxy(ProxyVersion::V2));
        let syn = Segment::of(client, vip, "S", first.wrapping_sub(1), 0);
        let own = send(&mut director, CLIENTS, &syn, at(0)).source;
        send(&mut director, SERVERS, &Segment::of(server, &own, "SA", 5000, first), at(0));
        let mut stream = Stream::default();
        let whole = std::iter::once((0, 60, true));
        let (mut sent, mut heard) = (0, 0);
        for (from, length, acknowledges) in cuts.into_iter().chain(whole) {
            // No further than what was sent, nor before what was acknowledged.
            let from = from.min(sent).max(heard);
            let segment = Segment::of(client, vip, "A", first.wrapping_add(from as u32), 5001)
                .saying(&text[from..from + length]);
            stream.take(first, &send(&mut director, CLIENTS, &segment, at(0)));
            sent = sent.max(from + length);
            let have = stream.bytes();
            let expected = [&header[..], &text].concat();
            prop_assert_eq!(&have[..], &expected[..have.len()]);
            if acknowledges {
                let reply = Segment::of(server, &own, "A", 5001, first.wrapping_add(have.len() as u32));
                let told = send(&mut director, SERVERS, &reply, at(0)).acknowledgment.wrapping_sub(first) as usize;
                prop_assert_eq!(told, have.len().saturating_sub(header.len()));
                heard = told;
            }
        }
        prop_assert!(stream.bytes().len() >= header.len());
    }

    /// Whoever opens and closes: no two live connections have the same local end to one server.
    #[test]
    fn no_two_connections_share_a_local_end(
        steps in prop::collection::vec((0_u16..24, 0_usize..2, 0_u8..4), 1..120),
    ) {
        let [vip, _, server, local] = ENDS[0];
        let vips = [vip, "192.0.2.11:80"];
        let nat = || full(&[local], (2000, 2011), HandOn::Nothing);
        let services = vips.map(|vip| wanted(vip, &[server], nat()));
        let mut director = director(snapshot(&services, Options::RINGMASTER), 1000);
        let mut live: BTreeMap<(u16, usize), (SocketAddr, bool)> = BTreeMap::new();
        let mut seconds = 0;
        for (port, service, what) in steps {
            let client = format!("198.51.100.7:{}", 40000 + port);
            match what {
                0 | 1 => {
                    let out = pass(&mut director, CLIENTS, &tcp(&client, vips[service], "S").bytes(), at(seconds));
                    let Some((_, frame)) = out.first() else { continue };
                    let local = SocketAddr::from(Packet::read(frame).source);
                    let another = live.iter().find(|(who, (end, _))| **who != (port, service) && *end == local);
                    prop_assert_eq!(another, None);
                    if let Some((before, closed)) = live.insert((port, service), (local, false)) {
                        prop_assert!(closed || before == local, "a live connection keeps its local end");
                    }
                }
                2 => {
                    if let Some((local, closed)) = live.get_mut(&(port, service)) {
                        pass(&mut director, SERVERS, &tcp(server, &local.to_string(), "RA").bytes(), at(seconds));
                        *closed = true;
                    }
                }
                _ => {
                    seconds += 11;
                    for _ in 0..3 {
                        director.sweep(at(seconds));
                        director.drain(at(seconds));
                    }
                    live.retain(|_, (_, closed)| !*closed);
                    // A SYN without an answer lasts a minute.
                    if seconds > 50 {
                        break;
                    }
                }
            }
        }
    }
}

/// An ICMP error is told with the numbers and addresses that its receiver knows.
#[test]
fn errors_are_translated_at_both_ends() {
    for family in [0, 1] {
        let [vip, client, server, local] = ENDS[family];
        let router = ["203.0.113.9", "2001:db8:99::9"][family];
        let too_big = [(3, 4), (2, 0)][family];
        let mut director = at_work(family, HandOn::Proxy(ProxyVersion::V2));
        let length = header(family, ProxyVersion::V2).len() as u32;
        let own = send(&mut director, CLIENTS, &Segment::of(client, vip, "S", 999, 0), at(0)).source;
        send(&mut director, SERVERS, &Segment::of(server, &own, "SA", 5000, 1000), at(0));

        // From the servers' side, about what the client has sent.
        let about = Segment::of(&own, server, "A", 1000 + length + 7, 5001).saying(&[7; 40]).bytes();
        let header_length = icmp_at(&about) - 14;
        let came = error(router, local, too_big, 1300, &about, header_length + 20);
        let out = pass(&mut director, SERVERS, &came, at(0));
        let (port, frame) = &out[0];
        assert_eq!((*port, icmp_sum(frame), frame.len()), (CLIENTS, 0xffff, came.len()));
        let (vip_end, client_end, server_end) = (ip_end(vip), ip_end(client), ip_end(server));
        assert_eq!(ends(frame, 14), (vip_end.0, client_end.0));
        let at_quote = icmp_at(frame) + 8;
        assert_eq!(ends(frame, at_quote), (client_end.0, vip_end.0));
        let quoted = &frame[at_quote + header_length..];
        assert_eq!(
            [&quoted[..2], &quoted[2..4]],
            [client_end.1, vip_end.1].map(u16::to_be_bytes).each_ref().map(|port| &port[..])
        );
        assert_eq!(quoted[4..8], 1007_u32.to_be_bytes(), "the client's own number");

        // From the clients' side, about what the server has sent.
        let about = Segment::of(vip, client, "A", 5001, 1000).saying(&[7; 40]).bytes();
        let came = error(router, vip, too_big, 1300, &about, header_length + 20);
        let out = pass(&mut director, CLIENTS, &came, at(0));
        let (port, frame) = &out[0];
        assert_eq!((*port, icmp_sum(frame)), (SERVERS, 0xffff));
        let own = ip_end(&own);
        assert_eq!(ends(frame, 14), (own.0, server_end.0), "a server has no route to the router either");
        assert_eq!(ends(frame, at_quote), (server_end.0, own.0));
        let quoted = &frame[at_quote + header_length..];
        assert_eq!(
            [&quoted[..2], &quoted[2..4]],
            [server_end.1, own.1].map(u16::to_be_bytes).each_ref().map(|port| &port[..])
        );
        if family == 0 {
            assert_eq!([ones(&frame[14..34]), ones(&frame[42..62])], [0xffff; 2], "both header checksums");
        }
    }
}

/// A server's packet that is too long for the clients' side is refused in the words that the server knows.
#[test]
fn a_refused_reply_is_quoted_as_it_came() {
    let [vip, client, server, local] = ENDS[0];
    let mut director = at_work(0, HandOn::Nothing);
    let own = send(&mut director, CLIENTS, &Segment::of(client, vip, "S", 999, 0), at(0)).source;
    let mut reply = Segment::of(server, &own, "SA", 5000, 1000).bytes();
    reply[22] = 1;
    crate::fragments::fix_header(&mut reply);
    let out = pass(&mut director, SERVERS, &reply, at(0));
    let (port, frame) = &out[0];
    assert_eq!((*port, frame[34], ends(frame, 14).1), (SERVERS, 11, ip_end(server).0));
    assert_eq!(ends(frame, 42), (ip_end(server).0, crate::packets::addr(local)));
}

/// Source and destination of the IP packet that begins at `at`.
fn ends(frame: &[u8], at: usize) -> (std::net::IpAddr, std::net::IpAddr) {
    let four = |at: usize| -> [u8; 4] { frame[at..at + 4].try_into().unwrap() };
    let sixteen = |at: usize| -> [u8; 16] { frame[at..at + 16].try_into().unwrap() };
    match frame[at] >> 4 {
        4 => (four(at + 12).into(), four(at + 16).into()),
        _ => (sixteen(at + 8).into(), sixteen(at + 24).into()),
    }
}
