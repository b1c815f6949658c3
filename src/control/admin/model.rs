//! Between what clients say and what the director runs, both ways.

use super::{
    Netmask, PersistenceSpec, Refusal, ServerSpec, ServiceName, ServiceSpec, TunnelChecksum, TunnelKind, TunnelSpec,
};
use crate::config::model::{RealServer, VirtualServer};
use crate::control::view::{self, Forward, Protocol};
use crate::sched::{Flags, Kind, Setup};
use crate::service::{Engine, GueChecksum, Limits, Method, Persistence, Thresholds, Tunnel};
use crate::time::Ticks;
use crate::wire::{Family, Mask, ServiceKey, Shape};

/// The key that workers know a service by.
pub(super) fn key_of(name: &ServiceName) -> Result<ServiceKey, Refusal> {
    match *name {
        ServiceName::Mark { fwmark: 0, .. } => Err(Refusal::Invalid),
        ServiceName::Mark { fwmark, family } => Ok(ServiceKey::of_mark(fwmark, family.into())),
        ServiceName::Address { protocol, address } => {
            Ok(ServiceKey { protocol: protocol.number(), virtual_: address.into() })
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

/// What clients would say of a service; `None` if they have no name for it.
pub(super) fn service_spec(service: &VirtualServer) -> Option<ServiceSpec> {
    let Setup { kind, flags } = service.scheduler;
    let names = [(flags.fallback, "flag-1"), (flags.port, "flag-2"), (flags.third, "flag-3")];
    let affinity = |with: Persistence| PersistenceSpec {
        timeout: with.timeout.as_secs(),
        netmask: match with.mask.shape(service.key.family()) {
            Shape::Prefix(length) => Netmask::Prefix(length),
            Shape::Netmask(mask) => Netmask::Mask(mask),
        },
    };
    Some(ServiceSpec {
        name: name_of(&service.key)?,
        scheduler: kind.to_string(),
        flags: names.into_iter().filter(|(set, _)| *set).map(|(_, name)| name.to_owned()).collect(),
        persistence: service.persistence.map(affinity),
        one_packet: service.one_packet,
        engine: service.engine.map(|engine| engine.name().to_owned()),
    })
}

/// A service without servers.
pub(super) fn virtual_server(key: ServiceKey, spec: &ServiceSpec) -> Result<VirtualServer, Refusal> {
    let kind: Kind = spec.scheduler.parse().map_err(|_| Refusal::NoSuchScheduler)?;
    let engine = |name: &String| Engine::named(name).ok_or(Refusal::NoSuchScheduler);
    Ok(VirtualServer {
        key,
        scheduler: Setup { kind, flags: flags(&spec.flags)? },
        persistence: spec.persistence.map(|spec| persistence(spec, key.family())).transpose()?,
        engine: spec.engine.as_ref().map(engine).transpose()?,
        limits: Limits::default(),
        one_packet: spec.one_packet,
        full: None,
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

fn persistence(spec: PersistenceSpec, family: Family) -> Result<Persistence, Refusal> {
    let mask = match (spec.netmask, family) {
        (Netmask::Prefix(prefix @ 1..=128), Family::V6) => Mask::of_length(family, prefix),
        (Netmask::Prefix(prefix @ 0..=32), Family::V4) => Mask::of_length(family, prefix),
        (Netmask::Mask(mask), Family::V4) => Mask::netmask(mask),
        (Netmask::Prefix(_) | Netmask::Mask(_), _) => return Err(Refusal::Invalid),
    };
    Ok(Persistence { timeout: Ticks::from_secs(spec.timeout), mask })
}

/// What clients would say of a server.
pub(super) fn server_spec(server: &RealServer) -> ServerSpec {
    ServerSpec {
        address: view::socket(server.real),
        method: server.method.into(),
        tunnel: TunnelSpec::of(server.method).unwrap_or_default(),
        weight: server.weight,
        upper: server.thresholds.upper,
        lower: server.thresholds.lower,
    }
}

/// A server without health checks.
pub(super) fn real_server(spec: &ServerSpec) -> RealServer {
    RealServer {
        real: spec.address.into(),
        method: method_of(spec),
        weight: spec.weight,
        thresholds: Thresholds { upper: spec.upper, lower: spec.lower },
        inhibit_on_failure: false,
        checks: Vec::new(),
    }
}

/// The method of the data path.
fn method_of(spec: &ServerSpec) -> Method {
    match spec.method {
        Forward::Nat => Method::Nat,
        Forward::Dr => Method::Dr,
        Forward::Full => Method::Full,
        Forward::Tun => Method::Tun(match (spec.tunnel.kind, spec.tunnel.checksum) {
            (TunnelKind::Ipip, _) => Tunnel::Ipip,
            (TunnelKind::Gre, checksum) => Tunnel::Gre { checksum: checksum != TunnelChecksum::None },
            (TunnelKind::Gue, checksum) => {
                let checksum = match checksum {
                    TunnelChecksum::None => GueChecksum::Off,
                    TunnelChecksum::Plain => GueChecksum::On,
                    TunnelChecksum::Remote => GueChecksum::Remote,
                };
                Tunnel::Gue { port: spec.tunnel.port, checksum }
            }
        }),
    }
}

impl TunnelSpec {
    /// What a server is reached by, if it is by a tunnel.
    pub fn of(method: Method) -> Option<Self> {
        let Method::Tun(tunnel) = method else { return None };
        let (kind, port, checksum) = match tunnel {
            Tunnel::Ipip => (TunnelKind::Ipip, 0, TunnelChecksum::None),
            Tunnel::Gre { checksum: false } => (TunnelKind::Gre, 0, TunnelChecksum::None),
            Tunnel::Gre { checksum: true } => (TunnelKind::Gre, 0, TunnelChecksum::Plain),
            Tunnel::Gue { port, checksum } => {
                let checksum = match checksum {
                    GueChecksum::Off => TunnelChecksum::None,
                    GueChecksum::On => TunnelChecksum::Plain,
                    GueChecksum::Remote => TunnelChecksum::Remote,
                };
                (TunnelKind::Gue, port, checksum)
            }
        };
        Some(Self { kind, port, checksum })
    }
}
