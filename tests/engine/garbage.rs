//! Whatever arrives, the packet path goes on: frames that are nearly right, from either side, of every kind that is read.

use proptest::prelude::*;
use proptest::sample::Index;

use ringmaster::io::mem::MemIo;
use ringmaster::io::{PacketIo, PortId};
use ringmaster::service::{FullNat, GueChecksum, HandOn, Method, Options, ProxyVersion, Snapshot, Tunnel};
use ringmaster::time::{Tick, Ticks};
use ringmaster::worker::Offline;

use crate::offline::*;
use crate::packets::{tcp, udp};
use crate::sctp_packets::sctp;
use crate::{fragments, icmp};

const CLIENT: &str = "198.51.100.7:40000";
const CLIENT6: &str = "[2001:db8:f::7]:40000";

/// A service of each kind whose packets are read beyond their ports.
fn services() -> Snapshot {
    let gue = Tunnel::Gue { port: 6080, checksum: GueChecksum::On };
    let full = |hand_on| Some(FullNat { addresses: vec![end("10.1.0.5:0").addr], ports: (1024, 1999), hand_on });
    let services = [
        Wanted::tcp("192.0.2.10:80", Method::Nat, &["10.1.0.11:80"]),
        Wanted::tcp("[2001:db8::10]:80", Method::Nat, &["[2001:db8:1::11]:80"]),
        Wanted::tcp("192.0.2.11:80", Method::Tun(gue), &["10.1.0.11:80"]),
        Wanted::tcp("192.0.2.15:21", Method::Nat, &["10.1.0.11:21"]),
        Wanted { protocol: 132, ..Wanted::tcp("192.0.2.18:5000", Method::Nat, &["10.1.0.11:5000"]) },
        Wanted { full: full(HandOn::Toa), ..Wanted::tcp("192.0.2.19:80", Method::Full, &["10.1.0.11:80"]) },
        Wanted {
            full: full(HandOn::Proxy(ProxyVersion::V2)),
            ..Wanted::tcp("192.0.2.20:80", Method::Full, &["10.1.0.12:80"])
        },
        Wanted::udp("192.0.2.22:5060", Method::Nat, &["10.1.0.11:5060"]).persistent(60, 32).sip(),
    ];
    let choices = Options { schedule_icmp: true, nat_icmp_send: true, reset_expired: true, ..Options::RINGMASTER };
    snapshot(&services, Options { sloppy_tcp: true, sloppy_sctp: true, ..choices })
}

/// What clients, servers and routers say to each other where all is well, in its order.
fn conversation() -> Vec<(PortId, Vec<u8>)> {
    let mut frames = Vec::new();
    for vip in ["192.0.2.10:80", "192.0.2.11:80", "192.0.2.15:21", "192.0.2.19:80", "192.0.2.20:80"] {
        frames.extend(["S", "A"].map(|flags| (CLIENTS, tcp(CLIENT, vip, flags).bytes())));
    }
    frames.extend(["S", "A"].map(|flags| (CLIENTS, tcp(CLIENT6, "[2001:db8::10]:80", flags).bytes())));
    frames.push((SERVERS, tcp("10.1.0.11:80", CLIENT, "SA").bytes()));
    for local in ["10.1.0.5:1024", "10.1.0.5:1025"] {
        frames.extend(["10.1.0.11:80", "10.1.0.12:80"].map(|server| (SERVERS, tcp(server, local, "SA").bytes())));
    }
    let port = b"PORT 198,51,100,7,200,1\r\n";
    frames.push((CLIENTS, tcp(CLIENT, "192.0.2.15:21", "A").with_payload(port).bytes()));
    for reply in [&b"227 Entering Passive Mode (10,1,0,11,195,80).\r\n"[..], b"229 Extended (|||50000|)\r\n"] {
        frames.push((SERVERS, tcp("10.1.0.11:21", CLIENT, "A").with_payload(reply).bytes()));
    }
    frames.push((CLIENTS, tcp(CLIENT, "192.0.2.20:80", "A").with_payload(b"GET / HTTP/1.0\r\n\r\n").bytes()));
    frames.extend([1, 10, 0, 7].map(|chunk| (CLIENTS, sctp(CLIENT, "192.0.2.18:5000", chunk))));
    frames.push((SERVERS, sctp("10.1.0.11:5000", CLIENT, 2)));
    let invite = b"INVITE sip:bob@example.org SIP/2.0\r\nCall-ID: a@phone\r\n\r\n";
    frames.push((CLIENTS, udp(CLIENT, "192.0.2.22:5060", invite).bytes()));
    frames.push((SERVERS, udp("10.1.0.11:5060", "198.51.100.8:5060", invite).bytes()));
    let long = udp(CLIENT, "192.0.2.22:5060", &[invite.as_slice(), &[b'x'; 1400]].concat()).bytes();
    frames.extend(fragments::cut(&long, 7, &[64, 800]).into_iter().map(|piece| (CLIENTS, piece)));
    for vip in ["192.0.2.10:80", "192.0.2.19:80", "192.0.2.20:80", "192.0.2.99:80"] {
        let reply = tcp(vip, CLIENT, "A").bytes();
        frames.push((CLIENTS, icmp::error("203.0.113.1", vip, (3, 4), 1300, &reply, 40)));
    }
    let reply = tcp("[2001:db8::10]:80", CLIENT6, "A").bytes();
    frames.push((CLIENTS, icmp::error("2001:db8:99::9", "2001:db8::10", (2, 0), 1300, &reply, 60)));
    let request = tcp(CLIENT, "10.1.0.11:80", "A").bytes();
    frames.push((SERVERS, icmp::error("10.1.0.11", CLIENT, (3, 1), 0, &request, 28)));
    frames
}

/// What happens to a frame on its way.
#[derive(Clone, Debug)]
enum Harm {
    /// None.
    Nothing,
    /// These bytes are others.
    Bytes(Vec<(Index, u8)>),
    /// It ends here.
    Cut(Index),
    /// It goes on with this.
    Longer(Vec<u8>),
    /// Nothing of it is left behind its first bytes.
    Noise(Index, Vec<u8>),
}

fn harm() -> impl Strategy<Value = Harm> {
    let noise = || prop::collection::vec(any::<u8>(), 0..200);
    // Values that lengths, offsets and counts stumble over are more likely than others.
    let byte = prop_oneof![Just(0u8), Just(1), Just(0x45), Just(0x4f), Just(0x7f), Just(0xf0), Just(0xff), any::<u8>()];
    prop_oneof![
        3 => Just(Harm::Nothing),
        4 => prop::collection::vec((any::<Index>(), byte), 1..4).prop_map(Harm::Bytes),
        2 => any::<Index>().prop_map(Harm::Cut),
        1 => noise().prop_map(Harm::Longer),
        1 => (any::<Index>(), noise()).prop_map(|(from, bytes)| Harm::Noise(from, bytes)),
    ]
}

fn harmed(frame: &[u8], harm: &Harm) -> Vec<u8> {
    let mut frame = frame.to_vec();
    match harm {
        Harm::Nothing => {}
        Harm::Bytes(changes) => changes.iter().for_each(|(at, byte)| {
            let at = at.index(frame.len());
            frame[at] = *byte;
        }),
        Harm::Cut(at) => frame.truncate(at.index(frame.len())),
        Harm::Longer(more) => frame.extend(more),
        Harm::Noise(from, noise) => {
            frame.truncate(from.index(frame.len()));
            frame.extend(noise);
        }
    }
    // As a sender would have it, so that it is not the header's checksum that ends the matter.
    if frame.len() >= 34 && frame[12..14] == [8, 0] && frame[14] >> 4 == 4 {
        let length = 14 + usize::from(frame[14] & 15) * 4;
        if (34..=frame.len()).contains(&length) {
            fragments::fix_header(&mut frame);
        }
    }
    frame
}

fn serves(director: &mut Offline<MemIo>, now: Tick) -> bool {
    let out = pass(director, CLIENTS, &tcp("198.51.100.250:1", "192.0.2.10:80", "S").bytes(), now);
    // Farewells to connections that have expired may come out beside it.
    out.iter().any(|(port, frame)| *port == SERVERS && frame[26..30] == [198, 51, 100, 250])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_arrives_stops_the_worker(
        steps in prop::collection::vec((any::<Index>(), any::<bool>(), harm(), 0u32..40), 40..120),
        unfinished in any::<bool>(),
    ) {
        let frames = conversation();
        let mut director = director(services(), 1000);
        director.shared.calls.make_room();
        director.worker.io().set_partial_checksums(unfinished);
        let mut now = Tick(1000);
        // Mostly in the order in which it makes sense.
        let mut next = 0;
        for (any, in_turn, harm, later) in steps {
            let at = if in_turn { next } else { any.index(frames.len()) };
            next = (at + 1) % frames.len();
            let (port, frame) = &frames[at];
            now = now.plus(Ticks(later));
            pass(&mut director, *port, &harmed(frame, &harm), now);
            let held = director.worker.held();
            prop_assert_eq!(director.worker.io().in_hand(), held, "no frame is lost");
        }
        director.sweep(now.plus(Ticks::from_secs(2000)));
        prop_assert!(serves(&mut director, now.plus(Ticks::from_secs(2000))));
    }
}
