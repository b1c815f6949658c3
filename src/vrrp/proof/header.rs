//! The authentication header of `auth_type AH` (RFC 2402, RFC 2403), in front of an advert over IPv4.
//!
//! ```text
//! | 112 | 4 | 0 u16 | security parameters index | sequence u32 | first 12 bytes of HMAC-MD5 |
//! ```
//!
//! As keepalived has it: the key is the password, padded with zeros; the index is the sender's address; the value covers the
//! IP header with what routers change as zeros, but for the TTL of multicast, which nobody may change.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use crate::vrrp::wire::PROTOCOL;
use crate::wire::checksum;

/// Its number in an IP header.
pub const AUTHENTICATION_HEADER: u8 = 51;

/// Bytes of an IPv4 header without options.
const IP: usize = 20;
/// Bytes of ours.
const LENGTH: usize = 24;
/// Its length as it says it itself: in words of 32 bits, less two.
const WORDS: u8 = 4;
const VALUE: std::ops::Range<usize> = 12..24;

/// A header that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Grows with each advert.
    pub sequence: u32,
    /// The packet from its IP header on, without padding.
    packet: &'a [u8],
    /// Where it begins in the packet.
    start: usize,
}

impl<'a> Header<'a> {
    /// Of an IPv4 packet without padding whose IP header ends at `start`. The advert comes with it.
    pub fn parse(packet: &'a [u8], start: usize) -> Option<(Self, &'a [u8])> {
        let (header, payload) = packet.get(start..)?.split_at_checked(LENGTH)?;
        let sequence = u32::from_be_bytes(*header[8..].first_chunk()?);
        let fits = header[0] == PROTOCOL && header[1] == WORDS;
        fits.then_some((Self { sequence, packet, start }, payload))
    }

    /// Whether it was made with this password, and nothing was changed on the way that must not be.
    pub fn is_genuine(&self, password: &[u8; 8], unicast: bool) -> bool {
        let mut covered = self.packet.to_vec();
        let value = self.start + VALUE.start..self.start + VALUE.end;
        let names_sender = self.packet[self.start + 4..self.start + 8] == self.packet[12..16];
        covered[value.clone()].fill(0);
        names_sender && mac(&mut covered, password, unicast).verify_truncated_left(&self.packet[value]).is_ok()
    }
}

/// Puts a header into an IPv4 packet without options that carries an advert.
pub fn protect(mut packet: Vec<u8>, password: &[u8; 8], sequence: u32, unicast: bool) -> Vec<u8> {
    let mut header = [0; LENGTH];
    header[..2].copy_from_slice(&[PROTOCOL, WORDS]);
    header[4..8].copy_from_slice(&packet[12..16]);
    header[8..12].copy_from_slice(&sequence.to_be_bytes());
    packet.splice(IP..IP, header);
    packet[9] = AUTHENTICATION_HEADER;
    // An advert is far shorter.
    let length = packet.len() as u16;
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    let value = mac(&mut packet.clone(), password, unicast).finalize().into_bytes();
    packet[IP + VALUE.start..IP + VALUE.end].copy_from_slice(&value[..VALUE.len()]);
    packet[10..12].fill(0);
    let sum = checksum::finish(0, &packet[..IP]).to_be_bytes();
    packet[10..12].copy_from_slice(&sum);
    packet
}

/// The value's hash over a packet whose value is zeros; zeros what may change on the way.
fn mac(packet: &mut [u8], password: &[u8; 8], unicast: bool) -> Hmac<Md5> {
    const TYPE_OF_SERVICE: usize = 1;
    const TTL: usize = 8;
    packet[TYPE_OF_SERVICE] = 0;
    packet[6..8].fill(0);
    packet[10..12].fill(0);
    if unicast {
        packet[TTL] = 0;
    }
    let mut mac = <Hmac<Md5> as KeyInit>::new_from_slice(password).expect("keys may have any length");
    mac.update(packet);
    mac
}
