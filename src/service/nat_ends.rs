//! The ends of NAT servers: which packets without a connection come from the port of a service.

use super::{Method, PairId, Service};
use crate::wire::Endpoint;

/// Addresses and ports of servers reached by NAT, by protocol; 0 stands for those of a mark, which have all
/// (`ip_vs_ctl.c: ip_vs_has_real_service`).
#[derive(Clone, Debug, Default)]
pub(super) struct NatEnds(hashbrown::HashMap<(u8, Endpoint), (u32, PairId), ahash::RandomState>);

impl NatEnds {
    /// Adds the servers of the service number so many. Those that take whatever port is asked for have no port of their own.
    pub(super) fn add(&mut self, index: u32, service: &Service) {
        let servers = service.servers.iter().filter(|server| server.method == Method::Nat && server.real.port != 0);
        self.0.extend(servers.map(|server| ((service.key.protocol, server.real), (index, server.pair))));
    }

    /// The service's number and the pair of the server at this end.
    pub(super) fn find(&self, protocol: u8, real: Endpoint) -> Option<(u32, PairId)> {
        self.0.get(&(protocol, real)).or_else(|| self.0.get(&(0, real))).copied()
    }
}
