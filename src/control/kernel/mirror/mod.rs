//! From the kernel's tables to the [`Network`] that workers read.
//!
//! Promises: the result depends on the facts alone and not on the order in which they came in, but for two things that
//! must outlive a change. A [`HopId`] means the same (port, neighbour) for as long as the mirror lives; and the epoch
//! moves exactly when `hop_to` may answer otherwise than before. A neighbour that merely changes its MAC keeps hop and
//! epoch: connections follow it without looking again.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Address, Effect, Event, Facts, Link, Reach, RouteEntry};
use crate::conn::table::LAST_EPOCH;
use crate::io::PortId;
use crate::service::{Hop, HopId, Network, NextHop, Port, Route, Routes};
use crate::wire::{Addr, Family, Mac};

/// The kernel's tables and what was made of them; see the module documentation.
#[derive(Debug, Default)]
pub struct Mirror {
    facts: Facts,
    hops: BTreeMap<NextHop, HopId>,
    epoch: u32,
    /// What decided the answers of the last network.
    answers: Answers,
}

/// All that `hop_to` answers from.
#[derive(Debug, Default, PartialEq)]
struct Answers {
    /// Destination, prefix length, route; in order of preference.
    routes: Vec<(Addr, u8, Route)>,
    resolved: BTreeSet<NextHop>,
}

/// The ports in use, by [`PortId`]; `None` while there is no interface of that name.
struct Attached<'a>(Vec<Option<Interface<'a>>>);

/// An interface with the addresses to send from, the preferred first.
struct Interface<'a> {
    link: &'a Link,
    addresses: Vec<&'a Address>,
}

impl Mirror {
    /// Takes in one event.
    pub fn apply(&mut self, event: Event) -> Effect {
        self.facts.apply(event)
    }

    /// Takes a fresh dump in place of all that was known. Hop ids live on.
    pub fn replace(&mut self, facts: Facts) {
        self.facts = facts;
    }

    /// All addresses of the director.
    pub fn local_addresses(&self) -> impl Iterator<Item = Addr> + '_ {
        self.facts.addresses.values().map(|address| address.address)
    }

    /// The routers that routes lead to, as of the last network.
    pub fn gateways(&self) -> BTreeSet<NextHop> {
        let routes = self.answers.routes.iter();
        routes.filter_map(|(_, _, route)| Some(NextHop { port: route.port?, address: route.gateway? })).collect()
    }

    /// The index of the interface of this name.
    pub fn link_index(&self, name: &str) -> Option<u32> {
        self.facts.links.values().find(|link| link.name == name).map(|link| link.index)
    }

    /// The interface that has this address.
    pub fn carrier(&self, address: Addr) -> Option<&str> {
        let own = self.facts.addresses.values().find(|own| own.address == address)?;
        self.link_name(own.link)
    }

    /// The interfaces that have an address.
    pub fn addressed(&self) -> impl Iterator<Item = &str> {
        self.facts.addresses.values().filter_map(|own| self.link_name(own.link))
    }

    /// The interface by which the kernel would send to an address.
    pub fn towards(&self, address: Addr) -> Option<&str> {
        let covers = |entry: &&RouteEntry| {
            let RouteEntry { key, .. } = entry;
            key.destination.family() == address.family() && address.masked(key.prefix) == key.destination
        };
        // The first of the longest: routes are in order of preference.
        let routes = self.facts.routes.iter().filter(covers);
        let best = routes.reduce(|best, entry| if entry.key.prefix > best.key.prefix { entry } else { best })?;
        self.link_name(best.link?)
    }

    /// The interfaces that default routes lead through.
    pub fn default_ways(&self) -> impl Iterator<Item = &str> {
        let defaults = self.facts.routes.iter().filter(|entry| entry.key.prefix == 0);
        defaults.filter_map(|entry| self.link_name(entry.link?))
    }

    /// The name of the interface that packets of this one come and go by.
    fn link_name(&self, index: u32) -> Option<&str> {
        self.facts.links.get(&self.facts.port_below(index)).map(|link| link.name.as_str())
    }

    /// The index of the interface by which to ask for a neighbour that is reached by the port of this name: the port itself,
    /// unless only an interface on top of it has an address in the neighbour's network.
    pub fn asks_by(&self, port: &str, neighbour: Addr) -> Option<u32> {
        let port = self.link_index(port)?;
        let near = |own: &&Address| {
            self.facts.port_below(own.link) == port
                && own.address.family() == neighbour.family()
                && own.address.masked(own.prefix) == neighbour.masked(own.prefix)
        };
        let near: Vec<u32> = self.facts.addresses.values().filter(near).map(|own| own.link).collect();
        Some(near.first().filter(|_| !near.contains(&port)).copied().unwrap_or(port))
    }

    /// What is known of a neighbour.
    pub fn reach(&self, link: u32, address: Addr) -> Reach {
        self.facts.neighbours.get(&(link, address)).copied().unwrap_or(Reach::Unresolved)
    }

    /// The network as seen through `ports`, the names of the interfaces attached to in the order of their ids.
    pub fn network(&mut self, ports: &[String]) -> Network {
        let attached = Attached::find(&self.facts, ports);
        let answers = Answers { routes: self.routes(&attached), resolved: self.resolved(&attached) };
        for &next in &answers.resolved {
            let id = HopId(u32::try_from(self.hops.len()).expect("neighbours fill memory before they fill 32 bits"));
            self.hops.entry(next).or_insert(id);
        }
        let mut routes = Routes::default();
        answers.routes.iter().for_each(|&(destination, prefix, route)| routes.add(destination, prefix, route));
        let network = Network {
            epoch: if answers == self.answers { self.epoch.max(1) } else { self.epoch % LAST_EPOCH + 1 },
            ports: ports.iter().zip(&attached.0).map(|(name, interface)| port(name, interface.as_ref())).collect(),
            hops: self.hops(&attached),
            neighbours: self.hops.iter().map(|(&next, &id)| (next, id)).collect(),
            routes,
        };
        self.epoch = network.epoch;
        self.answers = answers;
        network
    }

    /// The MAC address of a neighbour that is reached by a port, or else by an interface on top of it.
    fn mac_by(&self, port: u32, address: Addr) -> Option<Mac> {
        let on_top = self.facts.links.values().filter(|link| link.below.is_some_and(|below| below.link == port));
        let on_top = on_top.filter(|link| link.is_private()).map(|link| link.index);
        std::iter::once(port).chain(on_top).find_map(|link| self.reach(link, address).mac())
    }

    fn resolved(&self, attached: &Attached) -> BTreeSet<NextHop> {
        let known = self.facts.neighbours.keys();
        known
            .filter_map(|&(link, address)| Some(NextHop { port: attached.port(&self.facts, link)?, address }))
            .collect()
    }

    fn hops(&self, attached: &Attached) -> Vec<Hop> {
        let mut hops = vec![Hop::default(); self.hops.len()];
        for (next, id) in &self.hops {
            let Some(Interface { link, .. }) = attached.interface(next.port) else { continue };
            if let Some(mac) = self.mac_by(link.index, next.address) {
                hops[id.0 as usize] = Hop::new(next.port, mac, link.mac, clamp(link.mtu));
            }
        }
        hops
    }

    fn routes(&self, attached: &Attached) -> Vec<(Addr, u8, Route)> {
        let routes = self.facts.routes.iter();
        routes.map(|entry| (entry.key.destination, entry.key.prefix, attached.route(&self.facts, entry))).collect()
    }
}

impl<'a> Attached<'a> {
    fn find(facts: &'a Facts, ports: &[String]) -> Self {
        let link = |name: &String| facts.links.values().find(|link| link.name == *name);
        Self(ports.iter().map(|name| link(name).map(|link| Interface::new(facts, link))).collect())
    }

    fn interface(&self, port: PortId) -> Option<&Interface<'a>> {
        self.0.get(usize::from(port.0))?.as_ref()
    }

    /// The port that is this interface, or that is below it.
    fn port(&self, facts: &Facts, index: u32) -> Option<PortId> {
        let find = |index| self.0.iter().position(|port| port.as_ref().is_some_and(|port| port.link.index == index));
        let at = find(index).or_else(|| find(facts.port_below(index)))?;
        u8::try_from(at).ok().map(PortId)
    }

    fn route(&self, facts: &Facts, entry: &RouteEntry) -> Route {
        let port = entry.link.and_then(|index| self.port(facts, index));
        let Some(interface) = port.and_then(|port| self.interface(port)) else {
            return Route { port: None, gateway: entry.gateway, source: entry.source, mtu: 0 };
        };
        let mtu = entry.mtu.map_or(interface.link.mtu, |mtu| mtu.min(interface.link.mtu));
        let source = entry.source.or_else(|| interface.source(entry));
        Route { port, gateway: entry.gateway, source, mtu: clamp(mtu) }
    }
}

impl<'a> Interface<'a> {
    /// Wide scope comes before narrow, primary before secondary, and last host addresses and those of interfaces on top,
    /// since those are the virtual ones.
    fn new(facts: &'a Facts, link: &'a Link) -> Self {
        let own =
            facts.addresses.values().filter(|own| facts.port_below(own.link) == link.index || own.link == link.index);
        let mut addresses: Vec<_> = own.filter(|own| own.usable).collect();
        addresses.sort_by_key(|own| (own.link != link.index, own.scope, own.secondary, is_host(own), own.address));
        Self { link, addresses }
    }

    /// The address to send from by a route that names none: one on the gateway's network, or else the preferred one of
    /// the family (as `inet_select_addr` chooses).
    fn source(&self, entry: &RouteEntry) -> Option<Addr> {
        let family = entry.key.destination.family();
        let mut own = self.addresses.iter().filter(|own| own.address.family() == family);
        let first = own.clone().next();
        let near = entry
            .gateway
            .and_then(|gateway| own.find(|own| own.address.masked(own.prefix) == gateway.masked(own.prefix)));
        near.or(first).map(|own| own.address)
    }
}

fn port(name: &str, interface: Option<&Interface>) -> Port {
    Port {
        name: name.to_owned(),
        ifindex: interface.map_or(0, |port| port.link.index),
        mac: interface.map(|port| port.link.mac).unwrap_or_default(),
        mtu: interface.map_or(0, |port| clamp(port.link.mtu)),
        addresses: interface.map_or_else(Vec::new, |port| port.addresses.iter().map(|own| own.address).collect()),
    }
}

fn is_host(own: &Address) -> bool {
    own.prefix == if own.address.family() == Family::V4 { 32 } else { 128 }
}

/// An MTU as workers hold it: loopback's 65536 is one too many.
fn clamp(mtu: u32) -> u16 {
    u16::try_from(mtu).unwrap_or(u16::MAX)
}
