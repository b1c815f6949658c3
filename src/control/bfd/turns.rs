//! The loop: wait, take in everything, let time pass, send.

use std::os::fd::OwnedFd;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::mpsc::UnboundedSender;

use super::sockets::Sockets;
use super::{Board, Command, Prepared, Random, Record, SessionChange};
use crate::bfd::sessions::Counters;
use crate::bfd::wire::Rejection;
use crate::bfd::{Session, Sessions, Spec};
use crate::control::view::BfdView;
use crate::sys::{clock, scheduling};

/// How often listings are brought up to date at most.
const POST: Duration = Duration::from_millis(50);

/// All that the thread holds.
pub(super) struct Turns {
    sessions: Sessions,
    sockets: Sockets,
    commands: Receiver<Command>,
    /// Written to when there is a command.
    wake: Arc<OwnedFd>,
    changes: UnboundedSender<SessionChange>,
    board: Arc<Mutex<Board>>,
    record: Record,
    posted: Option<Duration>,
}

impl Turns {
    pub(super) fn new(
        (commands, wake): (Receiver<Command>, Arc<OwnedFd>),
        changes: UnboundedSender<SessionChange>,
        board: Arc<Mutex<Board>>,
        record: Record,
    ) -> Self {
        let (sessions, sockets) = (Sessions::default(), Sockets::default());
        Self { sessions, sockets, commands, wake, changes, board, record, posted: None }
    }

    /// Turns until told to stop.
    pub(super) fn run(&mut self) {
        if let Err(error) = scheduling::go_first() {
            tracing::debug!(%error, "BFD runs without real-time priority");
        }
        loop {
            let now = clock::now();
            let _ = rustix::io::read(&*self.wake, &mut [0; 8]);
            while let Ok(command) = self.commands.try_recv() {
                match command {
                    Command::Follow { prepared, random, done } => {
                        self.follow(prepared, random, now);
                        // Nobody may wait any more.
                        let _ = done.send(());
                    }
                    Command::Stop => {
                        self.sessions.stop(now);
                        return self.send();
                    }
                }
            }
            let Self { sockets, sessions, .. } = self;
            sockets.drain(|origin, bytes| sessions.received(origin, bytes, now));
            self.sessions.fire(now);
            self.note();
            self.send();
            self.tell(now);
            self.wait();
        }
    }

    /// Goodbye by the old sockets, everything else by the new ones.
    fn follow(&mut self, Prepared { specs, sockets, legacy }: Prepared, random: Random, now: Duration) {
        self.sessions.retire(|spec| specs.iter().any(|other| other.is_same_session(spec)), now);
        self.send();
        self.tell(now);
        self.sockets.adopt(sockets);
        self.sessions.adopt(specs, random, |spec| legacy.standing(spec), now);
        let specs = self.sessions.iter().map(|(session, _)| session.spec());
        if let Err(error) = self.record.renumber(specs) {
            tracing::error!("the next director cannot be told how sessions of BFD stand: {error}");
        }
        let board = Arc::clone(&self.board);
        self.list(&mut board.lock().expect("no holder panics"), now);
    }

    /// Keeps how sessions stand for the next director, before a neighbour is told.
    fn note(&mut self) {
        for (number, (session, _)) in self.sessions.iter().enumerate() {
            if let Err(error) = self.record.note(number, Some(session.standing())) {
                tracing::debug!(number, %error, "the next director does not know how a session of BFD stands");
            }
        }
    }

    fn send(&mut self) {
        for (session, packet) in self.sessions.take_packets() {
            if let Err(error) = self.sockets.send(session, &packet.emit()) {
                tracing::debug!(session, %error, "a BFD packet was not sent");
            }
        }
    }

    fn tell(&mut self, now: Duration) {
        let changes = self.sessions.take_changes();
        let changed = !changes.is_empty();
        for (session, change) in changes {
            let Some((session, _)) = self.sessions.iter().nth(session) else { continue };
            let Spec { name, neighbour, .. } = session.spec();
            let change = SessionChange { name: name.clone(), neighbour: *neighbour, change };
            // The director listens for as long as it lives.
            let _ = self.changes.send(change);
        }
        if !changed && self.posted.is_some_and(|posted| now < posted + POST) {
            return;
        }
        let board = Arc::clone(&self.board);
        if let Ok(mut board) = board.try_lock() {
            self.list(&mut board, now);
        }
    }

    fn list(&mut self, board: &mut Board, now: Duration) {
        *board = self.sessions.iter().map(|(session, counters)| (view(session, counters), session.since())).collect();
        self.posted = Some(now);
    }

    /// Until a deadline, a packet or a command.
    fn wait(&self) {
        let now = clock::now();
        scheduling::rest(now);
        let left = self.sessions.deadline().map(|deadline| deadline.saturating_sub(now));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = vec![PollFd::new(&*self.wake, PollFlags::IN)];
        fds.extend(self.sockets.ears().map(|ear| PollFd::from_borrowed_fd(ear, PollFlags::IN)));
        // A signal only makes the turn an early one.
        let _ = poll(&mut fds, left.as_ref());
    }
}

fn view(session: &Session, counters: &Counters) -> BfdView {
    let spec = session.spec();
    let plain = [
        ("sent", counters.sent),
        ("received", counters.received),
        ("became-up", counters.ups),
        ("went-down", counters.downs),
    ];
    let rejected = Rejection::ALL.iter().map(|&why| (why.name(), counters.rejected[why as usize]));
    BfdView {
        name: spec.name.clone(),
        neighbour: spec.neighbour.into(),
        state: session.state().name().to_owned(),
        remote_state: session.remote_state().name().to_owned(),
        excused: session.is_excused(),
        diagnostic: session.diagnostic().number(),
        seconds: 0,
        interval: u64::try_from(session.interval().as_micros()).unwrap_or(u64::MAX),
        detection: u64::try_from(session.detection().as_micros()).unwrap_or(u64::MAX),
        counters: plain.into_iter().chain(rejected).map(|(name, count)| (name.to_owned(), count)).collect(),
    }
}
