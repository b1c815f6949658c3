//! Opening, keeping and ending connections.

use ringmaster::conn::State;
use ringmaster::forward::Reason;
use ringmaster::io::mem::MemIo;
use ringmaster::sched::Kind;
use ringmaster::service::{Load, Method, Options, PairFlags, PairId, ServicesBuilder, Snapshot};
use ringmaster::time::{Tick, Ticks};
use ringmaster::worker::Offline;

use crate::offline::*;
use crate::packets::{Packet, tcp, udp};

const VIP: &str = "192.0.2.10:80";
const THREE: [&str; 3] = ["10.1.0.11:80", "10.1.0.12:80", "10.1.0.13:80"];

fn at(seconds: u32) -> Tick {
    Tick(1000).plus(Ticks::from_secs(seconds))
}

fn nat(options: Options) -> Offline<MemIo> {
    director(snapshot(&[Wanted::tcp(VIP, Method::Nat, &THREE)], options), 1000)
}

/// Sends a segment from the client and says which server it went to, by the last byte of its address.
fn server_of(director: &mut Offline<MemIo>, client: &str, flags: &str, now: Tick) -> Option<u8> {
    let out = pass(director, CLIENTS, &tcp(client, VIP, flags).bytes(), now);
    let (port, frame) = out.first()?;
    assert_eq!(*port, SERVERS, "{:?}", Packet::read(frame));
    Some(frame[33])
}

fn reply(director: &mut Offline<MemIo>, server: &str, client: &str, flags: &str, now: Tick) {
    let out = pass(director, SERVERS, &tcp(server, client, flags).bytes(), now);
    assert_eq!(out.len(), 1);
}

fn states(director: &Offline<MemIo>) -> Vec<State> {
    director.shared.table.entries().map(|listed| listed.record.state).collect()
}

#[test]
fn round_robin_takes_turns_and_connections_stay() {
    let mut director = nat(Options::RINGMASTER);
    let clients: Vec<String> = (0..30).map(|n| format!("198.51.100.{n}:40000")).collect();
    let first: Vec<_> = clients.iter().map(|c| server_of(&mut director, c, "S", at(0)).unwrap()).collect();
    assert_eq!(first, [11, 12, 13].repeat(10));
    let again: Vec<_> = clients.iter().map(|c| server_of(&mut director, c, "A", at(1)).unwrap()).collect();
    assert_eq!(again, first);
}

#[test]
fn least_connections_sees_them_come_and_go() {
    let wanted = Wanted::tcp(VIP, Method::Nat, &THREE).scheduled(Kind::Lc);
    let mut director = director(snapshot(&[wanted], Options::RINGMASTER), 1000);
    for n in 0..3 {
        server_of(&mut director, &format!("198.51.100.{n}:1"), "S", at(0));
    }
    // The one on .12 is reset: inactive weighs less than active.
    let on_12 = director.shared.table.entries().find(|e| e.record.pair == 1).unwrap().key;
    let client = format!("{}:{}", on_12.client, on_12.port());
    reply(&mut director, "10.1.0.12:80", &client, "R", at(0));
    assert_eq!(director.shared.loads.load(PairId(1)), Load { active: 0, inactive: 1 });
    assert_eq!(server_of(&mut director, "198.51.100.9:1", "S", at(0)), Some(12));
}

#[test]
fn a_life_from_syn_to_expiry() {
    let mut director = nat(Options::RINGMASTER);
    let client = "198.51.100.7:40000";
    let loads = |director: &Offline<MemIo>| director.shared.loads.load(PairId(0));
    server_of(&mut director, client, "S", at(0));
    assert_eq!((states(&director), loads(&director).active), (vec![State::SynRecv], 1));
    reply(&mut director, "10.1.0.11:80", client, "SA", at(0));
    server_of(&mut director, client, "A", at(0));
    assert_eq!(states(&director), [State::Established]);
    server_of(&mut director, client, "FA", at(1));
    assert_eq!((states(&director), loads(&director)), (vec![State::CloseWait], Load { active: 0, inactive: 1 }));
    reply(&mut director, "10.1.0.11:80", client, "FA", at(1));
    assert_eq!(states(&director), [State::TimeWait]);
    director.sweep(at(121));
    assert_eq!(states(&director).len(), 1, "120 s of TIME_WAIT are not over");
    director.sweep(at(122));
    assert_eq!((states(&director).len(), loads(&director)), (0, Load::default()));
}

#[test]
fn each_state_has_its_timeout() {
    for (flags, seconds, state) in [
        (&["S"][..], 60, State::SynRecv),
        (&["S", "A"], 900, State::Established),
        (&["S", "A", "FA"], 60, State::CloseWait),
        (&["S", "A", "R"], 10, State::Close),
    ] {
        let mut director = nat(Options::RINGMASTER);
        for step in flags {
            server_of(&mut director, "198.51.100.7:40000", step, at(0));
        }
        director.sweep(at(seconds));
        assert_eq!(states(&director), [state], "alive at {seconds} s");
        director.sweep(at(seconds).plus(Ticks(1)));
        assert_eq!(states(&director), [], "ended after {seconds} s");
    }
}

#[test]
fn an_expired_connection_is_not_used_even_before_the_sweep() {
    let mut director = nat(Options::RINGMASTER);
    assert_eq!(server_of(&mut director, "198.51.100.7:40000", "S", at(0)), Some(11));
    assert_eq!(server_of(&mut director, "198.51.100.7:40000", "S", at(61)), Some(12));
    assert_eq!(states(&director).len(), 1);
    assert_eq!(director.shared.loads.load(PairId(0)), Load::default());
}

#[test]
fn a_finished_connection_s_port_may_be_used_again_at_once() {
    let mut director = nat(Options::RINGMASTER);
    let client = "198.51.100.7:40000";
    for flags in ["S", "A"] {
        assert_eq!(server_of(&mut director, client, flags, at(0)), Some(11));
    }
    assert_eq!(server_of(&mut director, client, "S", at(0)), Some(11), "established: the SYN belongs to it");
    assert_eq!(server_of(&mut director, client, "R", at(0)), Some(11));
    assert_eq!(server_of(&mut director, client, "S", at(0)), Some(12), "closed: a new connection");
}

#[test]
fn dr_follows_the_client_alone() {
    let mut director = director(snapshot(&[Wanted::tcp(VIP, Method::Dr, &THREE)], Options::RINGMASTER), 1000);
    let mut steps = vec![];
    for flags in ["S", "A", "FA", "A"] {
        pass(&mut director, CLIENTS, &tcp("198.51.100.7:40000", VIP, flags).bytes(), at(0));
        steps.extend(states(&director));
    }
    assert_eq!(steps, [State::SynRecv, State::Established, State::FinWait, State::FinWait]);
}

#[test]
fn a_segment_without_flags_closes_only_under_the_kernel_s_profile() {
    for (options, state) in [(Options::KERNEL, State::Close), (Options::RINGMASTER, State::Established)] {
        let mut director = nat(options);
        for flags in ["S", "A", "P"] {
            server_of(&mut director, "198.51.100.7:40000", flags, at(0));
        }
        assert_eq!(states(&director), [state]);
    }
}

#[test]
fn udp_needs_no_opening_and_is_never_active() {
    let wanted = Wanted::udp("192.0.2.10:53", Method::Nat, &["10.1.0.11:53", "10.1.0.12:53"]);
    let mut director = director(snapshot(&[wanted], Options::RINGMASTER), 1000);
    for second in [0, 200, 400] {
        let out = pass(&mut director, CLIENTS, &udp("198.51.100.7:5000", "192.0.2.10:53", b"q").bytes(), at(second));
        assert_eq!(out[0].1[33], 11, "each datagram renews the 300 s");
    }
    assert_eq!(director.shared.loads.load(PairId(0)), Load { active: 0, inactive: 1 });
    director.sweep(at(701));
    assert_eq!(states(&director), []);
}

/// The same service with one server removed, as the control thread would publish it.
fn without_first_server(options: Options) -> Snapshot {
    let whole = snapshot(&[Wanted::tcp(VIP, Method::Nat, &THREE)], options);
    let mut service = whole.services.list[0].clone();
    let removed = service.servers.remove(0);
    let mut builder = ServicesBuilder::default();
    builder.add(service, &[1, 1], &whole.network);
    builder.add_removed(removed.pair, *whole.services.pair(removed.pair).unwrap(), &whole.network);
    Snapshot { services: builder.build().into(), generation: 2, ..whole }
}

#[test]
fn a_removed_server_s_connections_end_or_go_silent_by_choice() {
    for (options, expected) in
        [(Options::RINGMASTER, Some(Reason::NoConnection)), (Options::KERNEL, Some(Reason::ServerRemoved))]
    {
        let mut director = nat(options);
        let client = "198.51.100.7:40000";
        for flags in ["S", "A"] {
            assert_eq!(server_of(&mut director, client, flags, at(0)), Some(11));
        }
        director.publish(without_first_server(options));
        assert!(director.snapshot().services.pairs[0].flags.has(PairFlags::REMOVED));
        let out = pass(&mut director, CLIENTS, &tcp(client, VIP, "A").bytes(), at(1));
        let counted = Reason::ALL.iter().find(|reason| director.counters.reason(**reason) == 1).copied();
        assert_eq!(counted, expected);
        assert_eq!(out.len(), usize::from(expected == Some(Reason::NoConnection)), "a reset, or silence");
    }
}

#[test]
fn the_sweep_ends_the_connections_of_a_removed_server() {
    let mut director = nat(Options::RINGMASTER);
    for n in 0..3 {
        server_of(&mut director, &format!("198.51.100.{n}:1"), "S", at(0));
    }
    director.publish(without_first_server(Options::RINGMASTER));
    director.sweep(at(1));
    assert_eq!(states(&director).len(), 2);
    assert_eq!(director.shared.loads.load(PairId(0)), Load::default());
}

/// The kernel takes its hooks out with the last service of a family; what is left is none of LVS's business.
#[test]
fn with_the_last_service_gone_its_connections_are_forgotten_or_dropped_by_choice() {
    for (options, passed) in [(Options::KERNEL, 2), (Options::RINGMASTER, 0)] {
        let options = Options { expire_nodest_conn: false, ..options };
        let mut director = nat(options);
        let client = "198.51.100.7:40000";
        assert_eq!(server_of(&mut director, client, "S", at(0)), Some(11));
        let before = director.snapshot().clone();
        let mut builder = ServicesBuilder::default();
        builder.add_removed(PairId(0), *before.services.pair(PairId(0)).unwrap(), &before.network);
        director.publish(Snapshot { services: builder.build().into(), generation: 2, ..before });
        pass(&mut director, CLIENTS, &tcp(client, VIP, "A").bytes(), at(1));
        pass(&mut director, SERVERS, &tcp("10.1.0.11:80", client, "SA").bytes(), at(1));
        assert_eq!(director.counters.passed.get(), passed);
    }
}

#[test]
fn a_full_server_takes_nothing_until_it_is_well_below_its_limit() {
    let wanted = Wanted::tcp(VIP, Method::Nat, &THREE[..1]).limited(4, 2);
    let mut director = director(snapshot(&[wanted], Options::RINGMASTER), 1000);
    let mut opened = |n: u32, second| {
        let out = pass(&mut director, CLIENTS, &tcp(&format!("198.51.100.{n}:1"), VIP, "S").bytes(), at(second));
        director.sweep(at(second));
        out[0].0 == SERVERS
    };
    let first: Vec<_> = (0..5).map(|n| opened(n, n * 10)).collect();
    assert_eq!(first, [true, true, true, true, false]);
    assert!(!opened(5, 75), "two of the four have ended by now");
    opened(0, 85);
    assert!(opened(6, 86), "and a third");
}

#[test]
fn a_connection_s_first_segment_need_not_be_a_syn_by_choice() {
    for (sloppy_tcp, servers) in [(false, [None; 3]), (true, [Some(11), Some(12), None])] {
        let mut director = nat(Options { sloppy_tcp, reset_unknown: false, ..Options::RINGMASTER });
        let flags = ["A", "FA", "R"].into_iter().enumerate();
        let opened: Vec<_> =
            flags.map(|(n, flags)| server_of(&mut director, &format!("198.51.100.{n}:1"), flags, at(0))).collect();
        assert_eq!(opened, servers);
    }
}

#[test]
fn a_backup_touches_nothing() {
    let mut snapshot = snapshot(&[Wanted::tcp(VIP, Method::Nat, &THREE)], Options::RINGMASTER);
    snapshot.forwarding = false;
    let mut director = director(snapshot, 1000);
    assert!(pass(&mut director, CLIENTS, &tcp("198.51.100.7:40000", VIP, "S").bytes(), at(0)).is_empty());
    assert_eq!((director.counters.passed.get(), states(&director).len()), (1, 0));
}

#[test]
fn a_full_table_refuses_new_connections_and_keeps_the_old() {
    let mut director = director(snapshot(&[Wanted::tcp(VIP, Method::Nat, &THREE)], Options::RINGMASTER), 64);
    let clients: Vec<String> = (0..400).map(|n| format!("198.51.{}.{}:40000", n / 200, n % 200)).collect();
    let first: Vec<_> = clients.iter().map(|c| server_of(&mut director, c, "S", at(0))).collect();
    let refused = director.counters.reason(Reason::TableFull);
    assert_eq!(refused, first.iter().filter(|server| server.is_none()).count() as u64);
    assert!(refused > 0 && refused < 400 - 64, "{refused} refused");
    for (client, server) in clients.iter().zip(&first).filter(|(_, server)| server.is_some()) {
        assert_eq!(server_of(&mut director, client, "A", at(1)), *server);
    }
}

/// A director of two services that lead to one server port, which cannot tell their connections of one client port apart.
fn of_two_services_alike() -> Offline<MemIo> {
    let services = [VIP, OTHER_VIP].map(|vip| Wanted::tcp(vip, Method::Nat, &THREE[..1]));
    director(snapshot(&services, Options::RINGMASTER), 1000)
}

const OTHER_VIP: &str = "192.0.2.10:8080";

/// The port from which the client sees a reply come; `None` if it is nobody's.
fn port_of_reply(director: &mut Offline<MemIo>, client: &str, flags: &str, at: Tick) -> Option<u16> {
    let out = pass(director, SERVERS, &tcp(THREE[0], client, flags).bytes(), at);
    out.first().filter(|(port, _)| *port == CLIENTS).map(|(_, frame)| u16::from_be_bytes([frame[34], frame[35]]))
}

/// In `ip_vs_conn.c`, new connections stand first in their bucket.
#[test]
fn replies_are_to_the_latest_of_two_connections_that_look_alike_to_the_server() {
    let mut director = of_two_services_alike();
    for client in (1..50).map(|n| format!("198.51.100.{n}:40000")) {
        for (vip, port) in [(VIP, 80), (OTHER_VIP, 8080), (VIP, 80)] {
            pass(&mut director, CLIENTS, &tcp(&client, vip, "S").bytes(), at(0));
            assert_eq!(port_of_reply(&mut director, &client, "SA", at(0)), Some(port), "{client}");
            pass(&mut director, CLIENTS, &tcp(&client, vip, "A").bytes(), at(0));
            pass(&mut director, CLIENTS, &tcp(&client, vip, "FA").bytes(), at(0));
            assert_eq!(port_of_reply(&mut director, &client, "FA", at(0)), Some(port), "{client}");
        }
    }
}

#[test]
fn replies_are_to_the_older_again_when_the_later_one_has_ended() {
    let (mut director, client) = (of_two_services_alike(), "198.51.100.7:40000");
    for vip in [VIP, OTHER_VIP] {
        pass(&mut director, CLIENTS, &tcp(client, vip, "S").bytes(), at(0));
        port_of_reply(&mut director, client, "SA", at(0));
        pass(&mut director, CLIENTS, &tcp(client, vip, "A").bytes(), at(0));
    }
    assert_eq!(port_of_reply(&mut director, client, "A", at(1)), Some(8080));
    pass(&mut director, CLIENTS, &tcp(client, OTHER_VIP, "R").bytes(), at(1));
    director.sweep(at(200));
    assert_eq!(port_of_reply(&mut director, client, "A", at(202)), Some(80));
    assert_eq!(port_of_reply(&mut director, client, "A", at(203)), Some(80));
}
