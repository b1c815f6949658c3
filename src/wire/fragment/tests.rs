#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::wire::{ParseError, parse};
use proptest::prelude::*;

/// An untagged IPv4 frame of UDP's protocol number.
fn ipv4(options: &[u8], data: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend([8, 0, 0x45 + (options.len() / 4) as u8, 0]);
    frame.extend(((20 + options.len() + data.len()) as u16).to_be_bytes());
    frame.extend([0x12, 0x34, 0, 0, 63, 17, 0, 0, 198, 51, 100, 7, 192, 0, 2, 10]);
    frame.extend(options);
    frame.extend(data);
    let sum = finish(0, &frame[14..34 + options.len()]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// An IPv6 frame with these headers between the fixed one and the data.
fn ipv6(first: u8, extensions: &[u8], data: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
    frame.extend(((extensions.len() + data.len()) as u16).to_be_bytes());
    frame.extend([first, 63]);
    frame.extend([0x20; 32]);
    frame.extend(extensions);
    frame.extend(data);
    frame
}

/// Cuts by size, and puts the data together again from what the pieces say of themselves.
fn cut(frame: &[u8], mtu: u16) -> Vec<Vec<u8>> {
    let cutter = Cutter::new(frame, &parse(frame).unwrap(), 77).unwrap();
    let (mut start, mut pieces) = (0, Vec::new());
    while start < cutter.len() {
        let part = cutter.next(start, cutter.room(mtu));
        let mut out = vec![0xee; 2048];
        let length = cutter.write(part.clone(), &mut out).unwrap();
        out.truncate(length);
        pieces.push(out);
        start = part.end;
    }
    pieces
}

fn data_of(pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut data = Vec::new();
    for frame in pieces {
        let piece = Piece::of(frame, &parse(frame).unwrap()).unwrap();
        assert_eq!(piece.start as usize, data.len());
        data.extend(&frame[usize::from(piece.data)..]);
        assert_eq!(piece.more, frame != pieces.last().unwrap());
    }
    data
}

/// The sizes that the kernel was seen to cut 981 bytes of data into at an MTU of 1000.
#[test]
fn pieces_are_as_long_as_fits_in_units_of_eight() {
    let pieces = cut(&ipv4(&[], &[7; 981]), 1000);
    assert_eq!(pieces.iter().map(|piece| piece.len() - 14).collect::<Vec<_>>(), [996, 25]);
    assert!(pieces.iter().all(|piece| finish(0, &piece[14..34]) == 0), "header checksums");
    assert!(pieces.iter().all(|piece| piece[18..20] == [0x12, 0x34]), "the id is kept");
}

#[test]
fn only_options_with_the_copy_bit_stand_in_later_pieces() {
    let record_route = [7, 7, 4, 0, 0, 0, 0];
    let security = [0x82, 4, 1, 2];
    let options = [&record_route[..], &[1], &security].concat();
    let pieces = cut(&ipv4(&options, &[7; 100]), 80);
    assert_eq!(pieces[0][34..46], options);
    assert_eq!(pieces[1][34..46], [&[1; 8][..], &security].concat());
    assert!(pieces.iter().all(|piece| finish(0, &piece[14..46]) == 0), "header checksums");
}

/// Hop-by-hop and routing headers are repeated; destination options only before a routing header.
#[test]
fn ipv6_headers_that_routers_read_stand_before_the_fragment_header() {
    let hop_by_hop = |next| [next, 0, 1, 4, 0, 0, 0, 0];
    let cases: [(u8, Vec<u8>, usize); 4] = [
        (17, vec![], 0),
        (0, hop_by_hop(17).to_vec(), 8),
        (60, [hop_by_hop(43), hop_by_hop(17)].concat(), 16),
        (43, [hop_by_hop(60), hop_by_hop(17)].concat(), 8),
    ];
    for (first, extensions, repeated) in cases {
        let frame = ipv6(first, &extensions, &[7; 100]);
        let pieces = cut(&frame, 128);
        for piece in &pieces {
            let read = Piece::of(piece, &parse(piece).unwrap()).unwrap();
            assert_eq!((usize::from(read.head), read.id), (54 + repeated, 77), "{first}");
            assert!(piece.len() <= 14 + 128);
        }
        assert_eq!(data_of(&pieces), frame[54 + repeated..], "{first}");
    }
}

proptest! {
    /// From a UDP header on: what is shorter is no datagram.
    #[test]
    fn what_is_cut_is_all_there(len in 8usize..5000, mtu in 68u16..1500, v6 in any::<bool>()) {
        let data: Vec<u8> = (0..len).map(|at| (at * 7) as u8).collect();
        let frame = if v6 { ipv6(17, &[], &data) } else { ipv4(&[], &data) };
        let pieces = cut(&frame, mtu);
        prop_assert!(pieces.iter().all(|piece| piece.len() <= 14 + usize::from(mtu)));
        if pieces.len() > 1 || v6 {
            prop_assert_eq!(data_of(&pieces), data);
        }
    }

    #[test]
    fn any_bytes_are_read_without_harm(mut frame in prop::collection::vec(any::<u8>(), 0..200), v6 in any::<bool>()) {
        if let Some(start) = frame.get_mut(12..15) {
            start.copy_from_slice(if v6 { &[0x86, 0xdd, 0x60] } else { &[8, 0, 0x46] });
        }
        let Ok(parsed) = parse(&frame) else { return Ok(()) };
        let _ = Piece::of(&frame, &parsed);
        if let Some(cutter) = Cutter::new(&frame[..usize::from(parsed.end)], &parsed, 0) {
            let mut out = [0; 256];
            let _ = cutter.write(cutter.next(0, 8), &mut out);
        }
    }

    #[test]
    fn an_ipv4_datagram_may_be_cut_within_its_transport_header(kept in 0usize..8) {
        let mut frame = ipv4(&[], &[7; 8]);
        frame[20] = MORE_FRAGMENTS;
        frame[17] = 20 + kept as u8;
        prop_assert!(parse(&frame).is_ok());
        frame[20] = 0;
        prop_assert_eq!(parse(&frame).err(), Some(ParseError::Truncated));
    }
}
