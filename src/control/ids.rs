//! Names to ids.
//!
//! The connection table holds [`PairId`]s with a generation, so an id must mean the same (service, real server) pair for
//! as long as any connection carries it. Ids are therefore allotted by name, once: the pair of a server that was taken
//! out and comes back is the pair that it was, and its connections go on. The method belongs to the name, since it must not
//! change under a connection.
//!
//! An id becomes free only through [`Ids::vacate`], when no connection holds it any more. Whoever gets it next gets it
//! under a higher generation, so that a straggler cannot be mistaken for one of its connections.

use std::collections::{BTreeMap, BTreeSet};

use crate::service::{Method, Pair, PairId, ServiceId};
use crate::wire::{Endpoint, ServiceKey};

/// Room for pairs: as many have loads and counters.
pub const PAIRS: usize = 1 << 16;

/// What a pair is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    service: ServiceKey,
    real: Endpoint,
    /// See [`kind`].
    kind: u8,
}

/// What a connection keeps of its server's method when that is changed under it: all but the details of a tunnel.
const fn kind(method: Method) -> u8 {
    match method {
        Method::Nat => 0,
        Method::Dr => 1,
        Method::Tun(_) => 2,
        Method::Full => 3,
    }
}

/// What stands behind a [`PairId`].
#[derive(Clone, Copy, Debug)]
struct Record {
    /// `None` while the id is free.
    holder: Option<Holder>,
    /// Of the present holder, or of the last one.
    generation: u32,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    name: Name,
    method: Method,
    /// Asked for since the last [`Ids::begin`].
    live: bool,
}

/// All ids ever allotted; see the module documentation.
#[derive(Debug, Default)]
pub struct Ids {
    services: BTreeMap<ServiceKey, ServiceId>,
    pairs: BTreeMap<Name, PairId>,
    records: Vec<Record>,
    free: BTreeSet<PairId>,
    /// What differs between two runs of a director.
    seed: u64,
}

impl Ids {
    /// No ids yet. The seed is handed to schedulers that draw lots: no two directors should draw alike.
    pub fn with_seed(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// A seed for a service's scheduler, another for each.
    pub fn seed(&self, service: ServiceId) -> u64 {
        self.seed.wrapping_add(u64::from(service.0).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Starts a plan: whatever is not asked for from here on counts as removed.
    pub fn begin(&mut self) {
        self.records.iter_mut().filter_map(|record| record.holder.as_mut()).for_each(|holder| holder.live = false);
    }

    /// The id of a service. A service's id is never given to another.
    pub fn service(&mut self, key: ServiceKey) -> ServiceId {
        let next = ServiceId(index(self.services.len()));
        *self.services.entry(key).or_insert(next)
    }

    /// The id of a pair, allotted if the name is new.
    pub fn pair(&mut self, service: ServiceKey, real: Endpoint, method: Method) -> PairId {
        let name = Name { service, real, kind: kind(method) };
        let id = self.pairs.get(&name).copied().unwrap_or_else(|| self.allot(name));
        self.records[id.0 as usize].holder = Some(Holder { name, method, live: true });
        id
    }

    /// Which holder of its id a pair is: never 0, but for an id that was never allotted.
    pub fn generation(&self, id: PairId) -> u32 {
        self.records.get(id.0 as usize).map_or(0, |record| record.generation)
    }

    /// The lowest free id, so that arrays indexed by ids stay short.
    fn allot(&mut self, name: Name) -> PairId {
        let id = self.free.pop_first().unwrap_or_else(|| {
            self.records.push(Record { holder: None, generation: 0 });
            PairId(index(self.records.len() - 1))
        });
        let generation = &mut self.records[id.0 as usize].generation;
        *generation = generation.checked_add(1).unwrap_or(1);
        self.pairs.insert(name, id);
        id
    }

    /// The pairs known but not asked for since [`Ids::begin`], by whatever method, without hops.
    pub fn removed(&self) -> impl Iterator<Item = (PairId, Pair)> + '_ {
        self.idle().filter(|(.., current)| current.is_none()).map(|(id, pair, _)| (id, pair))
    }

    /// The pairs whose server was asked for by another method, without hops, and the pairs that it forms now: the
    /// connections that there are keep the method they were opened with.
    pub fn former(&self) -> impl Iterator<Item = (PairId, Pair, PairId)> + '_ {
        self.idle().filter_map(|(id, pair, current)| Some((id, pair, current?)))
    }

    fn idle(&self) -> impl Iterator<Item = (PairId, Pair, Option<PairId>)> + '_ {
        self.records.iter().enumerate().filter_map(|(at, record)| {
            let holder = record.holder.filter(|holder| !holder.live)?;
            let Name { service, real, .. } = holder.name;
            let current = self.current(holder.name);
            // What a tunnel is made of is the server's, and goes with the method (`ip_vs_ctl.c: __ip_vs_update_dest`).
            let method = match holder.method {
                Method::Tun(_) if current.is_some() => Method::IPIP,
                method => method,
            };
            let pair = Pair::new(record.generation, service.protocol, method, service.virtual_, real);
            Some((PairId(index(at)), pair, current))
        })
    }

    /// The pair that a name's service and server form now.
    fn current(&self, name: Name) -> Option<PairId> {
        let others = self.pairs.range(Name { kind: 0, ..name }..=Name { kind: u8::MAX, ..name });
        let live = |id: PairId| self.records[id.0 as usize].holder.is_some_and(|holder| holder.live);
        others.map(|(_, &id)| id).find(|&id| live(id))
    }

    /// Frees the id of a removed pair. Call it only when no connection holds the pair and every worker has adopted a
    /// snapshot in which it is removed, for until then a worker may still open one. A pair that came back meanwhile, or
    /// whose id has passed on, stays as it is. Returns whether the id was freed.
    pub fn vacate(&mut self, id: PairId, generation: u32) -> bool {
        let Some(record) = self.records.get_mut(id.0 as usize) else { return false };
        let Some(holder) = record.holder.filter(|holder| !holder.live && record.generation == generation) else {
            return false;
        };
        record.holder = None;
        self.pairs.remove(&holder.name);
        self.free.insert(id)
    }
}

fn index(at: usize) -> u32 {
    u32::try_from(at).expect("names fill memory long before they fill 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Side;

    fn web() -> ServiceKey {
        ServiceKey { protocol: 6, virtual_: "192.0.2.10:80".parse().unwrap() }
    }

    fn server(last: u8) -> Endpoint {
        Endpoint::new(std::net::Ipv4Addr::new(10, 1, 0, last), 8080)
    }

    #[test]
    fn a_name_keeps_its_id_until_vacated_and_the_next_holder_gets_a_higher_generation() {
        let mut ids = Ids::default();
        let first = ids.pair(web(), server(11), Method::Nat);
        let second = ids.pair(web(), server(12), Method::Nat);
        let generation = ids.generation(first);
        assert_ne!(first, second);
        assert_ne!(generation, 0);
        assert!(!ids.vacate(first, generation), "a live pair cannot be vacated");

        ids.begin();
        ids.pair(web(), server(12), Method::Nat);
        let removed: Vec<_> = ids.removed().map(|(id, pair)| (id, pair.end(Side::Real))).collect();
        assert_eq!(removed, [(first, server(11))]);
        assert_eq!(ids.pair(web(), server(11), Method::Nat), first, "it comes back as what it was");
        assert_eq!(ids.generation(first), generation);

        ids.begin();
        assert!(!ids.vacate(first, generation + 1), "an answer about another holder is of no interest");
        assert!(ids.vacate(first, generation));
        assert_eq!(ids.pair(web(), server(13), Method::Nat), first, "the lowest free id is taken first");
        assert_eq!(ids.generation(first), generation + 1);
        ids.begin();
        assert!(!ids.vacate(first, generation), "nor is a late answer about the last one");
    }

    #[test]
    fn a_server_by_another_method_is_another_pair_and_knows_its_former_self() {
        let mut ids = Ids::default();
        let before = ids.pair(web(), server(11), Method::Dr);
        ids.begin();
        let now = ids.pair(web(), server(11), Method::Nat);
        assert_ne!(now, before);
        let former: Vec<_> = ids.former().map(|(id, pair, current)| (id, pair.method, current)).collect();
        assert_eq!(former, [(before, Method::Dr, now)]);
        assert_eq!(ids.removed().count(), 0);
        ids.begin();
        assert_eq!((ids.removed().count(), ids.former().count()), (2, 0), "both are gone");
        ids.begin();
        assert_eq!(ids.pair(web(), server(11), Method::Dr), before);
    }

    #[test]
    fn a_generation_is_never_zero() {
        let mut ids = Ids::default();
        let id = ids.pair(web(), server(11), Method::Nat);
        ids.records[id.0 as usize].generation = u32::MAX;
        ids.begin();
        assert!(ids.vacate(id, u32::MAX));
        assert_eq!(ids.pair(web(), server(11), Method::Nat), id);
        assert_eq!(ids.generation(id), 1);
    }
}
