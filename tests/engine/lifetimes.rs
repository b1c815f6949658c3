//! How long connections last, and when their ports may be used again.

use ringmaster::conn::{State, Timeouts};
use ringmaster::io::mem::MemIo;
use ringmaster::service::{Method, Options, Snapshot};
use ringmaster::time::{Tick, Ticks};
use ringmaster::worker::Offline;

use crate::offline::*;
use crate::packets::{tcp, udp};

const VIP: &str = "192.0.2.10:80";
const CLIENT: &str = "198.51.100.7:40000";
const TWO: [&str; 2] = ["10.1.0.11:80", "10.1.0.12:80"];

fn at(seconds: u32) -> Tick {
    Tick(1000).plus(Ticks::from_secs(seconds))
}

fn with(method: Method, options: Options) -> Offline<MemIo> {
    director(snapshot(&[Wanted::tcp(VIP, method, &TWO)], options), 100)
}

/// `<` is a segment from the client, `>` one from its server.
fn talk(director: &mut Offline<MemIo>, script: &str, now: Tick) {
    for step in script.split_whitespace() {
        let (way, flags) = step.split_at(1);
        let server = director.shared.table.entries().next().map_or(0, |listed| listed.record.pair as usize);
        let (port, segment) =
            if way == "<" { (CLIENTS, tcp(CLIENT, VIP, flags)) } else { (SERVERS, tcp(TWO[server], CLIENT, flags)) };
        pass(director, port, &segment.bytes(), now);
    }
}

fn states(director: &Offline<MemIo>) -> Vec<State> {
    director.shared.table.entries().map(|listed| listed.record.state).collect()
}

/// `ip_vs_proto_tcp.c: tcp_timeouts`, and the three that can be set (`lvs_timeouts`).
#[test]
fn each_state_has_its_time() {
    let timeouts = Timeouts { tcp: Ticks::from_secs(50), tcp_fin: Ticks::from_secs(7), udp: Ticks::from_secs(3) };
    for (script, state, default, set) in [
        ("<S", State::SynRecv, 60, 60),
        ("<S >SA <A", State::Established, 900, 50),
        ("<S >SA <A >FA", State::FinWait, 120, 7),
        ("<S >SA <A <FA", State::CloseWait, 60, 60),
        ("<S >SA <A <FA >FA", State::TimeWait, 120, 120),
        ("<S >R", State::Close, 10, 10),
        ("<S >SA <A >FA >S", State::SynSent, 120, 120),
    ] {
        for (timeouts, seconds) in [(Timeouts::DEFAULT, default), (timeouts, set)] {
            let mut director = with(Method::Nat, Options { timeouts, ..Options::RINGMASTER });
            talk(&mut director, script, at(0));
            director.sweep(at(seconds));
            assert_eq!(states(&director), [state], "{script} after {seconds} s");
            director.sweep(at(seconds).plus(Ticks(1)));
            assert_eq!(states(&director), [], "{script} after more than {seconds} s");
        }
    }
    let options = Options { timeouts, ..Options::RINGMASTER };
    let mut director =
        director(snapshot(&[Wanted::udp("192.0.2.10:53", Method::Nat, &["10.1.0.11:53"])], options), 100);
    pass(&mut director, CLIENTS, &udp(CLIENT, "192.0.2.10:53", b"q").bytes(), at(0));
    director.sweep(at(3));
    assert_eq!(states(&director), [State::Udp]);
    director.sweep(at(4));
    assert_eq!(states(&director), []);
}

/// `ip_vs_ctl.c: ip_vs_set_timeout`: connections that exist pick it up at their next packet.
#[test]
fn a_timeout_that_is_set_later_holds_from_the_next_packet_on() {
    let mut director = with(Method::Nat, Options::RINGMASTER);
    talk(&mut director, "<S >SA <A", at(0));
    let known = director.snapshot().clone();
    let timeouts = Timeouts { tcp: Ticks::from_secs(50), ..Timeouts::DEFAULT };
    director.publish(Snapshot { options: Options { timeouts, ..known.options }, ..known });
    director.sweep(at(100));
    assert_eq!(states(&director), [State::Established], "nothing has been heard since");
    talk(&mut director, "<A", at(101));
    director.sweep(at(152));
    assert_eq!(states(&director), []);
}

/// `ip_vs_core.c: is_new_conn_expected`, and no packet is ever dropped for it.
#[test]
fn a_port_is_used_again_at_once_or_not_as_the_mode_says() {
    const LIVES: [(Method, &str, State, [bool; 4]); 6] = [
        (Method::Nat, "<S >SA <A <FA >FA", State::TimeWait, [false, true, true, true]),
        (Method::Nat, "<S >R", State::Close, [false, true, true, true]),
        (Method::Nat, "<S >SA <A >FA", State::FinWait, [false; 4]),
        (Method::Nat, "<S >SA <A", State::Established, [false; 4]),
        (Method::Dr, "<S <A <FA", State::FinWait, [false, false, true, true]),
        (Method::Dr, "<S <A <R", State::Close, [false, true, true, true]),
    ];
    for (method, script, state, anew) in LIVES {
        for (mode, anew) in (0..).zip(anew) {
            for persistent in [false, true] {
                let wanted = Wanted::tcp(VIP, method, &TWO);
                let wanted = if persistent { wanted.persistent(300, 32) } else { wanted };
                let options = Options { conn_reuse_mode: mode, ..Options::KERNEL };
                let mut director = director(snapshot(&[wanted], options), 100);
                talk(&mut director, script, at(0));
                let of = |director: &Offline<MemIo>| {
                    let mut entries = director.shared.table.entries().filter(|listed| !listed.key.is_template());
                    entries.next().map(|listed| (listed.record.state, listed.slot)).unwrap()
                };
                let (before, old) = of(&director);
                if !persistent {
                    assert_eq!(before, state, "{script}");
                }
                let out = pass(&mut director, CLIENTS, &tcp(CLIENT, VIP, "S").bytes(), at(1));
                assert_eq!((out.len(), out[0].0), (1, SERVERS), "{script}: never a stall");
                // What a template controls keeps its server in any case.
                assert_eq!(of(&director).1 != old, anew && !persistent, "{method:?} {script}, mode {mode}");
            }
        }
    }
}
