//! Between what clients say and what the director runs, both ways. What LVS can and the director cannot is refused here.

use super::{Netmask, PersistenceSpec, Refusal, ServerSpec, ServiceName, ServiceSpec, TunnelKind};
use crate::config::model::{RealServer, VirtualServer};
use crate::control::view::{self, Forward, Protocol};
use crate::sched::{Flags, Kind, Setup};
use crate::service::{Method, Persistence, Thresholds};
use crate::time::Ticks;
use crate::wire::{self, Endpoint, Mask, ServiceKey};

/// The key that workers know a service by.
pub(super) fn key_of(name: &ServiceName) -> Result<ServiceKey, Refusal> {
    match name {
        ServiceName::Mark { fwmark: 0, .. } => Err(Refusal::Invalid),
        ServiceName::Mark { fwmark, family } => Ok(ServiceKey::of_mark(*fwmark, (*family).into())),
        ServiceName::Address { protocol: Protocol::Sctp, .. } => unsupported("SCTP services"),
        ServiceName::Address { protocol, address } => {
            Ok(ServiceKey { protocol: protocol.number(), virtual_: Endpoint::from(*address) })
        }
    }
}

/// What clients know a service by; `None` for a protocol that LVS does not balance.
pub fn name_of(key: &ServiceKey) -> Option<ServiceName> {
    if let Some(fwmark) = key.mark() {
        return Some(ServiceName::Mark { fwmark, family: key.family().into() });
    }
    let protocol = Protocol::from_number(key.protocol)?;
    Some(ServiceName::Address { protocol, address: view::socket(key.virtual_) })
}

/// A service without servers.
pub(super) fn virtual_server(key: ServiceKey, spec: &ServiceSpec) -> Result<VirtualServer, Refusal> {
    let kind: Kind = spec.scheduler.parse().map_err(|_| Refusal::NoSuchScheduler)?;
    if spec.engine.is_some() {
        return Err(Refusal::NoSuchScheduler);
    }
    Ok(VirtualServer {
        key,
        scheduler: Setup { kind, flags: flags(&spec.flags)? },
        persistence: spec.persistence.map(persistence).transpose()?,
        one_packet: spec.one_packet,
        servers: Vec::new(),
        sorry: None,
    })
}

fn flags(names: &[String]) -> Result<Flags, Refusal> {
    let mut flags = Flags::default();
    for name in names {
        match name.as_str() {
            "flag-1" | "sh-fallback" | "mh-fallback" => flags.fallback = true,
            "flag-2" | "sh-port" | "mh-port" => flags.port = true,
            "flag-3" => flags.third = true,
            _ => return Err(Refusal::Invalid),
        }
    }
    Ok(flags)
}

fn persistence(spec: PersistenceSpec) -> Result<Persistence, Refusal> {
    let mask = match spec.netmask {
        Netmask::Prefix(prefix) if (1..=128).contains(&prefix) => Mask::of_length(wire::Family::V6, prefix),
        Netmask::Prefix(_) => return Err(Refusal::Invalid),
        Netmask::Mask(mask) => Mask::netmask(mask),
    };
    Ok(Persistence { timeout: Ticks::from_secs(spec.timeout), mask })
}

/// A server without health checks.
pub(super) fn real_server(service: &ServiceKey, spec: &ServerSpec) -> Result<RealServer, Refusal> {
    let real = Endpoint::from(spec.address);
    if spec.method != Forward::Tun && real.addr.family() != service.virtual_.addr.family() {
        return Err(Refusal::Invalid);
    }
    Ok(RealServer {
        real,
        method: method_of(spec)?,
        weight: spec.weight,
        thresholds: Thresholds { upper: spec.upper, lower: spec.lower },
        inhibit_on_failure: false,
        checks: Vec::new(),
    })
}

/// The method of the data path.
fn method_of(spec: &ServerSpec) -> Result<Method, Refusal> {
    match (spec.method, spec.tunnel.kind) {
        (Forward::Nat, _) => Ok(Method::Nat),
        (Forward::Dr, _) => Ok(Method::Dr),
        (Forward::Tun, TunnelKind::Ipip) => Ok(Method::Tun),
        (Forward::Tun, TunnelKind::Gue) => unsupported("GUE tunnels"),
        (Forward::Tun, TunnelKind::Gre) => unsupported("GRE tunnels"),
    }
}

fn unsupported<T>(what: &str) -> Result<T, Refusal> {
    Err(Refusal::Unsupported(format!("Not supported yet: {what}")))
}
