//! One pass over a frame's headers.

use super::{Addr, Family};

/// TCP flag bits, as in byte 13 of the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// FIN.
    pub const FIN: u8 = 0x01;
    /// SYN.
    pub const SYN: u8 = 0x02;
    /// RST.
    pub const RST: u8 = 0x04;
    /// ACK.
    pub const ACK: u8 = 0x10;

    /// Whether FIN is set.
    #[inline(always)]
    pub const fn fin(self) -> bool {
        self.0 & Self::FIN != 0
    }

    /// Whether SYN is set.
    #[inline(always)]
    pub const fn syn(self) -> bool {
        self.0 & Self::SYN != 0
    }

    /// Whether RST is set.
    #[inline(always)]
    pub const fn rst(self) -> bool {
        self.0 & Self::RST != 0
    }

    /// Whether ACK is set.
    #[inline(always)]
    pub const fn ack(self) -> bool {
        self.0 & Self::ACK != 0
    }
}

/// IP protocol numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol;

impl Protocol {
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// IPv4 in IP.
    pub const IPIP: u8 = 4;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 in IP.
    pub const IPV6: u8 = 41;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    /// SCTP.
    pub const SCTP: u8 = 132;
}

/// Whether a packet is a piece of a larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// It is whole.
    Whole,
    /// The first piece: it has the transport header.
    First,
    /// A later piece: it has no transport header.
    Later,
}

/// What the headers of a frame say. Offsets, not slices, so that the frame can be edited while this is held.
#[derive(Clone, Copy, Debug)]
pub struct Parsed {
    /// Source address.
    pub source: Addr,
    /// Destination address.
    pub destination: Addr,
    /// Source port; 0 where there is none (protocols without ports, later fragments).
    pub source_port: u16,
    /// Destination port, likewise.
    pub destination_port: u16,
    /// Offset of the IP header.
    pub l3: u16,
    /// Offset of the transport header.
    pub l4: u16,
    /// Offset just past the IP packet; padding behind it is not part of it.
    pub end: u16,
    /// Transport protocol (for IPv6: after the extension headers).
    pub protocol: u8,
    /// Flags, for TCP.
    pub flags: TcpFlags,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// See [`Fragment`].
    pub fragment: Fragment,
}

impl Parsed {
    /// The packet's family.
    #[inline(always)]
    pub fn family(&self) -> Family {
        self.source.family()
    }

    /// Length of the IP packet in bytes.
    #[inline(always)]
    pub fn packet_len(&self) -> u16 {
        self.end - self.l3
    }
}

/// Why a frame could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// It is neither IPv4 nor IPv6 (ARP, say): not for us.
    NotIp,
    /// It ends before the headers it announces.
    Truncated,
    /// A length or version field cannot be true.
    Malformed,
}

/// Reads the headers of an Ethernet frame.
pub fn parse(_frame: &[u8]) -> Result<Parsed, ParseError> {
    Err(ParseError::NotIp)
}
