//! What the steering program must take from the kernel, as follows from the services.

use crate::io::xdp::steer::Rules;
use crate::service::{Method, Services, Side};
use crate::wire::{Addr, ServiceKey};

/// The rules for these services on a director with these addresses.
///
/// Removed pairs count too: as long as they have connections, the workers are the ones to end them.
pub fn rules(services: &Services, local_addresses: impl IntoIterator<Item = Addr>) -> Rules {
    let mut rules = Rules { local_addresses: local_addresses.into_iter().collect(), ..Rules::default() };
    let pairs = services.pairs.iter().filter(|pair| pair.generation != 0);
    let keys = pairs.clone().map(|pair| ServiceKey { protocol: pair.protocol, virtual_: pair.end(Side::Virtual) });
    rules.services = services.list.iter().map(|service| service.key).chain(keys).collect();
    rules.vips = rules.services.iter().map(|key| key.virtual_.addr).collect();
    for pair in pairs {
        let real = pair.end(Side::Real);
        match pair.method {
            Method::Nat => {
                rules.servers.insert((pair.protocol, real));
                rules.server_addresses.insert(real.addr);
            }
            Method::Tun => _ = rules.tunnel_servers.insert(real.addr),
            Method::Dr => {}
        }
    }
    rules
}
