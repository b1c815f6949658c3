//! BFD for real: sockets and timers around [`crate::bfd`].
//!
//! Like the elections they have a thread of their own that goes before all that are not real-time ones: with a detection
//! time of some 30 ms, a control thread that dumps a table would look like a dead neighbour to the other end, and let
//! ours look dead to us.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`Neighbours`] | the director's end: starts, hears of changes, lists |
//! | `turns` | the loop |
//! | `sockets` | one listener a port and family, one sender a session |

mod sockets;
mod turns;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;

use super::standings;
use super::view::BfdView;
use crate::bfd::{Change, Spec};
use crate::sys::clock;
use crate::wire::Addr;
use sockets::Sockets;
use turns::Turns;

/// Why BFD cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum BfdError {
    /// Somebody else listens already.
    #[error("cannot listen at UDP port {port} for BFD; does another program (bfdd, keepalived) speak it here?")]
    Port {
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// A session has no socket to send by.
    #[error("cannot send for bfd_instance {name}; check `source_ip`")]
    Source {
        /// The session.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The thread was refused.
    #[error("cannot {what} for BFD")]
    System {
        /// What failed.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// What became of a session.
#[derive(Clone, Debug)]
pub struct SessionChange {
    /// Its name.
    pub name: String,
    /// Its neighbour.
    pub neighbour: Addr,
    /// What.
    pub change: Change,
}

/// Where the next director finds how sessions stand.
pub(in crate::control) type Record = standings::Record<Spec>;
/// How they stood when a director before this one ended.
pub(in crate::control) type Legacy = standings::Legacy<Spec>;

/// Sockets that were held for this director, by the names that [`Prepared::sockets`] gives them.
pub(in crate::control) type Kept = BTreeMap<String, OwnedFd>;

/// Numbers that nobody can guess.
type Random = Box<dyn FnMut() -> u32 + Send>;

/// What the thread is told.
enum Command {
    /// Other sessions, with the sockets that these need and those before did not; to be told of once they are listed.
    Follow { prepared: Prepared, random: Random, done: oneshot::Sender<()> },
    /// End.
    Stop,
}

/// Sessions that can begin: all that may be refused is done.
#[derive(Debug)]
pub struct Prepared {
    specs: Vec<Spec>,
    sockets: Sockets,
    legacy: Legacy,
}

impl Prepared {
    /// Opens what these sessions need beyond those of `before`.
    pub(in crate::control) fn new(specs: &[Spec], before: &[Spec]) -> Result<Self, BfdError> {
        let sockets = Sockets::open(specs, before, &mut Kept::new())?;
        Ok(Self { specs: specs.to_vec(), sockets, legacy: Legacy::default() })
    }

    /// Goes on with the sessions and sockets that a director before this one has left, and opens what is missing.
    pub(in crate::control) fn resume(specs: &[Spec], legacy: Legacy, mut kept: Kept) -> Result<Self, BfdError> {
        Ok(Self { specs: specs.to_vec(), sockets: Sockets::open(specs, &[], &mut kept)?, legacy })
    }

    /// The sockets that sessions of before had not, by their names; to be held, so that the next director hears what is said
    /// meanwhile.
    pub(in crate::control) fn sockets(&self) -> impl Iterator<Item = (String, BorrowedFd<'_>)> {
        self.sockets.named()
    }

    /// What sockets for these sessions are called.
    pub(in crate::control) fn names(specs: &[Spec]) -> impl Iterator<Item = String> {
        specs.iter().flat_map(sockets::names)
    }
}

/// The director's end of all sessions.
#[derive(Debug)]
pub struct Neighbours {
    commands: Sender<Command>,
    wake: Arc<OwnedFd>,
    changes: Option<UnboundedReceiver<SessionChange>>,
    board: Arc<Mutex<Board>>,
    thread: Option<JoinHandle<()>>,
}

/// What listings show, as of the latest turn; with the time of the last change.
type Board = Vec<(BfdView, Duration)>;

impl Neighbours {
    /// Starts the thread, without sessions so far. The next director finds in the record how they stand.
    pub(in crate::control) fn start(record: Record) -> Result<Self, BfdError> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let wake = Arc::new(wake.map_err(|error| BfdError::System { what: "make a waker", source: error.into() })?);
        let (outbox, changes) = unbounded_channel();
        let (commands, inbox) = channel();
        let board = Arc::new(Mutex::new(Board::default()));
        let mut turns = Turns::new((inbox, Arc::clone(&wake)), outbox, Arc::clone(&board), record);
        let thread = std::thread::Builder::new().name("bfd".to_owned()).spawn(move || turns.run());
        let thread = thread.map_err(|source| BfdError::System { what: "start a thread", source })?;
        Ok(Self { commands, wake, changes: Some(changes), board, thread: Some(thread) })
    }

    /// Goes over to these sessions; those with a neighbour of before go on. `random` gives numbers that nobody can guess. When
    /// this returns, [`views`](Self::views) are of these sessions.
    pub async fn follow(&self, prepared: Prepared, random: impl FnMut() -> u32 + Send + 'static) {
        let (done, listed) = oneshot::channel();
        self.tell(Command::Follow { prepared, random: Box::new(random), done });
        // The thread waits for nothing, and answers within a turn.
        let _ = listed.await;
    }

    /// Where changes arrive. There is one receiver.
    pub fn take_changes(&mut self) -> Option<UnboundedReceiver<SessionChange>> {
        self.changes.take()
    }

    /// Ends all sessions; when this returns, the neighbours have been told.
    pub fn stop(mut self) {
        self.tell(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic there has ended the process.
            let _ = thread.join();
        }
    }

    fn tell(&self, command: Command) {
        // It ends only after `Command::Stop`, and then nothing matters to it.
        let _ = self.commands.send(command);
        let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
    }

    /// All sessions.
    pub fn views(&self) -> Vec<BfdView> {
        let now = clock::now();
        let board = self.board.lock().expect("no holder panics");
        let aged = |(view, since): &(BfdView, Duration)| BfdView {
            seconds: now.saturating_sub(*since).as_secs(),
            ..view.clone()
        };
        board.iter().map(aged).collect()
    }
}
