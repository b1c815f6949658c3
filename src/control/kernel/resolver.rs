//! When to make the kernel ask for a neighbour's MAC address.
//!
//! The kernel resolves a neighbour when it has a packet for it; workers bypass the kernel, so it must be told. Neighbours
//! that services depend on (the next hops of real servers, and all gateways) are kept resolved and confirmed, so that no
//! client waits for ARP; others are asked for when a worker meets them. No neighbour is asked for more than once in
//! a second, however often a worker asks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::facts::Reach;
use crate::service::{Network, NextHop, Services};

/// Least time between two requests for the same neighbour. The kernel itself goes on for some seconds after one
/// (`mcast_solicit` 3 times `retrans_time` 1 s).
const PAUSE: Duration = Duration::from_secs(1);

/// How many neighbours may be on hold at once: a scan of a large network must not fill our memory or the kernel's table.
const LIMIT: usize = 1024;

/// What to ask the kernel for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Find the neighbour's MAC address (NTF_USE).
    Resolve,
    /// Confirm the one known (NUD_PROBE).
    Confirm,
}

/// See the module documentation. All times are since an arbitrary start.
#[derive(Debug, Default)]
pub struct Resolver {
    asked: BTreeMap<NextHop, Duration>,
}

impl Resolver {
    /// What to ask for now, given what is known of a neighbour that is wanted. `None`: nothing to do, or asked for only
    /// just now.
    pub fn ask(&mut self, next: NextHop, reach: Reach, now: Duration) -> Option<Request> {
        let request = match reach {
            Reach::Fresh(_) => return None,
            Reach::Stale(_) => Request::Confirm,
            Reach::Unresolved => Request::Resolve,
        };
        let on_hold = |asked: Duration| now.saturating_sub(asked) < PAUSE;
        if self.asked.get(&next).is_some_and(|&asked| on_hold(asked)) {
            return None;
        }
        if self.asked.len() >= LIMIT {
            self.asked.retain(|_, asked| on_hold(*asked));
            if self.asked.len() >= LIMIT {
                return None;
            }
        }
        self.asked.insert(next, now);
        Some(request)
    }
}

/// The neighbours that services depend on: the next hops of all real servers.
pub fn wanted(services: &Services, network: &Network) -> BTreeSet<NextHop> {
    let servers = services.list.iter().flat_map(|service| &service.servers);
    servers.filter_map(|server| network.next_hop(server.real.addr)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::PortId;
    use crate::wire::{Addr, Mac};

    const MAC: Mac = Mac([2; 6]);

    fn neighbour(at: u32) -> NextHop {
        NextHop { port: PortId(0), address: Addr::v4(0x0a01_0000 + at) }
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn what_is_asked_depends_on_what_is_known() {
        for (reach, expected) in [
            (Reach::Unresolved, Some(Request::Resolve)),
            (Reach::Stale(MAC), Some(Request::Confirm)),
            (Reach::Fresh(MAC), None),
        ] {
            assert_eq!(Resolver::default().ask(neighbour(1), reach, at(0)), expected);
        }
    }

    #[test]
    fn a_neighbour_is_asked_for_once_a_second() {
        let mut resolver = Resolver::default();
        let mut ask = |next, now| resolver.ask(next, Reach::Unresolved, at(now)).is_some();
        assert!(ask(neighbour(1), 0));
        assert!(!ask(neighbour(1), 999));
        assert!(ask(neighbour(2), 999), "another neighbour does not wait for the first");
        assert!(ask(neighbour(1), 1000));
    }

    #[test]
    fn a_scan_is_held_to_a_limit_that_time_lifts() {
        let mut resolver = Resolver::default();
        let asked = |resolver: &mut Resolver, now| {
            (0..5000).filter(|&i| resolver.ask(neighbour(i), Reach::Unresolved, at(now)).is_some()).count()
        };
        assert_eq!(asked(&mut resolver, 0), LIMIT);
        assert_eq!(asked(&mut resolver, 500), 0);
        assert_eq!(asked(&mut resolver, 1000), LIMIT);
        assert!(resolver.asked.len() <= LIMIT);
    }
}
