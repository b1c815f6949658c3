//! Addresses in one form for both families.
//!
//! An IPv4 address is held as the IPv4-mapped IPv6 address `::ffff:a.b.c.d` (RFC 4291 2.5.5.2), so that keys, tables and
//! comparisons have one code path. A real IPv6 packet with such an address is refused by the parser.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const MAPPED: u64 = 0xffff_0000_0000;

/// Address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// An IPv4 or IPv6 address as two words in host order, most significant first.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(C)]
pub struct Addr {
    /// Bits 127 to 64; 0 for IPv4.
    pub hi: u64,
    /// Bits 63 to 0; `0x0000_ffff_aabb_ccdd` for IPv4.
    pub lo: u64,
}

impl Addr {
    /// From the 32 bits of an IPv4 address in host order.
    #[inline(always)]
    pub const fn v4(bits: u32) -> Self {
        Self { hi: 0, lo: MAPPED | bits as u64 }
    }

    /// From the 16 bytes of an IPv6 address.
    #[inline(always)]
    pub const fn v6(bytes: [u8; 16]) -> Self {
        let bits = u128::from_be_bytes(bytes);
        Self { hi: (bits >> 64) as u64, lo: bits as u64 }
    }

    /// The family this address belongs to.
    #[inline(always)]
    pub const fn family(self) -> Family {
        if self.hi == 0 && self.lo >> 32 == 0xffff { Family::V4 } else { Family::V6 }
    }

    /// The address that is nobody's: 0.0.0.0 or ::.
    pub const fn unspecified(family: Family) -> Self {
        match family {
            Family::V4 => Self::v4(0),
            Family::V6 => Self::v6([0; 16]),
        }
    }

    /// Whether it is nobody's address.
    pub const fn is_unspecified(self) -> bool {
        self.hi == 0 && (self.lo == 0 || self.lo == MAPPED)
    }

    /// The low 32 bits: the whole address if it is IPv4.
    #[inline(always)]
    pub const fn low32(self) -> u32 {
        self.lo as u32
    }

    /// The 16 bytes of the IPv6 (or IPv4-mapped) form.
    #[inline(always)]
    pub const fn octets(self) -> [u8; 16] {
        (((self.hi as u128) << 64) | self.lo as u128).to_be_bytes()
    }

    /// The four 32-bit words XORed, as LVS folds an address for its hashes; an IPv4 address is its own 32 bits.
    pub const fn folded(self) -> u32 {
        match self.family() {
            Family::V4 => self.low32(),
            Family::V6 => (self.hi >> 32) as u32 ^ self.hi as u32 ^ (self.lo >> 32) as u32 ^ self.lo as u32,
        }
    }

    /// The network of `length` leading bits (at most 32 for IPv4, 128 for IPv6) that this address lies in.
    pub const fn masked(self, length: u8) -> Self {
        let length = match self.family() {
            Family::V4 => 96 + if length > 32 { 32 } else { length as u32 },
            Family::V6 => {
                if length > 128 {
                    128
                } else {
                    length as u32
                }
            }
        };
        let mask = if length == 0 { 0 } else { u128::MAX << (128 - length) };
        Self { hi: self.hi & (mask >> 64) as u64, lo: self.lo & mask as u64 }
    }
}

impl From<Ipv4Addr> for Addr {
    fn from(address: Ipv4Addr) -> Self {
        Self::v4(u32::from(address))
    }
}

impl From<Ipv6Addr> for Addr {
    fn from(address: Ipv6Addr) -> Self {
        Self::v6(address.octets())
    }
}

impl From<IpAddr> for Addr {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => v4.into(),
            IpAddr::V6(v6) => v6.into(),
        }
    }
}

impl From<Addr> for IpAddr {
    fn from(address: Addr) -> Self {
        match address.family() {
            Family::V4 => IpAddr::V4(address.low32().into()),
            Family::V6 => IpAddr::V6(address.octets().into()),
        }
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&IpAddr::from(*self), f)
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An address and a port.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    /// The address.
    pub addr: Addr,
    /// The port, in host order.
    pub port: u16,
}

impl Endpoint {
    /// An endpoint from anything that is an address.
    pub fn new(addr: impl Into<Addr>, port: u16) -> Self {
        Self { addr: addr.into(), port }
    }
}

impl fmt::Display for Endpoint {
    /// `192.0.2.1:80` or `[2001:db8::1]:80`, as `ipvsadm -n` prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.addr.family() {
            Family::V4 => write!(f, "{}:{}", self.addr, self.port),
            Family::V6 => write!(f, "[{}]:{}", self.addr, self.port),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<std::net::SocketAddr> for Endpoint {
    fn from(address: std::net::SocketAddr) -> Self {
        Self::new(address.ip(), address.port())
    }
}

impl std::str::FromStr for Endpoint {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<std::net::SocketAddr>().map(Self::from)
    }
}

/// What a service is known by: what its packets are addressed to, or the firewall mark that they carry.
///
/// A mark service has the form that LVS gives the templates of one (`ip_vs_core.c: ip_vs_sched_persist`): no protocol, no
/// port, and the mark as its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceKey {
    /// IP protocol number: 6 TCP, 17 UDP; 0 for a mark.
    pub protocol: u8,
    /// VIP and port; port 0 for all ports.
    pub virtual_: Endpoint,
}

impl ServiceKey {
    /// The service of the packets of one family that carry `mark`, which is not 0.
    pub const fn of_mark(mark: u32, family: Family) -> Self {
        let addr = match family {
            Family::V4 => Addr::v4(mark),
            Family::V6 => Addr { hi: (mark as u64) << 32, lo: 0 },
        };
        Self { protocol: 0, virtual_: Endpoint { addr, port: 0 } }
    }

    /// The mark, if it is one that packets are known by.
    pub const fn mark(&self) -> Option<u32> {
        match (self.protocol, self.family()) {
            (0, Family::V4) => Some(self.virtual_.addr.low32()),
            (0, Family::V6) => Some((self.virtual_.addr.hi >> 32) as u32),
            _ => None,
        }
    }

    /// The family of its packets.
    pub const fn family(&self) -> Family {
        self.virtual_.addr.family()
    }
}

impl fmt::Display for ServiceKey {
    /// `192.0.2.10:80`, `fwmark 7` or `fwmark 7 inet6`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.mark(), self.family()) {
            (None, _) => self.virtual_.fmt(f),
            (Some(mark), Family::V4) => write!(f, "fwmark {mark}"),
            (Some(mark), Family::V6) => write!(f, "fwmark {mark} inet6"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_survive_the_common_form() {
        for text in ["192.0.2.1", "0.0.0.0", "255.255.255.255", "2001:db8::1", "fe80::1", "::1"] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(Addr::from(ip).to_string(), text);
            assert_eq!(Addr::from(ip).family() == Family::V4, ip.is_ipv4());
        }
    }

    #[test]
    fn masks_count_from_the_family_s_own_first_bit() {
        let v4: Addr = "192.0.2.129".parse::<IpAddr>().unwrap().into();
        assert_eq!(v4.masked(25).to_string(), "192.0.2.128");
        assert_eq!(v4.masked(0).to_string(), "0.0.0.0");
        let v6: Addr = "2001:db8:ffff::1".parse::<IpAddr>().unwrap().into();
        assert_eq!(v6.masked(33).to_string(), "2001:db8:8000::");
        assert_eq!(v6.masked(0).to_string(), "::");
        assert_eq!(v6.masked(128), v6);
    }

    #[test]
    fn a_mark_keeps_its_number_and_its_family() {
        for mark in [1, 7, 0xffff, u32::MAX] {
            let keys = [Family::V4, Family::V6].map(|family| ServiceKey::of_mark(mark, family));
            assert_eq!(keys.map(|key| key.mark()), [Some(mark); 2]);
            assert_eq!(keys.map(|key| key.family()), [Family::V4, Family::V6]);
        }
        let [v4, v6] = [Family::V4, Family::V6].map(|family| ServiceKey::of_mark(7, family));
        assert_eq!((v4.virtual_.to_string(), v6.virtual_.to_string()), ("0.0.0.7:0".into(), "[0:7::]:0".into()));
        assert_eq!((v4.to_string(), v6.to_string()), ("fwmark 7".into(), "fwmark 7 inet6".into()));
        let address = ServiceKey { protocol: 6, virtual_: v4.virtual_ };
        assert_eq!(address.mark(), None);
    }

    #[test]
    fn folding_is_the_kernel_s() {
        let v6: Addr = "2001:db8::1".parse::<IpAddr>().unwrap().into();
        assert_eq!(v6.folded(), 0x2001_0db9);
    }
}
