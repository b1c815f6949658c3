//! The privileged helper of a director: a small process that keeps the rights which the director gives up, and uses them for
//! what the configuration says and nothing else.
//!
//! A director that runs as another user can neither start a program as root or as `script_user`, nor read a file that is
//! root's alone. So before it gives its rights up it starts this program once more, as its helper, and asks that for
//! such things. The helper goes by the configuration that the director has begun with, while it had all its rights, and by what it
//! reads itself at each reload; it takes nobody's word for what is in it, and starts only programs and opens only files that are
//! named there. Who takes over the director gains no more than that.
//!
//! ```text
//!   director ── Ask: start this program ──▶ helper ── as script_user ──▶ program
//!            ◀─ Answer, and a socket by which signals go and the status comes ─
//! ```
//!
//! The helper ends with its director, and is silent otherwise. A director without a helper (`privileges keep`) does all of it
//! by itself.

mod ask;
mod process;

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};

use crate::control::configuration::Written;
use crate::program::Program;
use crate::supervisor::{Channel, Letter};
use crate::sys::clock;
use ask::{Answer, Ask};
pub use process::serve;

/// The option of `ringmaster run` that names the helper's channel.
pub const OPTION: &str = "--helper";

/// How long an answer may take: the helper may have to read a large configuration first.
const PATIENCE: Duration = Duration::from_secs(5);

/// A process has one helper or none.
static HELPER: OnceLock<Helper> = OnceLock::new();

/// This director's helper; see the module documentation.
#[derive(Debug)]
pub struct Helper {
    talk: Mutex<Talk>,
}

#[derive(Debug)]
struct Talk {
    channel: Channel<(u64, Result<Answer, String>)>,
    asked: u64,
}

/// The helper, if this process has one.
pub fn get() -> Option<&'static Helper> {
    HELPER.get()
}

/// Starts the helper of this process: the same program with these arguments and one more. It goes by the configuration that
/// was `written` down. Once, and before any right is given up.
pub fn start(arguments: &[std::ffi::OsString], written: &Written) -> io::Result<()> {
    let (ours, theirs) = Channel::pair()?;
    fcntl_setfd(&theirs, FdFlags::empty())?;
    let mut command = std::process::Command::new("/proc/self/exe");
    if let Some((name, others)) = arguments.split_first() {
        std::os::unix::process::CommandExt::arg0(&mut command, name).args(others);
    }
    // Nobody waits for it: it ends with this process, or nearly so.
    command.arg(format!("{OPTION}={}", theirs.as_fd().as_raw_fd())).spawn()?;
    let mut talk = Talk { channel: ours, asked: 0 };
    talk.say(&Ask::Begin, Some(written.file.try_clone()?))?;
    let talk = Mutex::new(talk);
    HELPER.set(Helper { talk }).map_err(|_| io::ErrorKind::AlreadyExists.into())
}

impl Helper {
    /// Starts a program with further arguments. Gives the socket by which it is heard of.
    pub fn start(&self, program: &Program, added: &[String]) -> io::Result<OwnedFd> {
        let ask = Ask::Start { program: program.clone(), added: added.to_vec() };
        self.ask(&ask, None)?.1.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Opens a file that is tracked, to read it.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        self.file(&Ask::Open(path.to_owned()))
    }

    /// Writes the first value of a file that is tracked.
    pub fn initialise(&self, path: &Path) -> io::Result<()> {
        self.ask(&Ask::Initialise(path.to_owned()), None).map(drop)
    }

    /// Opens a pipe that events are written to, and says whether it had to be made.
    pub fn pipe(&self, path: &Path) -> io::Result<(File, bool)> {
        match self.ask(&Ask::Pipe(path.to_owned()), None)? {
            (answer, Some(file)) => Ok((file.into(), answer == Answer::Made)),
            (_, None) => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Removes a pipe that had to be made.
    pub fn remove_pipe(&self, path: &Path) -> io::Result<()> {
        self.ask(&Ask::RemovePipe(path.to_owned()), None).map(drop)
    }

    /// Writes a record of what of the kernel's state is the director's.
    pub fn record(&self, file: &Path, text: &[u8]) -> io::Result<()> {
        self.ask(&Ask::Record(file.to_owned()), Some(parcel(text)?)).map(drop)
    }

    /// Keeps the packets that the last director had in hand when it died, as a capture.
    pub fn black_box(&self, capture: &[u8]) -> io::Result<()> {
        self.ask(&Ask::BlackBox, Some(parcel(capture)?)).map(drop)
    }

    /// Listens on the control socket.
    pub fn listen(&self, known_dead: bool) -> io::Result<UnixListener> {
        self.ask(&Ask::Listen { known_dead }, None)?
            .1
            .map(UnixListener::from)
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Removes the control socket, unless another director has put its own into the place.
    pub fn remove_socket(&self) -> io::Result<()> {
        self.ask(&Ask::RemoveSocket, None).map(drop)
    }

    /// Starts another supervisor, for this director's own is gone. Gives the channel to it.
    pub fn supervisor(&self) -> io::Result<OwnedFd> {
        self.ask(&Ask::Supervisor, None)?.1.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The configuration, read anew; `None` if it does not load, which the helper has said why.
    pub fn configuration(&self, remarks: bool) -> io::Result<Option<Written>> {
        match self.ask(&Ask::Configuration { remarks }, None)? {
            (Answer::Done, Some(file)) => Written::read(file).map(Some),
            _ => Ok(None),
        }
    }

    fn file(&self, ask: &Ask) -> io::Result<File> {
        self.ask(ask, None)?.1.map(File::from).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn ask(&self, ask: &Ask, thing: Option<OwnedFd>) -> io::Result<(Answer, Option<OwnedFd>)> {
        let mut talk = self.talk.lock().unwrap_or_else(PoisonError::into_inner);
        talk.ask(ask, thing)
    }
}

impl Talk {
    fn say(&mut self, ask: &Ask, thing: Option<OwnedFd>) -> io::Result<()> {
        self.asked += 1;
        let question: Channel<(u64, Ask)> = Channel::over(self.channel.as_fd().try_clone_to_owned()?);
        question.send(&(self.asked, ask.clone()), thing.as_ref().map(AsFd::as_fd))
    }

    fn ask(&mut self, ask: &Ask, thing: Option<OwnedFd>) -> io::Result<(Answer, Option<OwnedFd>)> {
        let gone = |error: io::Error| io::Error::other(format!("the privileged helper does not answer: {error}"));
        self.say(ask, thing).map_err(gone)?;
        let deadline = clock::now() + PATIENCE;
        loop {
            match self.channel.wait(deadline.saturating_sub(clock::now())).map_err(gone)? {
                Some(Letter { message: (number, answer), thing, .. }) if number == self.asked => {
                    return Ok((answer.map_err(io::Error::other)?, thing));
                }
                // Of a question that nobody waits for any more.
                Some(_) => {}
                // A signal wakes, too.
                None if clock::now() < deadline => {}
                None => return Err(gone(io::ErrorKind::TimedOut.into())),
            }
        }
    }
}

/// Where the packets are kept that a director had in hand when it died: next to the control socket.
pub fn black_box_beside(socket: &Path) -> PathBuf {
    socket.with_extension("died.pcap")
}

/// What is too long for a message, as a file in memory.
fn parcel(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("ringmaster-parcel", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file.into())
}

fn unpack(file: OwnedFd) -> io::Result<Vec<u8>> {
    let (mut file, mut bytes) = (File::from(file), Vec::new());
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
