//! From facts to the desired state: what the configuration asks for, what the checks found, what the network looks like.
//!
//! [`plan`] works everything out anew each time, so nothing depends on having seen a particular change. Of the previous
//! plan it takes only what the future may depend on: the order of each service's servers and where its scheduler stands.

mod pool;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::check;
use crate::config::Config;
use crate::config::model::{Mark, RealServer, VirtualServer};
use crate::io::PortId;
use crate::service::{
    Admission, Arrival, MarkRule, Method, Network, Server, Service, Services, ServicesBuilder, Thresholds,
};
use crate::wire::{Addr, Endpoint, ServiceKey};

use super::Ids;
use pool::Pool;

/// The services and pairs that workers should serve. `health` says whether a server with these checks is up.
///
/// A pair that `ids` knows but the plan has no use for stays in the result as removed, until it is vacated.
pub fn plan(
    config: &Config,
    health: impl Fn(&[check::Spec]) -> bool,
    ids: &mut Ids,
    network: &Network,
    previous: Option<&Services>,
) -> Services {
    let mut builder = ServicesBuilder::default();
    builder.ftp_ports(config.settings.options.ftp_ports);
    ids.begin();
    for service in &config.services {
        let before = previous.and_then(|services| services.find(&service.key).map(|at| &services.list[at]));
        let wanted: Vec<Server> = in_rotation(service, &health)
            .into_iter()
            .map(|(real, weight)| server(ids, service.key, real, weight))
            .collect();
        let id = ids.service(service.key);
        let Pool { servers, scheduler } = Pool::of(before, service.scheduler, ids.seed(id)).with(&wanted);
        let past_all = config.settings.options.cache_bypass && service.key.mark().is_some();
        let bypass = past_all.then(|| bypass(ids, service.key));
        let all = servers.iter().chain(&bypass);
        let generations: Vec<u32> = all.map(|server| ids.generation(server.pair)).collect();
        let VirtualServer { key, persistence, engine, one_packet, .. } = *service;
        let admission = admission(service, before);
        let full = service.full.clone().map(Arc::new);
        let service = Service { id, key, scheduler, persistence, engine, admission, one_packet, full, servers, bypass };
        builder.add(service, &generations, network);
    }
    for (id, pair) in ids.removed() {
        builder.add_removed(id, pair, network);
    }
    for (id, pair, current) in ids.former() {
        builder.add_former(id, pair, current, network);
    }
    builder.marks(marks(&config.settings.marks, network));
    builder.build()
}

/// The limits, with the bucket that they had before if they are the same.
fn admission(service: &VirtualServer, before: Option<&Service>) -> Arc<Admission> {
    let kept = before.map(|before| &before.admission).filter(|kept| kept.limits() == service.limits);
    kept.map_or_else(|| Arc::new(Admission::new(service.limits)), Arc::clone)
}

/// The rules that give packets their marks. One for an interface that the director is not attached to matches nothing.
fn marks(wanted: &[Mark], network: &Network) -> Vec<MarkRule> {
    let arrival = |name: &String| {
        let (number, port) = (0..).zip(&network.ports).find(|(_, port)| port.name == *name)?;
        Some(Arrival { port: PortId(number), ifindex: port.ifindex })
    };
    let rule = |mark: &Mark| match &mark.interface {
        None => Some(mark.rule),
        Some(name) => Some(MarkRule { arrival: Some(arrival(name)?), ..mark.rule }),
    };
    wanted.iter().filter_map(rule).collect()
}

/// The servers to have in the list, in the order of the configuration, with the weight that each has now.
///
/// A server that is down is left out, or stays with weight 0 if it is to be inhibited. The sorry server joins once no
/// other has any weight (keepalived's `quorum 1`).
fn in_rotation(service: &VirtualServer, health: impl Fn(&[check::Spec]) -> bool) -> Vec<(&RealServer, u32)> {
    let mut servers: Vec<(&RealServer, u32)> = Vec::new();
    for server in &service.servers {
        let weight = match health(&server.checks) {
            true => server.weight,
            false if server.inhibit_on_failure => 0,
            false => continue,
        };
        servers.push((server, weight));
    }
    if let Some(sorry) = &service.sorry
        && servers.iter().all(|&(_, weight)| weight == 0)
    {
        servers.retain(|(server, _)| server.real != sorry.real);
        servers.push((sorry, sorry.weight));
    }
    servers
}

/// What stands for the destinations of a service's packets. It always has a weight: nobody can drain it.
fn bypass(ids: &mut Ids, service: ServiceKey) -> Server {
    let real = Endpoint { addr: Addr::unspecified(service.family()), port: 0 };
    let method = Method::Dr;
    Server { pair: ids.pair(service, real, method), real, method, weight: 1, thresholds: Thresholds::default() }
}

fn server(ids: &mut Ids, service: ServiceKey, server: &RealServer, weight: u32) -> Server {
    let pair = ids.pair(service, server.real, server.method);
    let RealServer { real, method, thresholds, .. } = *server;
    Server { pair, real, method, weight, thresholds }
}
