//! Which bits of an address count: netmasks of any shape, and blocks of addresses.

use std::fmt;
use std::net::Ipv4Addr;

use super::{Addr, Family};

/// The bits of an address that are looked at. For IPv4 the upper 96 bits, which make it IPv4, always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mask(Addr);

impl Mask {
    /// The first `length` bits: at most 32 for IPv4, 128 for IPv6.
    pub const fn of_length(family: Family, length: u8) -> Self {
        let ones = match family {
            // The address of all ones, cut in its own family.
            Family::V4 => Addr::v4(u32::MAX).masked(length).lo | !0xffff_ffff,
            Family::V6 => return Self(Addr { hi: u64::MAX, lo: u64::MAX }.masked(length)),
        };
        Self(Addr { hi: u64::MAX, lo: ones })
    }

    /// An IPv4 netmask, which may have holes.
    pub fn netmask(mask: Ipv4Addr) -> Self {
        Self(Addr { hi: u64::MAX, lo: !0xffff_ffff | u64::from(u32::from(mask)) })
    }

    /// The address with all other bits cleared.
    #[inline]
    pub const fn of(self, address: Addr) -> Addr {
        Addr { hi: address.hi & self.0.hi, lo: address.lo & self.0.lo }
    }

    /// The mask for addresses of a family: as a number of leading bits, or as the netmask that has holes.
    pub fn shape(self, family: Family) -> Shape {
        let bits = u128::from_be_bytes(self.0.octets());
        let own = match family {
            Family::V4 => bits << 96,
            Family::V6 => bits,
        };
        // At most 128.
        let length = own.leading_ones() as u8;
        match own.count_ones() == u32::from(length) {
            true => Shape::Prefix(length),
            false => Shape::Netmask(Ipv4Addr::from(self.0.low32())),
        }
    }

    /// The 16 bytes as the steering program compares them.
    pub const fn octets(self) -> [u8; 16] {
        self.0.octets()
    }
}

/// How a mask is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// So many leading bits.
    Prefix(u8),
    /// An IPv4 mask with holes.
    Netmask(Ipv4Addr),
}

/// A block of addresses: a prefix, or every address there is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    address: Addr,
    mask: Mask,
}

impl Block {
    /// Every address of both families.
    pub const ANY: Block = Block { address: Addr { hi: 0, lo: 0 }, mask: Mask(Addr { hi: 0, lo: 0 }) };

    /// The addresses that share the first `length` bits with `address`.
    pub const fn new(address: Addr, length: u8) -> Self {
        let mask = Mask::of_length(address.family(), length);
        Self { address: mask.of(address), mask }
    }

    /// Whether the address lies in it.
    #[inline]
    pub fn contains(&self, address: Addr) -> bool {
        self.mask.of(address) == self.address
    }

    /// Its first address.
    pub const fn first(&self) -> Addr {
        self.address
    }

    /// Its mask.
    pub const fn mask(&self) -> Mask {
        self.mask
    }

    /// How many addresses it has, if they are few enough to be counted in 32 bits.
    pub fn size(&self) -> Option<u32> {
        let free = u128::from_be_bytes(self.mask.octets()).count_zeros();
        1_u32.checked_shl(free)
    }

    /// Its addresses, first to last.
    pub fn addresses(&self) -> impl Iterator<Item = Addr> {
        let Addr { hi, lo } = self.address;
        // A block that can be counted varies in its last 32 bits only.
        (0..self.size().unwrap_or(0)).map(move |at| Addr { hi, lo: lo | u64::from(at) })
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}&{}", self.address, self.mask.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn addr(text: &str) -> Addr {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn a_mask_of_any_shape_keeps_the_family() {
        for (mask, address, kept, shape) in [
            ("255.255.240.0", "100.64.31.7", "100.64.16.0", Shape::Prefix(20)),
            ("0.0.0.255", "100.64.1.2", "0.0.0.2", Shape::Netmask(Ipv4Addr::new(0, 0, 0, 255))),
            ("255.0.255.0", "1.2.3.4", "1.0.3.0", Shape::Netmask(Ipv4Addr::new(255, 0, 255, 0))),
            ("0.0.0.0", "1.2.3.4", "0.0.0.0", Shape::Prefix(0)),
            ("255.255.255.255", "1.2.3.4", "1.2.3.4", Shape::Prefix(32)),
        ] {
            let mask = Mask::netmask(mask.parse().unwrap());
            assert_eq!(mask.of(addr(address)), addr(kept));
            assert_eq!(mask.shape(Family::V4), shape);
        }
        for length in 0..=32 {
            let mask = Mask::of_length(Family::V4, length);
            assert_eq!(mask.of(addr("201.7.83.9")), addr("201.7.83.9").masked(length));
            assert_eq!(mask.shape(Family::V4), Shape::Prefix(length));
        }
        for length in 0..=128 {
            let mask = Mask::of_length(Family::V6, length);
            assert_eq!(mask.of(addr("2001:db8:ffff::1")), addr("2001:db8:ffff::1").masked(length));
            assert_eq!(mask.shape(Family::V6), Shape::Prefix(length));
        }
    }

    #[test]
    fn a_block_holds_its_own_family_alone() {
        let all_v4 = Block::new(addr("0.0.0.0"), 0);
        assert!(all_v4.contains(addr("203.0.113.9")) && !all_v4.contains(addr("2001:db8::1")));
        let all_v6 = Block::new(addr("2000::"), 3);
        assert!(all_v6.contains(addr("2001:db8::1")) && !all_v6.contains(addr("203.0.113.9")));
        assert!(Block::ANY.contains(addr("203.0.113.9")) && Block::ANY.contains(addr("2001:db8::1")));
        let half = Block::new(addr("192.0.2.200"), 25);
        assert_eq!((half.size(), half.first()), (Some(128), addr("192.0.2.128")));
        assert_eq!(half.addresses().last(), Some(addr("192.0.2.255")));
        assert!(half.addresses().all(|address| half.contains(address)));
        assert_eq!((all_v4.size(), all_v6.size()), (None, None));
    }
}
