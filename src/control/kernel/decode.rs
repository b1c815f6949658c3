//! Netlink messages to [`Event`]s.
//!
//! What does not concern IPv4 and IPv6 unicast forwarding is left out: bridge tables, other routing tables, cached
//! routes, routes for one type of service, source-specific IPv6 routes. Rules (`ip rule`) are not followed.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_REPLACE, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoMacVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, MacVlanMode,
};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteNextHopFlags, RouteType, RouteVia,
};

use super::facts::{Address, Below, Event, Link, Reach, RouteEntry, RouteKey, Table};
use crate::wire::{Addr, Mac};

/// The event that a notification tells of, if it concerns us.
pub(in crate::control) fn notification(message: NetlinkMessage<RouteNetlinkMessage>) -> Option<Event> {
    use RouteNetlinkMessage as M;
    let replaces = message.header.flags & NLM_F_REPLACE != 0;
    let NetlinkPayload::InnerMessage(inner) = message.payload else { return None };
    match inner {
        M::NewLink(link) => self::link(&link).map(Event::Link),
        // A port that leaves a bridge is told as the end of a link of the bridge family.
        M::DelLink(link) if link.header.interface_family == AddressFamily::Unspec => {
            Some(Event::LinkGone(link.header.index))
        }
        M::NewAddress(address) => self::address(&address).map(Event::Address),
        M::DelAddress(address) => self::address(&address).map(Event::AddressGone),
        M::NewRoute(route) => self::route(&route).map(|route| Event::Route { route, replaces }),
        M::DelRoute(route) => self::route(&route).map(Event::RouteGone),
        M::NewNeighbour(neighbour) => self::neighbour(&neighbour, reach(&neighbour)),
        M::DelNeighbour(neighbour) => self::neighbour(&neighbour, Reach::Unresolved),
        _ => None,
    }
}

/// A link, unless the message tells of it as part of a bridge.
pub(super) fn link(message: &LinkMessage) -> Option<Link> {
    if message.header.interface_family != AddressFamily::Unspec {
        return None;
    }
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        mac: Mac::default(),
        mtu: 0,
        up: message.header.flags.contains(LinkFlags::Up),
        running: message.header.flags.contains(LinkFlags::Running),
        below: None,
    };
    let (mut below, mut macvlan, mut far) = (None, None, false);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(bytes) => link.mac = mac(bytes).unwrap_or_default(),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Link(index) => below = Some(*index),
            LinkAttribute::LinkInfo(info) => macvlan = self::macvlan(info),
            // What it is on top of is in another namespace.
            LinkAttribute::LinkNetNsId(_) => far = true,
            _ => {}
        }
    }
    link.below = below.filter(|_| !far).zip(macvlan).map(|(link, private)| Below { link, private });
    Some(link)
}

/// Of a macvlan, whether it is private.
fn macvlan(info: &[LinkInfo]) -> Option<bool> {
    if !info.contains(&LinkInfo::Kind(InfoKind::MacVlan)) {
        return None;
    }
    let private = |info: &LinkInfo| match info {
        LinkInfo::Data(InfoData::MacVlan(data)) => data.contains(&InfoMacVlan::Mode(MacVlanMode::Private)),
        _ => false,
    };
    Some(info.iter().any(private))
}

/// An address of the director.
pub(super) fn address(message: &AddressMessage) -> Option<Address> {
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    let (mut local, mut peer) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(address) => local = Some(*address),
            AddressAttribute::Address(address) => peer = Some(*address),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    Some(Address {
        link: message.header.index,
        address: local.or(peer)?.into(),
        prefix: message.header.prefix_len,
        scope: message.header.scope.into(),
        secondary: flags.intersects(AddressFlags::Secondary | AddressFlags::Deprecated),
        usable: !flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed),
    })
}

/// A route of the tables that every packet is looked up in.
pub(super) fn route(message: &RouteMessage) -> Option<RouteEntry> {
    let header = &message.header;
    let unspecified = match header.address_family {
        AddressFamily::Inet => Addr::v4(0),
        AddressFamily::Inet6 => Addr::default(),
        _ => return None,
    };
    if header.flags.contains(RouteFlags::Cloned) || header.tos != 0 || header.source_prefix_length != 0 {
        return None;
    }
    let mut table = u32::from(header.table);
    let key =
        RouteKey { table: Table::Main, destination: unspecified, prefix: header.destination_prefix_length, metric: 0 };
    let mut route = RouteEntry { key, link: None, gateway: None, source: None, mtu: None, multipath: false };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Destination(address) => route.key.destination = ip(address)?,
            RouteAttribute::Priority(metric) => route.key.metric = *metric,
            RouteAttribute::PrefSource(address) => route.source = ip(address),
            RouteAttribute::Metrics(metrics) => route.mtu = metrics.iter().find_map(mtu),
            RouteAttribute::MultiPath(hops) => {
                let alive = hops.iter().find(|hop| !hop.flags.contains(RouteNextHopFlags::Dead)).or(hops.first())?;
                route.multipath = true;
                route.link = Some(alive.interface_index);
                route.gateway = alive.attributes.iter().find_map(gateway);
            }
            RouteAttribute::Oif(index) => route.link = Some(*index),
            other => route.gateway = gateway(other).or(route.gateway),
        }
    }
    route.key.table = self::table(table)?;
    match header.kind {
        RouteType::Unicast => Some(route),
        RouteType::Throw => None,
        _ => Some(RouteEntry { link: None, gateway: None, ..route }),
    }
}

/// What is known of a neighbour.
pub(super) fn neighbour(message: &NeighbourMessage, reach: Reach) -> Option<Event> {
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some(Addr::from(*address)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some(Addr::from(*address)),
        _ => None,
    })?;
    Some(Event::Neighbour { link: message.header.ifindex, address, reach })
}

pub(super) fn reach(message: &NeighbourMessage) -> Reach {
    let mac = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(bytes) => mac(bytes),
        _ => None,
    });
    // A neighbour with a group address would turn its traffic into a flood (RFC 1812 3.3.2).
    let Some(mac) = mac.filter(|mac| mac.0[0] & 1 == 0 && *mac != Mac::default()) else { return Reach::Unresolved };
    match message.header.state {
        NeighbourState::Stale => Reach::Stale(mac),
        NeighbourState::Reachable
        | NeighbourState::Delay
        | NeighbourState::Probe
        | NeighbourState::Permanent
        | NeighbourState::Noarp => Reach::Fresh(mac),
        _ => Reach::Unresolved,
    }
}

/// `rt_tables`: local 255, main 254, default 253.
fn table(number: u32) -> Option<Table> {
    match number {
        255 => Some(Table::Local),
        254 => Some(Table::Main),
        253 => Some(Table::Default),
        _ => None,
    }
}

fn gateway(attribute: &RouteAttribute) -> Option<Addr> {
    match attribute {
        RouteAttribute::Gateway(address) => ip(address),
        RouteAttribute::Via(RouteVia::Inet(address)) => Some((*address).into()),
        RouteAttribute::Via(RouteVia::Inet6(address)) => Some((*address).into()),
        _ => None,
    }
}

fn mtu(metric: &RouteMetric) -> Option<u32> {
    match metric {
        RouteMetric::Mtu(mtu) => Some(*mtu),
        _ => None,
    }
}

fn ip(address: &RouteAddress) -> Option<Addr> {
    match address {
        RouteAddress::Inet(v4) => Some(IpAddr::from(*v4).into()),
        RouteAddress::Inet6(v6) => Some(IpAddr::from(*v6).into()),
        _ => None,
    }
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    bytes.try_into().ok().map(Mac)
}
