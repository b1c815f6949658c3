//! The only reader of clocks in the library. All else is told the time.
//!
//! [`now`] and [`tick`] read `CLOCK_MONOTONIC`, which starts at boot, is the same for all processes and threads, and never
//! jumps; neither enters the kernel (vDSO).

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::time::Tick;

/// Time since boot, to the nanosecond.
pub fn now() -> Duration {
    read(ClockId::Monotonic)
}

/// The present [`Tick`], from the clock that the kernel advances at its timer interrupts: some 5 ns to read, and behind
/// [`now`] by less than one tick.
pub fn tick() -> Tick {
    Tick::at(read(ClockId::MonotonicCoarse))
}

/// The processor time that the calling thread has had.
pub fn processor() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// The time of day, since the beginning of 1970: for what people read, and nothing else. It may jump.
pub fn wall() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Realtime)).unwrap_or_default()
}

fn read(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).expect("no clock but that of the day can be negative")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Ticks;

    #[test]
    fn the_two_clocks_agree_within_a_tick_and_run_forwards() {
        let mut before = now();
        for _ in 0..1000 {
            let tick = tick();
            let after = now();
            assert!(after >= before);
            assert!(Tick::at(after).since(tick) <= Ticks(1));
            assert!(tick.since(Tick::at(before)) <= Ticks(1));
            before = after;
        }
    }
}
