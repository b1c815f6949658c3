//! Connection synchronisation.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::config::model::SyncDaemon;

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
