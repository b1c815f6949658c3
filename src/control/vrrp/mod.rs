//! Elections for real: sockets and timers around [`crate::vrrp`].
//!
//! They have a thread of their own. The control thread may be busy for tens of milliseconds (a large plan, a table
//! dumped over netlink, a page of connections); an advert that late looks like a dead master to peers with short
//! intervals. This thread does nothing but wait in `ppoll` and answer, before all threads that are not real-time ones.
//!
//! The two agree by messages. The election says [`Report::Take`]; the director turns on forwarding, puts the addresses on
//! their interfaces and says [`Command::Placed`]; the election announces them. So an advert goes out first, then
//! the address is there, then it is announced.
//!
//! Instances have numbers. Those of a new configuration are others, so going over to one ([`Elections::adopt`]) ends with
//! [`Report::Renumbered`]: what comes before has the old numbers, what comes after the new ones.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`Elections`] | the director's end: starts, is told, tells |
//! | `plan` | the instances of a configuration, ready to begin or to go on with |
//! | `turns` | the loop |
//! | `interfaces` | follows links and addresses |
//! | `wire` | the sockets |

mod interfaces;
mod plan;
mod succession;
mod turns;
mod wire;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::standings;
use super::view::RoleView;
use crate::sys::clock;
use crate::vrrp::{Event, Spec};
use crate::wire::Addr;
pub(in crate::control) use interfaces::Interfaces;
pub(in crate::control) use plan::Plan;
use turns::Turns;

/// Where the next director finds how instances stand.
pub(in crate::control) type Record = standings::Record<Spec>;
/// How they stood when a director before this one ended.
pub(in crate::control) type Legacy = standings::Legacy<Spec>;

/// Why elections cannot be held.
#[derive(Debug, thiserror::Error)]
pub enum ElectionError {
    /// An instance's interface, or that of one of its addresses, does not exist.
    #[error("there is no interface {device} for instance {instance}; check `interface` and `dev` in the configuration")]
    NoDevice {
        /// The interface.
        device: String,
        /// The instance.
        instance: String,
    },
    /// A socket or the thread was refused.
    #[error("cannot {what} for elections")]
    System {
        /// What failed.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// What the thread is told. Instances go by their place in the configuration.
#[derive(Debug)]
pub enum Command {
    /// Go over to another configuration, and say [`Report::Renumbered`].
    Adopt(Box<Plan>),
    /// The addresses of an instance are on their interfaces.
    Placed(usize),
    /// What a tracker adds to the priority of an instance from now on.
    Weigh {
        /// The instance.
        instance: usize,
        /// The tracker.
        tracker: String,
        /// What it adds; negative takes away.
        weight: i16,
    },
    /// Whether a condition holds without which an instance cannot take part.
    Require {
        /// The instance.
        instance: usize,
        /// The tracker.
        tracker: String,
        /// Whether it is met.
        met: bool,
    },
    /// This neighbour is dead.
    Lost(Addr),
    /// Whether living masters are to be respected, however low.
    Respect(bool),
    /// Say goodbye, and end when somebody else leads or nobody will.
    Stop,
}

/// What the thread tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// An instance became master: forward, place its addresses, say [`Command::Placed`].
    Take(usize),
    /// An instance is master no longer.
    Leave(usize),
    /// Something happened.
    Happened(Event),
    /// From now on instances have the numbers of the configuration that was adopted.
    Renumbered,
}

/// The director's end of the elections.
#[derive(Debug)]
pub struct Elections {
    commands: Sender<Command>,
    wake: Arc<OwnedFd>,
    reports: UnboundedReceiver<Report>,
    board: Arc<Mutex<Board>>,
    thread: Option<JoinHandle<()>>,
}

/// What listings show, as of the latest turn.
#[derive(Debug, Default)]
struct Board(Vec<(RoleView, Duration)>);

impl Elections {
    /// Starts the thread, without instances so far. It keeps their standing in `record`.
    pub(in crate::control) fn start(record: Record) -> Result<Self, ElectionError> {
        let system = |what| move |source| ElectionError::System { what, source };
        let interfaces = Interfaces::connect().map_err(system("follow interfaces"))?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let wake =
            Arc::new(wake.map_err(|error| ElectionError::System { what: "make a waker", source: error.into() })?);
        let (commands, inbox) = channel();
        let (outbox, reports) = unbounded_channel();
        let board = Arc::new(Mutex::new(Board::default()));
        let turns = Turns::new(interfaces, (inbox, Arc::clone(&wake)), outbox, Arc::clone(&board), record);
        let mut turns = turns.map_err(system("open sockets"))?;
        let thread = std::thread::Builder::new().name("vrrp".to_owned());
        let thread = thread.spawn(move || turns.run()).map_err(system("start a thread"))?;
        Ok(Self { commands, wake, reports, board, thread: Some(thread) })
    }

    /// Goes over to another configuration, and gives what had been reported before, with the numbers of before. From then on
    /// [`roles`](Self::roles) are those of that configuration.
    pub async fn adopt(&mut self, plan: Plan) -> Vec<Report> {
        self.tell(Command::Adopt(Box::new(plan)));
        let mut before = Vec::new();
        // The thread waits for nothing, and answers within a turn.
        while let Some(report) = self.reports.recv().await.filter(|report| *report != Report::Renumbered) {
            before.push(report);
        }
        before
    }

    /// The next report. May be dropped while waiting; nothing is lost.
    pub async fn next(&mut self) -> Option<Report> {
        self.reports.recv().await
    }

    /// A report that is there already.
    pub fn try_next(&mut self) -> Option<Report> {
        self.reports.try_recv().ok()
    }

    /// Tells the thread something.
    pub fn tell(&self, command: Command) {
        // It ends only after `Command::Stop`, and then nothing matters to it.
        let _ = self.commands.send(command);
        let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
    }

    /// Whether all elections have ended after [`Command::Stop`].
    pub fn have_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until all elections have ended after [`Command::Stop`]. Gives what was not heard of yet.
    pub fn stop(mut self) -> Vec<Event> {
        if let Some(thread) = self.thread.take() {
            // A panic there has ended the process.
            let _ = thread.join();
        }
        let rest = std::iter::from_fn(|| self.try_next());
        rest.filter_map(|report| if let Report::Happened(event) = report { Some(event) } else { None }).collect()
    }

    /// All instances with their roles.
    pub fn roles(&self) -> Vec<RoleView> {
        let now = clock::now();
        let board = self.board.lock().expect("no holder panics");
        let aged = |(view, since): &(RoleView, Duration)| RoleView {
            seconds: now.saturating_sub(*since).as_secs(),
            ..view.clone()
        };
        board.0.iter().map(aged).collect()
    }
}
