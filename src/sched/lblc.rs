//! Locality-based least connections (`ip_vs_lblc.c`): a destination keeps its server, as suits a row of caches, unless
//! that is overloaded while another is half idle; new destinations go by the rule of `wlc`.

use super::cache::Cache;
use super::{Candidates, Flow, Member, wlc};

#[derive(Debug)]
pub(super) struct Lblc(Cache);

impl Lblc {
    pub(super) fn new(members: &[Member]) -> Self {
        Self(Cache::new(members))
    }

    pub(super) fn changed(&self, members: &[Member]) -> Self {
        Self(self.0.changed(members))
    }

    pub(super) fn pick(&self, servers: &impl Candidates, flow: &Flow) -> Option<usize> {
        let destination = flow.destination.addr;
        let known = self.0.find(destination, flow.expirations.lblc, flow.now);
        let server = known.and_then(|known| self.0.listed(known.set.ids().next()?));
        // Upper thresholds hold for new destinations only.
        let good = |&at: &usize| at < servers.len() && servers.weight(at) > 0 && !is_overloaded(servers, at);
        server.filter(good).or_else(|| {
            let at = wlc::pick(servers)?;
            self.0.insert(destination, at, flow.now);
            Some(at)
        })
    }
}

/// Whether a server has more active connections than weight while another has less than half (`is_overloaded`).
pub(super) fn is_overloaded(servers: &impl Candidates, at: usize) -> bool {
    let idle = |other| u64::from(servers.active(other)) * 2 < u64::from(servers.weight(other));
    servers.active(at) > servers.weight(at) && (0..servers.len()).any(idle)
}
