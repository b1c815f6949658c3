//! Datagrams that come in pieces: to one server, whole, whatever the order; or not at all, and counted.

use proptest::prelude::*;
use ringmaster::forward::Reason;
use ringmaster::io::PacketIo;
use ringmaster::io::mem::MemIo;
use ringmaster::service::{Method, Network, Options};
use ringmaster::time::{Tick, Ticks};
use ringmaster::worker::Offline;

use crate::fragments::{cut, fix_header, join, piece, read};
use crate::offline::*;
use crate::packets::{Packet, end as ip_end, udp};

const NOW: Tick = Tick(100);
/// Service, client and servers by family.
const ENDS: [[&str; 4]; 2] = [
    ["192.0.2.10:53", "198.51.100.7:40000", "10.1.0.11:5353", "10.1.0.12:5353"],
    ["[2001:db8::10]:53", "[2001:db8:f::7]:40000", "[2001:db8:1::11]:5353", "[2001:db8:1::12]:5353"],
];
/// More datagrams than a worker keeps at once.
const MANY: u16 = 1000;
const KEPT: usize = 256;

fn at_work(method: Method) -> Offline<MemIo> {
    let services = ENDS.map(|[vip, _, first, second]| Wanted::udp(vip, method, &[first, second]));
    director(snapshot(&services, Options::RINGMASTER), 5000)
}

fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 256) as u8).collect()
}

fn request(family: usize, length: usize) -> Vec<u8> {
    udp(ENDS[family][1], ENDS[family][0], &payload(length)).bytes()
}

/// What leaves by the servers' port when these come from the clients.
fn send(director: &mut Offline<MemIo>, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for frame in frames {
        for (port, frame) in pass(director, CLIENTS, frame, NOW) {
            assert_eq!(port, SERVERS);
            out.push(frame);
        }
    }
    out
}

#[test]
fn a_datagram_leaves_in_the_pieces_it_came_in_once_the_last_has_come() {
    for family in [0, 1] {
        let [vip, client, _, server] = ENDS[family];
        let mut director = at_work(Method::Nat);
        let pieces = cut(&request(family, 1600), 7, &[408, 816, 1400]);
        assert!(send(&mut director, &pieces[1..]).is_empty(), "nothing leaves before it is whole");
        assert_eq!(director.worker.gathered(), 1);
        let out = send(&mut director, &pieces[..1]);
        assert_eq!(out.iter().map(Vec::len).collect::<Vec<_>>(), pieces.iter().map(Vec::len).collect::<Vec<_>>());
        let whole = Packet::read(&join(&out));
        // The first of the list is picked first.
        let first = if whole.destination == ip_end(server) { server } else { ENDS[family][2] };
        let expected = Packet { macs: whole.macs, ..udp(client, first, &payload(1600)).with_ttl(63) };
        assert_eq!(whole, expected);

        // Back in pieces too, reversed.
        let reply = cut(&udp(first, client, &payload(1600)).bytes(), 8, &[800]);
        assert!(pass(&mut director, SERVERS, &reply[1], NOW).is_empty());
        let out: Vec<_> = pass(&mut director, SERVERS, &reply[0], NOW).into_iter().map(|(_, frame)| frame).collect();
        let expected = Packet { macs: [OWN[0].0, GATEWAY.0], ..udp(vip, client, &payload(1600)).with_ttl(63) };
        assert_eq!(Packet::read(&join(&out)), expected);

        let counters = &director.counters;
        assert_eq!((counters.gathered.get(), counters.transmitted.get(), counters.received.get()), (6, 6, 6));
        assert_eq!((director.worker.gathered(), director.worker.io().in_hand()), (0, 0));
    }
}

/// A server that got half a datagram could do nothing with it.
#[test]
fn pieces_that_overlap_end_their_datagram_and_copies_do_no_harm() {
    for family in [0, 1] {
        let whole = request(family, 1000);
        let data = &whole[if family == 0 { 34 } else { 54 }..];
        let part = |from: usize, to: usize| piece(&whole, 9, from, &data[from..to], to < data.len());

        let mut director = at_work(Method::Dr);
        let out = send(&mut director, &[part(0, 504), part(400, 704), part(704, 1008), part(504, 704)]);
        assert!(out.is_empty());
        assert_eq!(director.counters.reason(Reason::FragmentOverlap), 1);

        let mut director = at_work(Method::Dr);
        let out = send(&mut director, &[part(0, 504), part(0, 504), part(8, 496), part(504, 1008)]);
        assert_eq!((out.len(), director.counters.reason(Reason::FragmentDuplicate)), (2, 2));

        // A copy over two pieces is one all the same.
        let mut director = at_work(Method::Dr);
        let out = send(&mut director, &[part(0, 400), part(400, 800), part(200, 600), part(800, 1008)]);
        assert_eq!((out.len(), director.counters.reason(Reason::FragmentDuplicate)), (3, 1));

        // Two ends, a piece beyond the end, an empty piece.
        let another_end = piece(&whole, 9, 704, &data[704..1000], false);
        for contradiction in [another_end, part(1008, 1008), piece(&whole, 9, 1008, &[1; 8], true)] {
            let mut director = at_work(Method::Dr);
            assert!(send(&mut director, &[part(504, 1008), contradiction, part(0, 504)]).is_empty());
            assert_eq!(director.counters.reason(Reason::FragmentOverlap), 1);
        }
    }
}

#[test]
fn what_stays_incomplete_is_given_up() {
    for (family, seconds) in [(0, 30), (1, 60)] {
        let mut director = at_work(Method::Nat);
        let pieces = cut(&request(family, 1000), 7, &[504]);
        send(&mut director, &pieces[..1]);
        director.worker.turn(NOW.plus(Ticks::from_secs(seconds)));
        assert_eq!(director.worker.gathered(), 1);
        director.worker.turn(NOW.plus(Ticks::from_secs(seconds + 2)));
        let lost = director.counters.reason(Reason::FragmentTimeout);
        assert_eq!((director.worker.gathered(), lost), (0, 1));
        assert!(send(&mut director, &pieces[1..]).is_empty());
    }
}

/// The newest are kept: a flood of first pieces does not keep others from being put together.
#[test]
fn a_storm_of_first_pieces_never_takes_more_room() {
    let mut director = at_work(Method::Nat);
    let whole = request(0, 1000);
    for id in 0..MANY {
        send(&mut director, &cut(&whole, id, &[504])[..1]);
        assert!(director.worker.gathered() <= KEPT);
    }
    let lost = director.counters.reason(Reason::FragmentOverflow);
    assert_eq!((director.worker.gathered(), lost), (KEPT, u64::from(MANY) - KEPT as u64));
    assert!(send(&mut director, &cut(&whole, 0, &[504])[1..]).is_empty(), "the oldest is gone");
    assert_eq!(send(&mut director, &cut(&whole, MANY - 1, &[504])[1..]).len(), 2, "the newest is not");
    assert_eq!(director.worker.io().in_hand(), 0);
}

#[test]
fn too_many_pieces_and_too_long_a_datagram_are_given_up() {
    let mut director = at_work(Method::Nat);
    let cuts: Vec<usize> = (1..140).map(|at| at * 8).collect();
    assert!(send(&mut director, &cut(&request(0, 1200), 7, &cuts)).is_empty());
    assert!(director.counters.reason(Reason::FragmentOverflow) >= 1);
    let before = director.counters.reason(Reason::FragmentOverflow);
    let whole = request(0, 1200);
    send(&mut director, &[piece(&whole, 8, 65528, &[1; 1000], false)]);
    assert_eq!(director.counters.reason(Reason::FragmentOverflow), before + 1);
}

/// A datagram of 60 000 bytes fits: it is the tunnel header and 16-bit lengths that limit it.
#[test]
fn a_long_datagram_passes_by_every_method() {
    for family in [0, 1] {
        for method in [Method::Nat, Method::Dr, Method::IPIP] {
            let mut director = at_work(method);
            let cuts: Vec<usize> = (1..45).map(|at| at * 1400).take_while(|&at| at < 60_000).collect();
            let whole = udp(ENDS[family][1], ENDS[family][0], &payload(60_000)).bytes();
            let mut pieces = cut(&whole, 7, &cuts);
            pieces.rotate_left(5);
            let out = send(&mut director, &pieces);
            let joined = join(&out);
            let inner = match method {
                Method::Tun(_) => &joined[if family == 0 { 34 } else { 54 }..],
                _ => &joined[14..],
            };
            let length = if family == 0 { 20 } else { 40 } + 8 + 60_000;
            assert_eq!(inner.len(), length, "{method:?}");
            assert_eq!(inner[length - 60_000..], payload(60_000), "{method:?}");
            assert!(out.iter().all(|frame| frame.len() <= 1514), "{method:?}");
        }
    }
}

/// Pieces with DF say that no router is to cut them; put together they must not become more than fits.
#[test]
fn pieces_with_df_are_together_no_longer_than_fits() {
    let mut director = at_work(Method::Nat);
    for (length, fits) in [(1472, true), (1473, false)] {
        let mut pieces = cut(&request(0, length), 7, &[800]);
        for piece in &mut pieces {
            piece[20] |= 0x40;
            fix_header(piece);
        }
        let mut out: Vec<_> = pieces.iter().flat_map(|frame| pass(&mut director, CLIENTS, frame, NOW)).collect();
        if fits {
            assert_eq!(
                out.iter().map(|(port, frame)| (*port, frame[20] & 0x40)).collect::<Vec<_>>(),
                [(SERVERS, 0); 2]
            );
        } else {
            let (port, frame) = out.remove(0);
            assert_eq!((out.len(), port, &frame[34..36], &frame[40..42]), (0, CLIENTS, &[3, 4][..], &[5, 220][..]));
        }
    }
    // IPv6 pieces may always leave as they came.
    assert_eq!(send(&mut director, &cut(&request(1, 3000), 7, &[1440, 2880])).len(), 3);
}

/// Congestion that one piece met, all have met; some pieces with ECN and some without belong to no honest datagram.
#[test]
fn ecn_of_the_pieces_is_ecn_of_the_datagram() {
    for (family, values, expected) in
        [(0, [2, 3], Some(3)), (1, [1, 3], Some(3)), (0, [2, 1], Some(2)), (0, [0, 0], Some(0)), (1, [0, 3], None)]
    {
        let mut director = at_work(Method::Dr);
        let mut pieces = cut(&request(family, 1000), 7, &[504]);
        for (piece, value) in pieces.iter_mut().zip(values) {
            if family == 0 {
                piece[15] = value;
                fix_header(piece);
            } else {
                piece[15] = value << 4;
            }
        }
        let out = send(&mut director, &pieces);
        let seen = out.first().map(|frame| if family == 0 { frame[15] & 3 } else { frame[15] >> 4 });
        assert_eq!(seen, expected, "{values:?}");
    }
}

/// The first piece to an unknown neighbour brings the question, its answer the datagram.
#[test]
fn a_datagram_waits_for_its_neighbour() {
    let mut before = snapshot(&[Wanted::udp(ENDS[0][0], Method::Dr, &[ENDS[0][2]])], Options::RINGMASTER);
    let known = before.clone();
    let mut network: Network = (*before.network).clone();
    network.neighbours.retain(|next, _| next.port == CLIENTS);
    network.epoch += 1;
    let wanted = Wanted::udp(ENDS[0][0], Method::Dr, &[]);
    before = ringmaster::service::Snapshot { network: network.into(), ..snapshot(&[wanted], Options::RINGMASTER) };
    let mut unknown = known.clone();
    unknown.network = before.network;
    let mut services = (*known.services).clone();
    services.pairs[0].hop = ringmaster::service::HopId::NONE;
    unknown.services = services.into();
    let mut director = director(unknown, 100);
    let pieces = cut(&request(0, 1000), 7, &[504]);
    assert!(send(&mut director, &pieces).is_empty());
    assert_eq!((director.worker.gathered(), director.shared.wanted.len()), (1, 1));
    director.publish(ringmaster::service::Snapshot { generation: 2, ..known });
    director.worker.turn(NOW);
    let out = director.worker.io().take_sent(SERVERS);
    assert_eq!((out.len(), director.worker.gathered()), (2, 0));
    assert_eq!(director.worker.io().in_hand(), 0);
}

/// What a NAT server sends to others in pieces, and what comes in pieces to a virtual address but to no service, goes back
/// to the kernel in the same pieces, in order.
#[test]
fn pieces_of_nobody_s_connection_go_to_the_kernel() {
    for (port, from, to) in [
        (SERVERS, "10.1.0.11:999", "198.51.100.9:53"),
        (SERVERS, "10.1.0.11:999", "10.1.0.1:53"),
        (CLIENTS, "198.51.100.9:999", "192.0.2.10:7"),
        (CLIENTS, "[2001:db8:f::7]:999", "[2001:db8::10]:7"),
    ] {
        let mut director = at_work(Method::Nat);
        let pieces = cut(&udp(from, to, &payload(1000)).bytes(), 7, &[504]);
        let to_kernel = |director: &mut Offline<MemIo>, piece: &[u8]| {
            assert!(pass(director, port, piece, NOW).is_empty());
            director.worker.io().take_passed()
        };
        let mut passed: Vec<_> = pieces.iter().flat_map(|piece| to_kernel(&mut director, piece)).collect();
        // A fragment header is made anew, and has an identification of its own.
        let strip =
            |frames: &mut [Vec<u8>]| frames.iter_mut().filter(|f| f[12] == 0x86).for_each(|f| f[58..62].fill(0));
        let mut expected = pieces.clone();
        [&mut passed, &mut expected].into_iter().for_each(|frames| strip(frames));
        assert_eq!(passed, expected, "{from} to {to}");
        assert_eq!((director.counters.passed.get(), director.worker.io().in_hand()), (2, 0));
    }
}

/// An atomic fragment is a packet with a header too many.
#[test]
fn an_atomic_fragment_loses_its_header() {
    let mut director = at_work(Method::Nat);
    let whole = request(1, 20);
    let out = send(&mut director, &[piece(&whole, 3, 0, &whole[54..], false)]);
    assert_eq!(out.len(), 1);
    assert_eq!(Packet::read(&out[0]).payload, payload(20));
}

#[test]
fn a_piece_with_a_wrong_header_checksum_is_none() {
    let mut director = at_work(Method::Nat);
    let mut pieces = cut(&request(0, 1000), 7, &[504]);
    pieces[1][24] ^= 1;
    assert!(send(&mut director, &pieces).is_empty());
    assert_eq!((director.counters.reason(Reason::BadChecksum), director.worker.gathered()), (1, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However a datagram is cut, and in whatever order the pieces come (some twice, others between them), it comes out
    /// whole, once, to one server.
    #[test]
    fn cut_anyhow_it_arrives_whole(
        family in 0usize..2,
        method in prop::sample::select(vec![Method::Nat, Method::Dr]),
        length in 100usize..5000,
        at in prop::collection::btree_set(1usize..600, 1..20),
        order in any::<u64>(),
        twice in any::<prop::sample::Index>(),
    ) {
        let mut director = at_work(method);
        let whole = udp(ENDS[family][1], ENDS[family][0], &payload(length)).bytes();
        let mut cuts: Vec<usize> = at.into_iter().map(|at| at * 8).filter(|&at| at < length).collect();
        cuts.extend((1..5).map(|at| at * 1400).filter(|&at| at < length));
        cuts.sort_unstable();
        cuts.dedup();
        prop_assume!(!cuts.is_empty());
        let mut frames = cut(&whole, 7, &cuts);
        let last = frames.len();
        frames.push(frames[twice.index(last)].clone());
        frames.extend(cut(&whole, 8, &cuts)[1..].iter().cloned());
        let mut seed = order | 1;
        for at in (1..frames.len()).rev() {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            frames.swap(at, (seed % (at as u64 + 1)) as usize);
        }
        let out = send(&mut director, &frames);
        let joined = Packet::read(&join(&out));
        prop_assert_eq!(joined.payload, payload(length));
        prop_assert_eq!(joined.source, ip_end(ENDS[family][1]));
        prop_assert!(out.iter().all(|frame| frame[..6] == out[0][..6]), "all to one server");
        prop_assert_eq!(director.worker.io().in_hand(), 0);
        prop_assert!(out.iter().all(|frame| frame.len() <= 1514));
        let _ = read(&out[0]);
    }
}
