//! How fast the sweep goes through the table: as fast as is cheap.

use std::time::Duration;

use crate::time::{Tick, Ticks};

/// A walk takes so long at least.
const SHORTEST_WALK: Ticks = Ticks::from_secs(2);
/// A walk takes so many times the processor time that it costs: sweeping takes 4 % of a core at most.
const LEISURE: u32 = 25;

/// The share of the table that is to be swept in a tick.
///
/// A walk lasts two seconds, or 25 times the processor time that the walk before it cost, whichever is longer: the larger the
/// table, the later its sweeper forgets. Nobody notices but who counts: a lookup compares the times itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    walk: Ticks,
    /// Processor time that went into the present walk.
    spent: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { walk: SHORTEST_WALK, spent: Duration::ZERO }
    }
}

impl Pace {
    /// How many of a table's `groups` to sweep in one tick.
    pub const fn step(&self, groups: u32) -> u32 {
        groups.div_ceil(self.walk.0)
    }

    /// How long a walk takes at present.
    pub const fn walk(&self) -> Ticks {
        self.walk
    }

    /// Adds to the processor time that the present walk has cost.
    pub fn spend(&mut self, processor: Duration) {
        self.spent += processor;
    }

    /// A walk has ended: what it cost is the measure of the next.
    pub fn walked(&mut self) {
        let spent = std::mem::take(&mut self.spent);
        self.walk = Ticks(Tick::at(spent * LEISURE).0.max(SHORTEST_WALK.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::TICKS_PER_SECOND;

    /// Sweeps a table, a step a tick, where each group costs `group`; returns how long the second walk took, and its share
    /// of a core.
    fn second_walk(groups: u32, group: Duration) -> (Duration, f64) {
        let mut pace = Pace::default();
        let mut walks = [0, 1].map(|_| {
            let (mut swept, mut ticks) = (0, 0);
            while swept < groups {
                let step = pace.step(groups).min(groups - swept);
                pace.spend(group * step);
                swept += step;
                ticks += 1;
            }
            pace.walked();
            Duration::from_secs(1) * ticks / TICKS_PER_SECOND
        });
        let [_, took] = &mut walks;
        (*took, (group * groups).as_secs_f64() / took.as_secs_f64())
    }

    #[test]
    fn a_walk_lasts_two_seconds_or_twenty_five_times_its_cost() {
        let nanos = Duration::from_nanos;
        // A table for 10 M connections has 2.38 M groups. A small one's walk ends early, since a tick sweeps whole groups.
        for (groups, cost, seconds) in
            [(8, nanos(70), 0.125), (239, nanos(70), 1.875), (2_380_952, nanos(30), 2.0), (2_380_952, nanos(70), 4.17)]
        {
            let (took, share) = second_walk(groups, cost);
            assert!((took.as_secs_f64() - seconds).abs() < 0.02, "{groups} groups at {cost:?}: {took:?}");
            assert!(share < 0.041, "{groups} groups at {cost:?}: {share}");
        }
        let (took, share) = second_walk(238_095_238, nanos(70));
        assert!((0.039..0.041).contains(&share), "a table for a milliard: {took:?}, {share}");
    }

    #[test]
    fn a_table_that_has_emptied_is_walked_faster_again() {
        let mut pace = Pace::default();
        for (cost, walk) in [(400, 640), (10, 128), (0, 128)] {
            pace.spend(Duration::from_millis(cost / 2));
            pace.spend(Duration::from_millis(cost - cost / 2));
            pace.walked();
            assert_eq!(pace.walk(), Ticks(walk));
        }
    }
}
