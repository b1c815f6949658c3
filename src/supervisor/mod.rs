//! The process that starts the director, and starts it again.
//!
//! It holds descriptors of everything that must outlive a director: sockets, packet memory, connection table, maps and links of
//! the steering program, and a file of what the director knows. As long as somebody holds them, packets wait in the rings.
//! So when a director dies, the next one goes on where it stopped, and a new program takes over from an old one under
//! traffic; both are the same steps.
//!
//! ```text
//!   supervisor ── starts ──▶ director:  reads its configuration
//!              ◀─ Prepared ─
//!              ── Hold … ──▶            takes what is held
//!              ── Begin ───▶            goes on, or begins
//!              ◀─ Hold …, Ready, Hold …
//! ```
//!
//! Once a director forwards, a *spare* is started beside it (`Spare`): it says `Prepared`, is told all that is held and every
//! change of that, and gets the word to begin when the director dies.
//!
//! # Promises
//!
//! - It knows nothing of packets, configurations or what it holds: the less it does, the less it dies of.
//! - A director that dies is followed by another at once, which gets less of what was held if the one before it did not
//!   live (`Crashes`).
//! - Roles are given up, so that backups lead, only if nobody can go on soon: after a spare and new rings have failed, or in a
//!   loop of crashes.
//! - A new program that does not forward, or dies within its first seconds, is followed by the one before it.
//! - Whoever ends the director by its own rules ends the supervisor, with its exit code.
//! - Its own death harms nobody: the director has another one started, and gives it all that is held (`adoption`). If the
//!   director dies too before that, the spare goes on, and has one started.
//! - It becomes the new program itself once that has proved to be a director (`renewal`).
//! - A service manager that keeps descriptors gets a copy of each (`held`), so that a restart, and even the death of
//!   everybody, is no more than a pause (`departure`).

mod adoption;
mod alarm;
pub mod channel;
mod crashes;
mod departure;
mod held;
mod history;
mod patience;
mod process;
mod renewal;
mod spare;
mod succession;
mod trust;
mod upgrade;
mod watch;

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::Signal;

use crate::sys::inherit::Inherited;
use crate::sys::signals::Signals;
use crate::sys::{clock, scheduling, service_manager};
pub use adoption::{leave_orphan, start_another};
use alarm::Alarm;
pub use channel::{Channel, Letter, Message};
use crashes::Crashes;
use held::Held;
pub use history::ENTRUSTED;
use history::History;
use process::{Phase, Process, Program};
use renewal::Renewal;
pub use renewal::answer_trial;
use spare::Spare;
use succession::TO_BEGIN;
use watch::{Hang, LOOK, Watch};

/// The option of `ringmaster run` that names the channel.
pub const OPTION: &str = "--supervised";
/// The option of `ringmaster run` that has it give up the roles of a director that died.
pub const RESIGN: &str = "--resign";
/// The option of `ringmaster run` that has it not repeat what the director at work has said of the configuration.
pub const SPARE: &str = "--spare";
/// What the names of things begin with that are no longer wanted once rings are opened anew.
pub const RINGS: &str = "rings.";

/// What has this name is looked into by the supervisor itself: the signs of life of a director's threads.
pub const PULSES: &str = "pulses";
/// The option that says that the first message on the channel brings the configuration, since a death is no reason to read
/// another one.
pub const KEPT: &str = "--kept-configuration";
/// What has this name is the configuration.
pub const CONFIGURATION: &str = "configuration";
/// The configuration that ran before a restart, which reads the files.
const BEFORE: &str = "before.configuration";
/// Not held, but given to the director: the supervisor's end of the channel to the spare.
pub const SPARE_END: &str = "spare";

/// How long an old one may take to make way.
const TO_GIVE_WAY: Duration = Duration::from_secs(1);
/// How long a dead one may take to be gone; nobody waits for it for longer.
const TO_BE_GONE: Duration = Duration::from_secs(6);
/// How often deadlines are looked at.
const IDLE: Duration = Duration::from_millis(250);
/// How long a new program must live before the one before it is forgotten.
const PROBATION: Duration = Duration::from_secs(3);
/// Has everything be left to the service manager, for another supervisor that comes at once.
const LEAVE: Signal = Signal::USR2;

/// What a supervisor begins with.
#[derive(Debug)]
pub enum Beginning {
    /// What a service manager may have kept of one before it.
    Anew(Inherited),
    /// What this process held when it ran another program.
    Renewed(Inherited, OwnedFd),
    /// A director that has lost its supervisor, by a channel to it.
    Adopting(Channel),
}

/// Supervises a director with the command line of this process, to its end. Blocks SIGTERM, SIGINT and SIGHUP, which the
/// director gets, and SIGUSR2.
pub fn run(beginning: Beginning) -> ExitCode {
    let ended = Supervisor::new(beginning).and_then(|mut supervisor| supervisor.serve());
    ended.unwrap_or_else(|error| {
        tracing::error!("the supervisor cannot go on: {error}");
        ExitCode::FAILURE
    })
}

/// The command line of this process, without what one of ours has added to it.
pub fn arguments() -> Vec<OsString> {
    let ours = [OPTION, RESIGN, SPARE, KEPT, renewal::OPTION, renewal::TRIAL, adoption::OPTION, adoption::ORPHAN];
    let is_ours = |word: &OsString| {
        let name = word.as_encoded_bytes().split(|&byte| byte == b'=').next();
        ours.iter().any(|option| name == Some(option.as_bytes()))
    };
    std::env::args_os().filter(|word| !is_ours(word)).collect()
}

struct Supervisor {
    signals: Signals,
    arguments: Vec<OsString>,
    program: Program,
    /// What ran before, while `program` is on probation.
    previous: Option<Program>,
    held: Held,
    director: Process,
    /// A new program that prepares itself.
    successor: Option<(Process, Program)>,
    /// A director that waits for the present one to die.
    spare: Spare,
    crashes: Crashes,
    /// Some director has forwarded.
    proven: bool,
    /// A signal has told the director to end.
    ending: bool,
    /// A signal has told this process to leave everything to the service manager.
    leaving: bool,
    /// How long the director may take to begin.
    to_begin: Duration,
    /// Whether the director hangs.
    watch: Option<Watch>,
    /// Directors that are dead and not yet gone.
    dying: Vec<Process>,
    /// Whether this process is to run the program that its director runs.
    renewal: Renewal,
    /// When the service manager wants a sign of life.
    alarm: Option<Alarm>,
}

impl Supervisor {
    fn new(beginning: Beginning) -> io::Result<Self> {
        let signals = Signals::catch(&[Signal::TERM, Signal::INT, Signal::HUP, LEAVE])?;
        // Neither is vital: they make it act sooner on a machine that is busy or short of memory.
        let _ = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT);
        let _ = scheduling::go_first();
        let (program, arguments) = (Program::own()?, arguments());
        let proven = !matches!(beginning, Beginning::Anew(_));
        let mut crashes = Crashes::default();
        let (held, director, spare) = match beginning {
            Beginning::Anew(mut inherited) => {
                let mut held = Held::new(service_manager::given_back(&mut inherited).into_iter().collect());
                let now = clock::now();
                if let Some(history) = History::of(&held, now) {
                    crashes = history.after_all(&mut held, now);
                }
                let director = Process::start(&program, &arguments, held.get(CONFIGURATION), clock::now())?;
                (held, director, Spare::default())
            }
            Beginning::Renewed(inherited, legacy) => renewal::go_on(inherited, legacy)?,
            Beginning::Adopting(channel) => adoption::adopt(channel)?,
        };
        let mut supervisor = Self {
            signals,
            arguments,
            program,
            previous: None,
            held,
            director,
            successor: None,
            spare,
            crashes,
            proven,
            ending: false,
            leaving: false,
            to_begin: TO_BEGIN,
            watch: None,
            dying: Vec::new(),
            renewal: Renewal::default(),
            alarm: Alarm::of_environment(),
        };
        if proven {
            supervisor.recall(clock::now());
            supervisor.watch = supervisor.held.get(PULSES).and_then(|pages| supervisor.begin_watch(pages));
            supervisor.entrust_spare();
            supervisor.held.say(&format!("MAINPID={}", std::process::id()));
        }
        Ok(supervisor)
    }

    fn serve(&mut self) -> io::Result<ExitCode> {
        loop {
            self.wait()?;
            self.obey();
            self.hear_director();
            self.hear_successor()?;
            if let Some(ended) = self.director.ended()?
                && let Some(code) = self.director_ended(ended)?
            {
                return Ok(code);
            }
            self.watch();
            self.keep_spare()?;
            self.bury();
            self.renew();
            self.held.store();
            if self.alarm.as_mut().is_some_and(|alarm| alarm.is_due(clock::now())) {
                self.held.say("WATCHDOG=1");
            }
        }
    }

    /// Until somebody says something or ends, or a deadline has passed.
    fn wait(&self) -> io::Result<()> {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        fds.extend(self.director.wakers());
        fds.extend(self.successor.iter().flat_map(|(successor, _)| successor.wakers()));
        // What nobody would listen to must not wake anybody: one that goes first would take a core.
        if self.has_spare() {
            fds.extend(self.spare.wakers());
        }
        fds.extend(self.dying.iter().map(Process::end));
        fds.extend(self.renewal.wakers());
        let looks = self.watch.is_some() || !matches!(self.director.phase, Phase::Ready(_));
        let turn = if looks { LOOK } else { IDLE };
        let turn = Timespec::try_from(turn).map_err(io::Error::other)?;
        scheduling::rest(clock::now());
        match poll(&mut fds, Some(&turn)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes in signals, most of which are for the director.
    fn obey(&mut self) {
        while let Some(signal) = self.signals.next() {
            if signal == LEAVE {
                self.leave();
                continue;
            }
            if signal != Signal::HUP {
                self.ending = true;
                self.held.say("STOPPING=1");
            }
            self.director.signal(signal);
        }
    }

    fn hear_director(&mut self) {
        // How one went that says no more is told by its status.
        while let Some((message, thing)) = self.director.hear() {
            let now = clock::now();
            match (message, thing) {
                (Message::Hold(name), Some(thing)) => {
                    if let Some(why) = trust::doubt(&name, &thing) {
                        tracing::error!("what director {} wants held as {name} is not: {why}", self.director.id());
                        continue;
                    }
                    self.spare.tell(&Message::Hold(name.clone()), Some(thing.as_fd()), now);
                    if name == PULSES {
                        self.watch = self.begin_watch(&thing);
                    }
                    self.held.put(name, thing);
                }
                (Message::Release(beginning), _) => {
                    self.spare.tell(&Message::Release(beginning.clone()), None, now);
                    self.held.retain(|name| !name.starts_with(&beginning));
                    // One that does not hear asks no more.
                    let _ = self.director.channel.send(&Message::Released, None);
                }
                (Message::Prepared, _) => self.begin(now),
                (Message::Ready, _) => {
                    self.proven = true;
                    self.director.enter(Phase::Ready(now), now);
                    self.remember();
                    self.spare.begin_after(now, self.crashes.trial());
                    self.held.take(BEFORE);
                    self.held.say(&format!("READY=1\nSTATUS=process {} forwards", self.director.id()));
                }
                (Message::Reloaded, _) => self.spare.dismiss(),
                (Message::Upgrade(path), _) => self.upgrade(&path, now),
                _ => {}
            }
        }
    }

    /// Whether the director may be waiting for the one before it to go: how long the kernel takes to put away what that had
    /// open is not its fault.
    fn waits_for_the_dead(&self, now: Duration) -> bool {
        !self.dying.is_empty() && now < self.director.since + TO_BE_GONE
    }

    fn begin_watch(&self, pages: &OwnedFd) -> Option<Watch> {
        let watch = pages.try_clone().and_then(|pages| Watch::new(pages, self.director.id()));
        watch.inspect_err(|error| tracing::warn!("whether the director hangs cannot be seen: {error}")).ok()
    }

    /// Whether there is to be a spare: there is a director that forwards, and nobody else is to take its place.
    fn has_spare(&self) -> bool {
        matches!(self.director.phase, Phase::Ready(_)) && self.successor.is_none() && !self.ending
    }

    /// Looks after the spare, which may know before anybody else that the director has died.
    fn keep_spare(&mut self) -> io::Result<()> {
        if !self.has_spare() {
            return Ok(());
        }
        let now = clock::now();
        let waited = self.spare.waiting().is_some();
        if self.spare.keep(&self.program, &self.arguments, &self.held, now) {
            // What it said last must be known to whoever comes next.
            self.hear_director();
            self.replace(None, now)?;
        } else if !waited {
            self.entrust_spare();
        }
        Ok(())
    }

    /// Gives the director this end of the channel to the spare: so it can be told who supervises it next, and is alone only
    /// once both are gone.
    fn entrust_spare(&self) {
        if let Some(spare) = self.spare.waiting() {
            // One that has no time for it goes without.
            let _ =
                self.director.channel.send_at_once(&Message::Hold(SPARE_END.to_owned()), Some(spare.channel.as_fd()));
        }
    }

    /// Takes leave of directors that were replaced before they were gone.
    fn bury(&mut self) {
        let Self { dying, director, .. } = self;
        dying.retain_mut(|process| match process.ended() {
            Ok(None) => true,
            Ok(Some(ended)) => {
                tracing::error!("director {} died ({ended}): the spare one has taken over", process.id());
                // One that does not hear it waits a little longer.
                let _ = director.channel.send(&Message::Gone, None);
                false
            }
            Err(_) => false,
        });
    }

    /// Ends a director that takes too long, or hangs. It is followed as one that died.
    fn watch(&mut self) {
        let now = clock::now();
        let (phase, to_begin) = (self.director.phase, self.to_begin);
        let why = match phase {
            Phase::Preparing | Phase::Beginning
                if self.proven && !self.waits_for_the_dead(now) && self.director.is_late(to_begin, now) =>
            {
                "does not begin"
            }
            Phase::GivingWay if self.director.is_late(TO_GIVE_WAY, now) => "does not make way",
            Phase::Ready(since) => {
                if now > since + PROBATION && self.end_probation().is_some() {
                    self.renewal = Renewal::Due;
                }
                let Some((thread, hang)) = self.watch.as_mut().and_then(|watch| watch.look(now)) else { return };
                self.watch = None;
                &format!("hangs ({thread} {})", if hang == Hang::Loops { "loops" } else { "is blocked" })
            }
            _ => return,
        };
        // First of all: every moment counts, and the log may be slow.
        self.director.signal(Signal::KILL);
        tracing::error!("director {} {why}: it is killed", self.director.id());
    }
}
