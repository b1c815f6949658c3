//! SipHash-1-3 of one 32-bit word, as `include/linux/siphash.h: hsiphash_1u32` computes it on 64-bit machines.
//!
//! Written here because the standard library's hasher of this kind takes no key.

/// A 128-bit key, `k0` first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key(pub(super) u64, pub(super) u64);

/// Length of the message in bytes; SipHash puts it into the top byte of the last word.
const LENGTH: u64 = 4;

/// The low 32 bits of the hash of `word` as four little-endian bytes.
pub(super) const fn hash32(word: u32, key: Key) -> u32 {
    let last = LENGTH << 56 | word as u64;
    let mut v = [
        key.0 ^ 0x736f_6d65_7073_6575,
        key.1 ^ 0x646f_7261_6e64_6f6d,
        key.0 ^ 0x6c79_6765_6e65_7261,
        key.1 ^ 0x7465_6462_7974_6573,
    ];
    v[3] ^= last;
    v = round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    v = round(round(round(v)));
    (v[0] ^ v[1] ^ v[2] ^ v[3]) as u32
}

const fn round([mut a, mut b, mut c, mut d]: [u64; 4]) -> [u64; 4] {
    a = a.wrapping_add(b);
    b = b.rotate_left(13) ^ a;
    a = a.rotate_left(32);
    c = c.wrapping_add(d);
    d = d.rotate_left(16) ^ c;
    a = a.wrapping_add(d);
    d = d.rotate_left(21) ^ a;
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    c = c.rotate_left(32);
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::hash::Hasher;

    #[test]
    fn known_answers() {
        assert_eq!(hash32(0, Key(0, 0)), 0x9ac4_8af0);
        assert_eq!(hash32(0x0102_0304, Key(2_654_435_761, 2_654_435_761)), 0x4452_d6a7);
    }

    proptest! {
        /// The standard library's default hasher is SipHash-1-3 with a zero key.
        #[test]
        fn agrees_with_the_standard_library(word: u32) {
            let mut oracle = std::hash::DefaultHasher::new();
            oracle.write(&word.to_le_bytes());
            prop_assert_eq!(hash32(word, Key(0, 0)), oracle.finish() as u32);
        }
    }
}
