//! Routes and rules that follow the role of master.
//!
//! They bear keepalived's protocol number, by which leftovers are told from what others made: a director removes those it
//! is configured with, if they bear it, before it holds its first election.

use std::net::IpAddr;

use futures_util::TryStreamExt;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use rtnetlink::Handle;

use super::KernelError;
use crate::config::model::{Prefix, RouteKind, VirtualRoute, VirtualRule};

/// `RTPROT_KEEPALIVED` of <linux/rtnetlink.h>.
const PROTOCOL: RouteProtocol = RouteProtocol::Other(18);

/// What follows the role of one instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// `virtual_routes`.
    pub routes: Vec<VirtualRoute>,
    /// `virtual_rules`.
    pub rules: Vec<VirtualRule>,
}

impl Paths {
    /// Adds routes, then rules. What is refused does not keep the rest out; the first refusal is the result.
    pub async fn add(&self, handle: &Handle) -> Result<(), KernelError> {
        let mut outcome = Ok(());
        for route in &self.routes {
            outcome = outcome.and(add_route(handle, route).await);
        }
        for rule in &self.rules {
            outcome = outcome.and(add_rule(handle, rule).await);
        }
        outcome
    }

    /// Takes both away, as far as they are there and ours.
    pub async fn remove(&self, handle: &Handle) {
        for rule in &self.rules {
            // Gone already is as good.
            let _ = handle.rule().del(rule_message(rule)).execute().await;
        }
        for route in &self.routes {
            if let Ok(message) = route_message(handle, route).await {
                let _ = handle.route().del(message).execute().await;
            }
        }
    }
}

async fn add_route(handle: &Handle, route: &VirtualRoute) -> Result<(), KernelError> {
    let failed = |source| KernelError::Path { what: format!("{route:?}"), source };
    let message = route_message(handle, route).await.map_err(failed)?;
    handle.route().add(message).replace().execute().await.map_err(failed)
}

/// One that is there already is as good: the kernel would keep both.
async fn add_rule(handle: &Handle, rule: &VirtualRule) -> Result<(), KernelError> {
    let mut request = handle.rule().add();
    *request.message_mut() = rule_message(rule);
    match request.execute().await {
        Err(rtnetlink::Error::NetlinkError(error)) if error.raw_code() == -libc::EEXIST => Ok(()),
        added => added.map_err(|source| KernelError::Path { what: format!("{rule:?}"), source }),
    }
}

async fn route_message(handle: &Handle, route: &VirtualRoute) -> Result<RouteMessage, rtnetlink::Error> {
    let mut message = RouteMessage::default();
    let known = route.destination.map(|prefix| prefix.address).or(route.via).or(route.source);
    let family = family(known);
    let header = &mut message.header;
    header.address_family = family;
    header.destination_prefix_length = route.destination.map_or(0, |prefix| prefix.length);
    header.protocol = PROTOCOL;
    header.kind = match route.kind {
        RouteKind::Unicast => RouteType::Unicast,
        RouteKind::Blackhole => RouteType::BlackHole,
        RouteKind::Unreachable => RouteType::Unreachable,
        RouteKind::Prohibit => RouteType::Prohibit,
    };
    // As `ip route` chooses: a network without a router is on the link.
    let near = route.via.is_none() && route.kind == RouteKind::Unicast && family == AddressFamily::Inet;
    header.scope = match route.scope {
        Some(scope) => RouteScope::from(scope),
        None if near => RouteScope::Link,
        None => RouteScope::Universe,
    };
    if route.onlink {
        header.flags |= RouteFlags::Onlink;
    }
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Table(route.table));
    attributes.extend(route.destination.map(|prefix| RouteAttribute::Destination(address(prefix.address))));
    attributes.extend(route.via.map(|via| RouteAttribute::Gateway(address(via))));
    attributes.extend(route.source.map(|source| RouteAttribute::PrefSource(address(source))));
    attributes.extend(route.metric.map(RouteAttribute::Priority));
    attributes.extend(route.mtu.map(|mtu| RouteAttribute::Metrics(vec![RouteMetric::Mtu(mtu)])));
    if let Some(device) = &route.device {
        let links: Vec<_> = handle.link().get().match_name(device.clone()).execute().try_collect().await?;
        message.attributes.extend(links.first().map(|link| RouteAttribute::Oif(link.header.index)));
    }
    Ok(message)
}

fn rule_message(rule: &VirtualRule) -> RuleMessage {
    let mut message = RuleMessage::default();
    let ends: [Option<Prefix>; 2] = [rule.from, rule.to];
    message.header.family = family(ends.into_iter().flatten().next().map(|prefix| prefix.address));
    message.header.src_len = rule.from.map_or(0, |prefix| prefix.length);
    message.header.dst_len = rule.to.map_or(0, |prefix| prefix.length);
    message.header.action = match rule.kind {
        RouteKind::Unicast => RuleAction::ToTable,
        RouteKind::Blackhole => RuleAction::Blackhole,
        RouteKind::Unreachable => RuleAction::Unreachable,
        RouteKind::Prohibit => RuleAction::Prohibit,
    };
    let attributes = &mut message.attributes;
    attributes.push(RuleAttribute::Protocol(PROTOCOL));
    if rule.kind == RouteKind::Unicast {
        attributes.push(RuleAttribute::Table(rule.table));
    }
    attributes.extend(rule.from.map(|prefix| RuleAttribute::Source(prefix.address)));
    attributes.extend(rule.to.map(|prefix| RuleAttribute::Destination(prefix.address)));
    attributes.extend(rule.incoming.clone().map(RuleAttribute::Iifname));
    attributes.extend(rule.outgoing.clone().map(RuleAttribute::Oifname));
    attributes.extend(rule.mark.map(RuleAttribute::FwMark));
    attributes.extend(rule.priority.map(RuleAttribute::Priority));
    message
}

fn family(address: Option<IpAddr>) -> AddressFamily {
    if address.is_some_and(|address| address.is_ipv6()) { AddressFamily::Inet6 } else { AddressFamily::Inet }
}

fn address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(v4) => RouteAddress::Inet(v4),
        IpAddr::V6(v6) => RouteAddress::Inet6(v6),
    }
}
