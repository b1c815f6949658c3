//! A route as the kernel is told of it.

use std::net::IpAddr;

use futures_util::TryStreamExt;
use netlink_packet_core::DefaultNla;
use netlink_packet_route::route::{
    MplsLabel, RouteAddress, RouteAttribute, RouteFlags, RouteIp6Tunnel, RouteIp6TunnelFlags, RouteIpTunnel,
    RouteIpTunnelFlags, RouteLwEnCapType, RouteLwTunnelEncap, RouteMessage, RouteMetric, RouteMplsIpTunnel,
    RouteNextHop, RouteNextHopFlags, RoutePreference, RouteProtocol, RouteScope, RouteType, RouteVia,
};
use rtnetlink::Handle;

use crate::config::model::{Encapsulation, NextHop, Outer, RouteKind, RouterPreference, VirtualRoute};
use crate::wire::Family;

/// `RTAX_CC_ALGO`.
const CONGESTION: u32 = 16;

pub(super) async fn message(handle: &Handle, route: &VirtualRoute) -> Result<RouteMessage, rtnetlink::Error> {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = super::family(route.family);
    header.destination_prefix_length = route.destination.map_or(0, |prefix| prefix.length);
    header.source_prefix_length = route.from.map_or(0, |prefix| prefix.length);
    header.protocol = RouteProtocol::from(route.protocol);
    header.tos = route.tos;
    header.kind = kind(route.kind);
    header.scope = route.scope.map_or_else(|| scope(route), RouteScope::from);
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Table(route.table));
    attributes.extend(route.destination.map(|prefix| RouteAttribute::Destination(address(prefix.address))));
    attributes.extend(route.from.map(|prefix| RouteAttribute::Source(address(prefix.address))));
    attributes.extend(route.source.map(|source| RouteAttribute::PrefSource(address(source))));
    attributes.extend(route.metric.map(RouteAttribute::Priority));
    attributes.extend(route.expires.map(RouteAttribute::Expires));
    attributes.extend(route.preference.map(|preference| RouteAttribute::Preference(self::preference(preference))));
    attributes.extend(Some(metrics(route)).filter(|metrics| !metrics.is_empty()).map(RouteAttribute::Metrics));
    match &route.hops[..] {
        [] => {}
        [hop] => {
            message.header.flags.set(RouteFlags::Onlink, hop.onlink);
            message.attributes.extend(way(route.family, hop));
            message.attributes.extend(index(handle, hop).await?.map(RouteAttribute::Oif));
        }
        several => message.attributes.push(RouteAttribute::MultiPath(all(handle, route.family, several).await?)),
    }
    Ok(message)
}

async fn all(handle: &Handle, family: Family, hops: &[NextHop]) -> Result<Vec<RouteNextHop>, rtnetlink::Error> {
    let mut all = Vec::with_capacity(hops.len());
    for hop in hops {
        let mut next = RouteNextHop::default();
        next.flags.set(RouteNextHopFlags::Onlink, hop.onlink);
        next.hops = hop.extra_weight;
        next.interface_index = index(handle, hop).await?.unwrap_or_default();
        next.attributes = way(family, hop);
        all.push(next);
    }
    Ok(all)
}

/// Of the device that a next hop names.
async fn index(handle: &Handle, hop: &NextHop) -> Result<Option<u32>, rtnetlink::Error> {
    let Some(device) = &hop.device else { return Ok(None) };
    let links: Vec<_> = handle.link().get().match_name(device.clone()).execute().try_collect().await?;
    Ok(links.first().map(|link| link.header.index))
}

/// Router, realms and encapsulation of a next hop.
fn way(family: Family, hop: &NextHop) -> Vec<RouteAttribute> {
    let mut attributes = Vec::new();
    attributes.extend(hop.via.map(|via| match (family, via) {
        (Family::V4, IpAddr::V6(v6)) => RouteAttribute::Via(RouteVia::Inet6(v6)),
        _ => RouteAttribute::Gateway(address(via)),
    }));
    attributes.extend(hop.realms.map(|realms| RouteAttribute::Realm(super::realms(realms))));
    if let Some((kind, parts)) = hop.encapsulation.as_ref().map(encapsulation) {
        attributes.extend([RouteAttribute::EncapType(kind), RouteAttribute::Encap(parts)]);
    }
    attributes
}

fn encapsulation(encapsulation: &Encapsulation) -> (RouteLwEnCapType, Vec<RouteLwTunnelEncap>) {
    match encapsulation {
        Encapsulation::Mpls { labels, ttl } => {
            let bottom = labels.len().saturating_sub(1);
            let stack = labels.iter().enumerate().map(|(at, label)| MplsLabel {
                label: *label,
                traffic_class: 0,
                bottom_of_stack: at == bottom,
                ttl: 0,
            });
            let mut parts = vec![RouteMplsIpTunnel::Destination(stack.collect())];
            parts.extend(ttl.map(RouteMplsIpTunnel::Ttl));
            (RouteLwEnCapType::Mpls, parts.into_iter().map(RouteLwTunnelEncap::Mpls).collect())
        }
        Encapsulation::Ip(outer) if outer.family == Family::V6 => (RouteLwEnCapType::Ip6, outer_v6(outer)),
        Encapsulation::Ip(outer) => (RouteLwEnCapType::Ip, outer_v4(outer)),
    }
}

fn outer_v4(outer: &Outer) -> Vec<RouteLwTunnelEncap> {
    let v4 = |address: Option<IpAddr>| match address {
        Some(IpAddr::V4(v4)) => Some(v4),
        _ => None,
    };
    let parts = [
        outer.id.map(RouteIpTunnel::Id),
        v4(outer.destination).map(RouteIpTunnel::Destination),
        v4(outer.source).map(RouteIpTunnel::Source),
        outer.hops.map(RouteIpTunnel::Ttl),
        outer.class.map(RouteIpTunnel::Tos),
        outer.flags.map(|flags| RouteIpTunnel::Flags(RouteIpTunnelFlags::from_bits_retain(flags))),
    ];
    parts.into_iter().flatten().map(RouteLwTunnelEncap::Ip).collect()
}

fn outer_v6(outer: &Outer) -> Vec<RouteLwTunnelEncap> {
    let v6 = |address: Option<IpAddr>| match address {
        Some(IpAddr::V6(v6)) => Some(v6),
        _ => None,
    };
    let parts = [
        outer.id.map(RouteIp6Tunnel::Id),
        v6(outer.destination).map(RouteIp6Tunnel::Destination),
        v6(outer.source).map(RouteIp6Tunnel::Source),
        outer.hops.map(RouteIp6Tunnel::Hoplimit),
        outer.class.map(RouteIp6Tunnel::Tc),
        outer.flags.map(|flags| RouteIp6Tunnel::Flags(RouteIp6TunnelFlags::from_bits_retain(flags))),
    ];
    parts.into_iter().flatten().map(RouteLwTunnelEncap::Ip6).collect()
}

/// With the bits of those that are locked in front.
fn metrics(route: &VirtualRoute) -> Vec<RouteMetric> {
    let lock = route.locked.iter().map(|metric| 1 << *metric as u32).fold(0, |bits: u32, bit: u32| bits | bit);
    let lock = lock | route.congestion.iter().filter(|(_, locked)| *locked).fold(0, |_, _| 1 << CONGESTION);
    let mut metrics: Vec<_> = Some(lock).filter(|bits| *bits != 0).map(RouteMetric::Lock).into_iter().collect();
    let number = |value: u32| value.to_ne_bytes().to_vec();
    metrics.extend(
        route.metrics.iter().map(|(metric, value)| RouteMetric::Other(DefaultNla::new(*metric as u16, number(*value)))),
    );
    metrics.extend(route.congestion.iter().map(|(name, _)| RouteMetric::CcAlgo(name.clone())));
    metrics
}

/// As `ip route` chooses: a network without a router is on the link.
fn scope(route: &VirtualRoute) -> RouteScope {
    let near = route.hops.len() <= 1 && route.hops.iter().all(|hop| hop.via.is_none());
    match route.kind {
        _ if route.family == Family::V6 => RouteScope::Universe,
        RouteKind::Local => RouteScope::Host,
        RouteKind::Broadcast | RouteKind::Multicast | RouteKind::Anycast => RouteScope::Link,
        RouteKind::Unicast if near => RouteScope::Link,
        _ => RouteScope::Universe,
    }
}

fn kind(kind: RouteKind) -> RouteType {
    match kind {
        RouteKind::Unicast => RouteType::Unicast,
        RouteKind::Local => RouteType::Local,
        RouteKind::Broadcast => RouteType::Broadcast,
        RouteKind::Anycast => RouteType::Anycast,
        RouteKind::Multicast => RouteType::Multicast,
        RouteKind::Blackhole => RouteType::BlackHole,
        RouteKind::Unreachable => RouteType::Unreachable,
        RouteKind::Prohibit => RouteType::Prohibit,
        RouteKind::Throw => RouteType::Throw,
    }
}

fn preference(preference: RouterPreference) -> RoutePreference {
    match preference {
        RouterPreference::Low => RoutePreference::Low,
        RouterPreference::Medium => RoutePreference::Medium,
        RouterPreference::High => RoutePreference::High,
    }
}

fn address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(v4) => RouteAddress::Inet(v4),
        IpAddr::V6(v6) => RouteAddress::Inet6(v6),
    }
}
