//! The network as workers see it: ports, next hops, routes. Copied from the kernel's tables by the control thread.

use crate::io::PortId;
use crate::wire::{Addr, Family, Mac};

/// An interface the director forwards on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The interface's name.
    pub name: String,
    /// The kernel's interface index; 0 offline.
    pub ifindex: u32,
    /// Its own address, the source of what it sends.
    pub mac: Mac,
    /// Largest IP packet, in bytes.
    pub mtu: u16,
    /// The addresses to send from, the preferred one of each family first.
    pub addresses: Vec<Addr>,
}

/// Index into [`Network::hops`]. An id stands for one (port, neighbour) as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HopId(pub u32);

impl HopId {
    /// No way known.
    pub const NONE: HopId = HopId(u32::MAX);
}

impl Default for HopId {
    fn default() -> Self {
        Self::NONE
    }
}

/// A neighbour that frames can be sent to.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(32))]
pub struct Hop {
    /// Destination and source MAC, as they stand at the head of a frame.
    pub macs: [u8; 12],
    /// Largest IP packet on the way, in bytes; 0 while the neighbour's MAC is not known.
    pub mtu: u16,
    /// Where to send.
    pub port: PortId,
}

impl Hop {
    /// A resolved neighbour.
    pub fn new(port: PortId, neighbour: Mac, own: Mac, mtu: u16) -> Self {
        let mut macs = [0; 12];
        macs[..6].copy_from_slice(&neighbour.0);
        macs[6..].copy_from_slice(&own.0);
        Self { macs, mtu, port }
    }

    /// Whether the neighbour's MAC is known.
    #[inline(always)]
    pub fn is_resolved(&self) -> bool {
        self.mtu != 0
    }
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The way out. `None`: the route leads through an interface the director is not attached to.
    pub port: Option<PortId>,
    /// The router to hand packets to; `None` where the destination itself is on the link.
    pub gateway: Option<Addr>,
    /// The director's address on that way, source of tunnel headers.
    pub source: Option<Addr>,
    /// Largest IP packet by this route, in bytes.
    pub mtu: u16,
}

/// Longest-prefix match over the kernel's routes: one small map for each prefix length in use, longest first.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    v4: Vec<(u8, Prefixes)>,
    v6: Vec<(u8, Prefixes)>,
}

type Prefixes = hashbrown::HashMap<Addr, Route, ahash::RandomState>;

impl Routes {
    /// Adds a route to the network of `length` leading bits around `destination`. The first of two equal prefixes stays:
    /// add them in order of metric.
    pub fn add(&mut self, destination: Addr, length: u8, route: Route) {
        let lengths = match destination.family() {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        };
        let at = match lengths.binary_search_by(|(have, _)| length.cmp(have)) {
            Ok(at) => at,
            Err(at) => {
                lengths.insert(at, (length, Prefixes::default()));
                at
            }
        };
        lengths[at].1.entry(destination.masked(length)).or_insert(route);
    }

    /// The route for an address.
    pub fn lookup(&self, destination: Addr) -> Option<&Route> {
        let lengths = match destination.family() {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        };
        lengths.iter().find_map(|(length, prefixes)| prefixes.get(&destination.masked(*length)))
    }
}

/// The answer to "how do I reach this address".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HopTo {
    /// Through this hop, whose MAC is known.
    Ready(HopId),
    /// Through this neighbour, whose MAC is not known yet: ask the control thread to resolve it.
    Unresolved(NextHop),
    /// There is no route, or it leads through an interface the director is not attached to.
    NoRoute,
}

/// A neighbour by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NextHop {
    /// The port it is on.
    pub port: PortId,
    /// Its address on that link.
    pub address: Addr,
}

/// Ports, next hops and routes at one moment.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Changes whenever `hop_to` could answer otherwise than before; connections remember their hop under it. From 1 to
    /// [`crate::conn::table::LAST_EPOCH`].
    pub epoch: u32,
    /// By [`PortId`].
    pub ports: Vec<Port>,
    /// By [`HopId`].
    pub hops: Vec<Hop>,
    /// Ids of the neighbours known by name, resolved or not.
    pub neighbours: hashbrown::HashMap<NextHop, HopId, ahash::RandomState>,
    /// Longest-prefix match.
    pub routes: Routes,
}

impl Network {
    /// The hop of this id, if there is one and its MAC is known.
    #[inline(always)]
    pub fn hop(&self, id: HopId) -> Option<&Hop> {
        self.hops.get(id.0 as usize).filter(|hop| hop.is_resolved())
    }

    /// The neighbour that an address is reached by, known or not; `None` if there is no way.
    pub fn next_hop(&self, destination: Addr) -> Option<NextHop> {
        let route = self.routes.lookup(destination)?;
        Some(NextHop { port: route.port?, address: route.gateway.unwrap_or(destination) })
    }

    /// The director's own address that it would send to `destination` from.
    pub fn source_towards(&self, destination: Addr) -> Option<Addr> {
        let route = self.routes.lookup(destination)?;
        let port = self.ports.get(usize::from(route.port?.0))?;
        let own = || port.addresses.iter().copied().find(|own| own.family() == destination.family());
        route.source.or_else(own)
    }

    /// The way to an address, by route and neighbour.
    pub fn hop_to(&self, destination: Addr) -> HopTo {
        let Some(next) = self.next_hop(destination) else { return HopTo::NoRoute };
        match self.neighbours.get(&next) {
            Some(&id) if self.hop(id).is_some() => HopTo::Ready(id),
            _ => HopTo::Unresolved(next),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> Addr {
        text.parse::<std::net::IpAddr>().unwrap().into()
    }

    fn via(port: u8, gateway: Option<&str>) -> Route {
        Route { port: Some(PortId(port)), gateway: gateway.map(addr), source: None, mtu: 1500 }
    }

    #[test]
    fn the_longest_prefix_wins_whatever_the_order() {
        let mut routes = Routes::default();
        routes.add(addr("0.0.0.0"), 0, via(0, Some("192.0.2.1")));
        routes.add(addr("10.1.0.0"), 16, via(1, None));
        routes.add(addr("10.0.0.0"), 8, via(2, None));
        routes.add(addr("10.0.0.0"), 8, via(3, None));
        routes.add(addr("::"), 0, via(4, None));
        assert_eq!(routes.lookup(addr("10.1.2.3")).unwrap().port, Some(PortId(1)));
        assert_eq!(routes.lookup(addr("10.2.2.3")).unwrap().port, Some(PortId(2)), "the first of equals stays");
        assert_eq!(routes.lookup(addr("8.8.8.8")).unwrap().port, Some(PortId(0)));
        assert_eq!(routes.lookup(addr("2001:db8::1")).unwrap().port, Some(PortId(4)));
        assert_eq!(Routes::default().lookup(addr("8.8.8.8")), None);
    }

    #[test]
    fn a_hop_is_ready_only_once_its_mac_is_known() {
        let mut network = Network::default();
        network.routes.add(addr("0.0.0.0"), 0, via(0, Some("192.0.2.1")));
        let next = NextHop { port: PortId(0), address: addr("192.0.2.1") };
        assert_eq!(network.hop_to(addr("8.8.8.8")), HopTo::Unresolved(next));
        network.neighbours.insert(next, HopId(0));
        network.hops.push(Hop::default());
        assert_eq!(network.hop_to(addr("8.8.8.8")), HopTo::Unresolved(next));
        network.hops[0] = Hop::new(PortId(0), Mac([2; 6]), Mac([4; 6]), 1500);
        assert_eq!(network.hop_to(addr("8.8.8.8")), HopTo::Ready(HopId(0)));
    }
}
