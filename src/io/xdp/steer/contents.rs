//! What the program's sets hold: the keys of its maps, as it reads them.

use std::collections::{BTreeMap, BTreeSet};

use super::rules::Rules;
use crate::wire::{Addr, Endpoint, Protocol, ServiceKey};

/// `struct address` of `steer.c`.
pub(super) type AddressKey = [u8; 16];

/// `struct endpoint` of `steer.c`.
pub(super) type EndpointKey = [u8; 20];

/// The contents of the maps of these names. What the fields mean is said at those of [`Rules`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) vips: BTreeSet<AddressKey>,
    pub(super) services: BTreeSet<EndpointKey>,
    pub(super) servers: BTreeSet<EndpointKey>,
    pub(super) server_addresses: BTreeSet<AddressKey>,
    pub(super) tunnels: BTreeSet<EndpointKey>,
    pub(super) local_addresses: BTreeSet<AddressKey>,
    pub(super) own_addresses: BTreeSet<AddressKey>,
    pub(super) closed_addresses: BTreeSet<AddressKey>,
    pub(super) local_ends: BTreeMap<AddressKey, [u16; 2]>,
}

impl Contents {
    /// What the maps should hold.
    pub(super) fn of(rules: &Rules) -> Self {
        let addresses = |addresses: &BTreeSet<Addr>| addresses.iter().map(|addr| addr.octets()).collect();
        let endpoints =
            |ends: &BTreeSet<(u8, Endpoint)>| ends.iter().map(|&(protocol, end)| key(end, protocol)).collect();
        Self {
            vips: addresses(&rules.vips),
            services: services(&rules.services, &rules.ftp),
            servers: endpoints(&rules.servers),
            server_addresses: addresses(&rules.server_addresses),
            tunnels: endpoints(&rules.tunnels),
            local_addresses: addresses(&rules.local_addresses),
            own_addresses: addresses(&rules.own_addresses),
            closed_addresses: addresses(&rules.closed_addresses),
            local_ends: rules.local_ends.iter().map(|(addr, &(first, last))| (addr.octets(), [first, last])).collect(),
        }
    }
}

fn services(services: &BTreeSet<ServiceKey>, ftp: &BTreeSet<Addr>) -> BTreeSet<EndpointKey> {
    let services = services.iter().map(|service| key(service.virtual_, service.protocol));
    let ftp = ftp.iter().map(|&addr| {
        let mut key = key(Endpoint { addr, port: 0 }, Protocol::TCP);
        key[19] = 1;
        key
    });
    services.chain(ftp).collect()
}

fn key(endpoint: Endpoint, protocol: u8) -> EndpointKey {
    let mut key = [0; 20];
    key[..16].copy_from_slice(&endpoint.addr.octets());
    key[16..18].copy_from_slice(&endpoint.port.to_be_bytes());
    key[18] = protocol;
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_laid_out_as_the_program_reads_them() {
        let v4 = key("192.0.2.1:80".parse().unwrap(), 6);
        assert_eq!(v4, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1, 0, 80, 6, 0]);
        let v6 = key("[2001:db8::1]:53".parse().unwrap(), 17);
        assert_eq!(v6, [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 53, 17, 0]);
    }
}
