//! Which interfaces to attach to.

use std::collections::BTreeSet;

use crate::config::Config;
use crate::control::kernel::ReturnLink;
use crate::control::kernel::mirror::Mirror;

/// The interfaces that the configuration names, or else those that VIPs lie on, real servers are reached by, default
/// routes lead through and rules for marks name: the ways that requests and replies can take. A configuration without any
/// service, to which services are added at run time, may need any interface that has an address. In alphabetical order,
/// without the loopback and
/// what directors have made for themselves.
pub(super) fn choose(config: &Config, mirror: &Mirror) -> Vec<String> {
    if !config.settings.interfaces.is_empty() {
        return config.settings.interfaces.clone();
    }
    let devices = config.instances.iter().flat_map(|instance| &instance.addresses);
    let devices = devices.map(|address| config.port_of(&address.device));
    let with_address = config.services.iter().filter(|service| service.key.mark().is_none());
    let vips = with_address.filter_map(|service| mirror.carrier(service.key.virtual_.addr));
    let servers = config.services.iter().flat_map(|service| service.servers.iter().chain(&service.sorry));
    let ways = servers.filter_map(|server| mirror.towards(server.real.addr));
    let marked = config.settings.marks.iter().filter_map(|mark| mark.interface.as_deref());
    let any = mirror.addressed().filter(|_| config.services.is_empty());
    let ways = devices.chain(vips).chain(ways).chain(mirror.default_ways());
    let found: BTreeSet<&str> = ways.chain(marked).chain(any).collect();
    let possible = |name: &&str| *name != "lo" && !ReturnLink::is_named(name);
    found.into_iter().filter(possible).map(str::to_owned).collect()
}
