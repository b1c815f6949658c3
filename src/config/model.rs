//! What a configuration means, once it is known to be valid.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use crate::check;
pub use crate::io::options::{Attach, BusyPoll, Driver, Poll, Transfer};
use crate::sched;
use crate::service::{Limits, MarkRule, Method, Options, Persistence, Thresholds};
use crate::time::Ticks;
use crate::wire::{Endpoint, ServiceKey};

/// A whole configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `global_defs`.
    pub global: Global,
    /// `vrrp_instance` blocks, in order.
    pub instances: Vec<VrrpInstance>,
    /// `virtual_server` blocks, in order.
    pub services: Vec<VirtualServer>,
    /// The `ringmaster` block.
    pub settings: Settings,
}

/// `global_defs`, as far as the director acts on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Global {
    /// `router_id`: the director's name in messages.
    pub router_id: Option<String>,
    /// `lvs_sync_daemon`.
    pub sync_daemon: Option<SyncDaemon>,
}

/// `lvs_sync_daemon INTERFACE [INSTANCE] [id N] [maxlen N] [port N] [ttl N] [group A]`: connection synchronisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncDaemon {
    /// The interface that messages take.
    pub interface: String,
    /// The `vrrp_instance` whose role decides between telling and listening; without one both is done.
    pub instance: Option<String>,
    /// `id`: the number of the group of directors, 0 to 255. A backup with 0 listens to all.
    pub id: u8,
    /// `maxlen`: the longest message, in bytes.
    pub maxlen: u16,
    /// `port`: of UDP.
    pub port: u16,
    /// `ttl`: hops that messages may take.
    pub ttl: u8,
    /// `group`: the multicast group.
    pub group: IpAddr,
}

impl SyncDaemon {
    /// On an interface, with the defaults of LVS.
    pub fn on(interface: &str) -> Self {
        Self {
            interface: interface.to_owned(),
            instance: None,
            id: 0,
            maxlen: 1472,
            port: 8848,
            ttl: 1,
            group: Ipv4Addr::new(224, 0, 0, 81).into(),
        }
    }
}

/// How connections are synchronised beyond what `lvs_sync_daemon` says: the `sync_*` keys of the `ringmaster` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncChoices {
    /// `sync_key`: the secret of directors that authenticate each other.
    pub key: Option<String>,
    /// `sync_peer_port`: the UDP port where they do.
    pub peer_port: u16,
    /// `sync_kernel_peers`: despite a key, kernels are told and listened to as well.
    pub kernel_peers: bool,
    /// `sync_refresh_period`: how often a connection that goes on is told of again.
    pub refresh: Ticks,
    /// `sync_persist_mode`: of persistent services only the templates are told.
    pub templates_only: bool,
}

impl Default for SyncChoices {
    fn default() -> Self {
        Self { key: None, peer_port: 8948, kernel_peers: false, refresh: Ticks::from_secs(60), templates_only: false }
    }
}

/// A `vrrp_instance`. Elections are not held yet: a single director owns the addresses.
#[derive(Clone, Debug, PartialEq)]
pub struct VrrpInstance {
    /// Its name.
    pub name: String,
    /// `interface`.
    pub interface: String,
    /// `virtual_router_id`, 1 to 255.
    pub virtual_router_id: u8,
    /// `priority`, 1 to 255.
    pub priority: u8,
    /// `virtual_ipaddress`, and after them `virtual_ipaddress_excluded`.
    pub addresses: Vec<VirtualAddress>,
}

/// One line of `virtual_ipaddress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualAddress {
    /// The address.
    pub address: IpAddr,
    /// Prefix length; 32 or 128 where the file gives none.
    pub prefix: u8,
    /// `dev`; the instance's interface where the file gives none.
    pub device: String,
    /// `label`.
    pub label: Option<String>,
    /// `scope`, as the kernel's number (0 global, 253 link, 254 host).
    pub scope: u8,
}

/// A `virtual_server`.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualServer {
    /// Protocol, VIP and port, or a firewall mark.
    pub key: ServiceKey,
    /// `lvs_sched` (`lb_algo`) and its `sh-port`, `mh-fallback` and so on.
    pub scheduler: sched::Setup,
    /// `persistence_timeout` and `persistence_granularity`.
    pub persistence: Option<Persistence>,
    /// `limit` in the `ringmaster` block.
    pub limits: Limits,
    /// `ops`.
    pub one_packet: bool,
    /// `real_server` blocks, in order.
    pub servers: Vec<RealServer>,
    /// `sorry_server`: takes all connections when no real server is left.
    pub sorry: Option<RealServer>,
}

/// A `real_server`.
#[derive(Clone, Debug, PartialEq)]
pub struct RealServer {
    /// Its address and port.
    pub real: Endpoint,
    /// `lvs_method` (`lb_kind`), its own or the virtual server's.
    pub method: Method,
    /// `weight`.
    pub weight: u32,
    /// `uthreshold` and `lthreshold`.
    pub thresholds: Thresholds,
    /// `inhibit_on_failure`: weight 0 instead of removal while a check fails.
    pub inhibit_on_failure: bool,
    /// All must pass.
    pub checks: Vec<check::Spec>,
}

/// One rule of a `mark` block. A block with several addresses, say, is as many rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which packets, but for where they come in.
    pub rule: MarkRule,
    /// `interface`: where they come in.
    pub interface: Option<String>,
}

/// The `ringmaster` block; each default is chosen at start from routes, queues and cores.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `workers N`: worker threads; default one a queue, at most the number of cores.
    pub workers: Option<usize>,
    /// `cpus 1 2 3`: the cores that workers are pinned to, in turn.
    pub cpus: Vec<usize>,
    /// `interfaces eth0 eth1`: the ports to attach to; default those that VIPs and real servers are reached by.
    pub interfaces: Vec<String>,
    /// `attach auto|native|generic`: how the steering program is attached.
    pub attach: Attach,
    /// `transfer auto|zero-copy|copy`: how frames reach the rings.
    pub transfer: Transfer,
    /// `rings own|xsk-rs`: whose code drives the rings.
    pub driver: Driver,
    /// `busy_poll N`: receive processing on the workers' cores, N microseconds a call; default off.
    pub busy_poll: Option<BusyPoll>,
    /// `poll adaptive|spin`: sleep when idle, or never.
    pub poll: Poll,
    /// `connections N`: how many connections the table holds.
    pub connections: usize,
    /// `frames N`: entries of each queue's rings; there are two buffers for each.
    pub frames: usize,
    /// `socket PATH`: the control socket.
    pub socket: PathBuf,
    /// `mark N { ... }`, in order: which packets get which firewall mark.
    pub marks: Vec<Mark>,
    /// `profile ringmaster|kernel`, the single choices, and `lvs_timeouts`.
    pub options: Options,
    /// The `sync_*` keys.
    pub sync: SyncChoices,
}

/// Where the control socket is unless the file says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/ringmaster.sock";

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: None,
            cpus: Vec::new(),
            interfaces: Vec::new(),
            attach: Attach::default(),
            transfer: Transfer::default(),
            driver: Driver::default(),
            busy_poll: None,
            poll: Poll::default(),
            connections: 1 << 20,
            frames: 4096,
            socket: PathBuf::from(DEFAULT_SOCKET),
            marks: Vec::new(),
            options: Options::default(),
            sync: SyncChoices::default(),
        }
    }
}
