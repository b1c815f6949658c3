//! What the steering program must take from the kernel, as follows from the services.

use crate::io::xdp::steer::{Marking, Rules};
use crate::service::{Method, Pair, PairFlags, Services, Side, Tunnel};
use crate::wire::{Addr, Endpoint, Protocol};

/// The director's addresses.
#[derive(Clone, Debug, Default)]
pub struct Locals {
    /// Those of its interfaces.
    pub own: Vec<Addr>,
    /// Those of its `vrrp_instance` blocks, which may be among the first as well.
    pub virtual_: Vec<Addr>,
}

/// The rules for these services on a director with these addresses.
///
/// Removed pairs count too: as long as they have connections, the workers are the ones to end them.
pub fn rules(services: &Services, locals: &Locals) -> Rules {
    let Locals { own, virtual_ } = locals;
    let mut rules = Rules {
        local_addresses: own.iter().chain(virtual_).copied().collect(),
        own_addresses: own.iter().filter(|address| !virtual_.contains(address)).copied().collect(),
        ..Rules::default()
    };
    let pairs = services.pairs.iter().filter(|pair| pair.generation != 0);
    let keys = services.list.iter().map(|service| service.key).chain(pairs.clone().map(Pair::service_key));
    rules.services = keys.filter(|key| key.mark().is_none()).collect();
    rules.vips = rules.services.iter().map(|key| key.virtual_.addr).collect();
    let ftp = services.list.iter().filter(|service| service.is_ftp() && service.is_for_other_ports());
    let helped = pairs.clone().filter(|pair| pair.flags.has(PairFlags::FTP));
    rules.ftp = ftp.map(|service| service.key.virtual_.addr).chain(helped.map(|pair| pair.ends[0])).collect();
    rules.tunnels = pairs.clone().flat_map(tunnels).collect();
    for pair in pairs.filter(|pair| pair.method == Method::Nat) {
        let real = pair.end(Side::Real);
        let port = if pair.flags.has(PairFlags::WIDE) { 0 } else { real.port };
        rules.servers.insert((pair.protocol, Endpoint { port, ..real }));
        rules.server_addresses.insert(real.addr);
    }
    let full = services.list.iter().filter_map(|service| service.full.as_ref());
    rules.local_ends = full.flat_map(|full| full.addresses.iter().map(|&address| (address, full.ports))).collect();
    if !services.marks_in_use.is_empty() {
        rules.marks = services
            .marks
            .iter()
            .map(|rule| Marking {
                pattern: rule.pattern,
                ifindex: rule.arrival.map(|arrival| arrival.ifindex),
                served: services.marks_in_use.contains(&rule.mark),
            })
            .collect();
    }
    rules
}

/// By what protocols and to which port the tunnel packets of this pair go.
fn tunnels(pair: &Pair) -> Vec<(u8, Endpoint)> {
    let to = |protocol, port| (protocol, Endpoint { addr: pair.ends[Side::Real as usize], port });
    match pair.method {
        Method::Tun(Tunnel::Ipip) => vec![to(Protocol::IPIP, 0), to(Protocol::IPV6, 0)],
        Method::Tun(Tunnel::Gre { .. }) => vec![to(Protocol::GRE, 0)],
        Method::Tun(Tunnel::Gue { port, .. }) => vec![to(Protocol::UDP, port)],
        Method::Nat | Method::Dr | Method::Full => Vec::new(),
    }
}
