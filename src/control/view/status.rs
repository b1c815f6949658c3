//! The director itself: ports, counters, roles, what is tracked.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::SyncView;
use crate::conn::Timeouts;
use crate::service::Options;

/// The director itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// Its process id.
    #[serde(default)]
    pub process: u32,
    /// That of its supervisor, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor: Option<u32>,
    /// Why the last upgrade came to nothing, if it was tried and did.
    #[serde(default)]
    pub not_upgraded: Option<String>,
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
    /// How many of them have to share their core with others, and so let packets gather.
    pub workers_with_company: usize,
    /// The ports attached to.
    pub ports: Vec<PortView>,
    /// Where the slots of packet memory are.
    #[serde(default)]
    pub slots: SlotsView,
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
    /// Whether it counts as up, since the neighbour has ended it on purpose.
    #[serde(default)]
    pub excused: bool,
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

/// How many slots of packet memory are where. Together they are always all; without traffic, none is on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotsView {
    /// In no ring.
    pub free: usize,
    /// With the kernel, for packets to arrive in, or with a packet that waits to be read.
    pub receive: usize,
    /// With the kernel, being sent.
    pub transmit: usize,
    /// With a worker.
    pub in_hand: usize,
}

/// A port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortView {
    /// The interface.
    pub name: String,
    /// How it is attached: `native, zero-copy, 4 queues`.
    pub mode: String,
}
