//! What the steering program must take from the kernel, as follows from the services.

use std::collections::BTreeSet;

use crate::service::{Method, ServiceKey, Services, Side};
use crate::wire::{Addr, Endpoint};

/// The contents of the steering program's maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Packets to these are ours.
    pub services: BTreeSet<ServiceKey>,
    /// NAT servers: packets from them are ours, unless they are addressed to the director itself.
    pub servers: BTreeSet<ServerKey>,
    /// Fragments and ICMP errors to these are ours.
    pub vips: BTreeSet<Addr>,
    /// Fragments and ICMP errors from these NAT servers are ours, unless addressed to the director itself.
    pub server_addresses: BTreeSet<Addr>,
    /// The director's own addresses.
    pub local_addresses: BTreeSet<Addr>,
}

/// A real server as its packets tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerKey {
    /// IP protocol number.
    pub protocol: u8,
    /// Its address and port.
    pub real: Endpoint,
}

/// The rules for these services on a director with these addresses.
///
/// Removed pairs count too: as long as they have connections, the workers are the ones to end them.
pub fn rules(services: &Services, local_addresses: impl IntoIterator<Item = Addr>) -> Rules {
    let mut rules = Rules { local_addresses: local_addresses.into_iter().collect(), ..Rules::default() };
    let pairs = services.pairs.iter().filter(|pair| pair.generation != 0);
    let keys = pairs.clone().map(|pair| ServiceKey { protocol: pair.protocol, virtual_: pair.end(Side::Virtual) });
    rules.services = services.list.iter().map(|service| service.key).chain(keys).collect();
    rules.vips = rules.services.iter().map(|key| key.virtual_.addr).collect();
    for pair in pairs.filter(|pair| pair.method == Method::Nat) {
        let real = pair.end(Side::Real);
        rules.servers.insert(ServerKey { protocol: pair.protocol, real });
        rules.server_addresses.insert(real.addr);
    }
    rules
}
