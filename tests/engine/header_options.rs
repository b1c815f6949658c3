//! IPv4 options: followed, kept, refused.

use ringmaster::forward::Reason;
use ringmaster::io::mem::MemIo;
use ringmaster::service::{Method, Options};
use ringmaster::time::Tick;
use ringmaster::worker::Offline;

use crate::fragments::{cut, fix_header};
use crate::offline::*;
use crate::packets::{Packet, tcp};

const NOW: Tick = Tick(128);
const VIP: &str = "192.0.2.10:80";
const CLIENT: &str = "198.51.100.7:40000";
const SERVER: &str = "10.1.0.11:80";

/// The frame with these options in its IPv4 header.
fn with(options: &[u8], mut frame: Vec<u8>) -> Vec<u8> {
    assert_eq!(options.len() % 4, 0);
    frame.splice(34..34, options.iter().copied());
    frame[14] = 0x45 + (options.len() / 4) as u8;
    let length = (frame.len() - 14) as u16;
    frame[16..18].copy_from_slice(&length.to_be_bytes());
    fix_header(&mut frame);
    frame
}

fn at_work(method: Method) -> Offline<MemIo> {
    director(snapshot(&[Wanted::tcp(VIP, method, &[SERVER])], Options::KERNEL), 100)
}

#[test]
fn a_request_records_the_virtual_address_and_a_reply_the_director_s() {
    let empty = [7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    for method in [Method::Nat, Method::Dr, Method::IPIP] {
        let mut director = at_work(method);
        let out = pass(&mut director, CLIENTS, &with(&empty, tcp(CLIENT, VIP, "S").bytes()), NOW);
        let at = if method == Method::IPIP { 54 } else { 34 };
        assert_eq!(out[0].1[at..at + 12], [7, 11, 8, 192, 0, 2, 10, 0, 0, 0, 0, 1], "{method:?}");
        if method == Method::Nat {
            Packet::read(&out[0].1);
            let reply = with(&empty, tcp(SERVER, CLIENT, "SA").bytes());
            let out = pass(&mut director, SERVERS, &reply, NOW);
            assert_eq!(out[0].1[34..46], [7, 11, 8, 192, 0, 2, 1, 0, 0, 0, 0, 1]);
            Packet::read(&out[0].1);
        }
    }
}

#[test]
fn a_timestamp_says_that_it_is_no_time_of_day() {
    let mut director = at_work(Method::Nat);
    let options = [68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let out = pass(&mut director, CLIENTS, &with(&options, tcp(CLIENT, VIP, "S").bytes()), NOW);
    assert_eq!(out[0].1[34..46], [68, 12, 13, 1, 192, 0, 2, 10, 0x80, 0, 0x07, 0xd0], "2000 ms");
}

#[test]
fn a_source_route_is_not_followed() {
    for kind in [131, 137] {
        let mut director = at_work(Method::Nat);
        let options = [kind, 7, 4, 10, 0, 0, 1, 0];
        assert!(pass(&mut director, CLIENTS, &with(&options, tcp(CLIENT, VIP, "S").bytes()), NOW).is_empty());
        assert_eq!(director.counters.reason(Reason::SourceRoute), 1);
        assert!(director.shared.table.is_empty(), "nothing is opened");
    }
}

#[test]
fn the_sender_of_a_broken_option_is_told_where_it_breaks() {
    let mut director = at_work(Method::Nat);
    let out = pass(&mut director, CLIENTS, &with(&[1, 7, 7, 3, 0, 0, 0, 0], tcp(CLIENT, VIP, "S").bytes()), NOW);
    let (port, frame) = &out[0];
    assert_eq!((*port, &frame[34..36], frame[38]), (CLIENTS, &[12, 0][..], 23));
    assert_eq!(director.counters.reason(Reason::HeaderOption), 1);
}

#[test]
fn options_of_a_datagram_in_pieces_are_followed_once() {
    let mut director = at_work(Method::Dr);
    let whole = with(&[7, 7, 4, 0, 0, 0, 0, 0], tcp(CLIENT, VIP, "S").with_payload(&[1; 100]).bytes());
    let out: Vec<_> = cut(&whole, 7, &[64]).iter().flat_map(|piece| pass(&mut director, CLIENTS, piece, NOW)).collect();
    assert_eq!(out.len(), 2);
    assert_eq!(out[0].1[34..42], [7, 7, 8, 192, 0, 2, 10, 0]);
    assert_eq!(out[1].1[34..42], [1, 1, 1, 1, 1, 1, 1, 0], "not copied into later pieces");
}

/// A wrong checksum opens nothing. (On a connection it would leave as wrong as it came.)
#[test]
fn a_header_with_a_wrong_checksum_opens_no_connection() {
    for options in [&[][..], &[1, 1, 1, 0]] {
        let mut director = at_work(Method::Nat);
        let mut syn = with(options, tcp(CLIENT, VIP, "S").bytes());
        syn[24] ^= 0x10;
        assert!(pass(&mut director, CLIENTS, &syn, NOW).is_empty());
        assert_eq!(director.counters.reason(Reason::BadChecksum), 1);
    }
}
