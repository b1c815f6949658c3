//! Link types: what stands in front of the IP packet, and how it becomes an Ethernet header.
//!
//! The engine forwards Ethernet frames. Captures of Linux's `any` device, of BSD loopbacks and of tunnels hold other
//! headers; they are replaced by an Ethernet header with both MAC addresses zero and the EtherType that the old header
//! (or the packet's version) names. Everything else is refused rather than taken for what it is not.

use std::fmt;

/// Room that must be free in front of a packet for the header it may be given.
pub(super) const SPARE: usize = ETHERNET_HEADER;

const ETHERNET_HEADER: usize = 14;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// A `LINKTYPE_` value of <https://www.tcpdump.org/linktypes.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: the address family in the byte order of the machine that captured.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// Bare IP, as some systems number it.
    pub const RAW_BSD: Self = Self(12);
    /// Bare IP, as OpenBSD numbers it.
    pub const RAW_OPENBSD: Self = Self(14);
    /// Bare IP of either version.
    pub const RAW: Self = Self(101);
    /// OpenBSD loopback: the address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux "cooked" capture, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// Bare IPv4.
    pub const IPV4: Self = Self(228);
    /// Bare IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux "cooked" capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);

    /// The name people know it by, for those that turn up.
    fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "BSD loopback",
            1 => "Ethernet",
            9 | 50 => "PPP",
            12 | 14 | 101 => "raw IP",
            105 | 127 => "IEEE 802.11",
            108 => "OpenBSD loopback",
            113 | 276 => "Linux cooked",
            187 | 201 => "Bluetooth",
            189 | 220 | 249 => "USB",
            195 | 230 => "IEEE 802.15.4",
            228 => "IPv4",
            229 => "IPv6",
            239 => "netfilter log",
            253 => "netlink",
            _ => return None,
        })
    }
}

impl fmt::Display for LinkType {
    /// `link type 105 (IEEE 802.11)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link type {}", self.0)?;
        self.name().map_or(Ok(()), |name| write!(f, " ({name})"))
    }
}

/// Why a record is no frame for the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// Its link type has no counterpart in Ethernet.
    #[error("{0} cannot be turned into Ethernet")]
    Link(LinkType),
    /// It is shorter than its link header.
    #[error("it is shorter than the header of {0}")]
    Headless(LinkType),
    /// Its link header (family, protocol or IP version, as given) announces something that Ethernet has no type for.
    #[error("{0} holds a packet of kind {1}, for which Ethernet has no type")]
    Payload(LinkType, u32),
    /// It is longer than the port's buffers (bytes, limit).
    #[error("{0} bytes are more than the {1} of the longest frame")]
    TooLong(u32, u32),
    /// All buffers were under way: the engine held too many frames back.
    #[error("no buffer was free")]
    NoBuffer,
}

/// Makes an Ethernet frame of the packet that follows [`SPARE`] bytes in `buffer`, and says where in it the frame begins.
pub(super) fn frame(link: LinkType, buffer: &mut [u8]) -> Result<usize, Refusal> {
    let packet = &buffer[SPARE..];
    let (header, ether_type) = match link {
        LinkType::ETHERNET => return Ok(SPARE),
        LinkType::RAW | LinkType::RAW_BSD | LinkType::RAW_OPENBSD => (0, bare_ip(link, packet)?),
        LinkType::IPV4 => (0, IPV4),
        LinkType::IPV6 => (0, IPV6),
        LinkType::NULL | LinkType::LOOP => (4, loopback(link, packet)?),
        LinkType::LINUX_SLL => (16, cooked(link, packet, 16, 14)?),
        LinkType::LINUX_SLL2 => (20, cooked(link, packet, 20, 0)?),
        other => return Err(Refusal::Link(other)),
    };
    let begin = SPARE + header - ETHERNET_HEADER;
    buffer[begin..begin + 12].fill(0);
    buffer[begin + 12..begin + 14].copy_from_slice(&ether_type.to_be_bytes());
    Ok(begin)
}

fn bare_ip(link: LinkType, packet: &[u8]) -> Result<u16, Refusal> {
    match packet.first().map(|first| first >> 4) {
        Some(4) => Ok(IPV4),
        Some(6) => Ok(IPV6),
        Some(version) => Err(Refusal::Payload(link, version.into())),
        None => Err(Refusal::Headless(link)),
    }
}

/// The family is a small number, so whichever byte order makes it small is the one it was written in.
fn loopback(link: LinkType, packet: &[u8]) -> Result<u16, Refusal> {
    let family = *packet.first_chunk().ok_or(Refusal::Headless(link))?;
    let family = u32::from_be_bytes(family).min(u32::from_le_bytes(family));
    match family {
        2 => Ok(IPV4),
        // AF_INET6 of Linux, of NetBSD and OpenBSD, of FreeBSD, and of macOS.
        10 | 24 | 28 | 30 => Ok(IPV6),
        other => Err(Refusal::Payload(link, other)),
    }
}

/// The protocol field of a cooked header is an EtherType, or a small number of Linux's own (`ETH_P_802_3`, ...).
fn cooked(link: LinkType, packet: &[u8], header: usize, at: usize) -> Result<u16, Refusal> {
    let header = packet.get(..header).ok_or(Refusal::Headless(link))?;
    let protocol = u16::from_be_bytes([header[at], header[at + 1]]);
    if protocol < 0x600 { Err(Refusal::Payload(link, protocol.into())) } else { Ok(protocol) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(link: u16, packet: &[u8]) -> Result<Vec<u8>, Refusal> {
        let mut buffer = [&[0xee; SPARE], packet].concat();
        let begin = frame(LinkType(link), &mut buffer)?;
        Ok(buffer.split_off(begin))
    }

    #[test]
    fn other_headers_become_ethernet() {
        let v4 = [0x45, 0, 1, 2];
        let v6 = [0x60, 9];
        let sll = |protocol: [u8; 2]| [&[7; 14], protocol.as_slice()].concat();
        let sll2 = |protocol: [u8; 2]| [protocol.as_slice(), &[7; 18]].concat();
        let rows = [
            (101, vec![], [8, 0], v4.as_slice()),
            (101, vec![], [0x86, 0xdd], v6.as_slice()),
            (12, vec![], [8, 0], v4.as_slice()),
            (14, vec![], [0x86, 0xdd], v6.as_slice()),
            (228, vec![], [8, 0], v4.as_slice()),
            (229, vec![], [0x86, 0xdd], v6.as_slice()),
            (0, vec![2, 0, 0, 0], [8, 0], v4.as_slice()),
            (0, vec![0, 0, 0, 2], [8, 0], v4.as_slice()),
            (0, vec![10, 0, 0, 0], [0x86, 0xdd], v6.as_slice()),
            (0, vec![0, 0, 0, 30], [0x86, 0xdd], v6.as_slice()),
            (108, vec![0, 0, 0, 24], [0x86, 0xdd], v6.as_slice()),
            (108, vec![0, 0, 0, 28], [0x86, 0xdd], v6.as_slice()),
            (113, sll([8, 0]), [8, 0], v4.as_slice()),
            (113, sll([8, 6]), [8, 6], &[]),
            (276, sll2([0x86, 0xdd]), [0x86, 0xdd], v6.as_slice()),
        ];
        for (link, header, ether_type, packet) in rows {
            let want = [&[0; 12], ether_type.as_slice(), packet].concat();
            assert_eq!(framed(link, &[&header, packet].concat()), Ok(want), "{}", LinkType(link));
        }
        assert_eq!(framed(1, &[1, 2, 3]), Ok(vec![1, 2, 3]), "Ethernet is left alone, however short");
    }

    #[test]
    fn what_ethernet_cannot_say_is_refused() {
        let rows: &[(u16, &[u8], Refusal, &str)] = &[
            (105, &[0; 60], Refusal::Link(LinkType(105)), "link type 105 (IEEE 802.11) cannot be turned into Ethernet"),
            (999, &[0; 60], Refusal::Link(LinkType(999)), "link type 999 cannot be turned into Ethernet"),
            (
                0,
                &[2, 0, 0],
                Refusal::Headless(LinkType(0)),
                "it is shorter than the header of link type 0 (BSD loopback)",
            ),
            (101, &[], Refusal::Headless(LinkType(101)), "it is shorter than the header of link type 101 (raw IP)"),
            (
                113,
                &[0; 15],
                Refusal::Headless(LinkType(113)),
                "it is shorter than the header of link type 113 (Linux cooked)",
            ),
            (
                276,
                &[0; 19],
                Refusal::Headless(LinkType(276)),
                "it is shorter than the header of link type 276 (Linux cooked)",
            ),
            (
                0,
                &[7, 0, 0, 0],
                Refusal::Payload(LinkType(0), 7),
                "link type 0 (BSD loopback) holds a packet of kind 7, for which Ethernet has no type",
            ),
            (
                101,
                &[0x50],
                Refusal::Payload(LinkType(101), 5),
                "link type 101 (raw IP) holds a packet of kind 5, for which Ethernet has no type",
            ),
            (
                113,
                &[[0; 15].as_slice(), &[4]].concat(),
                Refusal::Payload(LinkType(113), 4),
                "link type 113 (Linux cooked) holds a packet of kind 4, for which Ethernet has no type",
            ),
        ];
        for (link, packet, refusal, text) in rows {
            assert_eq!(framed(*link, packet), Err(*refusal));
            assert_eq!(refusal.to_string(), *text);
        }
    }
}
