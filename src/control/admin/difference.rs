//! From one list of virtual servers to another by the changes that clients might have asked for.
//!
//! A director tells its successor so what `ipvsadm` has made of the configuration: the successor reads the file, which is
//! where checks, limits and sorry servers come from, and repeats the changes. However many there were, only what they have
//! come to counts.

use super::Change;
use super::model::{name_of, server_spec, service_spec};
use crate::config::Config;
use crate::config::model::{RealServer, VirtualServer};
use crate::conn::Timeouts;
use crate::service::Method;

/// The changes that make of the services and timeouts `from` those of `to`.
pub fn difference(from: &Config, to: &Config) -> Vec<Change> {
    let mut changes = Vec::new();
    let kept = kept(&from.services, &to.services, same_service);
    for service in gone(&from.services, &kept) {
        changes.extend(name_of(&service.key).map(Change::DeleteService));
    }
    for (service, kept) in to.services.iter().zip(&kept) {
        changes.extend(of_service(kept.map(|at| &from.services[at]), service).unwrap_or_default());
    }
    changes.extend(of_timeouts(from.settings.options.timeouts, to.settings.options.timeouts));
    changes
}

/// `None` for a service that clients have no name for.
fn of_service(from: Option<&VirtualServer>, to: &VirtualServer) -> Option<Vec<Change>> {
    let (spec, mut changes) = (service_spec(to)?, Vec::new());
    let name = spec.name;
    match from {
        None => changes.push(Change::AddService(spec)),
        Some(from) if service_spec(from).as_ref() == Some(&spec) => {}
        Some(_) => changes.push(Change::EditService(spec)),
    }
    let before = from.map_or(&[][..], |from| &from.servers);
    let kept = kept(before, &to.servers, same_server);
    let delete = |server: &RealServer| Change::DeleteServer { service: name, address: server_spec(server).address };
    changes.extend(gone(before, &kept).map(delete));
    for (server, kept) in to.servers.iter().zip(&kept) {
        let spec = server_spec(server);
        match kept.map(|at| server_spec(&before[at])) {
            None => changes.push(Change::AddServer { service: name, server: spec }),
            Some(from) if from == spec => {}
            Some(_) => changes.push(Change::EditServer { service: name, server: spec }),
        }
    }
    Some(changes)
}

fn of_timeouts(from: Timeouts, to: Timeouts) -> Option<Change> {
    let [tcp, tcp_fin, udp] = [to.tcp, to.tcp_fin, to.udp].map(crate::time::Ticks::as_secs);
    (from != to).then_some(Change::SetTimeouts { tcp, tcp_fin, udp })
}

/// Whether an edit can make the one of the other: what only the file can say is the same.
fn same_service(from: &VirtualServer, to: &VirtualServer) -> bool {
    from.key == to.key && from.limits == to.limits && from.full == to.full && from.sorry == to.sorry
}

/// See [`same_service`].
fn same_server(from: &RealServer, to: &RealServer) -> bool {
    let full = |server: &RealServer| server.method == Method::Full;
    let same_checks = from.checks == to.checks && from.inhibit_on_failure == to.inhibit_on_failure;
    from.real == to.real && same_checks && full(from) == full(to)
}

/// For each of `to` its place in `from`, up to the first that has none: whatever comes, or comes back, goes to the end.
fn kept<T>(from: &[T], to: &[T], same: impl Fn(&T, &T) -> bool) -> Vec<Option<usize>> {
    let mut next = 0;
    let places = to.iter().map_while(|item| {
        let at = next + from[next..].iter().position(|other| same(other, item))?;
        next = at + 1;
        Some(Some(at))
    });
    let mut kept: Vec<_> = places.collect();
    kept.resize(to.len(), None);
    kept
}

fn gone<'a, T>(from: &'a [T], kept: &[Option<usize>]) -> impl Iterator<Item = &'a T> {
    let mut there = vec![false; from.len()];
    kept.iter().flatten().for_each(|&at| there[at] = true);
    from.iter().zip(there).filter(|(_, there)| !there).map(|(item, _)| item)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config;
    use crate::control::admin::apply;

    /// Three services, with checks, a sorry server, a limit and tunnels.
    const FILE: &str = "
        virtual_server 10.0.0.1 80 {
            protocol TCP
            lb_algo wrr
            lb_kind NAT
            sorry_server 10.0.0.9 80
            real_server 10.0.0.2 80 { TCP_CHECK { } }
            real_server 10.0.0.3 80 { weight 7 }
            real_server 10.0.0.4 80 { inhibit_on_failure }
        }
        virtual_server 10.0.0.1 53 {
            protocol UDP
            lb_algo rr
            lb_kind DR
            persistence_timeout 60
            real_server 10.0.0.2 53 { uthreshold 9 }
        }
        virtual_server fwmark 3 {
            protocol TCP
            lb_algo sh
            sh-port
            lb_kind TUN
            real_server 10.0.0.2 0 { weight 1 }
        }
    ";

    fn file() -> Config {
        config::parse_str("test.conf", FILE).unwrap().config
    }

    /// What clients may say, as they say it: few names, so that things come back.
    fn change() -> impl Strategy<Value = Change> {
        let service = prop_oneof![
            Just(r#""protocol":"tcp","address":"10.0.0.1:80""#),
            Just(r#""protocol":"udp","address":"10.0.0.1:53""#),
            Just(r#""fwmark":3,"family":"ipv4""#),
            Just(r#""protocol":"tcp","address":"10.0.0.1:81""#),
        ];
        let specified = prop_oneof![
            Just(r#""scheduler":"rr""#),
            Just(r#""scheduler":"sh","flags":["sh-port"]"#),
            Just(r#""scheduler":"wlc","persistence":{"timeout":9,"netmask":"255.255.255.0"}"#),
            Just(r#""scheduler":"rr","persistence":{"timeout":9,"netmask":"255.255.255.255"},"engine":"sip""#),
        ];
        let server = prop_oneof![
            Just(r#""method":"nat","weight":1"#),
            Just(r#""method":"tun","tunnel":{"type":"gue","port":6000,"checksum":"plain"},"weight":2"#),
            Just(r#""method":"dr","weight":3,"upper":5,"lower":2"#),
        ];
        let whole = (service.clone(), specified).prop_flat_map(|(name, spec)| {
            prop_oneof![
                Just(format!(r#"{{"add-service":{{{name},{spec}}}}}"#)),
                Just(format!(r#"{{"edit-service":{{{name},{spec}}}}}"#)),
                Just(format!(r#"{{"delete-service":{{{name}}}}}"#)),
            ]
        });
        let part = (service, 2..6_u8, prop_oneof![Just(80), Just(53), Just(0)], server).prop_flat_map(
            |(name, host, port, spec)| {
                let server = |verb| {
                    format!(
                        r#"{{"{verb}":{{"service":{{{name}}},"server":{{"address":"10.0.0.{host}:{port}",{spec}}}}}}}"#
                    )
                };
                let delete =
                    format!(r#"{{"delete-server":{{"service":{{{name}}},"address":"10.0.0.{host}:{port}"}}}}"#);
                prop_oneof![Just(server("add-server")), Just(server("edit-server")), Just(delete)]
            },
        );
        let others = prop_oneof![
            1 => Just(r#""clear""#.to_owned()),
            3 => (0..9, 0..9).prop_map(|(tcp, udp)| format!(r#"{{"set-timeouts":{{"tcp":{tcp},"tcp_fin":0,"udp":{udp}}}}}"#)),
        ];
        prop_oneof![4 => whole, 12 => part, 1 => others].prop_map(|text| serde_json::from_str(&text).unwrap())
    }

    proptest! {
        #[test]
        fn the_difference_leads_where_the_changes_led(changes in prop::collection::vec(change(), 0..40)) {
            let (mut now, mut successor) = (file(), file());
            for change in &changes {
                let _ = apply(&mut now, change);
            }
            for change in difference(&file(), &now) {
                prop_assert_eq!(apply(&mut successor, &change), Ok(()), "{:?}", change);
            }
            prop_assert_eq!(&successor.services, &now.services);
            prop_assert_eq!(successor.settings.options.timeouts, now.settings.options.timeouts);
        }
    }

    #[test]
    fn nothing_changed_is_nothing_to_tell() {
        assert_eq!(difference(&file(), &file()), []);
    }
}
