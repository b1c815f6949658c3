//! Changes in the words of the director's administration.

use std::net::SocketAddr;

use ringmaster::config::Config;
use ringmaster::control::admin::{
    self, Change as Asked, Family, Netmask, PersistenceSpec, ServerSpec, ServiceName, ServiceSpec, TunnelSpec,
};
use ringmaster::control::view::{Forward, Protocol};

use crate::control::Control;
use crate::frames::End;
use crate::places::{self, Key};
use crate::reference::Reference;
use crate::steps::{Change, FileService, Method, Part, Shape};

/// Has the director carry out a change; false: it refuses. Servers that are named by their place in the list are looked
/// up in the reference, which does not know of the change yet.
pub fn carry_out(control: &mut Control, change: &Change, reference: &Reference) -> bool {
    let asked = match change {
        Change::AddService { service, shape } => Asked::AddService(spec(*service, shape)),
        Change::EditService { service, shape } => Asked::EditService(spec(*service, shape)),
        Change::DeleteService { service } => Asked::DeleteService(name(*service)),
        Change::Clear => Asked::Clear,
        Change::AddServer { service, server, part } => {
            Asked::AddServer { service: name(*service), server: part_of(places::server(*service, *server, part), part) }
        }
        Change::EditServer { service, server, part } => Asked::EditServer {
            service: name(*service),
            server: part_of(places::server(*service, *server, part), part),
        },
        Change::Weight { service, server, weight } => {
            let Some((real, part)) = reference.nth(*service, *server) else { return false };
            Asked::EditServer { service: name(*service), server: part_of(real, &Part { weight: *weight, ..part }) }
        }
        Change::DeleteServer { service, server } => {
            let Some((real, _)) = reference.nth(*service, *server) else { return false };
            Asked::DeleteServer { service: name(*service), address: real.into() }
        }
        Change::Zero { service } => Asked::Zero(service.map(name)),
        &Change::Timeouts { tcp, tcp_fin, udp } => Asked::SetTimeouts { tcp, tcp_fin, udp },
        Change::Set { option, value } => return control.set(&format!("net.ipv4.vs.{option}"), *value).is_ok(),
        Change::Reload { services } => {
            control.reload(file(services).services);
            return true;
        }
    };
    control.change(&asked).is_ok()
}

/// The services as a file would have them.
fn file(services: &[FileService]) -> Config {
    let mut config = Config::default();
    for (service, shape, servers) in services {
        admin::apply(&mut config, &Asked::AddService(spec(*service, shape))).unwrap();
        for (server, part) in servers {
            let server = part_of(places::server(*service, *server, part), part);
            admin::apply(&mut config, &Asked::AddServer { service: name(*service), server }).unwrap();
        }
    }
    config
}

fn name(service: usize) -> ServiceName {
    match places::services()[service] {
        Key::Address(protocol, address, port) => ServiceName::Address {
            protocol: Protocol::from_number(protocol).unwrap(),
            address: SocketAddr::new(address, port),
        },
        Key::Mark(fwmark, v6) => ServiceName::Mark { fwmark, family: if v6 { Family::Ipv6 } else { Family::Ipv4 } },
    }
}

fn spec(service: usize, shape: &Shape) -> ServiceSpec {
    let v6 = places::services()[service].is_v6();
    let persistence = shape.persistence.map(|(timeout, which)| {
        let mask = places::granularity(which, v6);
        let netmask = match v6 {
            true => Netmask::Prefix(mask.leading_ones() as u8),
            false => Netmask::Mask((mask as u32).into()),
        };
        PersistenceSpec { timeout, netmask }
    });
    let flags = [(shape.fallback, "flag-1"), (shape.port, "flag-2")];
    ServiceSpec {
        name: name(service),
        scheduler: shape.scheduler.to_owned(),
        flags: flags.iter().filter(|(set, _)| *set).map(|(_, flag)| (*flag).to_owned()).collect(),
        persistence,
        one_packet: shape.one_packet,
        engine: None,
    }
}

fn part_of(real: End, part: &Part) -> ServerSpec {
    let method = match part.method {
        Method::Nat => Forward::Nat,
        Method::Dr => Forward::Dr,
        Method::Tun => Forward::Tun,
    };
    let Part { weight, upper, lower, .. } = *part;
    ServerSpec { address: real.into(), method, tunnel: TunnelSpec::default(), weight, upper, lower }
}
