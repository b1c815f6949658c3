//! The IP header around an advert.
//!
//! Adverts are built and read whole, header included: what a receiver judges (TTL, source, destination) comes from the
//! same bytes for both families, and what is sent is, byte for byte, what keepalived sends (TOS 0xc0, TTL 255, no
//! DF, identification counted from 1).

use super::proof::header::{AUTHENTICATION_HEADER, Header};
use super::wire::{Ends, PROTOCOL};
use crate::wire::{Addr, Family, checksum};

/// An IP packet that carries VRRP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// From whom to whom.
    pub ends: Ends,
    /// TTL or hop limit.
    pub ttl: u8,
    /// The advert, without padding.
    pub payload: &'a [u8],
    /// The authentication header before it.
    pub header: Option<Header<'a>>,
}

/// Precedence "internetwork control" (RFC 791), as every routing protocol uses it.
const TRAFFIC_CLASS: u8 = 0xc0;

impl<'a> Packet<'a> {
    /// Reads a packet from its IP header on; `None` for anything that is not whole or not VRRP.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::parse_v4(bytes),
            6 => Self::parse_v6(bytes),
            _ => None,
        }
    }

    fn parse_v4(bytes: &'a [u8]) -> Option<Self> {
        let header: &[u8; 20] = bytes.first_chunk()?;
        let [start, end] = [usize::from(header[0] & 0xf) * 4, u16::from_be_bytes([header[2], header[3]]).into()];
        let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
        if start < 20 || fragment != 0 {
            return None;
        }
        let [source, destination] = [12, 16]
            .map(|at| Addr::v4(u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])));
        let (ends, ttl) = (Ends { source, destination }, header[8]);
        match header[9] {
            PROTOCOL => Some(Self { ends, ttl, payload: bytes.get(start..end)?, header: None }),
            AUTHENTICATION_HEADER => {
                let (header, payload) = Header::parse(bytes.get(..end)?, start)?;
                Some(Self { ends, ttl, payload, header: Some(header) })
            }
            _ => None,
        }
    }

    fn parse_v6(bytes: &'a [u8]) -> Option<Self> {
        let header: &[u8; 40] = bytes.first_chunk()?;
        let length: usize = u16::from_be_bytes([header[4], header[5]]).into();
        if header[6] != PROTOCOL {
            return None;
        }
        let [source, destination] = [8, 24].map(|at| Addr::v6(std::array::from_fn(|byte| header[at + byte])));
        if source.family() != Family::V6 || destination.family() != Family::V6 {
            return None;
        }
        let (ends, ttl) = (Ends { source, destination }, header[7]);
        Some(Self { ends, ttl, payload: bytes.get(40..40 + length)?, header: None })
    }

    /// The bytes, without an authentication header. `id` is the identification of IPv4.
    pub fn emit(&self, id: u16) -> Vec<u8> {
        let Ends { source, destination } = self.ends;
        // An advert has at most wire::LONGEST bytes.
        let length = self.payload.len() as u16;
        let mut bytes = Vec::with_capacity(40 + self.payload.len());
        match source.family() {
            Family::V4 => {
                bytes.extend([0x45, TRAFFIC_CLASS]);
                bytes.extend((20 + length).to_be_bytes());
                bytes.extend(id.to_be_bytes());
                bytes.extend([0, 0, self.ttl, PROTOCOL, 0, 0]);
                bytes.extend(source.low32().to_be_bytes());
                bytes.extend(destination.low32().to_be_bytes());
                let sum = checksum::finish(0, &bytes).to_be_bytes();
                bytes[10..12].copy_from_slice(&sum);
            }
            Family::V6 => {
                bytes.extend([0x60 | TRAFFIC_CLASS >> 4, TRAFFIC_CLASS << 4, 0, 0]);
                bytes.extend(length.to_be_bytes());
                bytes.extend([PROTOCOL, self.ttl]);
                bytes.extend(source.octets());
                bytes.extend(destination.octets());
            }
        }
        bytes.extend_from_slice(self.payload);
        bytes
    }
}
