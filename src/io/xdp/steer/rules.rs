//! What is to be steered to the workers, as a plain value; and how to get from what is to what should be.

#![expect(unsafe_code, reason = "lays values out as the program's maps hold them")]

use std::collections::BTreeSet;

use crate::wire::{Addr, Endpoint, ServiceKey};

/// What belongs to the director. See the head of `steer.c` for what follows from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Served addresses, ports and protocols.
    pub services: BTreeSet<ServiceKey>,
    /// IP protocol number, address and port of the real servers that answer through the director (NAT).
    pub servers: BTreeSet<(u8, Endpoint)>,
    /// Virtual addresses, for packets without ports: later fragments and ICMP errors.
    pub vips: BTreeSet<Addr>,
    /// Addresses of the servers in `servers`, likewise.
    pub server_addresses: BTreeSet<Addr>,
    /// The director's own addresses, virtual ones included. What servers send to these is the kernel's.
    pub local_addresses: BTreeSet<Addr>,
}

/// `struct address` of `steer.c`.
pub(super) type AddressKey = [u8; 16];

/// `struct endpoint` of `steer.c`.
pub(super) type EndpointKey = [u8; 20];

pub(super) fn endpoint_key(endpoint: Endpoint, protocol: u8) -> EndpointKey {
    let mut key = [0; 20];
    key[..16].copy_from_slice(&endpoint.addr.octets());
    key[16..18].copy_from_slice(&endpoint.port.to_be_bytes());
    key[18] = protocol;
    key
}

/// `struct hints` of `steer.c`: what may be true of an address, by its hash.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Hints([u8; 1 << HINT_BITS]);

const HINT_BITS: u32 = 12;

// SAFETY: an array of bytes.
unsafe impl aya::Pod for Hints {}

impl Hints {
    /// That nothing is true of any address.
    pub(super) const NONE: Self = Self([0; 1 << HINT_BITS]);

    /// The hints that make the program ask the sets about all addresses in them.
    pub(super) fn new(rules: &Rules) -> Self {
        let mut hints = Self::NONE;
        let served = rules.services.iter().map(|key| (key.virtual_.addr, 1));
        let servers = rules.servers.iter().map(|(_, real)| (real.addr, 2));
        let local = rules.local_addresses.iter().map(|&addr| (addr, 4));
        for (addr, hint) in served.chain(servers).chain(local) {
            hints.0[hash(addr)] |= hint;
        }
        hints
    }

    /// Those of both.
    pub(super) fn with(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] | other.0[at]))
    }
}

fn hash(addr: Addr) -> usize {
    let octets = addr.octets();
    let words = octets.chunks_exact(4).map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
    (words.fold(0, |all, word| all ^ word).wrapping_mul(0x9e37_79b1) >> (32 - HINT_BITS)) as usize
}

/// The steps from one set to another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference<K> {
    pub(super) add: Vec<K>,
    pub(super) remove: Vec<K>,
}

impl<K: Ord + Copy> Difference<K> {
    pub(super) fn between(present: &BTreeSet<K>, wanted: &BTreeSet<K>) -> Self {
        Self {
            add: wanted.difference(present).copied().collect(),
            remove: present.difference(wanted).copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_laid_out_as_the_program_reads_them() {
        let v4 = endpoint_key("192.0.2.1:80".parse().unwrap(), 6);
        assert_eq!(v4, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1, 0, 80, 6, 0]);
        let v6 = endpoint_key("[2001:db8::1]:53".parse().unwrap(), 17);
        assert_eq!(v6, [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 53, 17, 0]);
    }

    #[test]
    fn every_address_of_a_set_is_hinted_at() {
        let addr = |text: &str| text.parse::<Endpoint>().unwrap().addr;
        let rules = Rules {
            servers: [(6, "10.0.0.11:80".parse().unwrap())].into(),
            local_addresses: [addr("10.0.0.1:0"), addr("[fd00::1]:0")].into(),
            ..Rules::default()
        };
        let hints = Hints::new(&rules);
        assert_eq!(hints.0[hash(addr("10.0.0.11:0"))] & 2, 2);
        assert_eq!(hints.0[hash(addr("10.0.0.1:0"))] & 4, 4);
        assert_eq!(hints.0[hash(addr("[fd00::1]:0"))] & 4, 4);
        assert_eq!(hints.0.iter().filter(|&&hint| hint != 0).count(), 3);
        assert!(hints.with(Hints::NONE) == hints && Hints::NONE.with(hints) == hints);
    }

    proptest! {
        #[test]
        fn carrying_out_the_difference_gives_what_is_wanted(
            present in prop::collection::btree_set(0_u8..20, 0..12),
            wanted in prop::collection::btree_set(0_u8..20, 0..12),
        ) {
            let difference = Difference::between(&present, &wanted);
            let mut result = present.clone();
            for key in difference.add {
                prop_assert!(result.insert(key), "{key} was there already");
            }
            prop_assert!(result.is_superset(&present), "nothing leaves before all is added");
            for key in difference.remove {
                prop_assert!(result.remove(&key), "{key} was not there");
            }
            prop_assert_eq!(result, wanted);
        }
    }
}
