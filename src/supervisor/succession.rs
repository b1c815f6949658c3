//! Who follows a director, and with what: the decision, and its being carried out.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;

use super::channel::{Letter, Message};
use super::crashes::{Estate, Life, Next};
use super::patience;
use super::process::{Ended, Phase, Process};
use super::{CONFIGURATION, IDLE, PROBATION, RESIGN, Supervisor};
use crate::sys::clock;

/// How long a spare may take to go on with what is held, besides the time that a large table takes. Backups give a master three
/// intervals, of a second as a rule.
const TO_GO_ON: Duration = Duration::from_millis(1500);
/// How long another director may take to begin. The first one may take its time.
pub(super) const TO_BEGIN: Duration = Duration::from_secs(3);
/// The same for one that begins from the start: a large table takes long to make.
const TO_BEGIN_ANEW: Duration = Duration::from_secs(60);
/// How long it may take to give up roles.
const TO_RESIGN: Duration = Duration::from_secs(2);

impl Supervisor {
    /// Follows up on the director's end. Gives the exit code if it is the supervisor's end too.
    pub(super) fn director_ended(&mut self, ended: Ended) -> io::Result<Option<ExitCode>> {
        // What it said last must be known to whoever comes next.
        self.hear_director();
        let now = clock::now();
        if self.leaving {
            return self.depart();
        }
        let gave_way = self.director.phase == Phase::GivingWay;
        if self.ending || (self.ended_by_its_own_rules(ended) && !gave_way) {
            if !self.proven && !self.ending && self.begin_as_before()? {
                return Ok(None);
            }
            self.successor.take().into_iter().for_each(|(successor, _)| successor.kill());
            self.spare.dismiss();
            return Ok(Some(self.exit_code(ended)));
        }
        if let Some((successor, program)) = self.successor.take() {
            self.spare.dismiss();
            let previous = std::mem::replace(&mut self.program, program);
            self.put_on_probation(previous);
            self.follow(successor, now);
            return Ok(None);
        }
        self.replace(Some(ended), now)?;
        Ok(None)
    }

    /// Whether nobody is to follow a director. One that ends in order has everything let go of.
    fn ended_by_its_own_rules(&self, Ended(status): Ended) -> bool {
        status.map_or(self.held.is_empty(), |status| status.code().is_some() && (status.success() || !self.proven))
    }

    /// The director's, as far as it is known.
    fn exit_code(&self, Ended(status): Ended) -> ExitCode {
        let code = match status {
            Some(status) => status.code().and_then(|code| u8::try_from(code).ok()),
            None => self.held.is_empty().then_some(0),
        };
        code.map_or(ExitCode::FAILURE, ExitCode::from)
    }

    /// The new program takes the old one's place.
    pub(super) fn follow(&mut self, successor: Process, now: Duration) {
        self.to_begin = TO_BEGIN + patience::to_look_through(self.held.iter());
        let prepared = successor.phase == Phase::Beginning;
        self.director = successor;
        if prepared {
            self.begin(now);
        }
    }

    /// Has another director follow the present one, which is dead; how it `ended` may be yet to come.
    pub(super) fn replace(&mut self, ended: Option<Ended>, now: Duration) -> io::Result<()> {
        self.watch = None;
        let life = match self.director.phase {
            Phase::Ready(since) => Life::Forwarded(now.saturating_sub(since)),
            Phase::Preparing | Phase::Beginning if self.director.late => Life::Late,
            Phase::Preparing | Phase::Waiting | Phase::Beginning | Phase::GivingWay => Life::None,
        };
        if let Some(previous) = self.end_probation()
            && life.is_shorter_than(PROBATION)
        {
            tracing::error!("the new program died at once: the one before it takes over");
            self.program = previous;
            self.spare.dismiss();
        }
        let next = self.crashes.died(now, life);
        self.remember();
        if let Some(ended) = ended {
            tracing::error!("director {} died ({ended}): the next one takes over", self.director.id());
        }
        if next == Next::AT_ONCE
            && let Some(spare) = self.spare.take()
        {
            self.wake(spare, now);
            return Ok(());
        }
        // What it waits for will not be.
        self.spare.dismiss();
        if next.resign {
            self.resign();
        }
        self.held.bequeath(next.estate);
        let least = if next.estate == Estate::Nothing { TO_BEGIN_ANEW } else { TO_BEGIN };
        self.to_begin = least + patience::to_look_through(self.held.iter());
        if !next.pause.is_zero() {
            tracing::error!("directors die again and again: the next one in {} s", next.pause.as_secs());
            self.pause(next.pause)?;
            if self.ending {
                return Ok(());
            }
        }
        let next = Process::start(&self.program, &self.arguments, self.held.get(CONFIGURATION), clock::now())?;
        self.retire(next);
        Ok(())
    }

    /// Puts a process into the place of the director, which may not be gone yet.
    fn retire(&mut self, next: Process) {
        let last = std::mem::replace(&mut self.director, next);
        if let Ok(None) = last.ended() {
            // Its own words have said that it is dead: two must never use the same rings.
            last.signal(Signal::KILL);
            self.dying.push(last);
        }
    }

    /// A spare takes the director's place. It has been told of everything.
    fn wake(&mut self, spare: Process, now: Duration) {
        self.retire(spare);
        self.to_begin = TO_GO_ON + patience::to_look_through(self.held.iter());
        self.director.enter(Phase::Beginning, now);
        let begin = self.director.channel.send(&Message::Begin, None);
        let gone = if self.dying.is_empty() { self.director.channel.send(&Message::Gone, None) } else { Ok(()) };
        if let Err(error) = begin.and(gone) {
            tracing::error!("spare director {} does not begin: {error}", self.director.id());
            self.director.signal(Signal::KILL);
        }
    }

    /// Waits, unless a signal says that this is the end.
    fn pause(&mut self, pause: Duration) -> io::Result<()> {
        let end = clock::now() + pause;
        while !self.ending && clock::now() < end {
            let left = Timespec::try_from(end.saturating_sub(clock::now())).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&self.signals, PollFlags::IN)], Some(&left)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            while let Some(signal) = self.signals.next() {
                self.ending |= signal != Signal::HUP;
            }
        }
        Ok(())
    }

    /// Hands over everything that is held.
    pub(super) fn begin(&mut self, now: Duration) {
        if let Err(error) = self.hand_over(&self.director) {
            tracing::error!("director {} does not take what is held: {error}", self.director.id());
            self.director.signal(Signal::KILL);
        }
        self.director.enter(Phase::Beginning, now);
    }

    fn hand_over(&self, to: &Process) -> io::Result<()> {
        let hand =
            |(name, thing): (&String, &OwnedFd)| to.channel.send(&Message::Hold(name.clone()), Some(thing.as_fd()));
        self.held.iter().try_for_each(hand)?;
        to.channel.send(&Message::Begin, None)?;
        if self.dying.is_empty() { to.channel.send(&Message::Gone, None) } else { Ok(()) }
    }

    /// Has the roles given up that the last director had, so that others lead while nobody follows it here.
    fn resign(&mut self) {
        let arguments: Vec<_> = self.arguments.iter().cloned().chain([RESIGN.into()]).collect();
        let begun = clock::now();
        let process = match Process::start(&self.program, &arguments, self.held.get(CONFIGURATION), begun) {
            Ok(process) => process,
            Err(error) => return tracing::error!("roles are not given up in order: {error}"),
        };
        while clock::now() < begun + TO_RESIGN {
            match process.channel.wait(IDLE) {
                // One that does not take it says nothing more, either.
                Ok(Some(Letter { message: Message::Prepared, .. })) => _ = self.hand_over(&process),
                Ok(Some(Letter { message: Message::Hold(name), thing: Some(thing), .. })) => self.held.put(name, thing),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        process.kill();
    }
}
