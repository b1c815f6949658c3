//! A director as a process: how it is started, how far it has come, how it ends.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, setpriority_process, waitid,
};

use super::channel::{Channel, Message};
use super::patience::Patience;
use super::watch::Condition;
use super::{CONFIGURATION, KEPT, OPTION, trust};

/// What a thread needs that waits for a process which has ended.
const STACK: usize = 64 << 10;

/// A program file that stays what it is though another may take its name.
#[derive(Debug)]
pub(super) struct Program(File);

impl Program {
    /// The one that this process runs.
    pub(super) fn own() -> io::Result<Self> {
        File::open("/proc/self/exe").map(Self)
    }

    /// The one of this name now, if it can be trusted.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        trust::check_program(&file)?;
        Ok(Self(file))
    }
}

/// How far a director has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It reads its configuration.
    Preparing,
    /// It has prepared all that can be, and waits for the word to begin.
    Waiting,
    /// It has been told to begin.
    Beginning,
    /// It forwards, since then.
    Ready(Duration),
    /// It has been told to make way.
    GivingWay,
}

/// A director that was started and not yet waited for.
#[derive(Debug)]
pub(super) struct Process {
    /// Gone once somebody else waits for it.
    child: Option<Child>,
    id: u32,
    /// Readable once it has ended.
    end: OwnedFd,
    pub(super) channel: Channel,
    pub(super) phase: Phase,
    /// When it came into its phase.
    pub(super) since: Duration,
    /// The time that it has had for its phase.
    patience: Patience,
    /// It took longer than that.
    pub(super) late: bool,
    /// It will say no more: it has closed its end of the channel, and will have ended soon.
    silent: bool,
}

impl Process {
    /// Starts a program with the arguments of this process, and one more; with the configuration that the last director had
    /// read, or else to read its files.
    pub(super) fn start(
        program: &Program,
        arguments: &[OsString],
        configuration: Option<&OwnedFd>,
        now: Duration,
    ) -> io::Result<Self> {
        let (ours, theirs) = Channel::pair()?;
        fcntl_setfd(&theirs, FdFlags::empty())?;
        let mut command = Command::new(format!("/proc/self/fd/{}", program.0.as_raw_fd()));
        if let Some((name, others)) = arguments.split_first() {
            command.arg0(name).args(others);
        }
        if let Some(configuration) = configuration {
            command.arg(KEPT);
            ours.send(&Message::Hold(CONFIGURATION.to_owned()), Some(configuration.as_fd()))?;
        }
        let mut child = command.arg(format!("{OPTION}={}", theirs.as_fd().as_raw_fd())).spawn()?;
        let end = match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(end) => end,
            Err(error) => {
                child.kill()?;
                child.wait()?;
                return Err(error.into());
            }
        };
        Ok(Self {
            id: child.id(),
            child: Some(child),
            end,
            channel: ours,
            phase: Phase::Preparing,
            since: now,
            patience: Patience::default(),
            late: false,
            silent: false,
        })
    }

    pub(super) fn enter(&mut self, phase: Phase, now: Duration) {
        (self.phase, self.since, self.patience) = (phase, now, Patience::default());
    }

    /// Whether its phase has taken longer than `limit`, for which it is to be ended. Says so once.
    pub(super) fn is_late(&mut self, limit: Duration, now: Duration) -> bool {
        let over = !self.late && self.patience.is_over(limit, now, Condition::of(self.id, self.id));
        self.late |= over;
        over
    }

    /// What it says next, if it has said something.
    pub(super) fn hear(&mut self) -> Option<(Message, Option<OwnedFd>)> {
        let heard = self.channel.receive();
        self.silent = heard.is_err();
        heard.ok().flatten()
    }

    /// What becomes readable when it says something or ends. The channel of one that says no more would be readable for as
    /// long as it takes to end, which would be waited for in vain, and at the cost of a core.
    pub(super) fn wakers(&self) -> impl Iterator<Item = PollFd<'_>> {
        let channel = (!self.silent).then_some(&self.channel);
        let channel = channel.map(|channel| PollFd::new(channel, PollFlags::IN));
        channel.into_iter().chain([self.end()])
    }

    /// What becomes readable when it ends.
    pub(super) fn end(&self) -> PollFd<'_> {
        PollFd::new(&self.end, PollFlags::IN)
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// How it ended, if it has. It stays a zombie until the value is dropped.
    pub(super) fn ended(&self) -> io::Result<Option<ExitStatus>> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(waitid(WaitId::PidFd(self.end.as_fd()), options)?.map(|status| {
            let (code, signal) = (status.exit_status().unwrap_or(0), status.terminating_signal().unwrap_or(0));
            // As wait(2) packs them.
            ExitStatus::from_raw(code << 8 | signal)
        }))
    }

    /// How much its first thread goes after others (nice(2)); 0: not at all. If the system refuses, it does not.
    pub(super) fn go_after_others(&self, nice: i32) {
        let _ = setpriority_process(Pid::from_raw(self.id.cast_signed()), nice);
    }

    /// One that has ended already needs no signal.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.end, signal);
    }

    /// Ends it, whatever it does.
    pub(super) fn kill(self) {
        self.signal(Signal::KILL);
        // Its descriptors are closed before its end can be seen.
        while let Err(Errno::INTR) = poll(&mut [self.end()], None) {}
    }
}

impl Drop for Process {
    /// Has the kernel forget a child that has ended, by a thread that is not a real-time one: it throws the child's entries in
    /// `/proc` away, and a real-time thread would wait, on the core, for whoever is looking at them at that moment and needs
    /// that core.
    fn drop(&mut self) {
        let Ok(Some(_)) = self.ended() else { return };
        let Some(child) = self.child.take() else { return };
        let forget = move || {
            let mut child = child;
            let _ = child.wait();
        };
        // Should there be no thread, it stays a zombie, which harms nobody.
        let _ = std::thread::Builder::new().name("undertaker".to_owned()).stack_size(STACK).spawn(forget);
    }
}
