//! Weighted round robin (`ip_vs_wrr.c`): rounds at falling levels of weight.
//!
//! A round at level `l` visits the usable servers of weight `l` or more. Levels fall from the largest weight to 1 by the
//! greatest common divisor of all weights, and begin again: weights 4, 3, 2 give `A` `AB` `ABC` `ABC`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::gcd::gcd;
use super::{Candidates, Member};

#[derive(Debug)]
pub(super) struct Wrr {
    /// A [`Place`], packed so that it moves in one exchange.
    place: AtomicU64,
    levels: Levels,
}

/// Where the walk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// How many servers of the list this round has passed (the kernel's `cl`).
    passed: u32,
    /// The level of this round (`cw`).
    level: u32,
}

impl Place {
    const fn pack(self) -> u64 {
        (self.passed as u64) << 32 | self.level as u64
    }

    const fn unpack(bits: u64) -> Self {
        // Both halves are whole by construction.
        Self { passed: (bits >> 32) as u32, level: bits as u32 }
    }
}

/// The levels that a set of weights makes. All are one more than a multiple of the divisor.
#[derive(Clone, Copy, Debug, Default)]
struct Levels {
    /// The greatest common divisor of the weights above 0 (the kernel's `di`); 0 if there is none.
    divisor: u32,
    /// The largest weight.
    largest: u32,
}

impl Levels {
    fn of(members: &[Member]) -> Self {
        members.iter().map(|member| member.weight).fold(Self::default(), |levels, weight| Self {
            divisor: gcd(levels.divisor, weight),
            largest: levels.largest.max(weight),
        })
    }

    /// From one level to the next.
    fn step(self) -> u32 {
        self.divisor.max(1)
    }

    /// The highest level (`mw`); 0 if no server has a weight.
    fn top(self) -> u32 {
        self.largest.saturating_sub(self.step() - 1)
    }

    /// Where the walk goes on when it stood at `level` with other weights: from the head of the list, at about the same
    /// level (`ip_vs_wrr_dest_changed`).
    fn resume(self, level: u32) -> Place {
        let level = match level {
            0 => self.top(),
            _ if level > self.top() => self.top(),
            _ if self.step() > 1 => level / self.step() * self.step() + 1,
            _ => level,
        };
        Place { passed: 0, level }
    }

    /// The level after `level`, leaving out those that nobody of weight `heaviest` or less would reach: the result of
    /// as many empty rounds, without walking them.
    fn below(self, level: u32, heaviest: u32) -> Option<u32> {
        let next = level.checked_sub(self.step()).filter(|&next| next > 0);
        let fit = |level: u32| {
            let steps = level.saturating_sub(heaviest).div_ceil(self.step());
            level.checked_sub(steps.checked_mul(self.step())?).filter(|&level| level > 0)
        };
        next.and_then(fit).or_else(|| fit(self.top()))
    }
}

impl Wrr {
    /// For a service that got its servers one by one. The first one alone makes one level, 1, and each addition leaves
    /// it: hence the first round visits every server once.
    pub(super) fn grown(members: &[Member]) -> Self {
        let levels = Levels::of(members);
        Self::at(Place { passed: 0, level: levels.top().min(1) }, levels)
    }

    /// For a service whose servers were there before its scheduler: starts at the top.
    pub(super) fn fresh(members: &[Member]) -> Self {
        let levels = Levels::of(members);
        Self::at(levels.resume(0), levels)
    }

    pub(super) fn changed(&self, members: &[Member]) -> Self {
        let levels = Levels::of(members);
        Self::at(levels.resume(Place::unpack(self.place.load(Relaxed)).level), levels)
    }

    fn at(place: Place, levels: Levels) -> Self {
        Self { place: AtomicU64::new(place.pack()), levels }
    }

    pub(super) fn pick(&self, servers: &impl Candidates) -> Option<usize> {
        let mut picked = None;
        let _ = self.place.try_update(Relaxed, Relaxed, |bits| {
            let next = self.next(Place::unpack(bits), servers);
            picked = next.map(|(at, _)| at);
            next.map(|(_, place)| place.pack())
        });
        picked
    }

    /// The server whose turn comes after `place`, and the place that is left then.
    fn next(&self, place: Place, servers: &impl Candidates) -> Option<(usize, Place)> {
        let from = |passed: usize, level: u32| {
            let at = (passed..servers.len()).find(|&at| servers.usable(at) && servers.weight(at) >= level)?;
            Some((at, Place { passed: u32::try_from(at + 1).ok()?, level }))
        };
        from(place.passed as usize, place.level).or_else(|| {
            let heaviest = (0..servers.len()).filter(|&at| servers.usable(at)).map(|at| servers.weight(at)).max()?;
            from(0, self.levels.below(place.level, heaviest)?)
        })
    }
}
