//! One change, applied to a configuration.

use std::net::IpAddr;

use super::model::{self, key_of, virtual_server};
use super::{Change, Refusal, ServerSpec, ServiceName, TunnelKind, TunnelSpec};
use crate::config::Config;
use crate::config::model::{RealServer, VirtualServer};
use crate::control::PAIRS;
use crate::control::view::Forward;
use crate::service::{Method, ServiceId, Services};
use crate::time::Ticks;
use crate::wire::{Endpoint, ServiceKey};

/// Applies one change. What is refused changes nothing. The order of the tests is the kernel's, since it decides which
/// of several reasons is told.
pub fn apply(config: &mut Config, change: &Change) -> Result<(), Refusal> {
    let services = &mut config.services;
    match change {
        Change::AddService(spec) => {
            let key = key_of(&spec.name)?;
            if at(services, &key).is_some() {
                return Err(Refusal::ServiceExists);
            }
            services.push(virtual_server(key, spec)?);
        }
        Change::EditService(spec) => {
            let key = key_of(&spec.name)?;
            let at = at(services, &key).ok_or(Refusal::NoSuchService)?;
            let edited = virtual_server(key, spec)?;
            if edited.one_packet && services[at].full.is_some() {
                // Replies could not be told apart.
                return Err(Refusal::Invalid);
            }
            // Servers stay, and what only the file can say.
            let VirtualServer { servers, sorry, limits, full, .. } = services.swap_remove(at);
            services.push(VirtualServer { servers, sorry, limits, full, ..edited });
            let last = services.len() - 1;
            services.swap(at, last);
        }
        Change::DeleteService(name) => {
            let at = find(services, name).ok_or(Refusal::NoSuchService)?;
            services.remove(at);
        }
        Change::Clear => services.clear(),
        Change::AddServer { service, server } => add_server(services, service, server)?,
        Change::EditServer { service, server } => edit_server(services, service, server)?,
        Change::DeleteServer { service, address } => {
            let service = find(services, service).ok_or(Refusal::ServiceNotDefined)?;
            let servers = &mut services[service].servers;
            let at = position(servers, Endpoint::from(*address)).ok_or(Refusal::NoSuchDestination)?;
            servers.remove(at);
        }
        Change::Zero(Some(name)) => _ = find(services, name).ok_or(Refusal::NoSuchService)?,
        Change::Zero(None) => {}
        &Change::SetTimeouts { tcp, tcp_fin, udp } => {
            let timeouts = &mut config.settings.options.timeouts;
            for (timeout, seconds) in
                [(&mut timeouts.tcp, tcp), (&mut timeouts.tcp_fin, tcp_fin), (&mut timeouts.udp, udp)]
            {
                if seconds != 0 {
                    *timeout = Ticks::from_secs(seconds);
                }
            }
        }
    }
    Ok(())
}

fn add_server(services: &mut [VirtualServer], service: &ServiceName, spec: &ServerSpec) -> Result<(), Refusal> {
    let at = find(services, service).ok_or(Refusal::ServiceNotDefined)?;
    check(&services[at], spec)?;
    if position(&services[at].servers, Endpoint::from(spec.address)).is_some() {
        return Err(Refusal::DestinationExists);
    }
    if !can_be_a_server(spec.address.ip()) {
        return Err(Refusal::Invalid);
    }
    let pairs: usize =
        services.iter().map(|service| service.servers.len() + usize::from(service.sorry.is_some())).sum();
    if pairs >= PAIRS {
        return Err(Refusal::NoRoom);
    }
    services[at].servers.push(model::real_server(spec));
    Ok(())
}

fn edit_server(services: &mut [VirtualServer], service: &ServiceName, spec: &ServerSpec) -> Result<(), Refusal> {
    let at = find(services, service).ok_or(Refusal::ServiceNotDefined)?;
    check(&services[at], spec)?;
    let server = position(&services[at].servers, Endpoint::from(spec.address)).ok_or(Refusal::NoSuchDestination)?;
    let edited = model::real_server(spec);
    let server = &mut services[at].servers[server];
    // Full NAT, for which there is no option, and how its health is found out are the file's business.
    let method = if server.method == Method::Full { Method::Full } else { edited.method };
    let (checks, inhibit_on_failure) = (std::mem::take(&mut server.checks), server.inhibit_on_failure);
    *server = RealServer { method, checks, inhibit_on_failure, ..edited };
    Ok(())
}

/// What both kinds of change to a server are tested for first (`ip_vs_ctl.c: ip_vs_add_dest, ip_vs_edit_dest`).
fn check(service: &VirtualServer, spec: &ServerSpec) -> Result<(), Refusal> {
    let other_family = Endpoint::from(spec.address).addr.family() != service.key.family();
    let without_ends = spec.method == Forward::Full && service.full.is_none();
    if (other_family && spec.method != Forward::Tun) || without_ends {
        return Err(Refusal::Invalid);
    }
    if spec.weight > i32::MAX as u32 || spec.lower > spec.upper {
        return Err(Refusal::OutOfRange);
    }
    match spec.tunnel {
        TunnelSpec { kind: TunnelKind::Gue, port: 0, .. } => Err(Refusal::Invalid),
        _ => Ok(()),
    }
}

/// Whether the kernel would take it for the address of a single host (`ip_vs_ctl.c: ip_vs_new_dest`).
fn can_be_a_server(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[0] != 0 && !v4.is_multicast() && !v4.is_broadcast(),
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_multicast() && !v6.is_unicast_link_local(),
    }
}

/// The id of a service that workers know.
pub fn service_id(services: &Services, name: &ServiceName) -> Option<ServiceId> {
    let at = services.find(&key_of(name).ok()?)?;
    services.list.get(at).map(|service| service.id)
}

fn find(services: &[VirtualServer], name: &ServiceName) -> Option<usize> {
    // A name that no service can have is no service's.
    at(services, &key_of(name).ok()?)
}

fn at(services: &[VirtualServer], key: &ServiceKey) -> Option<usize> {
    services.iter().position(|service| service.key == *key)
}

fn position(servers: &[RealServer], real: Endpoint) -> Option<usize> {
    servers.iter().position(|server| server.real == real)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::admin::difference;

    const FULL: &str = "local_address_group L {\n10.0.0.5\n}\n\
        virtual_server 192.0.2.10 80 {\nlb_algo rr\nlb_kind FNAT\nprotocol TCP\nladdr_group_name L\n\
        real_server 10.0.0.11 80 {\nweight 1\n}\n}\n\
        virtual_server 192.0.2.10 81 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n\
        real_server 10.0.0.12 80 {\nweight 1\n}\n}\n";

    /// What ipvsadm says of a server that it does not name the method of.
    fn plain(method: &str, port: u16, weight: u32) -> Change {
        let text = format!(
            r#"{{"edit-server":{{"service":{{"protocol":"tcp","address":"192.0.2.10:{port}"}},
                "server":{{"address":"10.0.0.11:80","method":"{method}","weight":{weight}}}}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn added(edit: Change) -> Change {
        let Change::EditServer { service, server } = edit else { unreachable!() };
        Change::AddServer { service, server }
    }

    #[test]
    fn a_server_by_full_nat_stays_one_when_its_weight_is_edited() {
        let file = crate::config::parse_str("x.conf", FULL).expect("it loads").config;
        let mut config = file.clone();
        apply(&mut config, &plain("dr", 80, 0)).unwrap();
        let server = &config.services[0].servers[0];
        assert_eq!((server.method, server.weight), (Method::Full, 0));
        // Another server of that address may have another method, for the next director too.
        let Change::EditServer { service, server } = plain("nat", 80, 1) else { unreachable!() };
        let address = server.address;
        for change in [Change::DeleteServer { service, address }, Change::AddServer { service, server }] {
            apply(&mut config, &change).unwrap();
        }
        let mut next = file.clone();
        difference(&file, &config).iter().for_each(|change| apply(&mut next, change).unwrap());
        assert_eq!(next, config);
        assert_eq!(next.services[0].servers[0].method, Method::Nat);
    }

    #[test]
    fn what_full_nat_cannot_do_is_refused() {
        let mut config = crate::config::parse_str("x.conf", FULL).expect("it loads").config;
        let one_packet =
            r#"{"edit-service":{"protocol":"tcp","address":"192.0.2.10:PORT","scheduler":"rr","one_packet":true}}"#;
        let edit = |port: &str| serde_json::from_str(&one_packet.replace("PORT", port)).unwrap();
        let before = config.clone();
        assert_eq!(apply(&mut config, &edit("80")), Err(Refusal::Invalid));
        assert_eq!(
            apply(&mut config, &added(plain("full", 81, 1))),
            Err(Refusal::Invalid),
            "it has no local addresses"
        );
        assert!(config == before);
        assert_eq!(apply(&mut config, &edit("81")), Ok(()));
    }

    /// What the socket may bring, though ipvsadm would not.
    #[test]
    fn a_client_cannot_ask_for_what_no_command_line_says() {
        for (text, expected) in [
            (r#"{"add-service":{"fwmark":0,"family":"ipv4","scheduler":"rr"}}"#, Err(Refusal::Invalid)),
            (r#"{"add-service":{"fwmark":1,"family":"ipv4","scheduler":"rr","flags":["x"]}}"#, Err(Refusal::Invalid)),
            (
                r#"{"add-service":{"fwmark":1,"family":"ipv4","scheduler":"rr","persistence":{"timeout":1,"netmask":33}}}"#,
                Err(Refusal::Invalid),
            ),
            (
                r#"{"add-service":{"fwmark":1,"family":"ipv6","scheduler":"rr","persistence":{"timeout":1,"netmask":"1.2.3.4"}}}"#,
                Err(Refusal::Invalid),
            ),
            (r#"{"add-service":{"fwmark":1,"family":"ipv6","scheduler":"rr"}}"#, Ok(())),
            (
                r#"{"add-server":{"service":{"fwmark":1,"family":"ipv6"},
                    "server":{"address":"[fd00::1]:0","method":"dr","weight":2147483648}}}"#,
                Err(Refusal::OutOfRange),
            ),
            (
                r#"{"add-server":{"service":{"fwmark":1,"family":"ipv6"},
                    "server":{"address":"10.0.0.1:0","method":"nat","weight":1}}}"#,
                Err(Refusal::Invalid),
            ),
            (
                r#"{"add-server":{"service":{"fwmark":1,"family":"ipv6"},
                    "server":{"address":"10.0.0.1:0","method":"tun","tunnel":{"type":"gue"},"weight":1}}}"#,
                Err(Refusal::Invalid),
            ),
        ] {
            let mut config = Config::default();
            let mark =
                serde_json::from_str(r#"{"add-service":{"fwmark":1,"family":"ipv6","scheduler":"rr"}}"#).unwrap();
            if text.contains("add-server") {
                apply(&mut config, &mark).unwrap();
            }
            let before = config.clone();
            let change = serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(apply(&mut config, &change), expected, "{text}");
            assert_eq!(config == before, expected.is_err(), "{text}");
        }
    }
}
