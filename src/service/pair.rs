//! A (service, real server) pair: what an established packet needs, in one cache line for both directions.

use super::{HopId, Tunnel};
use crate::wire::{Addr, Endpoint, Family, ServiceKey, checksum::Delta};
use serde::{Deserialize, Serialize};

/// Names a (service, real server) pair. Allotted once and kept over snapshots, reloads and restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PairId(pub u32);

/// How requests reach the real server (`lb_kind`; ipvsadm `-m`, `-g`, `-i`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Method {
    /// NAT: addresses and ports are rewritten both ways. Listed as `Masq`.
    #[default]
    Nat,
    /// Direct routing: only the MAC addresses change. Listed as `Route`.
    Dr,
    /// Tunnel: the packet is wrapped in an outer IP header. Listed as `Tunnel`.
    Tun(Tunnel),
    /// Full NAT: the client's end is rewritten as well, so that servers need no route back. Listed as `FullNat`.
    ///
    /// A [`Pair`] of this method carries [`Method::Nat`], which is half of it, and [`PairFlags::FULL`].
    Full,
}

impl Method {
    /// A tunnel of the simplest kind, which is the default.
    pub const IPIP: Method = Method::Tun(Tunnel::Ipip);

    /// Bytes that a request grows by on its way to a server of this family.
    const fn overhead(self, server: Family) -> u8 {
        match self {
            Method::Nat | Method::Dr | Method::Full => 0,
            Method::Tun(tunnel) => tunnel.overhead(server),
        }
    }
}

/// Which end of a pair: indexes [`Pair::ends`] and [`Pair::ports`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Side {
    /// The address and port that clients see.
    Virtual = 0,
    /// The address and port of the real server.
    Real = 1,
}

impl Side {
    /// The other end.
    #[inline(always)]
    pub const fn other(self) -> Side {
        match self {
            Side::Virtual => Side::Real,
            Side::Real => Side::Virtual,
        }
    }
}

/// Conditions of a pair that connections must know of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairFlags(pub u8);

impl PairFlags {
    /// The server (or its service) was removed: its connections are dropped or ended by choice.
    pub const REMOVED: PairFlags = PairFlags(1);
    /// The server's weight is 0: no new connections.
    pub const DRAINED: PairFlags = PairFlags(2);
    /// The service is for any port or any address, or the server for any port: what the pair leaves open, each connection
    /// has for itself ([`Pair::of_connection`]).
    pub const WIDE: PairFlags = PairFlags(4);
    /// The service speaks FTP, and its data connections are translated. Such a pair is wide as well.
    pub const FTP: PairFlags = PairFlags(8);
    /// Full NAT: the other half of what happens to its packets is not the pair's ([`Method::Full`]).
    pub const FULL: PairFlags = PairFlags(16);
    /// There is no server: packets go on to where they were sent (`net.ipv4.vs.cache_bypass`). Such a pair is wide as well,
    /// and its real address unspecified.
    pub const BYPASS: PairFlags = PairFlags(32);
    /// Any of these, and every packet of the pair's connections is looked at more closely.
    pub const SPECIAL: PairFlags = PairFlags(1 | 4 | 8 | 16 | 32);
    /// What belongs to the pair whatever becomes of its server.
    const LASTING: PairFlags = PairFlags::FULL.with(PairFlags::BYPASS);

    /// Whether all bits of `other` are set.
    #[inline(always)]
    pub const fn has(self, other: PairFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    #[inline(always)]
    pub const fn has_any(self, other: PairFlags) -> bool {
        self.0 & other.0 != 0
    }

    /// These flags for a pair that has `self`, which keeps what never changes.
    pub(super) const fn changed_to(self, flags: PairFlags) -> PairFlags {
        PairFlags(self.0 & Self::LASTING.0 | flags.0 & !Self::LASTING.0)
    }

    /// Both sets.
    pub const fn with(self, other: PairFlags) -> PairFlags {
        PairFlags(self.0 | other.0)
    }
}

/// One (service, real server) pair.
///
/// `ends[Virtual]` is what a packet from the client is addressed to and what a NAT reply will come from; `ends[Real]` is
/// the other way about. A vacant record has generation 0, which no connection has.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub struct Pair {
    /// Virtual and real address, by [`Side`].
    pub ends: [Addr; 2],
    /// Virtual and real port, by [`Side`].
    pub ports: [u16; 2],
    /// Told apart from an earlier pair that had this id; a connection with another generation belongs to none.
    pub generation: u32,
    /// The way to the real server.
    pub hop: HopId,
    /// Index of the service in [`super::Services::list`]; `u32::MAX` once the service is gone.
    pub service: u32,
    /// From virtual to real address: what a request does to the IP header checksum (IPv4).
    pub address_delta: Delta,
    /// From virtual to real address and port: what a request does to the TCP or UDP checksum.
    pub transport_delta: Delta,
    /// How requests reach the server.
    pub method: Method,
    /// Bytes that a request grows by.
    pub overhead: u8,
    /// See [`PairFlags`].
    pub flags: PairFlags,
    /// IP protocol number of the service; 0 for a mark, whose number stands in place of the virtual address.
    pub protocol: u8,
}

const _: () = assert!(size_of::<Pair>() == 64, "a pair is one cache line");

impl Pair {
    /// A pair with its deltas worked out; no hop, no flags but those of full NAT and bypass, service unknown.
    pub fn new(generation: u32, protocol: u8, method: Method, virtual_: Endpoint, real: Endpoint) -> Self {
        let address = Delta::new().replace_addr(virtual_.addr, real.addr);
        let (method, flags) = match method {
            Method::Full => (Method::Nat, PairFlags::FULL),
            _ if real.addr.is_unspecified() => (method, PairFlags::BYPASS),
            _ => (method, PairFlags::default()),
        };
        Self {
            ends: [virtual_.addr, real.addr],
            ports: [virtual_.port, real.port],
            generation,
            hop: HopId::NONE,
            service: u32::MAX,
            address_delta: address,
            transport_delta: address.replace(virtual_.port, real.port),
            method,
            overhead: method.overhead(real.addr.family()),
            flags,
            protocol,
        }
    }

    /// The pair as it is for one connection of a wide one: with the ends that the connection has.
    pub fn of_connection(&self, virtual_: Endpoint, real_port: u16) -> Self {
        let real = match self.flags.has(PairFlags::BYPASS) {
            true => virtual_,
            false => Endpoint { addr: self.ends[Side::Real as usize], port: real_port },
        };
        let its = Self::new(self.generation, self.protocol, self.method, virtual_, real);
        Self { hop: self.hop, service: self.service, flags: self.flags, ..its }
    }

    /// Whether its packets and connections count for anybody: not those of a removed server, nor those without one
    /// (`ip_vs_core.c: ip_vs_in_stats`).
    #[inline(always)]
    pub const fn counts(&self) -> bool {
        !self.flags.has_any(PairFlags::REMOVED.with(PairFlags::BYPASS))
    }

    /// The name of its service.
    pub fn service_key(&self) -> ServiceKey {
        ServiceKey { protocol: self.protocol, virtual_: self.end(Side::Virtual) }
    }

    /// One end.
    #[inline(always)]
    pub fn end(&self, side: Side) -> Endpoint {
        Endpoint { addr: self.ends[side as usize], port: self.ports[side as usize] }
    }
}
