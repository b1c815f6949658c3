//! SCTP packets for tests, made over from UDP datagrams of `etherparse`, with a CRC32c of our own.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, unreachable_pub, reason = "each test target uses its part")]

use crate::packets::{self, udp};

/// CRC32c bit by bit, its lowest byte first as it stands in the packet.
pub fn crc(bytes: &[u8]) -> [u8; 4] {
    let step = |sum: u32, _| sum >> 1 ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 };
    (!bytes.iter().fold(u32::MAX, |sum, &byte| (0..8).fold(sum ^ u32::from(byte), step))).to_le_bytes()
}

/// A frame with an SCTP packet of one chunk of twelve bytes: a UDP datagram of that length, made over.
pub fn sctp(source: &str, destination: &str, chunk: u8) -> Vec<u8> {
    let mut frame = udp(source, destination, &[0x5a; 16]).bytes();
    let l4 = l4(&frame);
    frame[if l4 == 34 { 23 } else { 20 }] = 132;
    if l4 == 34 {
        let sum = etherparse::Ipv4Header::from_slice(&frame[14..]).unwrap().0.calc_header_checksum();
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    }
    frame[l4 + 4..l4 + 12].copy_from_slice(&[0, 0, 0, 9, 0, 0, 0, 0]);
    frame[l4 + 12..l4 + 16].copy_from_slice(&[chunk, 0, 0, 12]);
    let sum = crc(&frame[l4..]);
    frame[l4 + 8..l4 + 12].copy_from_slice(&sum);
    frame
}

pub fn l4(frame: &[u8]) -> usize {
    if frame[12] == 8 { 34 } else { 54 }
}

/// Source and destination, after the checksum was found right.
pub fn read(frame: &[u8]) -> (packets::Packet, [u8; 4]) {
    let l4 = l4(frame);
    let mut zeroed = frame[l4..].to_vec();
    zeroed[8..12].fill(0);
    // With a length and no checksum in place of the verification tag it is a UDP datagram again.
    let mut as_udp = frame.to_vec();
    as_udp[if l4 == 34 { 23 } else { 20 }] = 17;
    if l4 == 34 {
        let header = etherparse::Ipv4Header::from_slice(&frame[14..]).unwrap().0;
        assert_eq!(header.header_checksum, header.calc_header_checksum());
        let sum = etherparse::Ipv4Header::from_slice(&as_udp[14..]).unwrap().0.calc_header_checksum();
        as_udp[24..26].copy_from_slice(&sum.to_be_bytes());
    }
    let length = (frame.len() - l4) as u16;
    as_udp[l4 + 4..l4 + 6].copy_from_slice(&length.to_be_bytes());
    as_udp[l4 + 6..l4 + 8].fill(0);
    let mut packet = packets::Packet::read(&as_udp);
    packet.payload.clear();
    let wrong: Vec<u8> = crc(&zeroed).iter().zip(&frame[l4 + 8..l4 + 12]).map(|(a, b)| a ^ b).collect();
    (packet, wrong.try_into().unwrap())
}
