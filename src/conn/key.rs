//! What a connection is found by, and the hash over it.
//!
//! The key is {protocol, client address, client port} alone, so that both directions of a NAT connection find the same
//! entry from any worker. Two connections of one client port to two services share the key; the entry's pair tells
//! them apart.

use crate::wire::Addr;

/// Protocol, client address and client port of a connection (or of a persistence template, with port 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FlowKey {
    /// Bits 0-15 the port, 16-23 the IP protocol number, bit 24 set for a persistence template, bit 26 for one of a single
    /// call, whose digest then fills the bits above. Never 0.
    pub head: u64,
    /// The client's address.
    pub client: Addr,
}

/// Bit of [`FlowKey::head`] that sets a persistence template apart from a connection with client port 0.
const TEMPLATE: u64 = 1 << 24;
/// Bit of [`FlowKey::head`] that is always set, so that no key is all zeros.
const PRESENT: u64 = 1 << 25;
/// Bit of [`FlowKey::head`] that sets the template of one call apart; above it stand bits of the call's digest.
const CALL: u64 = 1 << 26;

impl FlowKey {
    /// The key of a connection.
    #[inline(always)]
    pub const fn connection(protocol: u8, client: Addr, port: u16) -> Self {
        Self { head: PRESENT | (protocol as u64) << 16 | port as u64, client }
    }

    /// The key of a persistence template; `client` is already masked with the service's granularity.
    pub const fn template(protocol: u8, client: Addr) -> Self {
        Self { head: PRESENT | TEMPLATE | (protocol as u64) << 16, client }
    }

    /// The key of the persistence template of one call, by some bits of the call's digest.
    pub const fn call_template(protocol: u8, client: Addr, digest: u64) -> Self {
        let Self { head, client } = Self::template(protocol, client);
        Self { head: head | CALL | digest << 27, client }
    }

    /// Whether this is the persistence template of one call.
    pub const fn is_call(&self) -> bool {
        self.head & CALL != 0
    }

    /// The client's port.
    #[inline(always)]
    pub const fn port(&self) -> u16 {
        self.head as u16
    }

    /// The IP protocol number.
    #[inline(always)]
    pub const fn protocol(&self) -> u8 {
        (self.head >> 16) as u8
    }

    /// Whether this is a persistence template and not a connection.
    #[inline(always)]
    pub const fn is_template(&self) -> bool {
        self.head & TEMPLATE != 0
    }
}

/// The secret that makes collisions unpredictable. It is kept in the table's header, since the table outlives us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct HashSeed(pub [u64; 3]);

/// The hash of a [`FlowKey`] under one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowHash(pub u64);

/// Digits of irrational numbers, so that a seed of few bits (in a test) still multiplies well.
const PHI: u64 = 0x9e37_79b9_7f4a_7c15;
const ROOT_2: u64 = 0xb504_f333_f9de_6484;
const ROOT_3: u64 = 0xddb3_d742_c265_539d;

/// Multiply to 128 bits and XOR the halves.
#[inline(always)]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

impl HashSeed {
    /// Two rounds of fold-multiply: one is measurably regular on sequential ports and addresses. Written here because
    /// the result is stored in a table that other builds must be able to read.
    #[inline(always)]
    pub const fn hash(&self, key: &FlowKey) -> FlowHash {
        let [a, b, c] = self.0;
        let first = fold(key.head ^ a ^ PHI, key.client.lo ^ b ^ ROOT_2);
        FlowHash(fold(first ^ key.client.hi ^ c, (a ^ ROOT_3) | 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_back_its_parts() {
        let key = FlowKey::connection(6, Addr::v4(0x0a00_0001), 40000);
        assert_eq!((key.port(), key.protocol(), key.is_template()), (40000, 6, false));
        let template = FlowKey::template(17, Addr::v4(0x0a00_0000));
        assert_eq!((template.port(), template.protocol(), template.is_template()), (0, 17, true));
        assert_ne!(template, FlowKey::connection(17, Addr::v4(0x0a00_0000), 0));
    }

    /// Sequential ports and addresses, the input that regular hashes fail on: buckets must fill like random ones.
    #[test]
    fn sequential_keys_spread_like_random_ones() {
        let random = HashSeed([0xd1b5_4a32_d192_ed03, 0x2545_f491_4f6c_dd1d, 0x0123_4567_89ab_cdef]);
        for (seed, shape) in [(random, 0), (random, 1), (random, 2), (HashSeed([1, 2, 3]), 0), (HashSeed([0; 3]), 1)] {
            let mut buckets = vec![0u32; 4096];
            for i in 0..65536u32 {
                let (address, port) = match shape {
                    0 => (0x0a00_0001u32, i as u16),
                    1 => (0x0a00_0000 + i, 40000),
                    _ => (0x0a00_0000 + (i << 8), 40000),
                };
                let hash = seed.hash(&FlowKey::connection(6, Addr::v4(address), port)).0;
                buckets[((u128::from(hash) * 4096) >> 64) as usize] += 1;
            }
            let chi: f64 = buckets.iter().map(|&n| (f64::from(n) - 16.0).powi(2) / 16.0).sum();
            assert!((3700.0..4500.0).contains(&chi), "shape {shape}: chi-square {chi} of 4095 degrees of freedom");
        }
    }
}
