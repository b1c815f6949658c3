//! From the names of a service and a real server, which records carry, to the pair they form here.

use super::wire::{Flags, SyncRecord};
use crate::service::{PairId, Services, Side};
use crate::wire::{Endpoint, ServiceKey};

/// The pairs of a plan by the names of their service and server.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pairs: hashbrown::HashMap<(ServiceKey, Endpoint), PairId, ahash::RandomState>,
}

impl Names {
    /// Of all pairs that the plan knows. Removed ones too: what becomes of their connections is decided where they end.
    pub fn of(services: &Services) -> Self {
        let mut names = Self::default();
        // Those that a server formed by another method come first, so that its present one takes their place.
        let is_former = |id: PairId| services.former.iter().any(|(former, _)| *former == id);
        let ids = || (0..).map(PairId).zip(&services.pairs).filter(|(_, pair)| pair.generation != 0);
        let former = ids().filter(|(id, _)| is_former(*id));
        for (id, pair) in former.chain(ids().filter(|(id, _)| !is_former(*id))) {
            names.pairs.insert((pair.service_key(), pair.end(Side::Real)), id);
        }
        names
    }

    /// The pair of a record's service and server (`ip_vs_ctl.c: ip_vs_find_dest`): the service of its mark, or of its
    /// address and port, or one that takes other ports as well; in it the server with the record's port, or with any.
    pub fn find(&self, services: &Services, record: &SyncRecord) -> Option<PairId> {
        let SyncRecord { protocol, flags, fwmark, virtual_, real, .. } = *record;
        let any = Endpoint { port: 0, ..real };
        let direct = flags.0 & Flags::METHOD.0 != 0;
        let servers = if fwmark != 0 && direct { [any, real] } else { [real, any] };
        let in_service = |key: ServiceKey| servers.iter().find_map(|&server| self.pairs.get(&(key, server)));
        let marked = (fwmark != 0).then(|| ServiceKey::of_mark(fwmark, virtual_.addr.family()));
        let others = || services.by_address(protocol, virtual_).map(|service| service.key);
        let exact = || in_service(ServiceKey { protocol, virtual_ });
        marked.and_then(in_service).or_else(exact).or_else(|| in_service(others()?)).copied()
    }
}
