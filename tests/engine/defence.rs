//! Floods: what goes, what is refused, and what is left alone.

use ringmaster::conn::State;
use ringmaster::forward::Reason;
use ringmaster::io::mem::MemIo;
use ringmaster::service::{Defences, Defend, Method, Options, PairId};
use ringmaster::time::{Tick, Ticks};
use ringmaster::worker::Offline;

use crate::offline::*;
use crate::packets::{tcp, udp};

const VIP: &str = "192.0.2.10:80";
const TWO: [&str; 2] = ["10.1.0.11:80", "10.1.0.12:80"];

fn at(seconds: u32) -> Tick {
    Tick::default().plus(Ticks::from_secs(1000 + seconds))
}

fn defended(defences: Defences) -> Offline<MemIo> {
    with(Wanted::tcp(VIP, Method::Nat, &TWO), Options { defences, ..Options::KERNEL }, 1000)
}

fn with(wanted: Wanted, options: Options, connections: u32) -> Offline<MemIo> {
    let mut director = director(snapshot(&[wanted], options), connections);
    director.sweep(at(0));
    director
}

/// One segment from a client; the server it reached.
fn send(director: &mut Offline<MemIo>, client: &str, flags: &str, now: Tick) -> Option<u8> {
    let out = pass(director, CLIENTS, &tcp(client, VIP, flags).bytes(), now);
    out.first().filter(|(port, _)| *port == SERVERS).map(|(_, frame)| frame[33])
}

fn client(n: u32) -> String {
    format!("198.{}.{}.{}:40000", 18 + (n >> 16), n >> 8 & 255, n & 255)
}

/// Opens a connection and has the client send `requests` packets in all.
fn establish(director: &mut Offline<MemIo>, client: &str, requests: u32, now: Tick) {
    send(director, client, "S", now);
    let server = if director.shared.table.entries().any(|e| listed(&e.key) == client && e.record.pair == 0) {
        TWO[0]
    } else {
        TWO[1]
    };
    pass(director, SERVERS, &tcp(server, client, "SA").bytes(), now);
    for _ in 1..requests {
        send(director, client, "A", now);
    }
}

fn listed(key: &ringmaster::conn::FlowKey) -> String {
    format!("{}:{}", key.client, key.port())
}

fn states(director: &Offline<MemIo>) -> Vec<State> {
    director.shared.table.entries().map(|listed| listed.record.state).collect()
}

#[test]
fn drop_packet_hits_new_connections_only() {
    let mut director = defended(Defences { drop_packet: Defend::Always, am_droprate: 3, ..Defences::OFF });
    let opened: Vec<_> = (0..9).map(|n| send(&mut director, &client(n), "S", at(0)).is_some()).collect();
    assert_eq!(opened, [false, true, true].repeat(3));
    assert!((0..30).all(|_| send(&mut director, &client(1), "A", at(0)).is_some()));
    assert_eq!(director.counters.reason(Reason::Defence), 3);
}

#[test]
fn drop_packet_by_itself_waits_for_a_full_table() {
    let room = defended(Defences::OFF).shared.table.room();
    let defences = Defences { drop_packet: Defend::Auto, amemthresh: Some(room - 10), ..Defences::OFF };
    let mut director = defended(defences);
    let mut open = |from: u32, second: u32| {
        director.sweep(at(second));
        (from..from + 8).filter(|&n| send(&mut director, &client(n), "S", at(second)).is_some()).count()
    };
    assert_eq!(open(0, 1), 8, "all is free");
    assert_eq!(open(8, 2), 8, "all but 8 are free");
    assert!(open(16, 3) < 8, "of few left one in many is dropped, and the first is");
}

/// The client's ACK alone establishes nothing: it may well be a guess. The server's does.
#[test]
fn secure_tcp_believes_the_server() {
    for (secure_tcp, expected) in [
        (Defend::Off, [State::SynRecv, State::SynRecv, State::Established, State::Established]),
        (Defend::Always, [State::SynRecv, State::SynAck, State::SynAck, State::Established]),
    ] {
        let mut director = defended(Defences { secure_tcp, ..Defences::OFF });
        let mut seen = Vec::new();
        for (from, flags) in [(CLIENTS, "S"), (SERVERS, "SA"), (CLIENTS, "A"), (SERVERS, "A")] {
            let packet = if from == CLIENTS { tcp(&client(0), VIP, flags) } else { tcp(TWO[0], &client(0), flags) };
            pass(&mut director, from, &packet.bytes(), at(0));
            seen.extend(states(&director));
        }
        assert_eq!(seen, expected);
    }
}

#[test]
fn drop_entry_ends_the_half_open_and_the_hardly_used() {
    let mut director = defended(Defences { drop_entry: Defend::Always, ..Defences::OFF });
    for n in 0..100 {
        establish(&mut director, &client(n), 1 + n % 10, at(0));
    }
    let count = |director: &Offline<MemIo>, state| states(director).into_iter().filter(|&s| s == state).count();
    let established = count(&director, State::Established);
    assert_eq!((established, count(&director, State::SynRecv)), (90, 10), "ten clients never acknowledged");
    for second in 1..60 {
        director.sweep(at(second));
    }
    assert_eq!(count(&director, State::Established), 90, "silent for less than a minute");
    let half_open = count(&director, State::SynRecv);
    assert!((0..8).contains(&half_open), "{half_open} of ten were not met in 59 s");
    for second in 60..890 {
        director.sweep(at(second));
    }
    let left: Vec<u32> =
        director.shared.table.entries().map(|listed| director.shared.table.entry(listed.slot).requests()).collect();
    assert_eq!(left.iter().filter(|&&requests| requests == 9).count(), 20, "9 and 10 requests: left alone");
    assert!(left.len() < 60, "{} of 90", left.len());
    assert_eq!(director.shared.defence.culled(), (100 - half_open - left.len()) as u64, "but for those that timed out");
    let load = director.shared.loads.load(PairId(0)).total() + director.shared.loads.load(PairId(1)).total();
    assert_eq!(load as usize, left.len());
}

#[test]
fn drop_entry_spares_templates_that_proved_true() {
    let wanted = Wanted::tcp(VIP, Method::Nat, &TWO).persistent(1000, 32);
    let defences = Defences { drop_entry: Defend::Always, ..Defences::OFF };
    let mut director = with(wanted, Options { defences, ..Options::KERNEL }, 1000);
    establish(&mut director, &client(0), 9, at(0));
    send(&mut director, &client(1), "S", at(0));
    for second in 1..800 {
        director.sweep(at(second));
    }
    let mut left = states(&director);
    left.sort_by_key(|&state| state as u8);
    assert_eq!(left, [State::Established, State::TemplateAssured]);
}

/// Downloads run through a table a hundred times too small for the flood beside them.
#[test]
fn a_flood_leaves_downloads_alone_and_new_clients_get_through() {
    const ROOM: u32 = 600;
    const DOWNLOADS: u32 = 100;
    for options in [Options::KERNEL, Options::RINGMASTER] {
        let mut director = with(Wanted::tcp(VIP, Method::Nat, &TWO), options, ROOM);
        let download = |n: u32| format!("203.0.113.{n}:5000");
        for n in 0..DOWNLOADS {
            establish(&mut director, &download(n), 3, at(0));
        }
        let before: Vec<_> = (0..DOWNLOADS).map(|n| send(&mut director, &download(n), "A", at(0)).unwrap()).collect();
        let (mut flood, mut served) = (0, 0);
        for second in 1..=60 {
            for tick in 0..8 {
                let now = at(second).plus(Ticks(tick * 8));
                for _ in 0..100 {
                    send(&mut director, &client(flood), "S", now);
                    flood += 1;
                }
                director.sweep(now);
            }
            for n in 0..DOWNLOADS {
                assert_eq!(
                    send(&mut director, &download(n), "A", at(second)),
                    Some(before[n as usize]),
                    "second {second}"
                );
            }
            let newcomer = format!("203.0.113.{}:{}", 200, 1000 + second);
            served += u32::from(send(&mut director, &newcomer, "S", at(second).plus(Ticks(60))).is_some());
        }
        assert!(director.counters.reason(Reason::TableFull) > 0, "the table was too small");
        assert!(director.shared.defence.culled() > 1000, "{} culled", director.shared.defence.culled());
        assert!(served > 5, "{served} of 60 newcomers");
        for n in 0..DOWNLOADS {
            assert_eq!(send(&mut director, &download(n), "A", at(61)), Some(before[n as usize]));
        }
    }
}

#[test]
fn a_service_takes_no_more_connections_than_its_limit() {
    let mut director = with(Wanted::tcp(VIP, Method::Nat, &TWO).admitting(4, 0), Options::RINGMASTER, 1000);
    let opened = |director: &mut Offline<MemIo>, from: u32, second| {
        (from..from + 6).filter(|&n| send(director, &client(n), "S", at(second)).is_some()).count()
    };
    assert_eq!(opened(&mut director, 0, 0), 4);
    assert_eq!(director.counters.reason(Reason::Limit), 2);
    assert!(send(&mut director, &client(0), "A", at(0)).is_some(), "an old one goes on");
    send(&mut director, &client(1), "R", at(0));
    director.sweep(at(11));
    assert_eq!(opened(&mut director, 10, 11), 0, "closed only by the client: SYN_RECV stays for a minute");
    director.sweep(at(61));
    assert_eq!(opened(&mut director, 20, 61), 3, "all but the established one have ended");
}

#[test]
fn a_service_opens_no_more_connections_a_second_than_its_rate() {
    let wanted = Wanted::udp("192.0.2.10:53", Method::Nat, &["10.1.0.11:53"]).admitting(0, 5);
    let mut director = with(wanted, Options::RINGMASTER, 1000);
    let mut port = 1000;
    let mut opened = |ticks: u32| {
        let mut count = 0;
        for _ in 0..20 {
            port += 1;
            let frame = udp(&format!("198.51.100.7:{port}"), "192.0.2.10:53", b"q").bytes();
            count += pass(&mut director, CLIENTS, &frame, at(0).plus(Ticks(ticks))).len();
        }
        count
    };
    assert_eq!([opened(0), opened(12), opened(13), opened(64), opened(640)], [5, 0, 1, 4, 5]);
    assert_eq!(director.counters.reason(Reason::Limit), 100 - 15);
}
