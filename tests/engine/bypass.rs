//! `cache_bypass`: what a mark's service has no server for goes on to where it was sent.

use std::net::SocketAddr;

use ringmaster::control::view;
use ringmaster::forward::Reason;
use ringmaster::io::mem::MemIo;
use ringmaster::service::{Load, MarkRule, Method, Options, PairId, Snapshot};
use ringmaster::time::Tick;
use ringmaster::wire::{Family, Pattern};
use ringmaster::worker::Offline;

use crate::icmp::{error, host};
use crate::offline::*;
use crate::packets::{Packet, tcp, udp};

const NOW: Tick = Tick(100);
/// Client, origin, cache, the director's own address, the origin as it is listed, by family.
const ENDS: [[&str; 5]; 2] = [
    ["198.51.100.7:40000", "203.0.113.80:80", "10.1.0.11:0", "192.0.2.1:80", "0.0.0.0:0"],
    ["[2001:db8:f::7]:40000", "[2001:db8:9::80]:80", "[2001:db8:1::11]:0", "[2001:db8::1]:80", "[::]:0"],
];

/// A service for all of the web, with these caches; the pair of the origins has the id behind theirs.
fn caches(family: Family, servers: &[&str], bypass: bool) -> Snapshot {
    let rule = MarkRule { mark: 7, pattern: Pattern { ports: (80, 80), ..Pattern::ANY }, arrival: None };
    let service = Wanted::mark(7, family, Method::Dr, servers);
    let service = if bypass { service.bypassing() } else { service };
    marked_snapshot(&[service], &[rule], Options::RINGMASTER)
}

fn families() -> [(Family, [&'static str; 5]); 2] {
    [(Family::V4, ENDS[0]), (Family::V6, ENDS[1])]
}

/// Whether the packet leaves towards the origin as it came, but for its TTL.
fn passes(director: &mut Offline<MemIo>, packet: &Packet) -> bool {
    let out = pass(director, CLIENTS, &packet.bytes(), NOW);
    let [(CLIENTS, frame)] = &out[..] else { return false };
    Packet::read(frame) == Packet { macs: [OWN[0].0, GATEWAY.0], ttl: packet.ttl - 1, ..packet.clone() }
}

#[test]
fn without_a_cache_the_origin_is_asked_and_nothing_counts() {
    for (family, [client, origin, .., listed]) in families() {
        let mut director = director(caches(family, &[], true), 100);
        for flags in ["S", "A", "AF"] {
            assert!(passes(&mut director, &tcp(client, origin, flags)), "{family:?}: {flags}");
        }
        let services = &director.snapshot().services;
        let entry = director.shared.table.entries().next().unwrap();
        let view = view::connection(&director.shared, services, &entry, NOW).unwrap();
        let ends = [view.source, view.virtual_, view.destination].map(|end: SocketAddr| end.to_string());
        assert_eq!((ends, view.state.as_str()), ([client, origin, listed].map(str::to_owned), "CLOSE_WAIT"));
        let counters = director.counters.pair(PairId(0)).unwrap();
        assert_eq!((counters.connections.get(), counters.packets[0].get(), counters.bytes[0].get()), (0, 0, 0));
        // What the origin sends by way of the director is the kernel's to route.
        assert!(pass(&mut director, CLIENTS, &tcp(origin, client, "SA").bytes(), NOW).is_empty());
        assert_eq!(director.counters.passed.get(), 1);
        // Once its time is over the entry is free again.
        director.sweep(Tick(100 + 61 * 64));
        assert!(director.shared.table.is_empty());
        assert_eq!(director.shared.loads.load(PairId(0)), Load::default());
    }
}

#[test]
fn a_connection_past_the_caches_stays_so_when_one_returns() {
    for (family, [client, origin, cache, ..]) in families() {
        let mut director = director(caches(family, &[], true), 100);
        assert!(passes(&mut director, &tcp(client, origin, "S")));
        // Ids stay with their names, here by hand: the origins' is older than the cache's.
        let mut with_cache = caches(family, &[], true);
        let returned = caches(family, &[cache], true);
        let mut services = (*returned.services).clone();
        services.pairs.swap(0, 1);
        services.list[0].servers[0].pair = PairId(1);
        services.list[0].bypass.as_mut().unwrap().pair = PairId(0);
        with_cache.services = services.into();
        with_cache.network = returned.network;
        director.publish(with_cache);
        assert!(passes(&mut director, &tcp(client, origin, "A")), "{family:?}");
        let new = tcp(client, &origin.replace("80:80", "81:80").replace("80]:80", "81]:80"), "S");
        let out = pass(&mut director, CLIENTS, &new.bytes(), NOW);
        assert_eq!(out.iter().map(|(port, _)| *port).collect::<Vec<_>>(), [SERVERS], "{family:?}");
    }
}

#[test]
fn an_error_about_it_reaches_the_origin() {
    for (family, [client, origin, ..]) in families() {
        let mut director = director(caches(family, &[], true), 100);
        assert!(passes(&mut director, &tcp(client, origin, "S")));
        let kind = [(3, 3), (1, 4)][usize::from(family == Family::V6)];
        let about = tcp(origin, client, "SA").bytes();
        let came = error(&host(client).to_string(), origin, kind, 0, &about, 60);
        let out = pass(&mut director, CLIENTS, &came, NOW);
        let [(CLIENTS, frame)] = &out[..] else { panic!("{family:?}: {out:x?}") };
        assert_eq!(frame[..6], GATEWAY.0);
        assert_eq!(frame[26..], came[26..], "{family:?}: but for TTL and header checksum nothing has changed");
    }
}

/// `ip_vs_leave`: "the destination is a non-local unicast".
#[test]
fn who_asks_the_director_itself_or_does_not_wish_it_is_refused() {
    for (family, [client, origin, _, own, _]) in families() {
        let several =
            [&["224.0.0.9:80", "255.255.255.255:80"][..], &["[ff05::9]:80"]][usize::from(family == Family::V6)];
        let cases = [(origin, false), (own, true)].into_iter().chain(several.iter().map(|to| (*to, true)));
        for (to, bypass) in cases {
            let mut director = director(caches(family, &[], bypass), 100);
            let out = pass(&mut director, CLIENTS, &tcp(client, to, "S").bytes(), NOW);
            assert!(out.iter().all(|(_, frame)| frame[..6] != GATEWAY.0 || frame.len() > 60), "{to}: {out:x?}");
            assert_eq!(director.counters.reason(Reason::NoServer), 1, "{to}");
            assert!(director.shared.table.is_empty(), "{to}");
        }
    }
}

#[test]
fn one_packet_scheduling_leaves_nothing_behind() {
    for (family, [client, origin, ..]) in families() {
        let snapshot = caches(family, &[], true);
        let mut services = (*snapshot.services).clone();
        services.list[0].one_packet = true;
        let mut director = director(Snapshot { services: services.into(), ..snapshot }, 100);
        assert!(passes(&mut director, &udp(client, origin, b"question")), "{family:?}");
        assert!(director.shared.table.is_empty());
        assert_eq!(director.counters.pair(PairId(0)).unwrap().connections.get(), 0);
    }
}
