//! What is to be steered to the workers, as a plain value; and how to get from what is to what should be.

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
    /// Addresses of the servers that packets reach by tunnel, for ICMP errors about tunnel packets.
    pub tunnel_servers: BTreeSet<Addr>,
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
