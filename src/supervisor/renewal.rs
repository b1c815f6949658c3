//! The supervisor becomes the new program itself, after an upgrade.
//!
//! Not before the new program has forwarded for as long as its probation takes, so that there is nothing to be taken back;
//! and only if it says that it understands what this supervisor would leave it. Then this process executes it: its id, its
//! children and its descriptors stay, and a file in memory says which is which. A program that says no, or nothing, changes
//! nothing: the supervisor goes on as what it is. Should the new one fail all the same, that is a supervisor's death.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process::ExitCode;
use std::time::Duration;

use rustix::event::PollFd;
use serde::{Deserialize, Serialize};

use super::Supervisor;
use super::channel::{Channel, Letter, Message};
use super::held::Held;
use super::process::{Phase, Process};
use super::spare::Spare;
use crate::sys::exec::exec;
use crate::sys::inherit::Inherited;
use crate::sys::{clock, memfd};

/// The option of `ringmaster run` that names the file in which this process has written down what it held.
pub(super) const OPTION: &str = "--renewed";
/// The option of `ringmaster run` that has it say whether it would understand such a file.
pub(super) const TRIAL: &str = "--renewal-trial";
/// What a trial is about.
const LEGACY: &str = "legacy";
/// Who writes another one does not understand this.
const LAYOUT: &str = "ringmaster-legacy-1";
/// The longest that there can be: some thousand names.
const LONGEST: usize = 1 << 20;
/// How long a trial may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How far it has come.
#[derive(Debug, Default)]
pub(super) enum Renewal {
    /// This process runs what it is to run.
    #[default]
    Done,
    /// The new program has proved itself.
    Due,
    /// It is asked.
    Trial(Process),
}

impl Renewal {
    /// What to wait for.
    pub(super) fn wakers(&self) -> impl Iterator<Item = PollFd<'_>> {
        let trial = if let Self::Trial(process) = self { Some(process) } else { None };
        trial.into_iter().flat_map(Process::wakers)
    }
}

/// What a supervisor leaves to the one that this process becomes.
#[derive(Debug, Serialize, Deserialize)]
struct Legacy {
    layout: String,
    held: BTreeMap<String, RawFd>,
    director: Member,
    /// Since when it forwards.
    ready: Duration,
    spare: Option<Member>,
}

/// A process that it has started, or adopted.
#[derive(Debug, Serialize, Deserialize)]
struct Member {
    id: u32,
    child: bool,
    end: RawFd,
    channel: RawFd,
}

impl Member {
    fn of(process: &Process) -> Self {
        let [end, channel] = process.descriptors().map(|file| file.as_raw_fd());
        Self { id: process.id(), child: process.is_child(), end, channel }
    }

    fn revive(&self, inherited: &mut Inherited, phase: Phase) -> io::Result<Process> {
        let (end, channel) = (inherited.take(self.end)?, Channel::over(inherited.take(self.channel)?));
        let process = Process::resumed(self.child, self.id, end, channel, phase, clock::now());
        // It is an error if it is not what it is said to be.
        process.ended().map(|_| process)
    }
}

impl Legacy {
    fn read(file: &OwnedFd) -> io::Result<Self> {
        let legacy: Self = serde_json::from_slice(&memfd::read(file, LONGEST)?)?;
        if legacy.layout == LAYOUT { Ok(legacy) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    fn write(&self) -> io::Result<OwnedFd> {
        memfd::finished("ringmaster-legacy", &serde_json::to_vec(self)?)
    }
}

/// What is left to the supervisor that this process has become.
pub(super) fn go_on(mut inherited: Inherited, legacy: OwnedFd) -> io::Result<(Held, Process, Spare)> {
    let Legacy { held, director, ready, spare, .. } = Legacy::read(&legacy)?;
    let take = |(name, number)| Ok((name, inherited.take(number)?));
    let held = Held::new(held.into_iter().map(take).collect::<io::Result<_>>()?);
    let director = director.revive(&mut inherited, Phase::Ready(ready))?;
    let spare = spare.map(|spare| spare.revive(&mut inherited, Phase::Waiting)).transpose()?;
    tracing::info!("the supervisor runs the new program, too");
    Ok((held, director, Spare::of(spare)))
}

/// Says over a supervisor's channel whether this program understands what the supervisor would leave it.
pub fn answer_trial(supervisor: &Channel) -> ExitCode {
    let legacy = match supervisor.wait(PATIENCE) {
        Ok(Some(Letter { thing: Some(legacy), .. })) => Legacy::read(&legacy),
        _ => Err(io::ErrorKind::InvalidData.into()),
    };
    let answer = legacy.and_then(|_| supervisor.send(&Message::Prepared, None));
    answer.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

impl Supervisor {
    /// Goes on with the renewal, if there is one.
    pub(super) fn renew(&mut self) {
        let now = clock::now();
        match std::mem::take(&mut self.renewal) {
            Renewal::Done => {}
            Renewal::Due if self.is_quiet() => self.renewal = self.begin_trial(now),
            Renewal::Due => self.renewal = Renewal::Due,
            Renewal::Trial(mut process) => match (process.hear(), process.ended()) {
                (Some((Message::Prepared, _)), _) => {
                    // Threads do not outlive what follows.
                    process.remove();
                    if self.is_quiet() {
                        let error = self.become_new();
                        tracing::error!("the supervisor stays the old program: the new one is not executed: {error}");
                    } else {
                        self.renewal = Renewal::Due;
                    }
                }
                (_, Ok(None)) if now < process.since + PATIENCE => self.renewal = Renewal::Trial(process),
                _ => {
                    process.kill();
                    tracing::warn!("the supervisor stays the old program: the new one cannot go on with what it holds");
                }
            },
        }
    }

    /// Whether nothing else is under way.
    fn is_quiet(&self) -> bool {
        let busy = self.ending || self.leaving || self.successor.is_some() || self.previous.is_some();
        let settled = self.dying.is_empty() && !self.spare.is_preparing();
        matches!(self.director.phase, Phase::Ready(_)) && settled && !busy
    }

    fn begin_trial(&self, now: Duration) -> Renewal {
        let arguments: Vec<_> = self.arguments.iter().cloned().chain([TRIAL.into()]).collect();
        let begun = self.legacy().write().and_then(|legacy| {
            let process = Process::start(&self.program, &arguments, None, now)?;
            process.channel.send(&Message::Hold(LEGACY.to_owned()), Some(legacy.as_fd()))?;
            Ok(process)
        });
        begun.map_or_else(
            |error| {
                tracing::warn!("the supervisor stays the old program: the new one cannot be asked: {error}");
                Renewal::Done
            },
            Renewal::Trial,
        )
    }

    fn legacy(&self) -> Legacy {
        let ready = if let Phase::Ready(since) = self.director.phase { since } else { Duration::ZERO };
        Legacy {
            layout: LAYOUT.to_owned(),
            held: self.held.iter().map(|(name, thing)| (name.clone(), thing.as_raw_fd())).collect(),
            director: Member::of(&self.director),
            ready,
            spare: self.spare.waiting().map(Member::of),
        }
    }

    /// Does not return unless it fails, and then everything is as before.
    fn become_new(&self) -> io::Error {
        let legacy = match self.legacy().write() {
            Ok(legacy) => legacy,
            Err(error) => return error,
        };
        let option: OsString = format!("{OPTION}={}", legacy.as_raw_fd()).into();
        let arguments: Vec<_> = self.arguments.iter().cloned().chain([option]).collect();
        let members = [Some(&self.director), self.spare.waiting()].into_iter().flatten();
        let mut kept: Vec<BorrowedFd<'_>> = members.flat_map(Process::descriptors).collect();
        kept.extend(self.held.iter().map(|(_, thing)| thing.as_fd()).chain([legacy.as_fd()]));
        exec(self.program.file(), &arguments, &kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn legacy(layout: &str) -> Legacy {
        let director = Member { id: 7, child: true, end: 8, channel: 9 };
        let held = [("table".to_owned(), 10)].into();
        Legacy { layout: layout.to_owned(), held, director, ready: Duration::from_secs(1), spare: None }
    }

    /// What a program says that is asked whether it understands this.
    fn answer(legacy: &Legacy) -> Option<Message> {
        let (ours, theirs) = Channel::pair().unwrap();
        ours.send(&Message::Hold(LEGACY.to_owned()), Some(legacy.write().unwrap().as_fd())).unwrap();
        answer_trial(&theirs);
        drop(theirs);
        ours.receive().ok().flatten().map(|letter| letter.message)
    }

    #[test]
    fn a_trial_tells_what_is_understood() {
        assert_eq!(answer(&legacy(LAYOUT)), Some(Message::Prepared));
        assert_eq!(answer(&legacy("ringmaster-legacy-0")), None);
    }
}
