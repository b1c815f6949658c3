//! ICMP errors, made and checked by the tests' own means.

#![allow(dead_code, unreachable_pub, reason = "each test target uses its part")]

use std::net::IpAddr;

use crate::fragments::{fix_header, ones};
use crate::packets::{addr, end as end_of};

/// An ICMP error from `router` to `to` that quotes the first bytes of a frame's packet.
pub fn error(router: &str, to: &str, (kind, code): (u8, u8), word: u32, about: &[u8], quoted: usize) -> Vec<u8> {
    let (from, to) = (addr(router), host(to));
    let mut message = vec![kind, code, 0, 0];
    message.extend(word.to_be_bytes());
    message.extend(&about[14..about.len().min(14 + quoted)]);
    let mut frame = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut frame = [&[2; 12][..], &[8, 0, 0x45, 0, 0, 0, 0, 9, 0, 0, 64, 1, 0, 0]].concat();
            frame.extend(from.octets());
            frame.extend(to.octets());
            let length = (20 + message.len()) as u16;
            frame[16..18].copy_from_slice(&length.to_be_bytes());
            fix_header(&mut frame);
            frame
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut frame = [&[2; 12][..], &[0x86, 0xdd, 0x60, 0, 0, 0]].concat();
            frame.extend((message.len() as u16).to_be_bytes());
            frame.extend([58, 64]);
            frame.extend(from.octets());
            frame.extend(to.octets());
            frame
        }
        _ => panic!("mixed families"),
    };
    frame.extend(&message);
    let at = frame.len() - message.len() + 2;
    let sum = !icmp_sum(&frame);
    frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// An address, alone or with a port.
pub fn host(end: &str) -> IpAddr {
    end.parse().unwrap_or_else(|_| end_of(end).0)
}

/// Where ICMP begins in a frame without tags, options and extension headers.
pub fn icmp_at(frame: &[u8]) -> usize {
    if frame[12] == 8 { 34 } else { 54 }
}

/// The sum over an ICMP message with what belongs to it: all ones if its checksum is right.
pub fn icmp_sum(frame: &[u8]) -> u16 {
    let at = icmp_at(frame);
    let mut covered = frame[at..].to_vec();
    if at == 54 {
        covered.splice(0..0, frame[22..54].iter().copied());
        covered.splice(0..0, [0, 0, 0, (frame.len() - 54) as u8, 0, 0, 0, 58]);
        assert!(frame.len() - 54 < 256, "short enough for this sum");
    }
    ones(&covered)
}
