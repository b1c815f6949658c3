//! What a supervisor knows that the one after it must know, too: how directors have died of late, since when the present one
//! forwards, and the program to go back to if a new one dies at once. Else a loop of crashes would go on for ever as soon as
//! it takes the supervisor along.
//!
//! It is held like everything else, under names of its own, and the director keeps it for the next supervisor without looking
//! at it. A director that somebody has taken over can hand on an older one at most: the file is sealed, and nobody but the
//! supervisor's user can make such a file.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::channel::Message;
use super::crashes::{Crashes, Estate, Life};
use super::held::Held;
use super::process::{Phase, Program};
use super::{CONFIGURATION, RINGS, Supervisor};
use crate::sys::{clock, memfd};

/// What the names of things begin with that are the supervisor's own: a director keeps them, and that is all.
pub const ENTRUSTED: &str = "supervisor.";
/// How directors have died, and since when the present one forwards.
pub(super) const DEATHS: &str = "supervisor.deaths";
/// The program that ran before the present one, which is on probation.
const PREVIOUS: &str = "supervisor.previous";
/// The longest that there can be.
const LONGEST: usize = 1 << 12;

/// What is written down.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct History {
    pub(super) crashes: Crashes,
    /// The director that forwards, if one does, and since when.
    pub(super) ready: Option<(u32, Duration)>,
}

impl History {
    /// Of what was held; nothing if that is of another kind. Time goes on from boot to boot only.
    pub(super) fn of(held: &Held, now: Duration) -> Option<Self> {
        let bytes = memfd::read(held.get(DEATHS)?, LONGEST).ok()?;
        let history: Self = serde_json::from_slice(&bytes).ok()?;
        history.ready.is_none_or(|(_, ready)| ready <= now).then_some(history)
    }

    fn write(&self) -> io::Result<OwnedFd> {
        memfd::finished("ringmaster-deaths", &serde_json::to_vec(self)?)
    }

    /// Everybody has died since it was written. Goes on with as much of what is held as is good for whoever begins now.
    pub(super) fn after_all(self, held: &mut Held, now: Duration) -> Crashes {
        let life = self.life(now);
        let mut crashes = self.crashes;
        held.bequeath(crashes.died(now, life).estate);
        crashes
    }

    /// Of the director that it tells of, to this day.
    fn life(&self, now: Duration) -> Life {
        self.ready.map_or(Life::None, |(_, ready)| Life::Forwarded(now.saturating_sub(ready)))
    }
}

impl Held {
    /// Keeps what the next director gets.
    pub(super) fn bequeath(&mut self, estate: Estate) {
        match estate {
            Estate::All => {}
            Estate::Connections => self.retain(|name| !name.starts_with(RINGS)),
            Estate::Nothing => self.retain(|name| name == CONFIGURATION || name.starts_with(ENTRUSTED)),
        }
    }
}

impl Supervisor {
    /// Goes on from where another supervisor was: with the same director, or with the spare of one that has died since.
    pub(super) fn recall(&mut self, now: Duration) {
        let Some(history) = History::of(&self.held, now) else { return self.remember() };
        let life = history.life(now);
        self.crashes = history.crashes;
        match history.ready {
            Some((director, since)) if director == self.director.id() => self.director.enter(Phase::Ready(since), now),
            _ => self.crashes.missed(now, life),
        }
        if self.crashes.is_loop() {
            tracing::error!("directors and supervisors die again and again");
            // Its death is followed as one in a loop is.
            self.director.signal(Signal::KILL);
        }
        self.remember();
        let previous = self.held.get(PREVIOUS).and_then(|program| program.try_clone().ok());
        self.previous = previous.and_then(|program| Program::of(program).ok());
    }

    /// Has it known how directors have died, and since when the present one forwards.
    pub(super) fn remember(&mut self) {
        let ready =
            if let Phase::Ready(since) = self.director.phase { Some((self.director.id(), since)) } else { None };
        match (History { crashes: self.crashes.clone(), ready }).write() {
            Ok(file) => self.entrust(DEATHS, file),
            Err(error) => tracing::warn!("how directors have died is not written down: {error}"),
        }
    }

    /// A new program is on probation: this is the one before it.
    pub(super) fn put_on_probation(&mut self, previous: Program) {
        match previous.file().try_clone_to_owned() {
            Ok(file) => self.entrust(PREVIOUS, file),
            Err(error) => tracing::warn!("the program before the new one is not known to others: {error}"),
        }
        self.previous = Some(previous);
    }

    /// The probation is over: gives the program before it, if there is one.
    pub(super) fn end_probation(&mut self) -> Option<Program> {
        let previous = self.previous.take()?;
        self.held.take(PREVIOUS);
        let message = Message::Release(PREVIOUS.to_owned());
        self.spare.tell(&message, None, clock::now());
        // One that does not hear it hands on what is looked at once more.
        let _ = self.director.channel.send_at_once(&message, None);
        Some(previous)
    }

    fn entrust(&mut self, name: &str, thing: OwnedFd) {
        let message = Message::Hold(name.to_owned());
        self.spare.tell(&message, Some(thing.as_fd()), clock::now());
        // One that has no time for it hands on an older one.
        let _ = self.director.channel.send_at_once(&message, Some(thing.as_fd()));
        self.held.put(name.to_owned(), thing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn held(history: &History) -> Held {
        let thing = || OwnedFd::from(tempfile::tempfile().unwrap());
        let things = [("rings.0.slots".to_owned(), thing()), ("table".to_owned(), thing())];
        let mut held = Held::new(things.into());
        held.put(DEATHS.to_owned(), history.write().unwrap());
        held
    }

    fn names(held: &Held) -> Vec<&str> {
        held.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn a_loop_that_takes_the_supervisor_along_is_a_loop() {
        let mut history = History::default();
        for death in 1..=4 {
            let mut held = held(&History { ready: Some((7, ms(death * 100 - 50))), ..history });
            let crashes = History::of(&held, ms(death * 100)).unwrap().after_all(&mut held, ms(death * 100));
            assert_eq!(names(&held), ["rings.0.slots", DEATHS, "table"]);
            history = History { crashes, ready: None };
        }
        assert!(history.crashes.died(ms(500), Life::Forwarded(ms(10))).resign, "this was the fifth");
    }

    #[test]
    fn who_never_forwards_gets_less_whoever_starts_it() {
        let crashes = |history: History, held: &mut Held| history.after_all(held, ms(500_000));
        let mut first = held(&History::default());
        let known = crashes(History::of(&first, ms(1)).unwrap(), &mut first);
        assert_eq!(names(&first), [DEATHS, "table"]);
        let mut second = held(&History { crashes: known, ready: None });
        let known = History::of(&second, ms(1)).unwrap();
        crashes(known, &mut second);
        assert_eq!(names(&second), [DEATHS]);
    }

    #[test]
    fn what_is_no_history_is_none() {
        let of_another_boot = held(&History { ready: Some((7, ms(5000))), ..History::default() });
        assert!(History::of(&of_another_boot, ms(4999)).is_none());
        let mut odd = held(&History::default());
        odd.put(DEATHS.to_owned(), memfd::finished("test", b"{}").unwrap());
        assert!(History::of(&odd, ms(1)).is_none());
        odd.take(DEATHS);
        assert!(History::of(&odd, ms(1)).is_none());
    }
}
