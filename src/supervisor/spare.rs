//! A director that has prepared all that can be prepared, holds what is held, and waits for the one at work to die.
//!
//! It is told of every change of what is held, so that nothing is left to do for it but to begin. One that does not listen,
//! or ends, is replaced by another after a while.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::PollFd;

use super::channel::Message;
use super::held::Held;
use super::process::{Phase, Process, Program};
use super::{CONFIGURATION, SPARE};

/// After a director has begun: it has the machine to itself so long.
const SETTLING: Duration = Duration::from_millis(50);
/// How long a spare may take to prepare itself: it goes after everybody else.
const TO_PREPARE: Duration = Duration::from_secs(60);
/// The first pause after one that came to nothing; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);
/// How much a spare goes after others while it prepares itself (nice(2)).
const HUMILITY: i32 = 5;

/// The spare, if there is one.
#[derive(Debug, Default)]
pub(super) struct Spare {
    process: Option<Process>,
    not_before: Duration,
    pause: Duration,
}

impl Spare {
    /// Starts one if there is none and it is time, and follows what becomes of it. Says whether it says that the director
    /// is dead.
    pub(super) fn keep(&mut self, program: &Program, arguments: &[OsString], held: &Held, now: Duration) -> bool {
        match &mut self.process {
            None if now >= self.not_before => {
                let arguments: Vec<_> = arguments.iter().cloned().chain([SPARE.into()]).collect();
                match Process::start(program, &arguments, held.get(CONFIGURATION), now) {
                    Ok(process) => {
                        process.go_after_others(HUMILITY);
                        self.process = Some(process);
                    }
                    Err(error) => self.failed(&error, now),
                }
            }
            None => {}
            Some(process) => match process.ended() {
                Ok(None) if process.phase == Phase::Preparing => self.hear(held, now),
                Ok(None) => return matches!(process.hear(), Some((Message::Orphaned, _))),
                Ok(Some(status)) => self.failed(&status, now),
                Err(error) => self.failed(&error, now),
            },
        }
        false
    }

    fn hear(&mut self, held: &Held, now: Duration) {
        let Some(process) = &mut self.process else { return };
        if let Some((Message::Prepared, _)) = process.hear() {
            process.enter(Phase::Waiting, now);
            process.go_after_others(0);
            self.pause = Duration::ZERO;
            tracing::info!("process {} waits as a spare", process.id());
            self.tell_all(held, now);
        } else if now > process.since + TO_PREPARE {
            self.failed(&"it did not prepare itself in time", now);
        }
    }

    /// One that waits already, if there is one.
    pub(super) fn of(process: Option<Process>) -> Self {
        Self { process, ..Self::default() }
    }

    /// Tells it of everything.
    pub(super) fn tell_all(&mut self, held: &Held, now: Duration) {
        for (name, thing) in held.iter() {
            self.tell(&Message::Hold(name.clone()), Some(thing.as_fd()), now);
        }
    }

    /// Tells a spare that waits of a change. It must never keep the supervisor waiting.
    pub(super) fn tell(&mut self, message: &Message, thing: Option<BorrowedFd<'_>>, now: Duration) {
        let Some(process) = self.process.as_ref().filter(|process| process.phase == Phase::Waiting) else { return };
        if let Err(error) = process.channel.send_at_once(message, thing) {
            self.failed(&error, now);
        }
    }

    /// The one that waits, if it does.
    pub(super) fn waiting(&self) -> Option<&Process> {
        self.process.as_ref().filter(|process| process.phase == Phase::Waiting)
    }

    /// Whether there is one that does not wait yet.
    pub(super) fn is_preparing(&self) -> bool {
        self.process.is_some() && self.waiting().is_none()
    }

    /// The one that waits, if it does. Whoever calls this puts it to work.
    pub(super) fn take(&mut self) -> Option<Process> {
        self.process.take_if(|process| process.phase == Phase::Waiting)
    }

    /// Ends it.
    pub(super) fn dismiss(&mut self) {
        self.process.take().into_iter().for_each(Process::kill);
    }

    /// A director has begun: the next spare comes soon, or after the time that shows whether that director lives.
    pub(super) fn begin_after(&mut self, begun: Duration, trial: Duration) {
        self.not_before = self.not_before.max(begun + trial.max(SETTLING));
    }

    /// What to wait for.
    pub(super) fn wakers(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.process.iter().flat_map(Process::wakers)
    }

    fn failed(&mut self, why: &dyn std::fmt::Display, now: Duration) {
        self.dismiss();
        self.pause = (self.pause * 2).clamp(PAUSE, LONGEST);
        self.not_before = now + self.pause;
        tracing::warn!("there is no spare director ({why}); another one is tried in {} s", self.pause.as_secs());
    }
}
