//! Both ends of a forgotten connection are told, by choice.

use etherparse::{SlicedPacket, TransportSlice};
use ringmaster::conn::State;
use ringmaster::io::PortId;
use ringmaster::io::mem::MemIo;
use ringmaster::service::{MarkRule, Method, Options};
use ringmaster::time::{Tick, Ticks};
use ringmaster::wire::{Family, Pattern};
use ringmaster::worker::Offline;

use crate::offline::*;
use crate::packets::{self, Packet, tcp};

fn at(seconds: u32) -> Tick {
    Tick(1000).plus(Ticks::from_secs(seconds))
}

/// What left, unasked: port, packet, flags, sequence number.
fn told(director: &mut Offline<MemIo>, now: Tick) -> Vec<(PortId, Packet, u32)> {
    director.sweep(now);
    director.drain(now);
    let sent =
        [CLIENTS, SERVERS].map(|port| director.worker.io().take_sent(port).into_iter().map(move |out| (port, out)));
    let read = |(port, frame): (PortId, Vec<u8>)| {
        let TransportSlice::Tcp(tcp) = SlicedPacket::from_ethernet(&frame).unwrap().transport.unwrap() else {
            panic!()
        };
        (port, Packet::read(&frame), tcp.sequence_number())
    };
    sent.into_iter().flatten().map(read).collect()
}

#[test]
fn the_server_is_reset_when_time_runs_out_and_the_client_when_the_entry_ends() {
    for (vip, client, real, method) in [
        ("192.0.2.10:80", "198.51.100.7:40000", "10.1.0.11:8080", Method::Nat),
        ("192.0.2.10:80", "198.51.100.7:40000", "10.1.0.11:80", Method::Dr),
        ("[2001:db8::10]:80", "[2001:db8:f::7]:40000", "[2001:db8:1::11]:8080", Method::Nat),
    ] {
        let options = Options { reset_expired: true, ..Options::RINGMASTER };
        let mut director = director(snapshot(&[Wanted::tcp(vip, method, &[real])], options), 100);
        pass(&mut director, CLIENTS, &tcp(client, vip, "S").bytes(), at(0));
        // Eleven bytes from number 1000 on, and 2000 expected: so `tcp` numbers its segments.
        pass(&mut director, CLIENTS, &tcp(client, vip, "A").with_payload(b"hello world").bytes(), at(0));
        assert_eq!(told(&mut director, at(900)), []);

        let now = at(900).plus(Ticks(1));
        let seen = if method == Method::Nat { real } else { vip };
        let macs = [OWN[1].0, server_mac(1).0];
        let expected = Packet { macs, ..tcp(client, seen, "R") };
        assert_eq!(told(&mut director, now), [(SERVERS, expected, 1011)], "{method:?}");
        assert_eq!(director.shared.table.entries().next().unwrap().record.state, State::Close);

        assert_eq!(told(&mut director, now.plus(Ticks::from_secs(10))), []);
        let macs = [OWN[0].0, GATEWAY.0];
        let expected = Packet { macs, ..tcp(vip, client, "R") };
        assert_eq!(told(&mut director, now.plus(Ticks::from_secs(11))), [(CLIENTS, expected, 2000)], "{method:?}");
        assert!(director.shared.table.is_empty());
        assert_eq!(director.shared.loads.load(ringmaster::service::PairId(0)).total(), 0);
    }
}

#[test]
fn nobody_is_told_by_default_nor_of_connections_that_are_not_established() {
    for (options, flags) in [
        (Options::RINGMASTER, &["S", "A"][..]),
        (Options { reset_expired: true, ..Options::RINGMASTER }, &["S"]),
        (Options { reset_expired: true, ..Options::RINGMASTER }, &["S", "A", "FA"]),
    ] {
        let wanted = Wanted::tcp("192.0.2.10:80", Method::Nat, &["10.1.0.11:80"]);
        let mut director = director(snapshot(&[wanted], options), 100);
        for flags in flags {
            pass(&mut director, CLIENTS, &tcp("198.51.100.7:40000", "192.0.2.10:80", flags).bytes(), at(0));
        }
        assert_eq!((told(&mut director, at(1000)), told(&mut director, at(1020))), (vec![], vec![]), "{flags:?}");
        assert!(director.shared.table.is_empty());
    }
}

/// Their entries have something else where others keep the numbers: the address that was asked for, what a line has grown by.
#[test]
fn connections_by_mark_and_ftp_s_go_on_beside_it() {
    let options = Options { reset_expired: true, ..Options::RINGMASTER };
    let mark = Wanted::mark(7, Family::V4, Method::Nat, &["10.1.0.11:0"]);
    let rule = MarkRule { mark: 7, pattern: Pattern::ANY, arrival: None };
    let ftp = Wanted::tcp("192.0.2.10:21", Method::Nat, &["10.1.0.11:21"]);
    for (services, rules, vip, server) in
        [(mark, vec![rule], "192.0.2.77:8080", "10.1.0.11:8080"), (ftp, vec![], "192.0.2.10:21", "10.1.0.11:21")]
    {
        let mut director = director(marked_snapshot(&[services], &rules, options), 100);
        let client = "198.51.100.7:40000";
        for flags in ["S", "A", "AP"] {
            let out = pass(&mut director, CLIENTS, &tcp(client, vip, flags).bytes(), at(0));
            assert_eq!(Packet::read(&out[0].1).destination, packets::end(server), "{flags}");
        }
        let reply = pass(&mut director, SERVERS, &tcp(server, client, "AP").with_payload(b"200 ok\r\n").bytes(), at(0));
        assert_eq!((reply[0].0, Packet::read(&reply[0].1).source), (CLIENTS, packets::end(vip)));
        let slot = director.shared.table.entries().next().unwrap().slot;
        let lower = u64::from(u32::from_be_bytes([192, 0, 2, 77]));
        let word = director.shared.table.helper_word(slot);
        assert!(word & 0xffff_ffff == lower || word == 0, "{word:x} is neither the address nor no growth at all");
        assert_eq!(told(&mut director, at(901)), [], "and end in silence");
    }
}
