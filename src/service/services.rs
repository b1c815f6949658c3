//! Virtual services and their pairs, as one immutable value.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::nat_ends::NatEnds;
use super::{
    Admission, Engine, FtpPorts, FullNat, HopId, HopTo, Loads, MarkRule, Method, Network, Pair, PairFlags, PairId,
    Thresholds, marks,
};
use crate::sched::{Candidates, Scheduler};
use crate::time::Ticks;
use crate::wire::{Addr, Endpoint, Family, Mask, Protocol, ServiceKey};

/// Names a virtual service. Allotted once and kept over snapshots, reloads and restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(pub u32);

/// Client affinity (`persistence_timeout`, `persistence_granularity`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Persistence {
    /// How long a client stays with its server after its last new connection.
    pub timeout: Ticks,
    /// The bits of the client's address that make it the same client: all by default.
    pub mask: Mask,
}

/// One real server of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// The pair it forms with the service.
    pub pair: PairId,
    /// Its address and port.
    pub real: Endpoint,
    /// How requests reach it.
    pub method: Method,
    /// Share of new connections; 0 takes none.
    pub weight: u32,
    /// When it is full.
    pub thresholds: Thresholds,
}

/// A virtual service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its stable name.
    pub id: ServiceId,
    /// What packets must be addressed to.
    pub key: ServiceKey,
    /// Picks a server for a new connection; its cursor is shared by all workers and carried over snapshots.
    pub scheduler: Arc<Scheduler>,
    /// Client affinity, if asked for.
    pub persistence: Option<Persistence>,
    /// What tells clients apart beside their address, if anything does.
    pub engine: Option<Engine>,
    /// What it is limited to.
    pub admission: Arc<Admission>,
    /// Every datagram is scheduled for itself and leaves no connection behind (`ops`; ipvsadm `-o`). UDP only.
    pub one_packet: bool,
    /// What its servers reached by full NAT need, if it has any.
    pub full: Option<Arc<FullNat>>,
    /// In the order schedulers walk them: the kernel adds new servers at the head.
    pub servers: Vec<Server>,
    /// Stands for the destination itself where no server is to be had, if that is wished (`net.ipv4.vs.cache_bypass`).
    pub bypass: Option<Server>,
}

/// A service's servers with their present loads, as schedulers see them.
pub(crate) struct LoadedServers<'a> {
    pub(crate) servers: &'a [Server],
    pub(crate) loads: &'a Loads,
}

impl Candidates for LoadedServers<'_> {
    fn len(&self) -> usize {
        self.servers.len()
    }

    fn weight(&self, at: usize) -> u32 {
        self.servers[at].weight
    }

    fn overloaded(&self, at: usize) -> bool {
        let Server { pair, thresholds, .. } = self.servers[at];
        self.loads.is_full(pair, thresholds)
    }

    fn active(&self, at: usize) -> u32 {
        self.loads.load(self.servers[at].pair).active
    }

    fn inactive(&self, at: usize) -> u32 {
        self.loads.load(self.servers[at].pair).inactive
    }
}

/// Which addresses may be virtual: 4096 bits that can say "yes" wrongly but never "no" wrongly.
///
/// The parse pass asks it which end of a packet is the client. After a wrong "yes" the lookup misses, and the slow path
/// asks the exact map.
#[derive(Clone, Debug)]
pub struct VipFilter([u64; 64]);

impl Default for VipFilter {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl VipFilter {
    #[inline(always)]
    fn bit(address: Addr) -> (usize, u64) {
        let mixed = (address.hi ^ address.lo).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
        ((mixed >> 6) as usize, 1 << (mixed & 63))
    }

    /// From now on answers "yes" for every address.
    pub fn add_all(&mut self) {
        self.0 = [u64::MAX; 64];
    }

    /// From now on answers "yes" for this address.
    pub fn add(&mut self, address: Addr) {
        let (word, bit) = Self::bit(address);
        self.0[word] |= bit;
    }

    /// Whether the address may be virtual.
    #[inline(always)]
    pub fn may_contain(&self, address: Addr) -> bool {
        let (word, bit) = Self::bit(address);
        self.0[word & 63] & bit != 0
    }
}

impl Service {
    /// Whether its connections may go to other ports of the virtual address than its own: it is for all, or it is FTP's
    /// and persistent, and the data connections follow (`ip_vs_ctl.c: ip_vs_service_find`).
    pub fn is_for_other_ports(&self) -> bool {
        self.key.virtual_.port == 0 || (self.is_ftp() && self.persistence.is_some())
    }

    /// Whether it is on FTP's control port.
    pub fn is_ftp(&self) -> bool {
        self.key.protocol == Protocol::TCP && self.key.virtual_.port == super::lookup::FTP
    }
}

/// The kinds of services that there are, beside those for one address and port.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kinds {
    pub(super) marks: bool,
    pub(super) ftp: bool,
    pub(super) all_ports: bool,
    pub(super) helped: bool,
}

/// All services and pairs.
#[derive(Clone, Debug, Default)]
pub struct Services {
    pub(super) by_key: hashbrown::HashMap<ServiceKey, u32, ahash::RandomState>,
    vip_addresses: hashbrown::HashSet<Addr, ahash::RandomState>,
    nat_servers: hashbrown::HashSet<Addr, ahash::RandomState>,
    /// The services, in the order of the configuration.
    pub list: Vec<Service>,
    /// By [`PairId`]; vacant records have generation 0.
    pub pairs: Vec<Pair>,
    /// By [`PairId`]: the director's address on the way to the server, from which tunnels start.
    sources: Vec<Option<Addr>>,
    /// Pairs of servers whose method was changed since, and the pairs that those servers form now. Few, if any.
    pub former: Vec<(PairId, PairId)>,
    /// The director's own addresses that full NAT connects from.
    local_addresses: hashbrown::HashSet<Addr, ahash::RandomState>,
    /// What marks which packets, the first that matches first.
    pub marks: Vec<MarkRule>,
    /// The marks that have a service, or had one whose connections are not all gone.
    pub marks_in_use: BTreeSet<u32>,
    nat_ends: NatEnds,
    /// Which lookups are worth while.
    pub(super) kinds: Kinds,
    /// Every VIP.
    pub vips: VipFilter,
}

impl Services {
    /// The service of this name, as an index into `list`.
    #[inline]
    pub fn find(&self, key: &ServiceKey) -> Option<usize> {
        self.by_key.get(key).map(|&index| index as usize)
    }

    /// Whether the address is one that full NAT connects from.
    pub fn is_local(&self, address: Addr) -> bool {
        self.local_addresses.contains(&address)
    }

    /// Whether the address is a VIP of any service.
    pub fn is_vip(&self, address: Addr) -> bool {
        // The filter knows them all, and most that are none.
        self.vips.may_contain(address) && self.vip_addresses.contains(&address)
    }

    /// Whether the address is a real server's that answers through the director.
    pub fn is_nat_server(&self, address: Addr) -> bool {
        self.nat_servers.contains(&address)
    }

    /// The address that a tunnel to this pair's server starts from; `None` while there is no way to it.
    pub fn tunnel_source(&self, id: PairId) -> Option<Addr> {
        self.sources.get(id.0 as usize).copied().flatten()
    }

    /// Whether connections may be awaited that helpers have heard of.
    pub fn have_helpers(&self) -> bool {
        self.kinds.helped
    }

    /// The service that has a NAT server at this address and port, and the server.
    pub fn served_from(&self, protocol: u8, real: Endpoint) -> Option<(&Service, &Server)> {
        let (index, pair) = self.nat_ends.find(protocol, real)?;
        let service = self.list.get(index as usize)?;
        Some((service, service.servers.iter().find(|server| server.pair == pair)?))
    }

    /// Whether there is a service of this address family.
    pub fn serve(&self, family: Family) -> bool {
        self.list.iter().any(|service| service.key.family() == family)
    }

    /// The pair of this id; `None` for an id out of range or a vacant record.
    #[inline(always)]
    pub fn pair(&self, id: PairId) -> Option<&Pair> {
        self.pairs.get(id.0 as usize).filter(|pair| pair.generation != 0)
    }
}

/// Puts [`Services`] together.
#[derive(Debug, Default)]
pub struct ServicesBuilder {
    services: Services,
    ftp_ports: FtpPorts,
}

impl ServicesBuilder {
    /// Adds a service and the pairs of its servers, whose ids and generations the caller has allotted: `generations[i]` is
    /// that of `service.servers[i]`, and after them comes that of its bypass. The ways to the servers are those of `network`.
    pub fn add(&mut self, service: Service, generations: &[u32], network: &Network) {
        let index = self.services.list.len() as u32;
        let key = service.key;
        self.services.by_key.insert(key, index);
        self.services.nat_ends.add(index, &service);
        self.services.local_addresses.extend(service.full.iter().flat_map(|full| &full.addresses));
        let kinds = &mut self.services.kinds;
        if key.mark().is_some() {
            kinds.marks = true;
        } else {
            self.services.vip_addresses.insert(key.virtual_.addr);
            self.services.vips.add(key.virtual_.addr);
            kinds.ftp |= service.is_ftp();
            kinds.all_ports |= key.virtual_.port == 0;
        }
        for (server, &generation) in service.servers.iter().chain(&service.bypass).zip(generations) {
            let mut pair = Pair::new(generation, key.protocol, server.method, key.virtual_, server.real);
            pair.service = index;
            if server.weight == 0 {
                pair.flags = pair.flags.with(PairFlags::DRAINED);
            }
            if service.is_for_other_ports() || server.real.port == 0 {
                pair.flags = pair.flags.with(PairFlags::WIDE);
            }
            self.help(&mut pair);
            self.put(server.pair, pair, network);
        }
        self.services.list.push(service);
    }

    /// Keeps the pair of a removed server (or of a removed service) known, so that its connections can be ended.
    pub fn add_removed(&mut self, id: PairId, mut pair: Pair, network: &Network) {
        pair.flags = pair.flags.with(PairFlags::REMOVED);
        pair.service = u32::MAX;
        if pair.ports.contains(&0) || pair.ports[0] == super::lookup::FTP {
            pair.flags = pair.flags.with(PairFlags::WIDE);
        }
        self.services.vips.add(pair.ends[0]);
        self.help(&mut pair);
        self.put(id, pair, network);
    }

    /// Keeps the pair that a server formed by another method, for the connections that were opened so. The server's
    /// present pair is there already.
    pub fn add_former(&mut self, id: PairId, mut pair: Pair, current: PairId, network: &Network) {
        let present = &self.services.pairs[current.0 as usize];
        (pair.flags, pair.service) = (pair.flags.changed_to(present.flags), present.service);
        self.services.former.push((id, current));
        self.put(id, pair, network);
    }

    /// NAT services on these ports speak FTP; to be said before they are added.
    pub fn ftp_ports(&mut self, ports: FtpPorts) {
        self.ftp_ports = ports;
    }

    /// Marks a pair whose service has a helper.
    fn help(&mut self, pair: &mut Pair) {
        let speaks_ftp = pair.protocol == Protocol::TCP && self.ftp_ports.contains(pair.ports[0]);
        if speaks_ftp && pair.method == Method::Nat && !pair.flags.has(PairFlags::FULL) {
            pair.flags = pair.flags.with(PairFlags::FTP).with(PairFlags::WIDE);
            self.services.kinds.helped = true;
        }
    }

    fn put(&mut self, id: PairId, mut pair: Pair, network: &Network) {
        let (at, real) = (id.0 as usize, pair.ends[1]);
        if self.services.pairs.len() <= at {
            self.services.pairs.resize(at + 1, Pair::default());
            self.services.sources.resize(at + 1, None);
        }
        if pair.method == Method::Nat {
            self.services.nat_servers.insert(real);
        }
        pair.hop = match network.hop_to(real) {
            // Each connection has a way of its own.
            _ if pair.flags.has(PairFlags::BYPASS) => HopId::NONE,
            HopTo::Ready(id) => id,
            HopTo::Unresolved(_) | HopTo::NoRoute => HopId::NONE,
        };
        self.services.pairs[at] = pair;
        self.services.sources[at] = network.source_towards(real);
    }

    /// The rules by which packets get marks.
    pub fn marks(&mut self, rules: Vec<MarkRule>) {
        self.services.marks = rules;
    }

    /// The finished value.
    pub fn build(mut self) -> Services {
        let services = &mut self.services;
        let pairs = services.pairs.iter().filter(|pair| pair.generation != 0);
        let keys = pairs.map(Pair::service_key).chain(services.list.iter().map(|service| service.key));
        services.marks_in_use = keys.filter_map(|key| key.mark()).collect();
        match marks::destinations(&services.marks, |mark| services.marks_in_use.contains(&mark)) {
            Some(addresses) => addresses.into_iter().for_each(|address| services.vips.add(address)),
            None => services.vips.add_all(),
        }
        self.services
    }
}
