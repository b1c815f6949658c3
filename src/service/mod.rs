//! The snapshot: all that a worker needs to know, published whole by the control thread.
//!
//! A [`Snapshot`] is immutable. The control thread builds a new one from the current facts (configuration, health, role,
//! routes, neighbours), workers take it at the edge of a batch and hand the old one back. Ids ([`ServiceId`],
//! [`PairId`]) are allotted by name and stay the same over snapshots, reloads and restarts, because the entries of the
//! connection table hold them.
//!
//! What changes with packets is not in the snapshot: scheduler cursors ([`crate::sched`]), loads ([`Loads`]) and
//! counters are shared atomics beside it.

mod admission;
mod defences;
mod engine;
mod ftp_ports;
mod full_nat;
mod loads;
mod lookup;
mod marks;
mod nat_ends;
mod network;
mod options;
mod pair;
mod services;
mod tunnel;

pub use admission::{Admission, Limits, MOST_RATE};
pub use defences::{Defences, Defend};
pub use engine::Engine;
pub use ftp_ports::FtpPorts;
pub use full_nat::{FullNat, HandOn, LOCAL_PORTS, ProxyVersion};
pub use loads::{Load, Loads, Thresholds};
pub use lookup::Asked;
pub use marks::{Arrival, MarkRule, Marked};
pub use network::{Hop, HopId, HopTo, Network, NextHop, Port, Route, Routes};
pub use options::Options;
pub use pair::{Method, Pair, PairFlags, PairId, Side};
pub(crate) use services::LoadedServers;
pub use services::{Persistence, Server, Service, ServiceId, Services, ServicesBuilder, VipFilter};
pub use tunnel::{GueChecksum, Tunnel};

use std::sync::Arc;

/// Everything a worker needs to know, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Counts publications.
    pub generation: u64,
    /// Virtual services and the (service, server) pairs.
    pub services: Arc<Services>,
    /// Ports, next hops and routes.
    pub network: Arc<Network>,
    /// Timeouts and choices of behaviour.
    pub options: Options,
    /// Whether this director holds the role of master: a backup passes everything to the kernel.
    pub forwarding: bool,
}
