//! What clients of the control socket see: the wire contract, apart from the types that workers use.
//!
//! Fields are only ever added. A field that changes its meaning changes [`VERSION`](super::protocol::VERSION).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::conn::table::Listed;
use crate::forward::lifecycle::SPENT;
use crate::sched::{Flags, Kind, Setup};
use crate::service::{Loads, Method, PairId, Persistence, Server, Service, Services, Side};
use crate::time::{Tick, Ticks};
use crate::wire::Endpoint;

/// Where answers come from: the director, as seen by the control socket.
pub trait Source {
    /// All virtual services, in any order.
    fn services(&self) -> Vec<ServiceView>;

    /// A part of the connection table: at most `at_most` connections from `cursor` on, which is 0 or what the part
    /// before said comes next.
    fn connections(&self, cursor: u64, at_most: usize) -> ConnectionPage;

    /// The director itself.
    fn status(&self) -> Status;
}

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
}

impl From<Method> for Forward {
    fn from(method: Method) -> Self {
        match method {
            Method::Nat => Forward::Nat,
            Method::Dr => Forward::Dr,
            Method::Tun => Forward::Tun,
        }
    }
}

/// A virtual service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceView {
    /// Its protocol.
    pub protocol: Protocol,
    /// VIP and port.
    pub address: SocketAddr,
    /// The scheduler's name.
    pub scheduler: String,
    /// The scheduler's options, by name (`sh-port`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Client affinity, if asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistence: Option<PersistenceView>,
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
}

/// A real server of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerView {
    /// Its address and port.
    pub address: SocketAddr,
    /// How requests reach it.
    pub method: Forward,
    /// Share of new connections; 0 takes none.
    pub weight: u32,
    /// Connections in an active state.
    pub active: u32,
    /// All others.
    pub inactive: u32,
}

/// An entry of the connection table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionView {
    /// Its protocol.
    pub protocol: Protocol,
    /// Until it ends if nothing more is heard of it, in seconds.
    pub expires: u32,
    /// As ipvsadm names it.
    pub state: String,
    /// The client.
    pub source: SocketAddr,
    /// VIP and port.
    #[serde(rename = "virtual")]
    pub virtual_: SocketAddr,
    /// The real server.
    pub destination: SocketAddr,
}

/// A part of the connection table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionPage {
    /// In the order of the table.
    pub entries: Vec<ConnectionView>,
    /// Where the next part begins; `None` after the last.
    pub next: Option<u64>,
}

/// The director itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// Since it started, in seconds.
    pub uptime: u64,
    /// Whether it holds the role of master.
    pub forwarding: bool,
    /// How many connections the table has room for.
    pub table_size: u64,
    /// How many it holds.
    pub connections: u64,
    /// Worker threads.
    pub workers: usize,
    /// The ports attached to.
    pub ports: Vec<PortView>,
    /// Counters by name.
    pub counters: BTreeMap<String, u64>,
    /// Connection synchronisation, if a daemon runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncView>,
}

/// Connection synchronisation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncView {
    /// The daemons that run, the master first.
    pub daemons: Vec<SyncDaemonView>,
    /// Whether all that living masters know has come.
    pub in_sync: bool,
    /// Directors that share our key, as far as they are heard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<SyncPeerView>,
    /// Counters by name.
    pub counters: BTreeMap<String, u64>,
}

/// A sync daemon, as `ipvsadm -L --daemon` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncDaemonView {
    /// Whether it tells (master) or listens (backup).
    pub master: bool,
    /// Its interface.
    pub interface: String,
    /// The number of its group of directors; a backup's 0 accepts all.
    pub syncid: u8,
    /// The longest message, in bytes.
    pub maxlen: u16,
    /// The multicast group.
    pub group: IpAddr,
    /// Its UDP port.
    pub port: u16,
    /// Hops that messages may take.
    pub ttl: u8,
}

/// Another director.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncPeerView {
    /// Names its run, in hexadecimal.
    pub session: String,
    /// Whether it tells of its connections.
    pub master: bool,
    /// Whether it has shown that it hears us; until then nothing is taken from it.
    pub proven: bool,
    /// Whether all that it has told has come.
    pub in_sync: bool,
    /// How many of its messages never came.
    pub lost: u64,
    /// How many of our messages it had not acknowledged with its last beat.
    pub lag: u64,
    /// Since it was last heard, in milliseconds.
    pub silent_ms: u64,
}

/// A port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortView {
    /// The interface.
    pub name: String,
    /// How it is attached: `native, zero-copy, 4 queues`.
    pub mode: String,
}

/// The views of all services with the loads of this moment.
pub fn services(services: &Services, loads: &Loads) -> Vec<ServiceView> {
    services.list.iter().filter_map(|service| self::service(service, loads)).collect()
}

fn service(service: &Service, loads: &Loads) -> Option<ServiceView> {
    let setup = service.scheduler.setup();
    Some(ServiceView {
        protocol: Protocol::from_number(service.key.protocol)?,
        address: socket(service.key.virtual_),
        scheduler: setup.kind.to_string(),
        flags: flags(setup),
        persistence: service.persistence.map(PersistenceView::from),
        servers: service.servers.iter().map(|server| self::server(server, loads)).collect(),
    })
}

/// The options set, under the names that they have for this scheduler (`ipvsadm.c: print_service_entry`).
fn flags(setup: Setup) -> Vec<String> {
    let named = |option: &str, bit: &str| match setup.kind {
        Kind::Sh | Kind::Mh => format!("{}-{option}", setup.kind),
        _ => bit.to_owned(),
    };
    let Flags { fallback, port } = setup.flags;
    let options = [(fallback, "fallback", "flag-1"), (port, "port", "flag-2")];
    options.into_iter().filter(|&(set, ..)| set).map(|(_, option, bit)| named(option, bit)).collect()
}

impl From<Persistence> for PersistenceView {
    fn from(persistence: Persistence) -> Self {
        Self { timeout: persistence.timeout.as_secs(), prefix: persistence.prefix }
    }
}

fn server(server: &Server, loads: &Loads) -> ServerView {
    let load = loads.load(server.pair);
    ServerView {
        address: socket(server.real),
        method: server.method.into(),
        weight: server.weight,
        active: load.active,
        inactive: load.inactive,
    }
}

/// The view of a table entry; `None` if it belongs to no pair that is known any more.
pub fn connection(services: &Services, listed: &Listed, now: Tick) -> Option<ConnectionView> {
    let record = &listed.record;
    let pair = services.pair(PairId(record.pair)).filter(|pair| pair.generation == record.generation)?;
    let [vport, rport] = match record.flags & SPENT {
        0 => [record.vport, record.rport],
        // The kernel keeps a template from being found by giving it ports that nobody has (`ip_vs_check_template`).
        _ => [u16::MAX; 2],
    };
    let left = record.timeout.0.saturating_sub(now.since(record.last_seen).0);
    Some(ConnectionView {
        protocol: Protocol::from_number(listed.key.protocol())?,
        expires: Ticks(left).as_secs(),
        state: record.state.name().to_owned(),
        source: socket(Endpoint { addr: listed.key.client, port: listed.key.port() }),
        virtual_: socket(Endpoint { port: vport, ..pair.end(Side::Virtual) }),
        destination: socket(Endpoint { port: rport, ..pair.end(Side::Real) }),
    })
}

/// An endpoint in the form that views hold it.
pub fn socket(endpoint: Endpoint) -> SocketAddr {
    SocketAddr::new(IpAddr::from(endpoint.addr), endpoint.port)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sched::Scheduler;
    use crate::service::{ServiceId, ServicesBuilder, Thresholds};
    use crate::wire::ServiceKey;

    #[test]
    fn a_service_is_shown_with_its_options_and_loads() {
        let setup = Setup { kind: Kind::Sh, flags: Flags { fallback: true, port: true } };
        let real: Endpoint = "10.1.0.11:8080".parse().unwrap();
        let thresholds = Thresholds::default();
        let server = Server { pair: PairId(2), real, method: Method::Tun, weight: 3, thresholds };
        let virtual_: Endpoint = "[2001:db8::10]:443".parse().unwrap();
        let mut builder = ServicesBuilder::default();
        builder.add(
            Service {
                id: ServiceId(0),
                key: ServiceKey { protocol: 17, virtual_ },
                scheduler: Arc::new(Scheduler::new(setup, &[])),
                persistence: Some(Persistence { timeout: Ticks::from_secs(360), prefix: 64 }),
                servers: vec![server],
            },
            &[1],
            &crate::service::Network::default(),
        );
        let loads = Loads::new(1, 4);
        loads.add(0, PairId(2), 5, 7);
        let text = serde_json::to_string(&services(&builder.build(), &loads)).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"[{"protocol":"udp","address":"[2001:db8::10]:443","scheduler":"sh","flags":["sh-fallback","sh-port"],"#,
                r#""persistence":{"timeout":360,"prefix":64},"servers":[{"address":"10.1.0.11:8080","method":"tun","#,
                r#""weight":3,"active":5,"inactive":7}]}]"#
            )
        );
    }

    #[test]
    fn options_of_a_scheduler_that_has_none_keep_their_numbers() {
        let setup = |kind| Setup { kind, flags: Flags { fallback: true, port: true } };
        assert_eq!(flags(setup(Kind::Rr)), ["flag-1", "flag-2"]);
        assert_eq!(flags(setup(Kind::Mh)), ["mh-fallback", "mh-port"]);
        assert!(flags(Kind::Mh.into()).is_empty());
    }
}
