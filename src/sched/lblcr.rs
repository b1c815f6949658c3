//! Locality-based least connections with replication (`ip_vs_lblcr.c`): a destination has a set of servers, which grows
//! while they are overloaded and others half idle, and shrinks by one a day.

use super::cache::{Cache, Known};
use super::lblc::is_overloaded;
use super::least::{least_among, overhead};
use super::{Candidates, Flow, Member, wlc};

#[derive(Debug)]
pub(super) struct Lblcr(Cache);

impl Lblcr {
    pub(super) fn new(members: &[Member]) -> Self {
        Self(Cache::new(members))
    }

    pub(super) fn changed(&self, members: &[Member]) -> Self {
        Self(self.0.changed(members))
    }

    pub(super) fn pick(&self, servers: &impl Candidates, flow: &Flow) -> Option<usize> {
        let destination = flow.destination.addr;
        let Some(mut known) = self.0.find(destination, flow.expirations.lblcr, flow.now) else {
            let at = wlc::pick(servers)?;
            self.0.insert(destination, at, flow.now);
            return Some(at);
        };
        let least =
            least_among(servers, self.members(&known), |servers, at| (overhead(servers, at), servers.weight(at)));
        let mut changed = false;
        if known.set.len() > 1 && flow.now.since(known.modified) > flow.expirations.lblcr {
            changed = self.shrink(servers, &mut known, flow);
        }
        let choice = least.filter(|&at| !is_overloaded(servers, at)).or_else(|| {
            let at = wlc::pick(servers)?;
            if self.0.id(at).is_some_and(|id| known.set.add(id)) {
                known.modified = flow.now;
                changed = true;
            }
            Some(at)
        });
        if changed {
            self.0.update(destination, &known, flow.now);
        }
        choice
    }

    /// The servers of the set that are still in the list, as places in it.
    fn members(&self, known: &Known) -> impl Iterator<Item = usize> {
        let set = known.set;
        (0..set.len()).filter_map(move |at| self.0.listed(set.ids().nth(at)?))
    }

    /// Takes the most loaded server out of the set; the first of equals (`ip_vs_dest_set_max`).
    fn shrink(&self, servers: &impl Candidates, known: &mut Known, flow: &Flow) -> bool {
        let product =
            |load: usize, share: usize| u128::from(overhead(servers, load)) * u128::from(servers.weight(share));
        let weighted = self.members(known).filter(|&at| at < servers.len() && servers.weight(at) > 0);
        let most = weighted.reduce(|most, at| if product(most, at) < product(at, most) { at } else { most });
        let Some(id) = most.and_then(|at| self.0.id(at)) else { return false };
        known.set.remove(id);
        known.modified = flow.now;
        true
    }
}
