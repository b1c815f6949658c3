//! What a pair's traffic counters count, and what they do not.

use ringmaster::conn::State;
use ringmaster::forward::Counter;
use ringmaster::io::mem::MemIo;
use ringmaster::service::{Method, Options, PairId, ServicesBuilder, Snapshot};
use ringmaster::time::Tick;
use ringmaster::worker::Offline;

use crate::offline::*;
use crate::packets::tcp;

const NOW: Tick = Tick(100);
const VIP: &str = "192.0.2.10:80";
const SERVER: &str = "10.1.0.11:80";
const CLIENT: &str = "198.51.100.7:40000";

fn opened(method: Method, options: Options) -> Offline<MemIo> {
    let mut director = director(snapshot(&[Wanted::tcp(VIP, method, &[SERVER])], options), 100);
    pass(&mut director, CLIENTS, &tcp(CLIENT, VIP, "S").bytes(), NOW);
    director
}

/// Packets and bytes, in and out.
fn counted(director: &Offline<MemIo>) -> [u64; 4] {
    let pair = director.counters.pair(PairId(0)).unwrap();
    [&pair.packets[0], &pair.bytes[0], &pair.packets[1], &pair.bytes[1]].map(Counter::get)
}

/// The kernel counts its own errors to the client of a server that answers directly, and not to that of a NAT server.
#[test]
fn an_error_of_the_director_s_own_counts_where_replies_are_not_seen() {
    for (method, out) in [(Method::Nat, [0, 0]), (Method::Dr, [1, 28 + 40]), (Method::IPIP, [1, 28 + 40])] {
        let mut director = opened(method, Options::RINGMASTER);
        assert_eq!(counted(&director), [1, 40, 0, 0]);
        pass(&mut director, CLIENTS, &tcp(CLIENT, VIP, "A").with_ttl(1).bytes(), NOW);
        assert_eq!(counted(&director), [2, 80, out[0], out[1]], "{method:?}");
    }
}

/// A request is judged by LVS itself, a reply by the router before it.
#[test]
fn a_request_that_can_go_no_further_counts_and_a_reply_does_not() {
    let mut director = opened(Method::Nat, Options::RINGMASTER);
    let state = |director: &Offline<MemIo>| director.shared.table.entries().next().unwrap().record.state;
    let long = vec![0; 1461];
    for reply in [tcp(SERVER, CLIENT, "FA").with_ttl(1), tcp(SERVER, CLIENT, "FA").with_payload(&long)] {
        let ttl = reply.bytes()[22];
        let out = pass(&mut director, SERVERS, &reply.bytes(), NOW).remove(0);
        assert_eq!((out.0, out.1[42 + 8]), (SERVERS, ttl), "it is told so, and quoted as it came");
        assert_eq!((counted(&director), state(&director)), ([1, 40, 0, 0], State::SynRecv));
    }
    pass(&mut director, CLIENTS, &tcp(CLIENT, VIP, "A").with_ttl(1).bytes(), NOW);
    assert_eq!((counted(&director), state(&director)), ([2, 80, 0, 0], State::Established));
}

#[test]
fn nothing_counts_for_a_server_that_was_removed() {
    let mut director = opened(Method::Nat, Options::KERNEL);
    let before = director.snapshot().clone();
    let mut service = before.services.list[0].clone();
    service.servers.clear();
    let mut builder = ServicesBuilder::default();
    builder.add(service, &[], &before.network);
    builder.add_removed(PairId(0), *before.services.pair(PairId(0)).unwrap(), &before.network);
    director.publish(Snapshot { services: builder.build().into(), generation: 2, ..before });
    let out = pass(&mut director, SERVERS, &tcp(SERVER, CLIENT, "SA").bytes(), NOW);
    assert_eq!((out.len(), counted(&director)), (1, [1, 40, 0, 0]), "it leaves and is not counted");
}

/// One from the virtual address has the director's own as its source, and the kernel drops it; one from the server's is
/// none of the connection's.
#[test]
fn what_a_direct_server_sends_this_way_is_left_to_the_kernel() {
    let mut director = opened(Method::Dr, Options::RINGMASTER);
    for source in [VIP, SERVER] {
        assert!(pass(&mut director, SERVERS, &tcp(source, CLIENT, "SA").bytes(), NOW).is_empty());
    }
    assert_eq!((counted(&director), director.counters.passed.get()), ([1, 40, 0, 0], 2));
}
