//! The Internet checksum (RFC 1071), its incremental update (RFC 1624), and sums that a local stack left unfinished.
//!
//! A checksum field holds the complement of a ones-complement sum. [`Delta`] is the difference that an edit makes to
//! that sum; it is worked out once (for a pair of addresses, say) and applied to every packet. Sums are over big-endian
//! words, so results are the same on every machine.

use super::{Addr, Family};

/// Folds a sum of 16-bit words to one word.
#[inline(always)]
pub const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// The ones-complement sum of two words: what [`fold`] makes of their sum, in two instructions.
#[inline(always)]
const fn add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + carry as u16
}

/// The sum of the 16-bit words of `bytes`, neither folded nor complemented; an odd last byte counts as a high byte.
#[inline]
pub fn sum(bytes: &[u8]) -> u64 {
    // Four bytes at a time: the sum of 32-bit words folds to the sum of the 16-bit words in them (RFC 1071 2(C)).
    let (words, rest) = bytes.as_chunks::<4>();
    let mut total: u64 = words.iter().map(|word| u64::from(u32::from_be_bytes(*word))).sum();
    let (pairs, last) = rest.as_chunks::<2>();
    total += pairs.iter().map(|pair| u64::from(u16::from_be_bytes(*pair))).sum::<u64>();
    if let [last] = last {
        total += u64::from(*last) << 8;
    }
    total
}

/// The sum of an address's words as they stand on the wire: two of IPv4, eight of IPv6.
#[inline(always)]
pub const fn sum_addr(address: Addr) -> u64 {
    match address.family() {
        Family::V4 => address.low32() as u64,
        Family::V6 => (address.hi >> 32) + (address.hi & 0xffff_ffff) + (address.lo >> 32) + (address.lo & 0xffff_ffff),
    }
}

/// The sum of the pseudo header of TCP, UDP and ICMPv6: addresses, protocol and length of header and payload in bytes.
#[inline(always)]
pub const fn pseudo_header(source: Addr, destination: Addr, protocol: u8, length: u32) -> u64 {
    sum_addr(source) + sum_addr(destination) + protocol as u64 + length as u64
}

/// Whether a transport checksum field holds only the sum of the pseudo header, not complemented: the mark of a frame
/// whose sender left the checksum to a network card it does not have (`CHECKSUM_PARTIAL` on veth).
#[inline(always)]
pub const fn is_unfinished(field: u16, pseudo: u64) -> bool {
    field == fold(pseudo)
}

/// The checksum over `bytes` (whose own checksum field must be zero) on top of an earlier sum.
#[inline]
pub fn finish(earlier: u64, bytes: &[u8]) -> u16 {
    !fold(earlier + sum(bytes))
}

/// What an edit does to a ones-complement sum. Edits add up, and undo by [`inverse`](Self::inverse).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "a delta changes nothing until it is applied"]
#[repr(transparent)]
pub struct Delta(u16);

impl Delta {
    /// No edit.
    #[inline(always)]
    pub const fn new() -> Self {
        Self(0)
    }

    /// A 16-bit word `old` becomes `new`.
    #[inline(always)]
    pub const fn replace(self, old: u16, new: u16) -> Self {
        Self(fold(self.0 as u64 + !old as u64 + new as u64))
    }

    /// The address `old` becomes `new`, of the same family or not (a pseudo header does not tell).
    #[inline(always)]
    pub const fn replace_addr(self, old: Addr, new: Addr) -> Self {
        self.replace(fold(sum_addr(old)), fold(sum_addr(new)))
    }

    /// Both edits.
    #[inline(always)]
    pub const fn and(self, other: Delta) -> Self {
        Self(add(self.0, other.0))
    }

    /// The edit that takes this one back.
    #[inline(always)]
    pub const fn inverse(self) -> Self {
        Self(!self.0)
    }

    /// The edit taken back if `back`, else the edit: without a branch.
    #[inline(always)]
    pub const fn inverse_if(self, back: bool) -> Self {
        Self(self.0 ^ (back as u16).wrapping_neg())
    }

    /// The checksum after the edit, from the one before.
    #[inline(always)]
    pub const fn apply(self, checksum: u16) -> u16 {
        // RFC 1624 eqn. 3: HC' = ~(~HC + ~m + m').
        !add(!checksum, self.0)
    }

    /// As [`apply`](Self::apply), for UDP: 0 means "no checksum" and stays, a result of 0 is sent as 0xffff (RFC 768).
    #[inline(always)]
    pub const fn apply_udp(self, checksum: u16) -> u16 {
        if checksum == 0 {
            return 0;
        }
        match self.apply(checksum) {
            0 => 0xffff,
            sum => sum,
        }
    }

    /// Decrementing the TTL: the upper byte of its word in the IPv4 header (RFC 1141).
    pub const TTL: Delta = Delta::new().replace(0x0100, 0x0000);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The textbook loop, as an oracle.
    fn plain(bytes: &[u8]) -> u16 {
        let mut total: u32 = 0;
        for pair in bytes.chunks(2) {
            total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            total = (total & 0xffff) + (total >> 16);
        }
        total as u16
    }

    /// Ones-complement has two zeros; a sum over anything but zeros never is +0.
    fn same(a: u16, b: u16) -> bool {
        a == b || (a ^ b == 0xffff && (a == 0 || b == 0))
    }

    #[test]
    fn the_sample_of_rfc_1071() {
        let sample = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(fold(sum(&sample)), 0xddf2);
    }

    #[test]
    fn udp_keeps_its_two_zeros_apart() {
        let edit = Delta::new().replace(1, 2);
        assert_eq!(edit.apply_udp(0), 0, "no checksum stays no checksum");
        let becomes_zero = edit.inverse().apply(0);
        assert_eq!(edit.apply(becomes_zero), 0);
        assert_eq!(edit.apply_udp(becomes_zero), 0xffff);
    }

    #[test]
    fn an_unfinished_sum_is_the_plain_pseudo_header() {
        let (source, destination) = (Addr::v4(0x0a01_0002), Addr::v4(0x0a01_0064));
        let pseudo = pseudo_header(source, destination, 6, 20);
        assert!(is_unfinished(fold(pseudo), pseudo));
        assert!(!is_unfinished(!fold(pseudo), pseudo));
    }

    proptest! {
        #[test]
        fn sums_agree_with_the_textbook(bytes in proptest::collection::vec(any::<u8>(), 0..1600)) {
            prop_assert!(same(fold(sum(&bytes)), plain(&bytes)));
        }

        #[test]
        fn a_delta_is_a_full_recomputation(
            mut bytes in proptest::collection::vec(any::<u8>(), 24..200).prop_filter("not all zero", |b| b.iter().any(|&x| x != 0)),
            new in any::<[u8; 4]>(), port in any::<u16>(),
        ) {
            let before = finish(0, &bytes);
            let word = |b: &[u8], at: usize| u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]);
            let old_port = u16::from_be_bytes([bytes[8], bytes[9]]);
            let edit = Delta::new()
                .replace_addr(Addr::v4(word(&bytes, 4)), Addr::v4(u32::from_be_bytes(new)))
                .replace(old_port, port);
            let original = bytes.clone();
            bytes[4..8].copy_from_slice(&new);
            bytes[8..10].copy_from_slice(&port.to_be_bytes());
            prop_assume!(bytes.iter().any(|&x| x != 0));
            prop_assert!(same(edit.apply(before), finish(0, &bytes)));
            prop_assert!(same(edit.inverse().apply(edit.apply(before)), finish(0, &original)));
            prop_assert_eq!((edit.inverse_if(true), edit.inverse_if(false)), (edit.inverse(), edit));
        }

        #[test]
        fn decrementing_the_ttl(ttl in 1u8.., protocol in any::<u8>(), rest in any::<[u8; 8]>()) {
            let mut header = [0x45, 0, 0, 20, 0, 0, 0, 0, ttl, protocol, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            header[12..].copy_from_slice(&rest);
            let before = finish(0, &header);
            header[8] -= 1;
            prop_assert_eq!(Delta::TTL.apply(before), finish(0, &header));
        }
    }
}
