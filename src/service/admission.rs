//! Limits of one virtual service: how many connections it may have, and how many new ones in a second.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::time::{TICKS_PER_SECOND, Tick};

/// What a service is limited to (`limit` in the `ringmaster` block); 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time, over all its servers.
    pub connections: u32,
    /// New connections a second, on average; in one moment at most as many as that in addition to those of the moment.
    pub rate: u32,
}

/// The highest rate that can be asked for: its bucket still fits 32 bits.
pub const MOST_RATE: u32 = u32::MAX / TICKS_PER_SECOND;

/// The limits with the bucket behind the rate. All workers draw from one; it outlives snapshots.
///
/// The bucket holds one second's worth of connections, counted in sixty-fourths, so that each tick pours `rate` in and a
/// connection takes [`TICKS_PER_SECOND`] out: exact in whole numbers.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    /// `{filled at, content}`: the tick of the last filling above, what was left then below.
    bucket: AtomicU64,
}

impl Admission {
    /// With a full bucket.
    pub fn new(limits: Limits) -> Self {
        let limits = Limits { rate: limits.rate.min(MOST_RATE), ..limits };
        Self { limits, bucket: AtomicU64::new(NEW) }
    }

    /// The limits.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether the rate allows one more connection now; if so, it counts as opened.
    pub fn draw(&self, now: Tick) -> bool {
        let rate = self.limits.rate;
        let drawn = |bucket: u64| {
            let (at, content) = match bucket {
                NEW => (now, depth(rate)),
                used => (Tick((used >> 32) as u32), used as u32),
            };
            // Another worker may be a tick ahead; the time that it has poured in is not poured in again.
            let later = now.since(at);
            let at = at.plus(later);
            let filled = rate.saturating_mul(later.0).saturating_add(content).min(most(rate));
            let left = filled.checked_sub(TICKS_PER_SECOND)?;
            Some(u64::from(at.0) << 32 | u64::from(left))
        };
        rate == 0 || self.bucket.fetch_update(Relaxed, Relaxed, drawn).is_ok()
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

/// A bucket that nobody has drawn from: full, whenever the first comes. No used bucket holds as much.
const NEW: u64 = u64::MAX;

/// What a bucket never exceeds: beside the connections the part of one that is left when all are drawn. Without room for
/// that, asking every second would get less than the rate.
const fn most(rate: u32) -> u32 {
    depth(rate).saturating_add(TICKS_PER_SECOND - 1)
}

/// The content of a full bucket.
const fn depth(rate: u32) -> u32 {
    rate * TICKS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Ticks;
    use proptest::prelude::*;

    #[test]
    fn a_second_s_worth_at_once_and_then_the_rate() {
        let admission = Admission::new(Limits { rate: 10, connections: 0 });
        let begin = Tick(1 << 20);
        let granted = |now: Tick| (0..100).filter(|_| admission.draw(now)).count();
        assert_eq!(granted(begin), 10);
        assert_eq!(granted(begin.plus(Ticks(6))), 0, "60 of 64 parts");
        assert_eq!(granted(begin.plus(Ticks(7))), 1);
        assert_eq!(granted(begin.plus(Ticks(64))), 9);
        assert_eq!(granted(begin.plus(Ticks::from_secs(3600))), 10, "an idle hour does not add up");
    }

    #[test]
    fn no_rate_is_no_limit() {
        let admission = Admission::default();
        assert!((0..1000).all(|_| admission.draw(Tick(5))));
    }

    proptest! {
        /// Whoever asks at least once a second gets what the rate allows, to the last connection.
        #[test]
        fn the_average_is_kept(rate in 1u32..2000, pauses in proptest::collection::vec(0u32..64, 1..200)) {
            let admission = Admission::new(Limits { rate, connections: 0 });
            let (mut now, mut granted) = (Tick(u32::MAX - 1000), 0u64);
            while admission.draw(now) {
                granted += 1;
            }
            let mut elapsed = 0;
            for pause in pauses {
                now = now.plus(Ticks(pause));
                elapsed += pause;
                while admission.draw(now) {
                    granted += 1;
                }
            }
            let earned = u64::from(rate) * u64::from(elapsed) / u64::from(TICKS_PER_SECOND);
            prop_assert_eq!(granted, earned + u64::from(rate));
        }

        #[test]
        fn the_highest_rate_overflows_nothing(ticks in any::<u32>()) {
            let admission = Admission::new(Limits { rate: u32::MAX, connections: 0 });
            prop_assert!(admission.draw(Tick(ticks)));
        }
    }
}
