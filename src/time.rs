//! Time as the data path counts it.
//!
//! A [`Tick`] is one sixty-fourth of a second: fine enough for the shortest timeout of LVS (2 s) and coarse enough that a
//! busy connection's "last seen" changes 64 times a second at most. Ticks are a wrapping `u32` (2.1 years a turn); all
//! comparisons go through [`Tick::since`], which is right as long as two ticks are less than a year apart.

use std::time::Duration;

/// Ticks in one second.
pub const TICKS_PER_SECOND: u32 = 64;

/// A point in time, in sixty-fourths of a second since an arbitrary start (at run time: the boot of the machine).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tick(pub u32);

/// A length of time in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticks(pub u32);

impl Ticks {
    /// Whole seconds.
    pub const fn from_secs(seconds: u32) -> Self {
        Self(seconds.saturating_mul(TICKS_PER_SECOND))
    }

    /// Milliseconds, rounded up.
    pub const fn from_millis(milliseconds: u32) -> Self {
        Self((milliseconds as u64 * TICKS_PER_SECOND as u64).div_ceil(1000) as u32)
    }

    /// Whole seconds, rounded down as the kernel's listings do.
    pub const fn as_secs(self) -> u32 {
        self.0 / TICKS_PER_SECOND
    }
}

impl Tick {
    /// The tick in which the moment `since_start` falls.
    pub fn at(since_start: Duration) -> Self {
        let ticks = since_start.as_nanos() * u128::from(TICKS_PER_SECOND) / 1_000_000_000;
        // Wrapping is meant: see the module documentation.
        Self(ticks as u32)
    }

    /// How long ago `earlier` was; zero if it lies ahead (another core's clock may be a tick early).
    #[inline(always)]
    pub const fn since(self, earlier: Tick) -> Ticks {
        let distance = self.0.wrapping_sub(earlier.0);
        if distance > u32::MAX / 2 { Ticks(0) } else { Ticks(distance) }
    }

    /// The tick `length` later.
    pub const fn plus(self, length: Ticks) -> Tick {
        Tick(self.0.wrapping_add(length.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_a_sixty_fourth_of_a_second() {
        assert_eq!(Tick::at(Duration::from_millis(1000)), Tick(64));
        assert_eq!(Tick::at(Duration::from_millis(15)), Tick(0));
        assert_eq!(Tick::at(Duration::from_millis(16)), Tick(1));
    }

    #[test]
    fn distances_survive_the_wrap() {
        let before = Tick(u32::MAX - 10);
        assert_eq!(before.plus(Ticks::from_secs(1)).since(before), Ticks(64));
        assert_eq!(before.since(before.plus(Ticks(1))), Ticks(0), "a tick ahead counts as now");
    }
}
