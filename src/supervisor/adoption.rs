//! What happens when a supervisor dies: the director that it leaves behind has another one started, which takes in all that
//! is held from it, and the spare with it.
//!
//! ```text
//!   director ── starts, by whoever may ──▶ orphan ── starts ──▶ supervisor
//!            ── Hold …, Hold(spare), Ready ──────────────────▶
//!            ◀─ Adopt ────────────────────────────────────────
//!                                          spare ◀─── Adopt ──
//!                                                ─ Prepared ─▶
//! ```
//!
//! The process in between ends at once, so that the new supervisor is nobody's child but that of the first process of all,
//! as a service manager expects of a main process. It is not the parent of what it adopts: it cannot wait for them (wait(2)),
//! but sees that they have ended. Who they are it is told by the kernel, not by themselves.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};

use super::channel::{Channel, Letter, Message};
use super::held::Held;
use super::process::{Phase, Process};
use super::spare::Spare;
use super::{SPARE_END, arguments};
use crate::sys::clock;

/// The option of `ringmaster run` that names the channel to a director that has lost its supervisor.
pub(super) const OPTION: &str = "--adopting";
/// The same, for the process that leaves the supervisor to nobody.
pub(super) const ORPHAN: &str = "--orphan";
/// How long what is held may take to come.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a spare may take to answer.
const SPARE_PATIENCE: Duration = Duration::from_secs(1);

/// Starts another supervisor for a director that was started with these arguments; gives the channel between the two. Returns
/// once that is nobody's child.
pub fn start_another(arguments: &[OsString]) -> io::Result<OwnedFd> {
    let (ours, theirs) = Channel::<Message>::pair()?;
    let status = command(arguments, ORPHAN, &theirs)?.status()?;
    if status.success() { Ok(ours.into()) } else { Err(io::Error::other(format!("it ended ({status})"))) }
}

/// Starts the supervisor, as a process whose parent ends: the caller is to do that now.
pub fn leave_orphan(director: &Channel) -> ExitCode {
    let started = command(&arguments(), OPTION, director).and_then(|mut command| command.spawn());
    started.map_or(ExitCode::FAILURE, |_| ExitCode::SUCCESS)
}

/// This program once more, with one end of a channel.
fn command(arguments: &[OsString], option: &str, channel: &Channel) -> io::Result<Command> {
    fcntl_setfd(channel, FdFlags::empty())?;
    let mut command = Command::new("/proc/self/exe");
    if let Some((name, others)) = arguments.split_first() {
        command.arg0(name).args(others);
    }
    command.arg(format!("{option}={}", channel.as_fd().as_raw_fd()));
    Ok(command)
}

/// Takes in a director, what it holds, and its spare.
pub(super) fn adopt(channel: Channel) -> io::Result<(Held, Process, Spare)> {
    let deadline = clock::now() + PATIENCE;
    let (mut things, mut spare_end) = (BTreeMap::new(), None);
    let director = loop {
        let now = clock::now();
        match channel.wait(deadline.saturating_sub(now))? {
            Some(Letter { message: Message::Hold(name), thing: Some(thing), .. }) if name == SPARE_END => {
                spare_end = Some(thing);
            }
            Some(Letter { message: Message::Hold(name), thing: Some(thing), .. }) => _ = things.insert(name, thing),
            Some(Letter { message: Message::Ready, sender: Some(director), .. }) => break director,
            Some(_) => {}
            None if now < deadline => {}
            None => return Err(io::ErrorKind::TimedOut.into()),
        }
    };
    let now = clock::now();
    let director = Process::stranger(director, channel, Phase::Ready(now), now)?;
    // If it is gone the number may be another's by now; the spare goes on.
    if director.channel.is_closed() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    director.channel.send(&Message::Adopt, None)?;
    let held = Held::new(things);
    let spare = spare_end.map(|end| adopt_spare(&Channel::over(end))).transpose();
    let mut spare = Spare::of(spare.unwrap_or_else(|error| {
        tracing::warn!("the spare director is not taken over: {error}");
        None
    }));
    spare.tell_all(&held, now);
    tracing::info!("process {} supervises director {} from now on", std::process::id(), director.id());
    Ok((held, director, spare))
}

/// By a channel of its own, over which the kernel says who answers. By the old one it is only spoken to.
fn adopt_spare(old: &Channel) -> io::Result<Process> {
    let (ours, theirs) = Channel::pair()?;
    old.send_at_once(&Message::Adopt, Some(theirs.as_fd()))?;
    drop(theirs);
    match ours.wait(SPARE_PATIENCE)? {
        Some(Letter { message: Message::Prepared, sender: Some(id), .. }) => {
            Process::stranger(id, ours, Phase::Waiting, clock::now())
        }
        _ => Err(io::ErrorKind::TimedOut.into()),
    }
}
