//! Packets too long for the next link: cut if they may be, refused if not, in each direction and by each method.

use ringmaster::forward::Reason;
use ringmaster::io::mem::MemIo;
use ringmaster::io::{PacketIo, PortId};
use ringmaster::service::{Hop, Method, Network, Options, Snapshot};
use ringmaster::time::Tick;
use ringmaster::worker::Offline;

use crate::fragments::{cut, fix_header, join};
use crate::offline::*;
use crate::packets::{Packet, udp};

const NOW: Tick = Tick(100);
const VIP: &str = "192.0.2.10:53";
const CLIENT: &str = "198.51.100.7:40000";
const SERVER: &str = "10.1.0.11:53";

/// A director whose link on `narrow` takes `mtu` bytes.
fn behind(method: Method, narrow: PortId, mtu: u16, options: Options) -> Offline<MemIo> {
    let snapshot = snapshot(&[Wanted::udp(VIP, method, &[SERVER])], options);
    let mut network: Network = (*snapshot.network).clone();
    for hop in network.hops.iter_mut().filter(|hop| hop.port == narrow) {
        *hop = Hop { mtu, ..*hop };
    }
    director(Snapshot { network: network.into(), ..snapshot }, 100)
}

/// A request or reply of this many bytes of IP, that may be cut or not.
fn datagram(from: &str, to: &str, length: usize, may_be_cut: bool) -> Vec<u8> {
    let payload: Vec<u8> = (0..length - 28).map(|at| at as u8).collect();
    let mut frame = udp(from, to, &payload).bytes();
    frame[18..20].copy_from_slice(&[0x12, 0x34]);
    frame[20] = if may_be_cut { 0 } else { 0x40 };
    fix_header(&mut frame);
    frame
}

fn frames(out: Vec<(PortId, Vec<u8>)>, port: PortId) -> Vec<Vec<u8>> {
    assert!(out.iter().all(|(by, _)| *by == port), "{:?}", out.iter().map(|(by, _)| by).collect::<Vec<_>>());
    out.into_iter().map(|(_, frame)| frame).collect()
}

fn lengths(frames: &[Vec<u8>]) -> Vec<usize> {
    frames.iter().map(|frame| frame.len() - 14).collect()
}

#[test]
fn what_may_be_cut_is_cut() {
    for (method, expected) in [
        (Method::Nat, vec![996, 996, 68]),
        (Method::Dr, vec![996, 996, 68]),
        // The tunnel packet is cut, not the one in it.
        (Method::IPIP, vec![996, 996, 88]),
    ] {
        let mut director = behind(method, SERVERS, 1000, Options::KERNEL);
        let frame = datagram(CLIENT, VIP, 2020, true);
        // Too long for a slot of 2 KiB as it is.
        let pieces: Vec<_> = cut(&frame, 0x1234, &[1400]);
        let out = frames(pieces.iter().flat_map(|piece| pass(&mut director, CLIENTS, piece, NOW)).collect(), SERVERS);
        assert_eq!(lengths(&out), expected, "{method:?}");
        let whole = join(&out);
        let inner = if method == Method::IPIP { 34 } else { 14 };
        assert_eq!(whole[whole.len() - 1992..], frame[frame.len() - 1992..], "{method:?}");
        assert_eq!(whole[inner + 8], 63);

        let out = frames(pass(&mut director, CLIENTS, &datagram(CLIENT, VIP, 1200, true), NOW), SERVERS);
        assert_eq!(out.len(), 2, "{method:?}");
        if method != Method::IPIP {
            let whole = Packet::read(&join(&out));
            assert_eq!((whole.ttl, whole.payload.len()), (63, 1172));
            assert!(out.iter().all(|piece| piece[18..20] == [0x12, 0x34]), "pieces keep the id");
        }
        assert_eq!((director.counters.cut.get(), director.worker.io().in_hand()), (2, 0));
    }
}

#[test]
fn a_reply_too_long_for_the_client_s_side_is_cut_or_refused() {
    let mut director = behind(Method::Nat, CLIENTS, 900, Options::KERNEL);
    pass(&mut director, CLIENTS, &datagram(CLIENT, VIP, 100, true), NOW);
    let out = frames(pass(&mut director, SERVERS, &datagram(SERVER, CLIENT, 901, true), NOW), CLIENTS);
    assert_eq!(lengths(&out), [900, 21]);
    assert_eq!(Packet::read(&join(&out)).payload.len(), 873);
    let out = frames(pass(&mut director, SERVERS, &datagram(SERVER, CLIENT, 901, false), NOW), SERVERS);
    assert_eq!((&out[0][34..36], &out[0][40..42]), (&[3, 4][..], &900u16.to_be_bytes()[..]));
    assert_eq!(out[0][26..34], [10, 1, 0, 1, 10, 1, 0, 11], "from the director's address there");
}

/// Without path MTU discovery nobody is told, and the tunnel packet is cut whatever the inner one says.
#[test]
fn without_path_mtu_discovery_tunnel_packets_are_cut() {
    let mut director = behind(Method::IPIP, SERVERS, 1000, Options { pmtu_disc: false, ..Options::KERNEL });
    let out = frames(pass(&mut director, CLIENTS, &datagram(CLIENT, VIP, 1400, false), NOW), SERVERS);
    assert_eq!(lengths(&out), [996, 444]);
    let whole = join(&out);
    assert_eq!((whole[20] & 0x40, whole[40] & 0x40), (0, 0x40), "outside without DF, inside with");
    assert_ne!(whole[18..20], [0, 0], "what is cut has an id");
    let short = frames(pass(&mut director, CLIENTS, &datagram(CLIENT, VIP, 100, false), NOW), SERVERS);
    assert_eq!(short[0][20] & 0x40, 0);
}

/// A way that leaves less than every link must take is none.
#[test]
fn a_tunnel_too_narrow_for_anything_is_silent() {
    let mut director = behind(Method::IPIP, SERVERS, 87, Options::KERNEL);
    assert!(pass(&mut director, CLIENTS, &datagram(CLIENT, VIP, 60, false), NOW).is_empty());
    assert_eq!((director.counters.reason(Reason::TooBig), director.counters.answered.get()), (1, 0));
    let mut director = behind(Method::IPIP, SERVERS, 88, Options::KERNEL);
    assert_eq!(pass(&mut director, CLIENTS, &datagram(CLIENT, VIP, 60, false), NOW)[0].0, SERVERS);
}

/// Where buffers run out, pieces are lost and counted, and no buffer is.
#[test]
fn a_piece_without_a_buffer_is_counted() {
    let snapshot = behind(Method::Nat, SERVERS, 100, Options::KERNEL).snapshot().clone();
    let io = MemIo::new(&["client0", "server0"], 4, 2048, 512);
    let config =
        ringmaster::worker::OfflineConfig { connections: 100, pairs: 16, seed: ringmaster::conn::HashSeed([1, 2, 3]) };
    let mut director = Offline::new(io, (), snapshot, &config).unwrap();
    let out = pass(&mut director, CLIENTS, &datagram(CLIENT, VIP, 1000, true), NOW);
    assert_eq!((out.len(), director.counters.reason(Reason::NoBuffer)), (3, 1));
    assert_eq!(director.worker.io().in_hand(), 0);
}

/// VLAN tags stay in front of what was put in front.
#[test]
fn tags_are_kept_by_every_method_and_in_pieces() {
    for method in [Method::Nat, Method::Dr, Method::IPIP] {
        let mut director = behind(method, SERVERS, 1000, Options::KERNEL);
        for length in [100, 1200] {
            let mut frame = datagram(CLIENT, VIP, length, true);
            frame.splice(12..12, [0x81, 0, 0, 42]);
            let out = frames(pass(&mut director, CLIENTS, &frame, NOW), SERVERS);
            assert_eq!(out.len(), length.div_ceil(1000), "{method:?}");
            for piece in out {
                assert_eq!(piece[12..19], [0x81, 0, 0, 42, 8, 0, 0x45], "{method:?}");
            }
        }
    }
}
