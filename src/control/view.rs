//! What clients of the control socket see: the wire contract, apart from the types that workers use.
//!
//! Fields are only ever added. A field that changes its meaning changes [`VERSION`](super::protocol::VERSION).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::admin::{Change, Refusal, ServiceName, TunnelSpec, name_of};
use super::{Counts, Ledger};
use crate::config::model::SyncDaemon;
use crate::conn::Table;
use crate::conn::Timeouts;
use crate::conn::table::Listed;
use crate::forward::full::LocalEnd;
use crate::forward::lifecycle::SPENT;
use crate::sched::{Flags, Kind, Setup};
use crate::service::{Loads, Method, Options, PairId, Persistence, Server, Service, Services, Side};
use crate::time::{Tick, Ticks};
use crate::wire::{Endpoint, Family, Shape};

/// Where answers come from: the director, as seen by the control socket.
pub trait Source {
    /// All virtual services, in any order.
    fn services(&mut self) -> Vec<ServiceView>;

    /// A part of the connection table: at most `at_most` connections from `cursor` on, which is 0 or what the part
    /// before said comes next.
    fn connections(&self, cursor: u64, at_most: usize) -> ConnectionPage;

    /// The director itself.
    fn status(&mut self) -> Status;

    /// Carries out changes in their order, and says of each why it was refused, if it was. Workers and clients see all of
    /// them at once.
    fn change(&mut self, changes: &[Change]) -> Vec<Option<Refusal>>;

    /// Starts a sync daemon. From then on the configuration has no say in them.
    fn start_daemon(&mut self, _daemon: &SyncDaemonView) -> Result<(), Refusal> {
        Err(Refusal::Unsupported("No sync daemons".to_owned()))
    }

    /// Stops one.
    fn stop_daemon(&mut self, _master: bool) -> Result<(), Refusal> {
        Err(Refusal::NoDaemon)
    }
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

/// An entry of the connection table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionView {
    /// Its protocol; none for a template of a mark service, which is for all.
    pub protocol: Option<Protocol>,
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
    /// With full NAT, the director's end that the server sees in place of the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<SocketAddr>,
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
    /// How long a connection lasts without a packet, in seconds.
    #[serde(default)]
    pub timeouts: TimeoutsView,
    /// How listings are to be made.
    #[serde(default)]
    pub listing: ListingView,
    /// Counters by name.
    pub counters: BTreeMap<String, u64>,
    /// Connection synchronisation, if a daemon runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncView>,
    /// The instances of VRRP, in the order of the configuration.
    #[serde(default)]
    pub roles: Vec<RoleView>,
    /// What instances track, in the order of the configuration.
    #[serde(default)]
    pub trackers: Vec<TrackerView>,
    /// The sessions of BFD, in the order of the configuration.
    #[serde(default)]
    pub bfd: Vec<BfdView>,
}

/// Something that is tracked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackerView {
    /// script, process, file, interface or bfd.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// up, down, unknown, or the number in a file.
    pub reading: String,
    /// Who depends on it.
    pub effects: Vec<EffectView>,
}

/// What a tracker does to an instance or a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectView {
    /// The instance, or the group.
    pub subject: String,
    /// Whether it may take part, as far as this tracker is concerned.
    pub met: bool,
    /// What is added to its priority just now.
    pub weight: i16,
}

/// A session of BFD.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BfdView {
    /// Its name.
    pub name: String,
    /// The neighbour's address.
    pub neighbour: IpAddr,
    /// AdminDown, Down, Init or Up.
    pub state: String,
    /// What the neighbour says of its end.
    pub remote_state: String,
    /// Why it went down last, as in RFC 5880 4.1.
    pub diagnostic: u8,
    /// How long it has had its state, in seconds.
    pub seconds: u64,
    /// Microseconds between our packets, before they are spread.
    pub interval: u64,
    /// Microseconds of silence after which the neighbour counts as dead.
    pub detection: u64,
    /// Counters by name.
    pub counters: BTreeMap<String, u64>,
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

impl Default for SyncDaemonView {
    /// The backup that `ipvsadm --start-daemon backup` asks for.
    fn default() -> Self {
        Self::new(false, &SyncDaemon::on("eth0"))
    }
}

impl SyncDaemonView {
    /// Of a daemon in one of the two roles.
    pub fn new(master: bool, daemon: &SyncDaemon) -> Self {
        Self {
            master,
            interface: daemon.interface.clone(),
            syncid: daemon.id,
            maxlen: daemon.maxlen,
            group: daemon.group,
            port: daemon.port,
            ttl: daemon.ttl,
        }
    }
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

/// An instance of VRRP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleView {
    /// Its name.
    pub name: String,
    /// The interface of its adverts.
    pub interface: String,
    /// `virtual_router_id`.
    pub router: u8,
    /// Version of VRRP.
    pub version: u8,
    /// MASTER, BACKUP, FAULT or STOP.
    pub state: String,
    /// How long it has been that, in seconds.
    pub seconds: u64,
    /// The effective priority.
    pub priority: u8,
    /// The configured one.
    pub base_priority: u8,
    /// The master that is known, perhaps this director.
    pub master: Option<IpAddr>,
    /// Another master does not give way.
    pub split_brain: bool,
    /// Counters by name.
    pub counters: BTreeMap<String, u64>,
}

/// The timeouts that can be set, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeoutsView {
    /// ESTABLISHED TCP.
    pub tcp: u32,
    /// TCP in FIN_WAIT.
    pub tcp_fin: u32,
    /// UDP.
    pub udp: u32,
}

impl From<Timeouts> for TimeoutsView {
    fn from(timeouts: Timeouts) -> Self {
        let Timeouts { tcp, tcp_fin, udp, .. } = timeouts;
        Self { tcp: tcp.as_secs(), tcp_fin: tcp_fin.as_secs(), udp: udp.as_secs() }
    }
}

/// Choices that concern listings in ipvsadm's form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListingView {
    /// Addresses are compared as ipvsadm does, not as numbers.
    pub signed_sort: bool,
    /// What is saved has thresholds and timeouts.
    pub save_limits: bool,
}

impl From<&Options> for ListingView {
    fn from(options: &Options) -> Self {
        Self { signed_sort: options.signed_sort, save_limits: options.save_limits }
    }
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

/// The view of a table entry; `None` if it belongs to no pair that is known any more, or is the local end of a connection
/// by full NAT, which is shown with that.
pub fn connection(table: &Table, services: &Services, listed: &Listed, now: Tick) -> Option<ConnectionView> {
    let record = &listed.record;
    let local = match LocalEnd::of(table, listed) {
        Some(LocalEnd::Itself) => return None,
        Some(LocalEnd::Of(local)) => Some(local),
        None => None,
    };
    let pair = services.pair(PairId(record.pair)).filter(|pair| pair.generation == record.generation)?;
    let [vport, rport] = match record.flags & SPENT {
        0 => [record.vport, record.rport],
        // The kernel keeps a template from being found by giving it ports that nobody has (`ip_vs_check_template`).
        _ => [u16::MAX; 2],
    };
    let its_own = record.vip.filter(|_| pair.service_key().mark().is_some());
    let left = record.timeout.0.saturating_sub(now.since(record.last_seen).0);
    Some(ConnectionView {
        protocol: protocol_of(listed.key.protocol())?,
        expires: Ticks(left).as_secs(),
        state: record.state.name().to_owned(),
        source: socket(Endpoint { addr: listed.key.client, port: listed.key.port() }),
        virtual_: socket(Endpoint { port: vport, addr: its_own.unwrap_or(pair.ends[Side::Virtual as usize]) }),
        destination: socket(Endpoint { port: rport, ..pair.end(Side::Real) }),
        local: local.map(socket),
    })
}

/// The protocol of a table entry, of which a mark's template has none; `None` if LVS does not balance it.
fn protocol_of(number: u8) -> Option<Option<Protocol>> {
    if number == 0 { Some(None) } else { Protocol::from_number(number).map(Some) }
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
                one_packet: false,
                full: None,
                servers: vec![server],
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
