//! A director as a process: how it is started, how far it has come, how it ends.

use std::ffi::OsString;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, setpriority_process, waitid,
};

use super::channel::{Channel, Letter, Message};
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
        // What is no file must not keep the supervisor waiting.
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        Self::of(file.into())
    }

    /// The one of this descriptor, if it can be trusted.
    pub(super) fn of(file: OwnedFd) -> io::Result<Self> {
        let file = File::from(file);
        trust::check_program(&file)?;
        Ok(Self(file))
    }

    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// How a process ended; the kernel tells nobody but its parent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended(pub(super) Option<ExitStatus>);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(status) => status.fmt(f),
            None => f.write_str("how is not known"),
        }
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

/// A director that was started, by this process or by a supervisor before it, and not yet waited for.
#[derive(Debug)]
pub(super) struct Process {
    /// Whether it is this process's child.
    child: bool,
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
        Ok(Self::resumed(true, child.id(), end, ours, Phase::Preparing, now))
    }

    /// One that was started before, by what becomes readable at its end; `child`: by this very process.
    pub(super) fn resumed(child: bool, id: u32, end: OwnedFd, channel: Channel, phase: Phase, now: Duration) -> Self {
        let patience = Patience::default();
        Self { child, id, end, channel, phase, since: now, patience, late: false, silent: false }
    }

    /// Somebody else's child: who is at the other end of a channel.
    pub(super) fn stranger(id: Pid, channel: Channel, phase: Phase, now: Duration) -> io::Result<Self> {
        let end = pidfd_open(id, PidfdFlags::empty())?;
        Ok(Self::resumed(false, id.as_raw_nonzero().get().cast_unsigned(), end, channel, phase, now))
    }

    /// What is needed to go on with it in another program.
    pub(super) fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.end.as_fd(), self.channel.as_fd()]
    }

    /// See [`Self::descriptors`]: whether this process is its parent.
    pub(super) fn is_child(&self) -> bool {
        self.child
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
        heard.ok().flatten().map(|Letter { message, thing, .. }| (message, thing))
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
    pub(super) fn ended(&self) -> io::Result<Option<Ended>> {
        if !self.child {
            return match poll(&mut [self.end()], Some(&Timespec::default())) {
                Ok(0) | Err(Errno::INTR) => Ok(None),
                Ok(_) => Ok(Some(Ended(None))),
                Err(error) => Err(error.into()),
            };
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(waitid(WaitId::PidFd(self.end.as_fd()), options)?.map(|status| {
            let (code, signal) = (status.exit_status().unwrap_or(0), status.terminating_signal().unwrap_or(0));
            // As wait(2) packs them.
            Ended(Some(ExitStatus::from_raw(code << 8 | signal)))
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

impl Process {
    /// Ends it, and leaves nothing of it, not even for a thread to do.
    pub(super) fn remove(mut self) {
        self.signal(Signal::KILL);
        let waited = waitid(WaitId::PidFd(self.end.as_fd()), WaitIdOptions::EXITED);
        self.child &= waited.is_err();
    }
}

impl Drop for Process {
    /// Has the kernel forget a child that has ended, by a thread that is not a real-time one: it throws the child's entries in
    /// `/proc` away, and a real-time thread would wait, on the core, for whoever is looking at them at that moment and needs
    /// that core.
    fn drop(&mut self) {
        let (true, Ok(Some(_)), Ok(end)) = (self.child, self.ended(), self.end.try_clone()) else { return };
        let forget = move || {
            let _ = waitid(WaitId::PidFd(end.as_fd()), WaitIdOptions::EXITED);
        };
        // Should there be no thread, it stays a zombie, which harms nobody.
        let _ = std::thread::Builder::new().name("undertaker".to_owned()).stack_size(STACK).spawn(forget);
    }
}
