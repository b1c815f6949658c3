//! What may be asked for: the wire contract of changes, with everything that ipvsadm can say of a service or a server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::control::view::{Forward, Protocol};
use crate::wire;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// `-A`.
    AddService(ServiceSpec),
    /// `-E`: its servers stay, all else is as given.
    EditService(ServiceSpec),
    /// `-D`.
    DeleteService(ServiceName),
    /// `-C`.
    Clear,
    /// `-a`.
    AddServer {
        /// Of which service.
        service: ServiceName,
        /// The new one.
        server: ServerSpec,
    },
    /// `-e`: all but address and port is as given.
    EditServer {
        /// Of which service.
        service: ServiceName,
        /// What it is to be.
        server: ServerSpec,
    },
    /// `-d`.
    DeleteServer {
        /// Of which service.
        service: ServiceName,
        /// Which one.
        address: SocketAddr,
    },
    /// `-Z`: counters and rates begin at 0 again, of one service with its servers or of all.
    Zero(Option<ServiceName>),
    /// `--set`, in seconds; 0 leaves a timeout as it is.
    SetTimeouts {
        /// ESTABLISHED TCP.
        tcp: u32,
        /// TCP in FIN_WAIT.
        tcp_fin: u32,
        /// UDP.
        udp: u32,
    },
}

/// What a virtual service is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ServiceName {
    /// What packets are addressed to.
    Address {
        /// The transport protocol.
        protocol: Protocol,
        /// Virtual address and port.
        address: SocketAddr,
    },
    /// The firewall mark that packets carry.
    Mark {
        /// The mark, not 0.
        fwmark: u32,
        /// Packets of which family.
        family: Family,
    },
}

impl ServiceName {
    /// The family of its packets.
    pub fn family(&self) -> Family {
        match self {
            ServiceName::Address { address, .. } if address.is_ipv6() => Family::Ipv6,
            ServiceName::Address { .. } => Family::Ipv4,
            ServiceName::Mark { family, .. } => *family,
        }
    }
}

/// Address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv6() { Family::Ipv6 } else { Family::Ipv4 }
    }
}

impl From<Family> for wire::Family {
    fn from(family: Family) -> Self {
        match family {
            Family::Ipv4 => wire::Family::V4,
            Family::Ipv6 => wire::Family::V6,
        }
    }
}

impl From<wire::Family> for Family {
    fn from(family: wire::Family) -> Self {
        match family {
            wire::Family::V4 => Family::Ipv4,
            wire::Family::V6 => Family::Ipv6,
        }
    }
}

/// A virtual service without its servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// Its name.
    #[serde(flatten)]
    pub name: ServiceName,
    /// The scheduler's name (`-s`).
    pub scheduler: String,
    /// The scheduler's options (`-b`): `flag-1`, `flag-2`, `flag-3`, or the names that `sh` and `mh` give them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Client affinity (`-p`, `-M`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistence: Option<PersistenceSpec>,
    /// Each datagram is scheduled (`-o`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_packet: bool,
    /// Persistence engine (`--pe`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
}

/// Client affinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersistenceSpec {
    /// How long a client stays with its server, in seconds.
    pub timeout: u32,
    /// Which clients count as one.
    pub netmask: Netmask,
}

/// The part of a client's address that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Netmask {
    /// IPv6: leading bits, 1 to 128.
    Prefix(u8),
    /// IPv4: any bits.
    Mask(Ipv4Addr),
}

/// A real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSpec {
    /// Its address and port.
    pub address: SocketAddr,
    /// How requests reach it (`-m`, `-g`, `-i`).
    pub method: Forward,
    /// What tunnels to it are made of; without effect for the other methods.
    #[serde(default)]
    pub tunnel: TunnelSpec,
    /// Share of new connections (`-w`), 0 to 2147483647.
    pub weight: u32,
    /// With so many connections it is full (`-x`); 0: never.
    #[serde(default)]
    pub upper: u32,
    /// With fewer it takes new ones again (`-y`).
    #[serde(default)]
    pub lower: u32,
}

/// A tunnel's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelSpec {
    /// `--tun-type`.
    #[serde(rename = "type")]
    pub kind: TunnelKind,
    /// `--tun-port`: the UDP port of GUE, else 0.
    #[serde(default)]
    pub port: u16,
    /// `--tun-nocsum`, `--tun-csum`, `--tun-remcsum`.
    #[serde(default)]
    pub checksum: TunnelChecksum,
}

/// The kinds of tunnels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TunnelKind {
    /// IP in IP.
    #[default]
    Ipip,
    /// Generic UDP encapsulation.
    Gue,
    /// Generic routing encapsulation.
    Gre,
}

/// Checksums in a tunnel's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TunnelChecksum {
    /// None.
    #[default]
    None,
    /// Of the whole packet.
    Plain,
    /// Finished by the receiver.
    Remote,
}
