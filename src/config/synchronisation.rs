//! How connections are synchronised: `lvs_sync_daemon`, and the `sync_*` keys of the `ringmaster` block.

use std::net::{IpAddr, Ipv4Addr};

use crate::time::Ticks;

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
