//! What routers on the way to tunnel servers have said about the size that fits (RFC 1191, RFC 8201).
//!
//! Shared by all workers, for the error need not come in where the tunnel packets go out.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::service::{Method, PairId, Services};
use crate::time::{Tick, Ticks};
use crate::wire::{Addr, Family};

/// `net.ipv4.route.mtu_expires`, 600 s; afterwards a larger size is tried again.
const LIFE: Ticks = Ticks::from_secs(600);
/// `net.ipv4.route.min_pmtu`: nobody can make the director send smaller packets than this.
const LEAST_V4: u16 = 552;
/// Every IPv6 link takes as much (RFC 8200 5).
const LEAST_V6: u16 = 1280;

/// Path MTUs by pair.
#[derive(Debug)]
pub struct PathMtus {
    /// Whether anything was ever learned: spares the rest to those who never need it.
    any: AtomicBool,
    /// Bits 32-63 the tick it was learned at, bits 0-15 the MTU; 0 for none.
    by_pair: Box<[AtomicU64]>,
}

impl PathMtus {
    /// Room for pair ids below `pairs`; nothing is known yet.
    pub fn new(pairs: usize) -> Self {
        Self { any: AtomicBool::new(false), by_pair: (0..pairs).map(|_| AtomicU64::new(0)).collect() }
    }

    /// The MTU of the way to the pair's server, in bytes, where the first hop's is `first`.
    #[inline(always)]
    pub(super) fn of(&self, pair: PairId, first: u16, now: Tick) -> u16 {
        if self.any.load(Relaxed) { self.known(pair, now).map_or(first, |known| known.min(first)) } else { first }
    }

    #[cold]
    fn known(&self, pair: PairId, now: Tick) -> Option<u16> {
        let word = self.by_pair.get(pair.0 as usize)?.load(Relaxed);
        let fresh = word != 0 && now.since(Tick((word >> 32) as u32)) <= LIFE;
        fresh.then_some(word as u16)
    }

    /// Remembers that `mtu` bytes fit the way to `server`, for all pairs that reach it by a tunnel. What is larger than
    /// the present value changes nothing.
    pub(super) fn learn(&self, services: &Services, server: Addr, mtu: u32, present: u16, now: Tick) {
        let least = if server.family() == Family::V4 { LEAST_V4 } else { LEAST_V6 };
        let mtu = u16::try_from(mtu).unwrap_or(u16::MAX).max(least);
        if mtu >= present {
            return;
        }
        let word = u64::from(now.0) << 32 | u64::from(mtu);
        let pairs = services.pairs.iter().zip(&self.by_pair);
        for (_, known) in pairs.filter(|(pair, _)| matches!(pair.method, Method::Tun(_)) && pair.ends[1] == server) {
            known.store(word, Relaxed);
        }
        self.any.store(true, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{Network, Pair, ServicesBuilder};
    use crate::wire::Protocol;

    #[test]
    fn what_was_learned_holds_for_a_while_and_for_all_that_go_there_by_tunnel() {
        let pair = |method, real: &str| {
            Pair::new(1, Protocol::TCP, method, "192.0.2.10:80".parse().unwrap(), real.parse().unwrap())
        };
        let mut builder = ServicesBuilder::default();
        let ways = [(Method::IPIP, "10.1.0.11:80"), (Method::IPIP, "10.1.0.11:80"), (Method::Nat, "10.1.0.11:80")];
        for (id, (method, real)) in (0..).zip(ways) {
            builder.add_removed(PairId(id), pair(method, real), &Network::default());
        }
        builder.add_removed(PairId(3), pair(Method::IPIP, "10.1.0.12:80"), &Network::default());
        let (services, mtus, now) = (builder.build(), PathMtus::new(4), Tick(7));
        let all = |now| [0, 1, 2, 3].map(|id| mtus.of(PairId(id), 1500, now));
        let server = "10.1.0.11:80".parse::<crate::wire::Endpoint>().unwrap().addr;
        mtus.learn(&services, server, 1500, 1500, now);
        assert_eq!(all(now), [1500; 4]);
        mtus.learn(&services, server, 1200, 1500, now);
        assert_eq!(all(now), [1200, 1200, 1500, 1500]);
        mtus.learn(&services, server, 1300, 1200, now);
        assert_eq!(all(now), [1200, 1200, 1500, 1500], "only less is news");
        mtus.learn(&services, server, 0, 1200, now);
        assert_eq!(all(now), [552, 552, 1500, 1500], "no less than the kernel takes");
        assert_eq!(all(now.plus(Ticks::from_secs(601))), [1500; 4]);
    }
}
