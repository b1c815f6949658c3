//! How long a director may take for what it is to do next. What counts is the time in which it worked or slept; a machine that
//! gives it no processor makes nobody late, for whoever took its place would get none either.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::fstat;

use super::watch::{Condition, NAP, State};

/// Whatever the machine gives it: others have taken over long before.
const AT_MOST: u32 = 3;
/// What is held is looked through by bytes a second, at least: a tenth of what was measured for a full table.
const RATE: u64 = 100 << 20;

/// The time that one has had.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Patience {
    begun: Option<Begun>,
}

#[derive(Clone, Copy, Debug)]
struct Begun {
    at: Duration,
    looked: Duration,
    /// The processor time that it had used before.
    used: Duration,
    asleep: Duration,
}

impl Patience {
    /// Looks at a process, in short turns; says whether it has had more time than `limit` since the first look. `None` is a
    /// process of which nothing is known: it has ended, or is about to.
    pub(super) fn is_over(&mut self, limit: Duration, now: Duration, condition: Option<Condition>) -> bool {
        let Some(Condition { used, state }) = condition else { return false };
        let begun = self.begun.get_or_insert(Begun { at: now, looked: now, used, asleep: Duration::ZERO });
        let passed = now.saturating_sub(begun.looked).min(NAP);
        begun.looked = now;
        if state == State::Asleep {
            begun.asleep += passed;
        }
        used.saturating_sub(begun.used) + begun.asleep >= limit || now >= begun.at + limit * AT_MOST
    }
}

/// How much longer it may take because of what it has to look through.
pub(super) fn to_look_through<'a>(held: impl Iterator<Item = (&'a String, &'a OwnedFd)>) -> Duration {
    let size = |thing: &OwnedFd| fstat(thing).ok().and_then(|stat| u64::try_from(stat.st_size).ok()).unwrap_or(0);
    time_for(held.map(|(_, thing)| size(thing)).fold(0, u64::saturating_add))
}

fn time_for(bytes: u64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1000) / RATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(1500);

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// When it was found late that does what `life` says of each millisecond.
    fn late(life: impl Fn(u64) -> (u64, State)) -> Option<u64> {
        let mut patience = Patience::default();
        (0..100_000).step_by(3).find(|&at| {
            let (used, state) = life(at);
            patience.is_over(LIMIT, ms(500 + at), Some(Condition { used: ms(77 + used), state }))
        })
    }

    #[test]
    fn only_time_that_it_was_given_counts() {
        use State::{Asleep, Runnable, Stopped};
        let around = |limit: u64, at: Option<u64>| at.is_some_and(|at| (limit..=limit + 6).contains(&at));
        assert!(around(1500, late(|at| (at, Runnable))), "it works all the time");
        assert!(around(1500, late(|_| (0, Asleep))), "it waits for something");
        assert!(around(1500, late(|at| if at < 700 { (at, Runnable) } else { (700, Asleep) })));
        assert!(around(3000, late(|at| (at / 2, Runnable))), "it is given half a processor");
        assert!(around(4500, late(|_| (0, Runnable))), "nobody waits for ever");
        assert!(around(4500, late(|_| (0, Stopped))));
    }

    #[test]
    fn what_the_supervisor_has_slept_through_does_not_count() {
        let mut patience = Patience::default();
        let asleep = Some(Condition { used: Duration::ZERO, state: State::Asleep });
        assert!((0..4).all(|second| !patience.is_over(LIMIT, ms(second * 1000), asleep)));
        assert!(!patience.is_over(LIMIT, ms(60_000), None), "whoever is gone is not late");
    }

    #[test]
    fn a_large_table_takes_its_time() {
        assert_eq!(time_for(0), Duration::ZERO);
        assert_eq!(time_for(RATE * 3), Duration::from_secs(3));
        assert!(time_for(u64::MAX) > Duration::from_secs(1000), "nothing overflows");
        let (name, table) = ("table".to_owned(), crate::sys::memfd::create("test", 200 << 20).unwrap().0);
        assert_eq!(to_look_through([(&name, &table)].into_iter()), Duration::from_secs(2));
    }
}
