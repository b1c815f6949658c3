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

    /// Whether a segment with these flags neither opens nor ends a connection, and acknowledges.
    #[inline(always)]
    pub const fn is_plain(self) -> bool {
        self.0 & (Self::FIN | Self::SYN | Self::RST | Self::ACK) == Self::ACK
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
    /// GRE.
    pub const GRE: u8 = 47;
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
    /// It is whole, but has an IPv6 fragment header (RFC 6946).
    Atomic,
    /// The first piece: it has the transport header, or in IPv4 perhaps only some of it.
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
    /// A length, version or address field cannot be true.
    Malformed,
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_SERVICE_VLAN: u16 = 0x88a8;

/// IPv6 extension headers that may stand before the transport header (RFC 8200 4.1).
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
/// More than any honest packet carries.
const MAX_EXTENSIONS: usize = 8;

#[inline(always)]
fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).map(|b| u16::from_be_bytes([b[0], b[1]]))
}

#[inline(always)]
fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}

/// How much of a frame's slot [`parse_common`] wants to see: Ethernet, IPv6 and TCP headers without options.
pub const HEAD: usize = 14 + 40 + 20;

/// Reads the frames that nearly all are: untagged, IPv4 without options or IPv6 without extension headers, whole, TCP or
/// UDP. `None`: ask [`parse`].
///
/// `head` may reach past the frame's end, into whatever the buffer held before; `len` is the frame's true length, and
/// nothing beyond it is believed.
#[inline(always)]
pub fn parse_common(head: &[u8; HEAD], len: usize) -> Option<Parsed> {
    // Bytes 12-19. IPv4: ethertype, version and header length, TOS, total length, id. IPv6: ethertype, version, class
    // and label, payload length.
    let start = u64::from_be_bytes([head[12], head[13], head[14], head[15], head[16], head[17], head[18], head[19]]);
    let common = if start >> 40 == 0x08_0045 {
        common_ipv4(head, 14 + usize::from((start >> 16) as u16))
    } else if start >> 44 == 0x8_6dd6 {
        common_ipv6(head, 54 + usize::from(start as u16))?
    } else {
        return None;
    };
    // Past the transport header of the protocol; TCP's flags are looked at only once the header is known to be there.
    let least = common.l4
        + match common.protocol {
            Protocol::TCP => 20,
            Protocol::UDP => 8,
            _ => return None,
        };
    if common.fragment != Fragment::Whole || usize::from(common.end) > len || common.end < least {
        return None;
    }
    if common.protocol == Protocol::TCP {
        let at = usize::from(common.l4);
        if head[at + 12] < 0x50 {
            return None;
        }
        return Some(Parsed { flags: TcpFlags(head[at + 13]), ..common });
    }
    Some(common)
}

/// The end of a packet as an offset; one that does not fit 16 bits is past any frame.
#[inline(always)]
fn end_offset(end: usize) -> u16 {
    u16::try_from(end).unwrap_or(u16::MAX)
}

#[inline(always)]
fn common_ipv4(head: &[u8; HEAD], end: usize) -> Parsed {
    // Bytes 20-23: fragment bits, TTL, protocol. DF and the reserved bit do not matter.
    let middle = u32::from_be_bytes([head[20], head[21], head[22], head[23]]);
    let addresses =
        u64::from_be_bytes([head[26], head[27], head[28], head[29], head[30], head[31], head[32], head[33]]);
    let ports = u32::from_be_bytes([head[34], head[35], head[36], head[37]]);
    Parsed {
        source: Addr::v4((addresses >> 32) as u32),
        destination: Addr::v4(addresses as u32),
        source_port: (ports >> 16) as u16,
        destination_port: ports as u16,
        l3: 14,
        l4: 34,
        end: end_offset(end),
        protocol: middle as u8,
        flags: TcpFlags(0),
        ttl: (middle >> 8) as u8,
        fragment: if middle & 0x3fff_0000 == 0 { Fragment::Whole } else { Fragment::Later },
    }
}

#[inline(always)]
fn common_ipv6(head: &[u8; HEAD], end: usize) -> Option<Parsed> {
    let (addresses, _) = head[22..54].as_chunks::<16>();
    let (source, destination) = (Addr::v6(addresses[0]), Addr::v6(addresses[1]));
    if source.family() == Family::V4 || destination.family() == Family::V4 {
        return None;
    }
    let ports = u32::from_be_bytes([head[54], head[55], head[56], head[57]]);
    Some(Parsed {
        source,
        destination,
        source_port: (ports >> 16) as u16,
        destination_port: ports as u16,
        l3: 14,
        l4: 54,
        end: end_offset(end),
        protocol: head[20],
        flags: TcpFlags(0),
        ttl: head[21],
        fragment: Fragment::Whole,
    })
}

/// Reads the headers of an Ethernet frame: up to two VLAN tags, IPv4 with options, IPv6 with extension headers.
///
/// TCP and UDP headers are known to be complete afterwards (unless the packet is a fragment).
pub fn parse(frame: &[u8]) -> Result<Parsed, ParseError> {
    let mut l3 = 14;
    let mut ethertype = be16(frame, 12).ok_or(ParseError::Truncated)?;
    while matches!(ethertype, ETHERTYPE_VLAN | ETHERTYPE_SERVICE_VLAN) && l3 < 22 {
        ethertype = be16(frame, l3 + 2).ok_or(ParseError::Truncated)?;
        l3 += 4;
    }
    match ethertype {
        ETHERTYPE_IPV4 => parse_ipv4(frame, l3),
        ETHERTYPE_IPV6 => parse_ipv6(frame, l3),
        _ => Err(ParseError::NotIp),
    }
}

fn parse_ipv4(frame: &[u8], l3: usize) -> Result<Parsed, ParseError> {
    let header = frame.get(l3..).and_then(|rest| rest.first_chunk::<20>()).ok_or(ParseError::Truncated)?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[0] >> 4 != 4 || header_len < 20 || total < header_len {
        return Err(ParseError::Malformed);
    }
    if l3 + total > frame.len() {
        return Err(ParseError::Truncated);
    }
    let bits = u16::from_be_bytes([header[6], header[7]]);
    let fragment = match (bits & 0x1fff, bits & 0x2000 != 0) {
        (0, false) => Fragment::Whole,
        (0, true) => Fragment::First,
        _ => Fragment::Later,
    };
    let mut parsed = Parsed {
        source: Addr::v4(u32::from_be_bytes([header[12], header[13], header[14], header[15]])),
        destination: Addr::v4(u32::from_be_bytes([header[16], header[17], header[18], header[19]])),
        source_port: 0,
        destination_port: 0,
        l3: l3 as u16,
        l4: (l3 + header_len) as u16,
        end: (l3 + total) as u16,
        protocol: header[9],
        flags: TcpFlags(0),
        ttl: header[8],
        fragment,
    };
    parse_transport(frame, &mut parsed)?;
    Ok(parsed)
}

fn parse_ipv6(frame: &[u8], l3: usize) -> Result<Parsed, ParseError> {
    let header = frame.get(l3..).and_then(|rest| rest.first_chunk::<40>()).ok_or(ParseError::Truncated)?;
    let (addresses, _) = header[8..].as_chunks::<16>();
    let (source, destination) = (Addr::v6(addresses[0]), Addr::v6(addresses[1]));
    // An IPv4-mapped address must not be seen on the wire (RFC 4291 2.5.5.2), and would read as IPv4 from here on.
    if header[0] >> 4 != 6 || source.family() == Family::V4 || destination.family() == Family::V4 {
        return Err(ParseError::Malformed);
    }
    let end = l3 + 40 + usize::from(u16::from_be_bytes([header[4], header[5]]));
    let packet = frame.get(..end).ok_or(ParseError::Truncated)?;
    let extensions = skip_extensions(packet, l3 + 40, header[6])?;
    let mut parsed = Parsed {
        source,
        destination,
        source_port: 0,
        destination_port: 0,
        l3: l3 as u16,
        l4: extensions.end as u16,
        end: end as u16,
        protocol: extensions.protocol,
        flags: TcpFlags(0),
        ttl: header[7],
        fragment: extensions.fragment,
    };
    parse_transport(frame, &mut parsed)?;
    Ok(parsed)
}

/// Where a chain of IPv6 extension headers leads.
struct Extensions {
    end: usize,
    protocol: u8,
    fragment: Fragment,
}

fn skip_extensions(packet: &[u8], start: usize, first: u8) -> Result<Extensions, ParseError> {
    let mut found = Extensions { end: start, protocol: first, fragment: Fragment::Whole };
    for _ in 0..MAX_EXTENSIONS {
        let length = match found.protocol {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                8 * (1 + usize::from(*packet.get(found.end + 1).ok_or(ParseError::Truncated)?))
            }
            AUTHENTICATION => 4 * (2 + usize::from(*packet.get(found.end + 1).ok_or(ParseError::Truncated)?)),
            FRAGMENT => {
                let bits = be16(packet, found.end + 2).ok_or(ParseError::Truncated)?;
                found.fragment = match (bits >> 3, bits & 1 != 0) {
                    (0, false) => Fragment::Atomic,
                    (0, true) => Fragment::First,
                    _ => Fragment::Later,
                };
                8
            }
            _ => return Ok(found),
        };
        found.protocol = *packet.get(found.end).ok_or(ParseError::Truncated)?;
        found.end += length;
        if found.end > packet.len() {
            return Err(ParseError::Truncated);
        }
        if found.fragment == Fragment::Later {
            return Ok(found);
        }
    }
    Err(ParseError::Malformed)
}

/// Ports and flags, where the packet has them.
fn parse_transport(frame: &[u8], parsed: &mut Parsed) -> Result<(), ParseError> {
    if parsed.fragment == Fragment::Later {
        return Ok(());
    }
    let transport = &frame[usize::from(parsed.l4)..usize::from(parsed.end)];
    let least = match parsed.protocol {
        Protocol::TCP => 20,
        Protocol::UDP => 8,
        Protocol::SCTP => 12,
        _ => return Ok(()),
    };
    if transport.len() < least {
        // An IPv4 datagram may be cut after 8 bytes (RFC 791 3.2).
        let cut = parsed.fragment == Fragment::First && parsed.family() == Family::V4;
        return if cut { Ok(()) } else { Err(ParseError::Truncated) };
    }
    let ports = be32(transport, 0).ok_or(ParseError::Truncated)?;
    parsed.source_port = (ports >> 16) as u16;
    parsed.destination_port = ports as u16;
    if parsed.protocol == Protocol::TCP {
        if transport[12] < 0x50 {
            return Err(ParseError::Malformed);
        }
        parsed.flags = TcpFlags(transport[13]);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
