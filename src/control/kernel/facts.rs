//! What the kernel's tables hold, in our own words, and how notifications change it.
//!
//! [`Facts`] follows the kernel by the notifications that it sends. Not every change is told: IPv4 routes vanish in
//! silence with their interface or source address, and a multipath route changes by halves. [`Facts::apply`] knows those
//! cases and answers [`Effect::Resync`]: ask the kernel for everything again.

use std::collections::{BTreeMap, BTreeSet};

use crate::wire::{Addr, Mac};

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's interface index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its Ethernet address; all zeros where it has none.
    pub mac: Mac,
    /// Largest IP packet, in bytes.
    pub mtu: u32,
    /// Whether it is administratively up (`IFF_UP`).
    pub up: bool,
    /// Whether it can pass packets: it has its carrier (`IFF_RUNNING`).
    pub running: bool,
    /// Of a macvlan: what it is on top of.
    pub below: Option<Below>,
}

/// What a macvlan is on top of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Below {
    /// The index of that interface.
    pub link: u32,
    /// Whether the macvlan talks to nobody but what is beyond that interface (private mode): it is that interface, with
    /// another MAC address.
    pub private: bool,
}

impl Link {
    /// Whether it is another interface with a MAC address of its own: a macvlan in private mode.
    pub fn is_private(&self) -> bool {
        self.below.is_some_and(|below| below.private)
    }
}

/// An address of the director.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The interface's index.
    pub link: u32,
    /// The address.
    pub address: Addr,
    /// Length of the network it lies in, in bits.
    pub prefix: u8,
    /// Where it is valid, as the kernel's number: 0 global, 253 link, 254 host.
    pub scope: u8,
    /// Whether to send from it only for want of a better one (secondary or deprecated).
    pub secondary: bool,
    /// Whether it can be sent from at all (not tentative, not a duplicate).
    pub usable: bool,
}

/// Routing tables in the order in which the kernel asks them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// The director's own addresses.
    Local,
    /// Where routes usually are.
    Main,
    /// Asked last.
    Default,
}

/// What makes two routes rivals: the kernel replaces one by the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteKey {
    /// The table it is in.
    pub table: Table,
    /// The network.
    pub destination: Addr,
    /// Length of the network, in bits.
    pub prefix: u8,
    /// The lower is preferred.
    pub metric: u32,
}

/// A route. The order of routes is that of preference, as far as the network is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteEntry {
    /// See [`RouteKey`].
    pub key: RouteKey,
    /// The interface it leads through. `None`: it leads nowhere (unreachable, blackhole, prohibit), or to the director
    /// itself (local, broadcast).
    pub link: Option<u32>,
    /// The router.
    pub gateway: Option<Addr>,
    /// The address to send from, if the route names one.
    pub source: Option<Addr>,
    /// Largest IP packet in bytes, if the route names it.
    pub mtu: Option<u32>,
    /// One of several next hops.
    pub multipath: bool,
}

/// What the kernel knows of a neighbour's MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nothing that could be used (NUD_NONE, INCOMPLETE, FAILED).
    Unresolved,
    /// Usable, but not confirmed for some time (NUD_STALE).
    Stale(Mac),
    /// Confirmed, being confirmed or fixed (NUD_REACHABLE, DELAY, PROBE, PERMANENT, NOARP).
    Fresh(Mac),
}

impl Reach {
    /// The MAC address to send to.
    pub fn mac(self) -> Option<Mac> {
        match self {
            Reach::Unresolved => None,
            Reach::Stale(mac) | Reach::Fresh(mac) => Some(mac),
        }
    }
}

/// One notification, or one line of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An interface exists, with these properties.
    Link(Link),
    /// The interface of this index is gone.
    LinkGone(u32),
    /// An address exists.
    Address(Address),
    /// An address is gone.
    AddressGone(Address),
    /// A route exists.
    Route {
        /// The route.
        route: RouteEntry,
        /// It took the place of the one with the same key (NLM_F_REPLACE).
        replaces: bool,
    },
    /// A route is gone.
    RouteGone(RouteEntry),
    /// What is known of a neighbour.
    Neighbour {
        /// The interface's index.
        link: u32,
        /// Its address.
        address: Addr,
        /// What is known.
        reach: Reach,
    },
}

/// What an event did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing that workers would notice.
    None,
    /// Something changed.
    Changed,
    /// Something changed that the kernel does not tell in full: dump the tables again.
    Resync,
}

/// Links, addresses, routes and neighbours; see the module documentation.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// By index.
    pub(super) links: BTreeMap<u32, Link>,
    /// By index of the link and address with its prefix length.
    pub(super) addresses: BTreeMap<(u32, Addr, u8), Address>,
    pub(super) routes: BTreeSet<RouteEntry>,
    /// By index of the link and address. Only those with a usable MAC.
    pub(super) neighbours: BTreeMap<(u32, Addr), Reach>,
}

impl Facts {
    /// The interface of this name.
    pub fn link_named(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
    }

    /// The index of the interface by which packets of this one come and go.
    pub fn port_below(&self, index: u32) -> u32 {
        let below = self.links.get(&index).and_then(|link| link.below).filter(|below| below.private);
        below.map_or(index, |below| below.link)
    }

    /// Whether the director has this address, and can send from it.
    pub fn has(&self, address: Addr) -> bool {
        self.addresses.values().any(|own| own.address == address && own.usable)
    }

    /// The addresses of an interface.
    pub fn addresses_of(&self, link: u32) -> impl Iterator<Item = &Address> {
        self.addresses.values().filter(move |own| own.link == link)
    }

    /// Takes in one event.
    pub fn apply(&mut self, event: Event) -> Effect {
        match event {
            Event::Link(link) => self.link(link),
            Event::LinkGone(index) => match self.links.remove(&index) {
                Some(_) => Effect::Resync,
                None => Effect::None,
            },
            Event::Address(address) => {
                let before = self.addresses.insert((address.link, address.address, address.prefix), address);
                changed(before != Some(address))
            }
            Event::AddressGone(address) => {
                match self.addresses.remove(&(address.link, address.address, address.prefix)) {
                    Some(_) => Effect::Resync,
                    None => Effect::None,
                }
            }
            Event::Route { route, replaces } => self.route(route, replaces),
            Event::RouteGone(route) => self.route_gone(route),
            Event::Neighbour { link, address, reach } => self.neighbour(link, address, reach),
        }
    }

    fn link(&mut self, link: Link) -> Effect {
        let before = self.links.insert(link.index, link.clone());
        match before {
            Some(before) if before.up && !link.up => Effect::Resync,
            before => changed(before != Some(link)),
        }
    }

    fn route(&mut self, route: RouteEntry, replaces: bool) -> Effect {
        let rivals: Vec<RouteEntry> = self.rivals(route.key);
        if replaces && rivals.len() > 1 || rivals.iter().any(|rival| rival.multipath) {
            // Which of them it replaced or joined is not said.
            return Effect::Resync;
        }
        if replaces {
            rivals.iter().for_each(|rival| {
                self.routes.remove(rival);
            });
        }
        self.routes.insert(route);
        changed(rivals != [route])
    }

    fn route_gone(&mut self, route: RouteEntry) -> Effect {
        match &self.rivals(route.key)[..] {
            [] => Effect::None,
            rivals if rivals.contains(&route) && !rivals.iter().any(|rival| rival.multipath) => {
                self.routes.remove(&route);
                Effect::Changed
            }
            _ => Effect::Resync,
        }
    }

    fn rivals(&self, key: RouteKey) -> Vec<RouteEntry> {
        let first = RouteEntry { key, link: None, gateway: None, source: None, mtu: None, multipath: false };
        self.routes.range(first..).take_while(|route| route.key == key).copied().collect()
    }

    fn neighbour(&mut self, link: u32, address: Addr, reach: Reach) -> Effect {
        let before = match reach {
            Reach::Unresolved => self.neighbours.remove(&(link, address)),
            Reach::Stale(_) | Reach::Fresh(_) => self.neighbours.insert((link, address), reach),
        };
        changed(before.and_then(Reach::mac) != reach.mac())
    }
}

fn changed(yes: bool) -> Effect {
    if yes { Effect::Changed } else { Effect::None }
}
