//! A worker in its loop is quiet: it allocates nothing, and makes no system call.
//!
//! Allocations are counted by the allocator. System calls are counted by the kernel: the loop runs in a process that
//! has forbidden itself every system call but `read`, `write` and `exit` (seccomp's strict mode), and is killed at the
//! first other one. A lock that had to wait would show as one too (`futex`).

#![expect(unsafe_code, reason = "an allocator, fork and prctl")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/fragments.rs"]
mod fragments;
#[path = "support/icmp.rs"]
mod icmp;
#[path = "support/offline.rs"]
mod offline;
#[path = "support/packets.rs"]
mod packets;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use offline::{CLIENTS, SERVERS, Wanted, director, end, snapshot};
use packets::{tcp, udp};
use ringmaster::conn::State;
use ringmaster::conn::table::Listed;
use ringmaster::forward::Reason;
use ringmaster::io::PacketIo;
use ringmaster::io::mem::MemIo;
use ringmaster::sched::Kind;
use ringmaster::service::{Defences, Defend, FullNat, GueChecksum, HandOn, Method, Options, ProxyVersion, Tunnel};
use ringmaster::time::Tick;
use ringmaster::worker::Offline;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged; the counter is a plain thread-local cell that
// needs neither allocation nor drop.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// An SCTP packet with one chunk of this kind, made of a datagram.
fn sctp(source: &str, destination: &str, chunk: u8) -> Vec<u8> {
    let mut frame = udp(source, destination, &[chunk, 0, 0, 4, 0, 0, 0, 0].repeat(2)).bytes();
    frame[23] = 132;
    frame[46] = chunk;
    let sum = etherparse::Ipv4Header::from_slice(&frame[14..]).unwrap().0.calc_header_checksum();
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// Every kind of frame: new and established connections by each method and scheduler, replies, templates, answers, pieces
/// of datagrams, packets to be cut, ICMP errors, frames that are passed, dropped and held.
struct Traffic {
    director: Offline<MemIo>,
    frames: Vec<(ringmaster::io::PortId, Vec<u8>)>,
}

impl Traffic {
    fn new() -> Self {
        let servers = ["10.1.0.11:80", "10.1.0.12:80", "10.1.0.13:80"];
        let gue = Tunnel::Gue { port: 6080, checksum: GueChecksum::On };
        let mut services = vec![
            Wanted::tcp("192.0.2.10:80", Method::Nat, &servers),
            Wanted::tcp("192.0.2.11:80", Method::Dr, &servers).persistent(50, 24),
            Wanted::tcp("192.0.2.12:80", Method::IPIP, &servers).scheduled(Kind::Wrr),
            Wanted::tcp("[2001:db8::10]:80", Method::Nat, &["[2001:db8:1::11]:80"]).scheduled(Kind::Mh),
            Wanted::udp("192.0.2.10:53", Method::Nat, &servers).scheduled(Kind::Lc),
            Wanted::tcp("192.0.2.13:80", Method::Nat, &[]),
            Wanted::tcp("192.0.2.15:21", Method::Nat, &["10.1.0.11:21"]),
            Wanted::tcp("192.0.2.16:80", Method::Tun(Tunnel::Gre { checksum: true }), &servers),
            Wanted::tcp("192.0.2.17:80", Method::Tun(gue), &servers).admitting(30, 20),
            Wanted::udp("192.0.2.22:5060", Method::Nat, &["10.1.0.11:5060", "10.1.0.12:5060"]).persistent(60, 32).sip(),
            Wanted { protocol: 132, ..Wanted::tcp("192.0.2.18:5000", Method::Nat, &servers) },
        ];
        for (vip, hand_on) in [
            ("192.0.2.19:80", HandOn::Toa),
            ("192.0.2.20:80", HandOn::Proxy(ProxyVersion::V1)),
            ("192.0.2.21:80", HandOn::Proxy(ProxyVersion::V2)),
        ] {
            let full = FullNat { addresses: vec![end("10.1.0.5:0").addr], ports: (1024, 1053), hand_on };
            services.push(Wanted { full: Some(full), ..Wanted::tcp(vip, Method::Full, &["10.1.0.11:80"]) });
        }
        // A server whose neighbour is not known: its packets wait.
        services
            .push(Wanted { servers: vec![(end("10.1.0.99:80"), 1)], ..Wanted::tcp("192.0.2.14:80", Method::Nat, &[]) });
        let defences = Defences { drop_packet: Defend::Always, secure_tcp: Defend::Always, ..Defences::OFF };
        let options = Options { defences, reset_expired: true, ..Options::RINGMASTER };
        let mut snapshot = snapshot(&services, options);
        let mut network = (*snapshot.network).clone();
        if let Some(last) = network.hops.last_mut() {
            *last = ringmaster::service::Hop::default();
        }
        snapshot.network = network.into();
        let mut frames = Vec::new();
        for n in 0..40u16 {
            let client = format!("198.51.100.{n}:{}", 1000 + n);
            for vip in ["192.0.2.10:80", "192.0.2.11:80", "192.0.2.12:80", "192.0.2.13:80", "192.0.2.14:80"] {
                for flags in ["S", "A", "FA", "R"] {
                    frames.push((CLIENTS, tcp(&client, vip, flags).bytes()));
                }
            }
            for server in servers {
                frames.push((SERVERS, tcp(server, &client, "SA").bytes()));
            }
            frames.push((CLIENTS, udp(&client, "192.0.2.10:53", b"query").bytes()));
            frames.push((CLIENTS, tcp(&format!("[2001:db8:f::{n}]:1000"), "[2001:db8::10]:80", "S").bytes()));
            frames.push((CLIENTS, tcp(&client, "192.0.2.10:22", "S").bytes()));
            frames.push((CLIENTS, tcp(&client, "192.0.2.10:80", "A").with_ttl(1).bytes()));
            frames.push((CLIENTS, tcp(&client, "192.0.2.10:80", "A").with_payload(&[0; 1480]).bytes()));
            frames.push((CLIENTS, vec![0xff; 14]));
            for vip in ["192.0.2.19:80", "192.0.2.20:80", "192.0.2.21:80"] {
                frames.extend(["S", "A"].map(|flags| (CLIENTS, tcp(&client, vip, flags).bytes())));
            }
            // The first byte of the stream, in front of which the header stands.
            let mut first = tcp(&client, "192.0.2.20:80", "A").with_payload(b"GET").bytes();
            first[41] += 1;
            frames.push((CLIENTS, first));
            let local = format!("10.1.0.5:{}", 1024 + n);
            frames.push((SERVERS, tcp("10.1.0.11:80", &local, "SA").bytes()));
            for vip in ["192.0.2.15:21", "192.0.2.16:80", "192.0.2.17:80"] {
                frames.extend(["S", "A"].map(|flags| (CLIENTS, tcp(&client, vip, flags).bytes())));
            }
            let port = format!("PORT 198,51,100,{n},200,1\r\n");
            frames.push((CLIENTS, tcp(&client, "192.0.2.15:21", "A").with_payload(port.as_bytes()).bytes()));
            let passive = b"227 Entering Passive Mode (10,1,0,11,195,80).\r\n";
            frames.push((SERVERS, tcp("10.1.0.11:21", &client, "A").with_payload(passive).bytes()));
            let data = format!("198.51.100.{n}:50123");
            frames.push((CLIENTS, tcp(&data, "192.0.2.15:50000", "S").bytes()));
            for chunk in [1, 10, 0, 6, 0] {
                frames.push((CLIENTS, sctp(&client, "192.0.2.18:5000", chunk)));
            }
            // Calls that their client begins, one that its server begins, and what belongs to none.
            for (port, call) in [(5060, "Call-ID: a@phone"), (5061, "Call-ID: b@phone"), (5062, "No-Call: c")] {
                let invite = format!("INVITE sip:bob@example.org SIP/2.0\r\n{call}\r\n\r\n");
                let phone = format!("198.51.100.{n}:{port}");
                frames.push((CLIENTS, udp(&phone, "192.0.2.22:5060", invite.as_bytes()).bytes()));
            }
            let notify = format!("NOTIFY sip:{n} SIP/2.0\r\nCall-ID: {n}@proxy\r\n\r\n");
            frames.push((SERVERS, udp("10.1.0.12:5060", &client, notify.as_bytes()).bytes()));
            let long = udp(&client, "192.0.2.10:53", &[1; 1473]).bytes();
            frames.extend(fragments::cut(&long, n, &[800]).into_iter().map(|piece| (CLIENTS, piece)));
            // The kernel's own, whole and in pieces; after a while there is no more room on the way to it.
            frames.push((SERVERS, tcp("10.1.0.11:80", &format!("203.0.113.{n}:25"), "S").bytes()));
            let others = udp(&client, "192.0.2.10:7", &[1; 1400]).bytes();
            frames.extend(fragments::cut(&others, n, &[800]).into_iter().map(|piece| (CLIENTS, piece)));
            frames.push((CLIENTS, fragments::piece(&long, n + 100, 0, &[1; 800], true)));
            let mut may_be_cut = long;
            may_be_cut[20] = 0;
            fragments::fix_header(&mut may_be_cut);
            frames.push((CLIENTS, may_be_cut));
            let reply = tcp("192.0.2.10:80", &client, "A").bytes();
            frames.push((CLIENTS, icmp::error("203.0.113.1", "192.0.2.10:80", (3, 4), 1300, &reply, 28)));
        }
        let mut director = director(snapshot, 10_000);
        director.shared.calls.make_room();
        // Sets the levels of the defences.
        director.sweep(Tick(1));
        Self { director, frames }
    }

    /// Sends everything through and says how many frames were received.
    fn run(&mut self, now: Tick) -> u64 {
        let mut received = 0;
        for batch in self.frames.chunks(48) {
            for (port, frame) in batch {
                assert!(self.director.worker.io().inject(*port, frame));
            }
            received += self.director.worker.turn(now) as u64;
            for port in [CLIENTS, SERVERS] {
                self.director.worker.io().drain_sent(port, |_| {});
            }
        }
        received
    }
}

#[test]
fn a_worker_in_its_loop_neither_allocates_nor_calls_the_system() {
    let mut traffic = Traffic::new();
    let before = ALLOCATIONS.with(Cell::get);
    let received = (0..5).map(|round| traffic.run(Tick(100 + round * 1000))).sum::<u64>();
    let after = ALLOCATIONS.with(Cell::get);
    assert!(received > 5000, "{received} frames");
    assert_eq!(after - before, 0, "allocations in {received} frames");
    assert!(
        traffic.director.worker.held() > 0 && traffic.director.counters.answered.get() > 100,
        "all kinds are there"
    );
    let counters = &traffic.director.counters;
    assert!(counters.gathered.get() > 100 && counters.cut.get() > 100 && traffic.director.worker.gathered() > 0);
    assert_eq!(traffic.director.worker.io().in_hand(), traffic.director.worker.held());
    assert!(counters.passed.get() > 100);
    for reason in [Reason::Defence, Reason::Limit, Reason::NoLocalEnd, Reason::NotPassed, Reason::NoCallId] {
        assert!(traffic.director.counters.reason(reason) > 0, "{}", reason.name());
    }
    let calls = &traffic.director.shared.calls;
    let kept =
        |listed: &Listed| listed.key.is_call() && listed.record.vip.is_some_and(|beside| calls.text(beside).is_some());
    assert!(traffic.director.shared.table.entries().filter(kept).count() > 100, "of both sides, with their Call-IDs");
    let states: Vec<_> = traffic.director.shared.table.entries().map(|listed| listed.record.state).collect();
    for state in [State::Listen, State::SctpClosed, State::SynRecv] {
        assert!(states.contains(&state), "{state:?}");
    }

    assert_eq!(status_of_a_mute_process(|| true), 0, "a process that is quiet ends by itself");
    let loud = status_of_a_mute_process(|| std::fs::metadata("/").is_ok());
    assert_eq!(loud & 0x7f, libc::SIGKILL, "the test can fail: a system call is noticed");
    let mut traffic = Traffic::new();
    traffic.run(Tick(50));
    let status = status_of_a_mute_process(|| traffic.run(Tick(100)) + traffic.run(Tick(9000)) > 2000);
    assert_eq!(status, 0, "killed at a system call, or too little traffic");
}

/// Runs `work` in a child that may make no system call; its wait status. 0: it ended well and `work` said yes.
fn status_of_a_mute_process(work: impl FnOnce() -> bool) -> i32 {
    // SAFETY: the child uses only what it inherited, from the only thread it has; the test harness's other thread sleeps
    // and holds no lock of the allocator, which the child does not need anyway.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: no pointers are passed. After this only read, write, exit and sigreturn are allowed.
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) };
        let code = i64::from(!work());
        // SAFETY: ends this (only) thread; exit_group, which libc's exit uses, is forbidden here.
        unsafe { libc::syscall(libc::SYS_exit, code) };
    }
    let mut status = -1;
    // SAFETY: `status` outlives the call, and the child is ours.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child);
    status
}
