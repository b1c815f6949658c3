//! What a configuration means, once it is known to be valid.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use super::paths::{
    Encapsulation, Metric, NextHop, Outer, Prefix, Realms, RouteKind, RouterPreference, RuleAction, VirtualRoute,
    VirtualRule,
};
pub use super::synchronisation::{SyncChoices, SyncDaemon};
pub use super::virtual_mac::{VirtualMac, virtual_mac};
use crate::bfd;
use crate::check;
pub use crate::io::options::{Attach, BusyPoll, Driver, Poll, Transfer};
use crate::notify::mail::Post;
use crate::notify::{Hooks, Pipe};
use crate::program::User;
use crate::sched;
use crate::service::{Engine, FullNat, LOCAL_PORTS, Limits, MarkRule, Method, Options, Persistence, Thresholds};
use crate::track;
use crate::vrrp;
use crate::wire::{Endpoint, ServiceKey};

/// A whole configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `global_defs`.
    pub global: Global,
    /// `vrrp_instance` blocks, in order.
    pub instances: Vec<VrrpInstance>,
    /// `vrrp_sync_group` blocks, in order.
    pub groups: Vec<SyncGroup>,
    /// The interfaces with virtual MAC addresses that their addresses are on, in order.
    pub virtual_macs: Vec<VirtualMac>,
    /// `garp_group` blocks.
    pub garp_groups: Vec<GarpGroup>,
    /// What instances and groups track.
    pub tracking: track::Spec,
    /// `bfd_instance` blocks, in order.
    pub bfd: Vec<bfd::Spec>,
    /// `virtual_server` blocks, in order.
    pub services: Vec<VirtualServer>,
    /// Addresses of `local_address_group` blocks that name an interface.
    pub local_addresses: Vec<VirtualAddress>,
    /// `static_ipaddress`: addresses that the director has whatever its roles.
    pub static_addresses: Vec<VirtualAddress>,
    /// `static_routes`, of the same kind.
    pub static_routes: Vec<VirtualRoute>,
    /// `static_rules`, of the same kind.
    pub static_rules: Vec<VirtualRule>,
    /// The `ringmaster` block.
    pub settings: Settings,
}

impl Config {
    /// The interface by which packets for a device come and go: of one with a virtual MAC address, the one below it.
    pub fn port_of<'a>(&'a self, device: &'a str) -> &'a str {
        let on_top = self.virtual_macs.iter().find(|virtual_| virtual_.name == device);
        on_top.map_or(device, |virtual_| &virtual_.parent)
    }
}

/// `global_defs`, as far as the director acts on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Global {
    /// `router_id`: the director's name in messages.
    pub router_id: Option<String>,
    /// `lvs_sync_daemon`.
    pub sync_daemon: Option<SyncDaemon>,
    /// `vrrp_startup_delay`: how long after its start the director takes part in no election.
    pub startup_delay: Duration,
    /// `vrrp_delay_after_boot`: the same, after the machine's start.
    pub boot_delay: Duration,
    /// `dynamic_interfaces`: interfaces may come after the start.
    pub dynamic_interfaces: bool,
    /// `enable_script_security`: no script runs as root that others may write.
    pub script_security: bool,
    /// `script_user`: whom scripts run as that name nobody.
    pub script_user: Option<User>,
    /// `notify_fifo` and `vrrp_notify_fifo`.
    pub pipes: Vec<Pipe>,
    /// `fifo_write_vrrp_states_on_reload`: they are told all roles after a reload.
    pub retells_roles: bool,
    /// `smtp_server` and `notification_email`: where mails go, if both are given.
    pub post: Option<Post>,
}

/// A `vrrp_instance`.
#[derive(Clone, Debug, PartialEq)]
pub struct VrrpInstance {
    /// Its election, with name and interface.
    pub election: vrrp::Spec,
    /// `virtual_ipaddress`, and after them `virtual_ipaddress_excluded`.
    pub addresses: Vec<VirtualAddress>,
    /// What its addresses are on that name no other interface: its interface, or the one with its virtual MAC address.
    pub device: String,
    /// Whether its addresses take what no service is for, as any address of the host does (`no_accept`).
    pub accepts: bool,
    /// `promote_secondaries`: removing one address of a network leaves the others.
    pub promotes: bool,
    /// `virtual_routes`.
    pub routes: Vec<VirtualRoute>,
    /// `virtual_rules`.
    pub rules: Vec<VirtualRule>,
    /// `notify_*`.
    pub hooks: Hooks,
}

/// A `vrrp_sync_group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncGroup {
    /// Its name.
    pub name: String,
    /// Its members, by their place in [`Config::instances`].
    pub members: Vec<usize>,
    /// `sync_group_tracking_weight`: what its members track may have weights.
    pub members_weigh: bool,
    /// `notify_*`.
    pub hooks: Hooks,
}

/// A `garp_group`: interfaces whose announcements keep a distance together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GarpGroup {
    /// Their names.
    pub interfaces: Vec<String>,
    /// `garp_interval`: between two gratuitous ARPs.
    pub arp_gap: Duration,
    /// `gna_interval`: between two unsolicited neighbour advertisements.
    pub na_gap: Duration,
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
    /// `persistence_engine`.
    pub engine: Option<Engine>,
    /// `limit` in the `ringmaster` block.
    pub limits: Limits,
    /// `ops`.
    pub one_packet: bool,
    /// `laddr_group_name`, `proxy_protocol`, `toa`, for servers reached by FNAT.
    pub full: Option<FullNat>,
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
    /// `user NAME`: whom the director runs as once it forwards.
    pub user: Option<String>,
    /// `privileges keep`: the director keeps all rights that it was started with.
    pub keep_privileges: bool,
    /// `local_ports FIRST LAST`: what full NAT connects to servers from.
    pub local_ports: (u16, u16),
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
            user: None,
            keep_privileges: false,
            local_ports: LOCAL_PORTS,
            marks: Vec::new(),
            options: Options::default(),
            sync: SyncChoices::default(),
        }
    }
}
