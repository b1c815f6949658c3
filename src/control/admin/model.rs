//! Between what clients say and what the director runs, both ways.

use super::{
    Netmask, PersistenceSpec, Refusal, ServerSpec, ServiceName, ServiceSpec, TunnelChecksum, TunnelKind, TunnelSpec,
};
use crate::config::model::{RealServer, VirtualServer};
use crate::control::view::{self, Forward, Protocol};
use crate::sched::{Flags, Kind, Setup};
use crate::service::{GueChecksum, Limits, Method, Persistence, Thresholds, Tunnel};
use crate::time::Ticks;
use crate::wire::{self, Endpoint, Mask, ServiceKey};

/// The key that workers know a service by.
pub(super) fn key_of(name: &ServiceName) -> ServiceKey {
    match name {
        ServiceName::Mark { fwmark, family } => ServiceKey::of_mark(*fwmark, (*family).into()),
        ServiceName::Address { protocol, address } => {
            ServiceKey { protocol: protocol.number(), virtual_: Endpoint::from(*address) }
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
        limits: Limits::default(),
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
        Netmask::Prefix(length) if (1..=128).contains(&length) => Mask::of_length(wire::Family::V6, length),
        Netmask::Prefix(_) => return Err(Refusal::Invalid),
        Netmask::Mask(mask) => Mask::netmask(mask),
    };
    Ok(Persistence { timeout: Ticks::from_secs(spec.timeout), mask })
}

/// A server without health checks.
pub(super) fn real_server(service: &ServiceKey, spec: &ServerSpec) -> Result<RealServer, Refusal> {
    let real = Endpoint::from(spec.address);
    if spec.method != Forward::Tun && real.addr.family() != service.family() {
        return Err(Refusal::Invalid);
    }
    Ok(RealServer {
        real,
        method: method_of(spec),
        weight: spec.weight,
        thresholds: Thresholds { upper: spec.upper, lower: spec.lower },
        inhibit_on_failure: false,
        checks: Vec::new(),
    })
}

/// The method of the data path.
fn method_of(spec: &ServerSpec) -> Method {
    match spec.method {
        Forward::Nat => Method::Nat,
        Forward::Dr => Method::Dr,
        Forward::Tun => Method::Tun(tunnel(spec.tunnel)),
    }
}

/// Checksum options that a kind of tunnel does not have are without effect, as in the kernel.
fn tunnel(spec: TunnelSpec) -> Tunnel {
    match spec.kind {
        TunnelKind::Ipip => Tunnel::Ipip,
        TunnelKind::Gre => Tunnel::Gre { checksum: spec.checksum == TunnelChecksum::Plain },
        TunnelKind::Gue => {
            let checksum = match spec.checksum {
                TunnelChecksum::None => GueChecksum::Off,
                TunnelChecksum::Plain => GueChecksum::On,
                TunnelChecksum::Remote => GueChecksum::Remote,
            };
            Tunnel::Gue { port: spec.port, checksum }
        }
    }
}

/// What tunnels to a server are made of, if it is reached by one.
pub fn tunnel_of(method: Method) -> Option<TunnelSpec> {
    let (kind, port, checksum) = match method {
        Method::Nat | Method::Dr => return None,
        Method::Tun(Tunnel::Ipip) => (TunnelKind::Ipip, 0, TunnelChecksum::None),
        Method::Tun(Tunnel::Gre { checksum: false }) => (TunnelKind::Gre, 0, TunnelChecksum::None),
        Method::Tun(Tunnel::Gre { checksum: true }) => (TunnelKind::Gre, 0, TunnelChecksum::Plain),
        Method::Tun(Tunnel::Gue { port, checksum }) => {
            let checksum = match checksum {
                GueChecksum::Off => TunnelChecksum::None,
                GueChecksum::On => TunnelChecksum::Plain,
                GueChecksum::Remote => TunnelChecksum::Remote,
            };
            (TunnelKind::Gue, port, checksum)
        }
    };
    Some(TunnelSpec { kind, port, checksum })
}
