//! What is done about a director that died: begin again at once, with less and less of what it left, and more and more
//! slowly if that does not help.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A director that forwarded for so long was not killed by what it began with.
const LIFE: Duration = Duration::from_secs(1);
/// So many short lives within [`WINDOW`] are a loop.
const LOOP: usize = 5;
/// See [`LOOP`].
const WINDOW: Duration = Duration::from_secs(10);
/// The first pause in a loop; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);

/// What became of a director before it died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It forwarded for so long.
    Forwarded(Duration),
    /// It was ended since it had not begun in time.
    Late,
    /// It died before it forwarded.
    None,
}

impl Life {
    /// Whether it forwarded for less than that, or not at all.
    pub(super) fn is_shorter_than(self, time: Duration) -> bool {
        !matches!(self, Self::Forwarded(life) if life >= time)
    }
}

/// What of the things held a successor gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Estate {
    /// All: no packet is lost.
    All,
    /// All but the rings, which it opens anew: connections are kept.
    Connections,
    /// Nothing: as if the machine had just started.
    Nothing,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Next {
    /// How long to wait first; zero unless the director dies again and again.
    pub(super) pause: Duration,
    /// What the successor gets.
    pub(super) estate: Estate,
    /// Whether roles are given up first: nobody will go on soon, or the last two could not.
    pub(super) resign: bool,
}

impl Next {
    /// What to do about a death now and then.
    pub(super) const AT_ONCE: Self = Self { pause: Duration::ZERO, estate: Estate::All, resign: false };
}

/// The deaths of late.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Crashes {
    /// When directors died that had not lived long.
    short: Vec<Duration>,
    /// Successors that died before they forwarded, since one did.
    stillborn: u32,
    /// One was only slow since then: what it began with need not be the reason.
    late: bool,
    /// The last pause, while the loop lasts.
    pause: Duration,
}

impl Crashes {
    /// A director died at `now`.
    pub(super) fn died(&mut self, now: Duration, life: Life) -> Next {
        match life {
            Life::Forwarded(_) => (self.stillborn, self.late) = (0, false),
            Life::Late if !self.late => self.late = true,
            Life::Late | Life::None => self.stillborn += 1,
        }
        self.short.retain(|&at| now < at + WINDOW);
        if life.is_shorter_than(LIFE) {
            self.short.push(now);
        } else if self.short.is_empty() {
            self.pause = Duration::ZERO;
        }
        if self.is_loop() {
            self.short.clear();
            self.pause = (self.pause * 2).clamp(PAUSE, LONGEST);
            return Next { pause: self.pause, estate: self.estate(), resign: true };
        }
        let estate = self.estate();
        Next { pause: Duration::ZERO, estate, resign: estate == Estate::Nothing }
    }

    /// A director has died while nobody looked, and the spare has taken over.
    pub(super) fn missed(&mut self, now: Duration, life: Life) {
        self.short.retain(|&at| now < at + WINDOW);
        if life.is_shorter_than(LIFE) {
            self.short.push(now);
        }
    }

    /// Whether so many have died that something must be done about it at the next death.
    pub(super) fn is_loop(&self) -> bool {
        self.short.len() >= LOOP
    }

    /// How long a director has to live before a spare is worth while.
    pub(super) fn trial(&self) -> Duration {
        if self.pause.is_zero() { Duration::ZERO } else { LIFE }
    }

    fn estate(&self) -> Estate {
        match self.stillborn {
            0 => Estate::All,
            1 => Estate::Connections,
            _ => Estate::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_death_now_and_then_is_repaired_at_once_and_whole() {
        let mut crashes = Crashes::default();
        for kill in 1..100 {
            let next = crashes.died(ms(kill * 3000), Life::Forwarded(ms(900)));
            assert_eq!(next, Next::AT_ONCE, "kill {kill}");
        }
        for kill in 1..100 {
            let next = crashes.died(ms(400_000 + kill * 1001), Life::Forwarded(ms(1000)));
            assert_eq!(next.pause, Duration::ZERO, "kill {kill} of one that had lived");
        }
    }

    #[test]
    fn what_does_not_help_is_left_behind() {
        use Estate::{All, Connections, Nothing};
        let follow = |crashes: &mut Crashes, lives: &[Life]| -> Vec<(Estate, bool)> {
            let next = (0..).zip(lives).map(|(at, &life)| crashes.died(ms(at * 9000), life));
            next.map(|next| (next.estate, next.resign)).collect()
        };
        let (long, none, short) = (Life::Forwarded(ms(5000)), Life::None, Life::Forwarded(ms(1)));
        let got = follow(&mut Crashes::default(), &[long, none, none, short, none]);
        assert_eq!(got, [(All, false), (Connections, false), (Nothing, true), (All, false), (Connections, false)]);
        // Slowness costs less: once, whoever follows gets all.
        let late = Life::Late;
        let got = follow(&mut Crashes::default(), &[long, late, late, late, long, late, none, long]);
        let expected = [All, All, Connections, Nothing, All, All, Connections, All];
        assert_eq!(got, expected.map(|estate| (estate, estate == Nothing)));
    }

    #[test]
    fn what_was_missed_counts() {
        let mut crashes = Crashes::default();
        (0..4).for_each(|at| crashes.missed(ms(at * 1000), Life::Forwarded(ms(900))));
        crashes.missed(ms(4000), Life::Forwarded(ms(1900)));
        assert!(!crashes.is_loop());
        crashes.missed(ms(5000), Life::Forwarded(ms(900)));
        assert!(crashes.is_loop());
        assert!(crashes.died(ms(5001), Life::Forwarded(ms(1))).resign);
        crashes.missed(ms(5002), Life::None);
        assert!(!crashes.is_loop());
    }

    #[test]
    fn a_loop_is_slowed_down_and_forgotten_when_it_ends() {
        let mut crashes = Crashes::default();
        let mut now = Duration::ZERO;
        let mut pauses = Vec::new();
        for _ in 0..5 * 8 {
            let next = crashes.died(now, Life::Forwarded(ms(10)));
            now += ms(10) + next.pause;
            assert_eq!(next.resign, !next.pause.is_zero());
            pauses.extend(Some(next.pause.as_secs()).filter(|&pause| pause != 0));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        now += WINDOW;
        assert_eq!(crashes.died(now, Life::Forwarded(WINDOW)).pause, Duration::ZERO);
        let again: Vec<_> = (1..=5).map(|kill| crashes.died(now + ms(kill), Life::Forwarded(ms(1))).pause).collect();
        assert_eq!(again.last(), Some(&PAUSE), "begins anew");
    }
}
