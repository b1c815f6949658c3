//! Routes and rules that follow the role of master, or are there from start to end.
//!
//! They bear keepalived's protocol number unless they say otherwise, by which leftovers are told from what others made: a
//! director removes those it is configured with, if they bear it, before it holds its first election.

mod route;
mod rule;

use futures_util::StreamExt;
use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::Handle;

use super::KernelError;
use crate::config::model::{Realms, VirtualRoute, VirtualRule};
use crate::wire::Family;

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
            outcome = outcome.and(add_route(handle, route).await.map_err(refused("route", &route.written)));
        }
        for rule in &self.rules {
            outcome = outcome.and(add_rule(handle, rule).await.map_err(refused("rule", &rule.written)));
        }
        outcome
    }

    /// Takes both away, as far as they are there and ours.
    pub async fn remove(&self, handle: &Handle) {
        for rule in &self.rules {
            // Gone already is as good.
            let _ = handle.rule().del(rule::message(rule)).execute().await;
        }
        for route in &self.routes {
            if let Ok(message) = route::message(handle, route).await {
                let _ = handle.route().del(message).execute().await;
            }
        }
    }
}

fn refused(kind: &'static str, written: &str) -> impl FnOnce(rtnetlink::Error) -> KernelError {
    move |source| KernelError::Path { what: format!("{kind} `{written}`"), source }
}

/// In front of others for the same network, as `ip route prepend` does it: those are there again when it goes.
async fn add_route(handle: &Handle, route: &VirtualRoute) -> Result<(), rtnetlink::Error> {
    let message = route::message(handle, route).await?;
    let mut request = NetlinkMessage::from(RouteNetlinkMessage::NewRoute(message));
    let place = if route.appended { NLM_F_APPEND } else { 0 };
    request.header.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | place;
    let mut answers = handle.clone().request(request)?;
    let mut outcome = Ok(());
    while let Some(answer) = answers.next().await {
        if let NetlinkPayload::Error(error) = answer.payload {
            outcome = outcome.and(there(Err(rtnetlink::Error::NetlinkError(error))));
        }
    }
    outcome
}

async fn add_rule(handle: &Handle, rule: &VirtualRule) -> Result<(), rtnetlink::Error> {
    let mut request = handle.rule().add();
    *request.message_mut() = rule::message(rule);
    there(request.execute().await)
}

/// What is there already, just so, is as good.
fn there(added: Result<(), rtnetlink::Error>) -> Result<(), rtnetlink::Error> {
    match added {
        Err(rtnetlink::Error::NetlinkError(error)) if matches!(error.raw_code(), 0 | EXISTS) => Ok(()),
        added => added,
    }
}

/// As netlink says it.
const EXISTS: i32 = -libc::EEXIST;

fn family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

fn realms(realms: Realms) -> netlink_packet_route::route::RouteRealm {
    netlink_packet_route::route::RouteRealm { source: realms.source, destination: realms.destination }
}
