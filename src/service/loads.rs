//! How many connections each server has, counted without sharing a cache line between writers.
//!
//! Every thread that changes connections (each worker, and the sweeper) owns a lane and writes only there, with plain
//! loads and stores; a reader adds the lanes up. A lane may be negative, since a connection can be opened by one thread
//! and ended by another; the sum is right once both stores are seen.

use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

use crossbeam::utils::CachePadded;

use super::PairId;

/// Connections of one (service, server) pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Connections in an active state (`ActiveConn`).
    pub active: u32,
    /// All others (`InActConn`), templates not counted.
    pub inactive: u32,
}

#[derive(Debug, Default)]
struct Count {
    active: AtomicI32,
    inactive: AtomicI32,
}

/// The loads of all pairs; see the module documentation.
#[derive(Debug)]
pub struct Loads {
    lanes: Box<[CachePadded<Box<[Count]>>]>,
}

impl Loads {
    /// Room for pair ids below `pairs`, written by `lanes` threads.
    pub fn new(lanes: usize, pairs: usize) -> Self {
        let lane = || CachePadded::new((0..pairs).map(|_| Count::default()).collect());
        Self { lanes: (0..lanes).map(|_| lane()).collect() }
    }

    /// How many pairs there is room for.
    pub fn capacity(&self) -> usize {
        self.lanes.first().map_or(0, |lane| lane.len())
    }

    /// The sum over all lanes; a pair out of range has none.
    #[inline]
    pub fn load(&self, pair: PairId) -> Load {
        let (mut active, mut inactive) = (0i32, 0i32);
        for lane in &self.lanes {
            let Some(count) = lane.get(pair.0 as usize) else { return Load::default() };
            active = active.wrapping_add(count.active.load(Relaxed));
            inactive = inactive.wrapping_add(count.inactive.load(Relaxed));
        }
        // A sum can be seen below zero for a moment, between the two stores of two threads.
        Load { active: active.max(0) as u32, inactive: inactive.max(0) as u32 }
    }

    /// Adds to the counts of `pair` in a lane. Only the lane's owner may call this.
    #[inline]
    pub fn add(&self, lane: usize, pair: PairId, active: i32, inactive: i32) {
        let Some(count) = self.lanes.get(lane).and_then(|lane| lane.get(pair.0 as usize)) else { return };
        count.active.store(count.active.load(Relaxed).wrapping_add(active), Relaxed);
        count.inactive.store(count.inactive.load(Relaxed).wrapping_add(inactive), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
