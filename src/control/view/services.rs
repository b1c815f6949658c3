//! Virtual services and their real servers.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::socket;
use crate::control::admin::{ServiceName, TunnelSpec, name_of};
use crate::control::{Counts, Ledger};
use crate::sched::{Flags, Kind, Setup};
use crate::service::{Loads, Method, Persistence, Server, Service, Services};
use crate::wire::{Family, Shape};

/// A transport protocol. The order is that of the IP protocol numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// 6.
    Tcp,
    /// 17.
    Udp,
    /// 132.
    Sctp,
}

impl Protocol {
    /// From the number in the IP header; `None` if LVS does not balance it.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            6 => Some(Protocol::Tcp),
            17 => Some(Protocol::Udp),
            132 => Some(Protocol::Sctp),
            _ => None,
        }
    }

    /// The number in the IP header.
    pub const fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Sctp => 132,
        }
    }

    /// As ipvsadm prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Sctp => "SCTP",
        }
    }
}

/// How requests reach a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forward {
    /// `Masq`.
    Nat,
    /// `Route`.
    Dr,
    /// `Tunnel`.
    Tun,
    /// `FullNat`, which LVS has not.
    Full,
}

impl From<Method> for Forward {
    fn from(method: Method) -> Self {
        match method {
            Method::Nat => Forward::Nat,
            Method::Dr => Forward::Dr,
            Method::Tun(_) => Forward::Tun,
            Method::Full => Forward::Full,
        }
    }
}

/// A virtual service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceView {
    /// Protocol, VIP and port; or the firewall mark.
    #[serde(flatten)]
    pub name: ServiceName,
    /// The scheduler's name.
    pub scheduler: String,
    /// The scheduler's options, by name (`sh-port`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Client affinity, if asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistence: Option<PersistenceView>,
    /// Persistence engine, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Each datagram is scheduled by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_packet: bool,
    /// What it has carried.
    #[serde(default)]
    pub counts: Counts,
    /// How much of it in a second of late.
    #[serde(default)]
    pub rates: Counts,
    /// Its real servers, in the order in which the scheduler walks them.
    pub servers: Vec<ServerView>,
}

/// Client affinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersistenceView {
    /// How long a client stays with its server, in seconds.
    pub timeout: u32,
    /// Leading bits of the client's address that make it the same client.
    pub prefix: u8,
    /// The netmask, where it is more than a number of leading bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netmask: Option<Ipv4Addr>,
}

/// A real server of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerView {
    /// Its address and port.
    pub address: SocketAddr,
    /// How requests reach it.
    pub method: Forward,
    /// What its tunnel is made of, if it is reached by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<TunnelSpec>,
    /// Share of new connections; 0 takes none.
    pub weight: u32,
    /// Connections in an active state.
    pub active: u32,
    /// All others.
    pub inactive: u32,
    /// Clients that persistence holds to it.
    #[serde(default)]
    pub persistent: u32,
    /// With so many connections it is full; 0: never.
    #[serde(default)]
    pub upper: u32,
    /// With fewer it takes new ones again.
    #[serde(default)]
    pub lower: u32,
    /// What it has carried.
    #[serde(default)]
    pub counts: Counts,
    /// How much of it in a second of late.
    #[serde(default)]
    pub rates: Counts,
}

/// The views of all services with the loads of this moment.
pub fn services(services: &Services, loads: &Loads, ledger: &Ledger) -> Vec<ServiceView> {
    services.list.iter().filter_map(|service| self::service(service, loads, ledger)).collect()
}

fn service(service: &Service, loads: &Loads, ledger: &Ledger) -> Option<ServiceView> {
    let setup = service.scheduler.setup();
    let account = ledger.service(service.id);
    Some(ServiceView {
        name: name_of(&service.key)?,
        scheduler: setup.kind.to_string(),
        flags: flags(setup),
        persistence: service.persistence.map(|with| persistence(with, service.key.family())),
        engine: service.engine.map(|engine| engine.name().to_owned()),
        one_packet: service.one_packet,
        counts: account.counts,
        rates: account.rates(),
        servers: service.servers.iter().map(|server| self::server(server, loads, ledger)).collect(),
    })
}

/// The options set, under the names that they have for this scheduler (`ipvsadm.c: print_service_entry`).
fn flags(setup: Setup) -> Vec<String> {
    let named = |option: &str, bit: &str| match setup.kind {
        Kind::Sh | Kind::Mh => format!("{}-{option}", setup.kind),
        _ => bit.to_owned(),
    };
    let Flags { fallback, port, third } = setup.flags;
    let options = [(fallback, "fallback", "flag-1"), (port, "port", "flag-2")];
    let named = options.into_iter().filter(|&(set, ..)| set).map(|(_, option, bit)| named(option, bit));
    // With names of their own for two, these two do not speak of the third.
    let third = third && !matches!(setup.kind, Kind::Sh | Kind::Mh);
    named.chain(third.then(|| "flag-3".to_owned())).collect()
}

fn persistence(with: Persistence, family: Family) -> PersistenceView {
    let (prefix, netmask) = match with.mask.shape(family) {
        Shape::Prefix(length) => (length, None),
        // At most 32.
        Shape::Netmask(mask) => (u32::from(mask).leading_ones() as u8, Some(mask)),
    };
    PersistenceView { timeout: with.timeout.as_secs(), prefix, netmask }
}

fn server(server: &Server, loads: &Loads, ledger: &Ledger) -> ServerView {
    let (load, account) = (loads.load(server.pair), ledger.server(server.pair));
    ServerView {
        address: socket(server.real),
        method: server.method.into(),
        tunnel: TunnelSpec::of(server.method),
        weight: server.weight,
        active: load.active,
        inactive: load.inactive,
        persistent: loads.templates(server.pair),
        upper: server.thresholds.upper,
        lower: server.thresholds.lower,
        counts: account.counts,
        rates: account.rates(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sched::Scheduler;
    use crate::service::PairId;
    use crate::service::{ServiceId, ServicesBuilder, Thresholds};
    use crate::time::Ticks;
    use crate::wire::Endpoint;
    use crate::wire::{Mask, ServiceKey};

    #[test]
    fn a_service_is_shown_with_its_options_and_loads() {
        let setup = Setup { kind: Kind::Sh, flags: Flags { fallback: true, port: true, third: true } };
        let real: Endpoint = "10.1.0.11:8080".parse().unwrap();
        let thresholds = Thresholds { upper: 10, lower: 8 };
        let server = Server { pair: PairId(2), real, method: Method::IPIP, weight: 3, thresholds };
        let virtual_: Endpoint = "[2001:db8::10]:443".parse().unwrap();
        let mut builder = ServicesBuilder::default();
        builder.add(
            Service {
                id: ServiceId(0),
                key: ServiceKey { protocol: 17, virtual_ },
                scheduler: Arc::new(Scheduler::new(setup, &[])),
                admission: Arc::default(),
                persistence: Some(Persistence {
                    timeout: Ticks::from_secs(360),
                    mask: Mask::of_length(Family::V6, 64),
                }),
                engine: None,
                one_packet: false,
                full: None,
                servers: vec![server],
                bypass: None,
            },
            &[1],
            &crate::service::Network::default(),
        );
        let loads = Loads::new(1, 4);
        loads.add(0, PairId(2), 5, 7);
        loads.add_template(0, PairId(2), 2);
        let nothing = r#"{"connections":0,"packets_in":0,"packets_out":0,"bytes_in":0,"bytes_out":0}"#;
        let text = serde_json::to_string(&services(&builder.build(), &loads, &Ledger::default())).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"[{"protocol":"udp","address":"[2001:db8::10]:443","scheduler":"sh","flags":["sh-fallback","sh-port"],"#,
                r#""persistence":{"timeout":360,"prefix":64},COUNTS,"servers":[{"address":"10.1.0.11:8080","method":"tun","#,
                r#""tunnel":{"type":"ipip","port":0,"checksum":"none"},"weight":3,"active":5,"inactive":7,"persistent":2,"#,
                r#""upper":10,"lower":8,COUNTS}]}]"#
            )
            .replace("COUNTS", &format!(r#""counts":{nothing},"rates":{nothing}"#))
        );
    }

    #[test]
    fn options_of_a_scheduler_that_has_none_keep_their_numbers() {
        let setup = |kind| Setup { kind, flags: Flags { fallback: true, port: true, third: true } };
        assert_eq!(flags(setup(Kind::Rr)), ["flag-1", "flag-2", "flag-3"]);
        assert_eq!(flags(setup(Kind::Mh)), ["mh-fallback", "mh-port"]);
        assert!(flags(Kind::Mh.into()).is_empty());
    }
}
