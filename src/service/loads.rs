//! How many connections each server has, counted without sharing a cache line between writers.
//!
//! Every thread that changes connections (each worker, and the sweeper) owns a lane and writes only there, with plain
//! loads and stores; a reader adds the lanes up. A lane may be negative, since a connection can be opened by one thread
//! and ended by another; the sum is right once both stores are seen.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering::Relaxed};

use crossbeam::utils::CachePadded;

use super::{PairId, Services};

/// Connections of one (service, server) pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Connections in an active state (`ActiveConn`).
    pub active: u32,
    /// All others (`InActConn`), templates not counted.
    pub inactive: u32,
}

impl Load {
    /// All connections.
    pub fn total(self) -> u32 {
        self.active.saturating_add(self.inactive)
    }
}

/// Between which numbers of connections a server takes no new ones (`uthreshold`, `lthreshold`; ipvsadm `-x`, `-y`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// With so many connections a server is full; 0: never.
    pub upper: u32,
    /// With fewer than these it takes new ones again; 0: with fewer than three quarters of `upper`.
    pub lower: u32,
}

impl Thresholds {
    /// Whether a server with `total` connections is full, if it was `full` when it was last looked at
    /// (`ip_vs_ctl.c: __ip_vs_dest_update_overload`).
    pub const fn is_full(self, full: bool, total: u32) -> bool {
        match (self.upper, self.lower) {
            (0, _) => false,
            (upper, _) if !full => total >= upper,
            (upper, 0) => total >= upper - upper / 4,
            (_, lower) => total >= lower,
        }
    }
}

#[derive(Debug, Default)]
struct Count {
    active: AtomicI32,
    inactive: AtomicI32,
    templates: AtomicI32,
}

/// The loads of all pairs; see the module documentation.
#[derive(Debug)]
pub struct Loads {
    lanes: Box<[CachePadded<Box<[Count]>>]>,
    /// By pair: whether it has reached its upper threshold, and not yet gone below the lower one.
    full: Box<[AtomicBool]>,
    /// By pair: another pair of the same server, whose connections count as its own; [`NONE`] at the end.
    kin: Box<[AtomicU32]>,
    /// Whether any pair has kin.
    linked: AtomicBool,
}

/// No pair.
const NONE: u32 = u32::MAX;

impl Loads {
    /// Room for pair ids below `pairs`, written by `lanes` threads.
    pub fn new(lanes: usize, pairs: usize) -> Self {
        let lane = || CachePadded::new((0..pairs).map(|_| Count::default()).collect());
        let full = (0..pairs).map(|_| AtomicBool::new(false)).collect();
        let kin = (0..pairs).map(|_| AtomicU32::new(NONE)).collect();
        Self { lanes: (0..lanes).map(|_| lane()).collect(), full, kin, linked: AtomicBool::new(false) }
    }

    /// Follows a change of services. The connections that a server has by a former method count as its own, and whether
    /// it is full is judged by its thresholds up to now, and then by the new ones, as the kernel does when it changes them
    /// (`ip_vs_ctl.c: __ip_vs_update_dest`). For the control thread alone; who reads meanwhile may miss some.
    pub fn follow(&self, before: &Services, after: &Services) {
        self.review(before);
        self.link(&after.former);
        for &(former, current) in &after.former {
            let flag = |pair: PairId| self.full.get(pair.0 as usize);
            if let (Some(former), Some(current)) = (flag(former), flag(current))
                && former.swap(false, Relaxed)
            {
                current.store(true, Relaxed);
            }
        }
        self.review(after);
    }

    /// Judges all servers that there are.
    fn review(&self, services: &Services) {
        for server in services.list.iter().flat_map(|service| &service.servers) {
            if !self.is_full(server.pair, server.thresholds)
                && let Some(full) = self.full.get(server.pair.0 as usize)
            {
                full.store(false, Relaxed);
            }
        }
    }

    /// Has the connections of the first of each two pairs count as those of the second too, and of no others.
    fn link(&self, former: &[(PairId, PairId)]) {
        if former.is_empty() && !self.linked.load(Relaxed) {
            return;
        }
        self.kin.iter().for_each(|kin| kin.store(NONE, Relaxed));
        for (former, current) in former {
            let (Some(its), Some(present)) = (self.kin.get(former.0 as usize), self.kin.get(current.0 as usize)) else {
                continue;
            };
            its.store(present.load(Relaxed), Relaxed);
            present.store(former.0, Relaxed);
        }
        self.linked.store(!former.is_empty(), Relaxed);
    }

    /// A pair and its kin.
    #[inline]
    fn family(&self, pair: PairId) -> impl Iterator<Item = usize> {
        /// More methods than there are. A list that is being changed could lead in a circle.
        const MOST: usize = 4;
        let next = |&at: &usize| self.kin.get(at).map(|kin| kin.load(Relaxed)).filter(|&kin| kin != NONE);
        std::iter::successors(Some(pair.0 as usize), move |at| next(at).map(|kin| kin as usize)).take(MOST)
    }

    /// How many pairs there is room for.
    pub fn capacity(&self) -> usize {
        self.full.len()
    }

    /// The sum over all lanes, and over the pair's kin; a pair out of range has none.
    #[inline]
    pub fn load(&self, pair: PairId) -> Load {
        let (mut active, mut inactive) = (0i32, 0i32);
        for at in self.family(pair) {
            for lane in &self.lanes {
                let Some(count) = lane.get(at) else { return Load::default() };
                active = active.wrapping_add(count.active.load(Relaxed));
                inactive = inactive.wrapping_add(count.inactive.load(Relaxed));
            }
        }
        // A sum can be seen below zero for a moment, between the two stores of two threads.
        Load { active: active.max(0) as u32, inactive: inactive.max(0) as u32 }
    }

    /// How many clients persistence holds to the pair's server: its templates.
    pub fn templates(&self, pair: PairId) -> u32 {
        let counts = self.family(pair).flat_map(|at| self.lanes.iter().filter_map(move |lane| lane.get(at)));
        let sum = counts.fold(0i32, |sum, count| sum.wrapping_add(count.templates.load(Relaxed)));
        sum.max(0) as u32
    }

    /// Whether a pair is full. To be asked before a new connection is given to it and after, so that nothing is missed
    /// that happened in between: its connections become more in no other way.
    #[inline]
    pub fn is_full(&self, pair: PairId, thresholds: Thresholds) -> bool {
        let Some(full) = self.full.get(pair.0 as usize).filter(|_| thresholds.upper != 0) else { return false };
        let was = full.load(Relaxed);
        let is = thresholds.is_full(was, self.load(pair).total());
        if is != was {
            full.store(is, Relaxed);
        }
        is
    }

    /// Adds to the counts of `pair` in a lane. Only the lane's owner may call this.
    #[inline]
    pub fn add(&self, lane: usize, pair: PairId, active: i32, inactive: i32) {
        let Some(count) = self.lanes.get(lane).and_then(|lane| lane.get(pair.0 as usize)) else { return };
        count.active.store(count.active.load(Relaxed).wrapping_add(active), Relaxed);
        count.inactive.store(count.inactive.load(Relaxed).wrapping_add(inactive), Relaxed);
    }

    /// Adds to the templates of `pair` in a lane. Only the lane's owner may call this.
    pub fn add_template(&self, lane: usize, pair: PairId, templates: i32) {
        let Some(count) = self.lanes.get(lane).and_then(|lane| lane.get(pair.0 as usize)) else { return };
        count.templates.store(count.templates.load(Relaxed).wrapping_add(templates), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_server_takes_new_connections_again_only_well_below_its_limit() {
        // From empty to full and back: where each direction changes over.
        for (upper, lower, fills, frees) in [(10, 0, 10, 7), (4, 2, 4, 1), (3, 0, 3, 2), (1, 0, 1, 0), (5, 5, 5, 4)] {
            let thresholds = Thresholds { upper, lower };
            let loads = Loads::new(1, 1);
            let full_at = |change| {
                loads.add(0, PairId(0), change, 0);
                loads.is_full(PairId(0), thresholds)
            };
            assert_eq!((1..=upper + 2).find(|_| full_at(1)), Some(fills), "{thresholds:?}");
            (fills..upper + 2).for_each(|_| _ = full_at(1));
            assert_eq!((0..upper + 2).rev().find(|_| !full_at(-1)), Some(frees), "{thresholds:?}");
        }
        assert!(!Thresholds::default().is_full(true, u32::MAX), "without a limit nothing is full");
    }

    #[test]
    fn kin_count_together_until_they_are_parted() {
        let loads = Loads::new(2, 4);
        (0..3).for_each(|pair| loads.add(1, PairId(pair), 1, 10));
        loads.add_template(0, PairId(1), 1);
        loads.link(&[(PairId(1), PairId(0)), (PairId(2), PairId(0)), (PairId(3), PairId(99))]);
        assert_eq!(loads.load(PairId(0)), Load { active: 3, inactive: 30 });
        assert_eq!(loads.templates(PairId(0)), 1);
        assert!(loads.is_full(PairId(0), Thresholds { upper: 33, lower: 0 }));
        loads.link(&[]);
        assert_eq!(loads.load(PairId(0)), Load { active: 1, inactive: 10 });
    }

    #[test]
    fn lanes_add_up_though_one_alone_is_negative() {
        let loads = Loads::new(2, 4);
        loads.add(0, PairId(3), 2, 1);
        loads.add(1, PairId(3), -1, 1);
        assert_eq!(loads.load(PairId(3)), Load { active: 1, inactive: 2 });
        assert_eq!(loads.load(PairId(2)), Load::default());
        loads.add(0, PairId(99), 1, 1);
        assert_eq!(loads.load(PairId(99)), Load::default());
    }
}
