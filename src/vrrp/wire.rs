//! An advert as bytes (RFC 5798 5.2, RFC 3768 5.3).
//!
//! ```text
//!  0                   1                   2                   3
//! |Version| Type=1| Virtual Rtr ID|   Priority    |Count IP Addrs |
//! | v2: Auth Type | v2: seconds   |           Checksum            |
//! | v3: 4 bits 0, 12 bits centiseconds                            |
//! |                          addresses                            |
//! |         v2: authentication data, always 8 bytes               |
//! ```
//!
//! The checksum of version 3 covers a pseudo header: over IPv6 by the RFC, over IPv4 as keepalived and most others send
//! it; both forms are taken.

use std::time::Duration;

use super::spec::Version;
use crate::wire::checksum::{self, pseudo_header};
use crate::wire::{Addr, Family};

/// VRRP's number in an IP header.
pub const PROTOCOL: u8 = 112;

/// The most bytes that an advert can have: 255 IPv6 addresses.
pub const LONGEST: usize = HEADER + 255 * 16;

const HEADER: usize = 8;
const AUTHENTICATION: usize = 8;
const ADVERTISEMENT: u8 = 1;
const PASSWORD: u8 = 1;

/// An advert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advert {
    /// Its version.
    pub version: Version,
    /// Virtual router id.
    pub router: u8,
    /// Priority; 0 releases the addresses.
    pub priority: u8,
    /// Time to the next one: whole seconds in version 2, hundredths in version 3.
    pub interval: Duration,
    /// What the sender is known by.
    pub authentication: Authentication,
    /// The addresses, all of one family.
    pub addresses: Vec<Addr>,
}

/// Authentication of version 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// None; version 3 has no other.
    None,
    /// A password in clear text.
    Password([u8; 8]),
    /// Another type (2 is that behind an authentication header).
    Other(u8),
}

/// What the checksum of version 3 over IPv4 covers besides the advert. Over IPv6 it is always the journey, with version 2 nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// A pseudo header of the addresses that the advert travels between: as keepalived and most others send it.
    #[default]
    Journey,
    /// Nothing: as with version 2 (RFC 9568).
    Bare,
    /// A pseudo header to the multicast group though the advert goes to a peer: as old versions of keepalived sent it.
    Group,
}

/// The multicast group of VRRP over IPv4.
const GROUP: Addr = Addr::v4(0xe000_0012);

/// The ends of an advert's journey, as far as checksum and layout depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Source address of the IP header.
    pub source: Addr,
    /// Destination address of the IP header.
    pub destination: Addr,
}

/// Why bytes are no advert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Fewer or more bytes than it announces.
    Length,
    /// Neither version 2 nor 3, or version 2 over IPv6.
    Version,
    /// Not an advertisement.
    Type,
    /// The checksum is wrong.
    Checksum,
}

impl Advert {
    /// The bytes, with a checksum for a journey between `ends`.
    pub fn emit(&self, ends: Ends, form: Checksum) -> Vec<u8> {
        let count = u8::try_from(self.addresses.len()).expect("a configuration has at most 255 addresses an instance");
        let mut bytes = vec![self.version.number() << 4 | ADVERTISEMENT, self.router, self.priority, count];
        match self.version {
            Version::V2 => bytes.extend([self.authentication.number(), seconds(self.interval)]),
            Version::V3 => bytes.extend(centis(self.interval).to_be_bytes()),
        }
        bytes.extend([0, 0]);
        for address in &self.addresses {
            match address.family() {
                Family::V4 => bytes.extend(address.low32().to_be_bytes()),
                Family::V6 => bytes.extend(address.octets()),
            }
        }
        if self.version == Version::V2 {
            bytes.extend(self.authentication.data());
        }
        let sum = checksum::finish(self.before(ends, form, bytes.len()), &bytes);
        bytes[6..8].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// Reads what an IP packet between `ends` carried.
    pub fn parse(bytes: &[u8], ends: Ends) -> Result<Self, Malformed> {
        Self::parse_covered(bytes, bytes, ends)
    }

    /// Reads an advert whose checksum covers these bytes, which may go on behind it.
    pub fn parse_covered(bytes: &[u8], covered: &[u8], ends: Ends) -> Result<Self, Malformed> {
        let header: &[u8; HEADER] = bytes.first_chunk().ok_or(Malformed::Length)?;
        let family = ends.source.family();
        let version = match (header[0] >> 4, family) {
            (2, Family::V4) => Version::V2,
            (3, _) => Version::V3,
            _ => return Err(Malformed::Version),
        };
        if header[0] & 0xf != ADVERTISEMENT {
            return Err(Malformed::Type);
        }
        if length(bytes, family) != Some(bytes.len()) {
            return Err(Malformed::Length);
        }
        let size = if family == Family::V4 { 4 } else { 16 };
        let end = HEADER + usize::from(header[3]) * size;
        let advert = Self {
            version,
            router: header[1],
            priority: header[2],
            interval: match version {
                Version::V2 => Duration::from_secs(header[5].into()),
                Version::V3 => {
                    Duration::from_millis(10) * u32::from(u16::from_be_bytes([header[4], header[5]]) & 0xfff)
                }
            },
            authentication: match version {
                Version::V2 => Authentication::read(header[4], &bytes[end..]),
                Version::V3 => Authentication::None,
            },
            addresses: bytes[HEADER..end].chunks_exact(size).map(address).collect(),
        };
        if advert.checksum(covered, ends).is_some() { Ok(advert) } else { Err(Malformed::Checksum) }
    }

    /// The form of the checksum that these bytes bear, if it is right.
    pub fn checksum(&self, covered: &[u8], ends: Ends) -> Option<Checksum> {
        let is_right = |form: &Checksum| checksum::finish(self.before(ends, *form, covered.len()), covered) == 0;
        [Checksum::Journey, Checksum::Bare, Checksum::Group].into_iter().find(is_right)
    }

    /// What the checksum covers besides the advert's own bytes.
    fn before(&self, ends: Ends, form: Checksum, length: usize) -> u64 {
        let destination = match (self.version, ends.source.family(), form) {
            (Version::V2, ..) | (_, Family::V4, Checksum::Bare) => return 0,
            (_, Family::V4, Checksum::Group) => GROUP,
            _ => ends.destination,
        };
        // At most LONGEST.
        pseudo_header(ends.source, destination, PROTOCOL, length as u32)
    }
}

/// How long an advert is by its header, in bytes.
pub fn length(bytes: &[u8], family: Family) -> Option<usize> {
    let header: &[u8; HEADER] = bytes.first_chunk()?;
    let size = if family == Family::V4 { 4 } else { 16 };
    let data = if header[0] >> 4 == Version::V2.number() { AUTHENTICATION } else { 0 };
    Some(HEADER + usize::from(header[3]) * size + data)
}

impl Authentication {
    /// The type of the header.
    pub const fn number(self) -> u8 {
        match self {
            Authentication::None => 0,
            Authentication::Password(_) => PASSWORD,
            Authentication::Other(number) => number,
        }
    }

    const fn data(self) -> [u8; AUTHENTICATION] {
        match self {
            Authentication::Password(password) => password,
            Authentication::None | Authentication::Other(_) => [0; AUTHENTICATION],
        }
    }

    fn read(number: u8, data: &[u8]) -> Self {
        match (number, data.first_chunk()) {
            (0, _) => Authentication::None,
            (PASSWORD, Some(password)) => Authentication::Password(*password),
            _ => Authentication::Other(number),
        }
    }
}

fn address(bytes: &[u8]) -> Addr {
    match *bytes {
        [a, b, c, d] => Addr::v4(u32::from_be_bytes([a, b, c, d])),
        _ => Addr::v6(std::array::from_fn(|at| bytes.get(at).copied().unwrap_or_default())),
    }
}

/// The configuration keeps intervals of version 2 within 1 to 255 s.
fn seconds(interval: Duration) -> u8 {
    u8::try_from(interval.as_secs()).unwrap_or(u8::MAX)
}

/// The configuration keeps intervals of version 3 within 1 to 4095 hundredths.
fn centis(interval: Duration) -> u16 {
    u16::try_from(interval.as_millis() / 10).unwrap_or(0xfff).min(0xfff)
}
