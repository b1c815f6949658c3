//! Round robin (`ip_vs_rr.c`): the next usable server after the last pick.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::{Candidates, Member};
use crate::wire::Endpoint;

#[derive(Debug)]
pub(super) struct Rr {
    /// How many servers of the list the round has passed: the last pick is the one before; 0 at the head.
    passed: AtomicUsize,
    /// Who they are, so that the round goes on at its place in another list.
    members: Box<[Endpoint]>,
}

impl Rr {
    pub(super) fn new(members: &[Member]) -> Self {
        Self::at(0, members)
    }

    fn at(passed: usize, members: &[Member]) -> Self {
        Self { passed: AtomicUsize::new(passed), members: members.iter().map(|member| member.real).collect() }
    }

    /// The last pick stays the last pick; if it was removed, the nearest server before it that is still there takes its
    /// place (`ip_vs_rr_del_dest`), and the head of the list if there is none.
    pub(super) fn changed(&self, members: &[Member]) -> Self {
        let passed = self.passed.load(Relaxed).min(self.members.len());
        let place = |real: &Endpoint| members.iter().position(|member| member.real == *real);
        let last = self.members[..passed].iter().rev().find_map(place);
        Self::at(last.map_or(0, |at| at + 1), members)
    }

    pub(super) fn pick(&self, servers: &impl Candidates) -> Option<usize> {
        let mut picked = None;
        // Workers that meet here take turns: who loses the exchange picks again from where the other left off.
        let _ = self.passed.try_update(Relaxed, Relaxed, |passed| {
            let passed = passed.min(servers.len());
            picked = (passed..servers.len()).chain(0..passed).find(|&at| servers.usable(at));
            picked.map(|at| at + 1)
        });
        picked
    }
}
