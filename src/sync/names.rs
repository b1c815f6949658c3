//! From the names of a service and a real server, which records carry, to the pair they form here.

use crate::service::{Pair, PairId, Services, Side};
use crate::wire::Endpoint;

/// What a pair is called in a message: protocol, virtual and real end.
type Name = (u8, Endpoint, Endpoint);

/// The pairs of a plan by name.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pairs: hashbrown::HashMap<Name, PairId, ahash::RandomState>,
}

impl Names {
    /// Of all pairs that the plan knows, removed ones too: what becomes of their connections is decided where they end.
    pub fn of(services: &Services) -> Self {
        let ids = (0..).map(PairId).zip(&services.pairs);
        let pairs = ids.filter(|(_, pair)| pair.generation != 0).map(|(id, pair)| (name(pair), id)).collect();
        Self { pairs }
    }

    /// The pair of this name, or else the one that serves any port of the virtual address with the same port of the server.
    pub fn find(&self, protocol: u8, virtual_: Endpoint, real: Endpoint) -> Option<PairId> {
        let any = |end: Endpoint| Endpoint { port: 0, ..end };
        let exact = self.pairs.get(&(protocol, virtual_, real));
        exact.or_else(|| self.pairs.get(&(protocol, any(virtual_), any(real)))).copied()
    }
}

fn name(pair: &Pair) -> Name {
    (pair.protocol, pair.end(Side::Virtual), pair.end(Side::Real))
}
