//! One session (RFC 5880 6.8).
//!
//! ```text
//!            hears Down                hears Init or Up
//!   Down ────────────────▶ Init ─────────────────────────▶ Up
//!     │ ▲                   │                               │
//!     │ └─── hears nothing ─┴── hears nothing, or Down ─────┘
//!     └───────── hears Init ───────────────────────────────▶
//! ```
//!
//! It has two timers: when to send next, and when the neighbour counts as dead. While it is not up it sends every
//! `idle_tx`; going up changes that to `min_tx`, and a poll tells the neighbour and asks until it has answered (6.8.3).
//! A change of state is sent at once (6.8.7), so that the neighbour does not learn of it an interval later.

use std::time::Duration;

use super::spec::Spec;
use super::standing::{Remote, Standing, Times};
use super::wire::{Diagnostic, Packet, State};

/// A session; see the module documentation.
#[derive(Clone, Debug)]
pub struct Session {
    spec: Spec,
    state: State,
    diagnostic: Diagnostic,
    /// Our name for it, which the neighbour returns; not 0.
    discriminator: u32,
    remote: Remote,
    /// Asks the neighbour to confirm our new times.
    polling: bool,
    /// Our times before they changed while the session was up: both hold until the neighbour has confirmed the new ones.
    before: Option<Times>,
    sent_at: Option<Duration>,
    send_at: Option<Duration>,
    expires_at: Option<Duration>,
    detection: Duration,
    since: Duration,
    /// It was up until the neighbour said AdminDown.
    excused: bool,
    random: u32,
    out: Vec<Packet>,
    change: Option<Change>,
}

/// The first values of 6.8.1.
const UNHEARD: Remote =
    Remote { discriminator: 0, state: State::Down, min_rx: Duration::from_micros(1), demand: false };

/// The session went up, or is up no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is up.
    Up,
    /// It has failed, or was ended here.
    Down(Diagnostic),
    /// The neighbour has ended it on purpose, which says nothing of neighbour or path (RFC 5882, 4.2).
    Excused,
}

impl Session {
    /// A session that begins to speak at once, unless it is passive. `seed` spreads its packets.
    pub fn new(spec: Spec, discriminator: u32, seed: u32, now: Duration) -> Self {
        let mut session = Self {
            state: State::Down,
            diagnostic: Diagnostic::None,
            discriminator: discriminator.max(1),
            remote: UNHEARD,
            polling: false,
            before: None,
            sent_at: None,
            send_at: None,
            expires_at: None,
            detection: Duration::ZERO,
            since: now,
            excused: false,
            random: seed.max(1),
            out: Vec::new(),
            change: None,
            spec,
        };
        session.send_at = session.speaks().then_some(now);
        session
    }

    /// A session that goes on where another process has left it, which has sent its last packet some time ago. `None` if no
    /// session can stand so. `seed` spreads its packets.
    pub fn resume(spec: Spec, standing: Standing, seed: u32, now: Duration) -> Option<Self> {
        if !standing.is_sound(now) {
            return None;
        }
        let Standing { state, diagnostic, since, excused, discriminator, remote, times, before, polling, detection } =
            standing;
        let heard = remote.discriminator != 0;
        let mut session = Self {
            state,
            diagnostic,
            remote,
            polling,
            before,
            expires_at: heard.then(|| now + detection),
            detection,
            since,
            excused,
            ..Self::new(spec, discriminator, seed, now)
        };
        if session.is_up() && times != session.times() {
            session.polling = true;
            session.before.get_or_insert(times);
        }
        session.send_at = session.speaks().then_some(now);
        Some(session)
    }

    /// How it stands, for another process to go on.
    pub fn standing(&self) -> Standing {
        Standing {
            state: self.state,
            diagnostic: self.diagnostic,
            since: self.since,
            excused: self.excused,
            discriminator: self.discriminator,
            remote: self.remote,
            times: self.times(),
            before: self.before,
            polling: self.polling,
            detection: self.detection,
        }
    }

    fn times(&self) -> Times {
        Times { min_tx: self.spec.min_tx, min_rx: self.spec.min_rx }
    }

    fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// Goes on under another configuration, in the same state. Of changed times the neighbour is told at once, and asked to
    /// confirm them; until then it is sent packets no more rarely than before, and may be silent for as long (6.8.3).
    pub fn configure(&mut self, spec: Spec, now: Duration) {
        let before = (self.times(), self.spec.multiplier);
        self.spec = spec;
        if before == (self.times(), self.spec.multiplier) {
            return self.reschedule(now);
        }
        if self.is_up() {
            self.polling = true;
            self.before.get_or_insert(before.0);
        }
        if self.speaks() {
            self.emit(false, now);
        }
    }

    /// What it is configured to do.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Our end's state.
    pub fn state(&self) -> State {
        self.state
    }

    /// The neighbour's, as it last said.
    pub fn remote_state(&self) -> State {
        self.remote.state
    }

    /// Why it went down last.
    pub fn diagnostic(&self) -> Diagnostic {
        self.diagnostic
    }

    /// Since when it has its state.
    pub fn since(&self) -> Duration {
        self.since
    }

    /// Whether it was up until the neighbour ended it on purpose, and has not been up again.
    pub fn is_excused(&self) -> bool {
        self.excused
    }

    /// Our name for it.
    pub fn discriminator(&self) -> u32 {
        self.discriminator
    }

    /// The time between our packets, before they are spread.
    pub fn interval(&self) -> Duration {
        let confirmed = self.before.map_or(Duration::MAX, |before| before.min_tx);
        self.min_tx().min(confirmed).max(self.remote.min_rx)
    }

    /// How long the neighbour may be silent; zero before it is heard.
    pub fn detection(&self) -> Duration {
        self.detection
    }

    /// When [`fire`](Self::fire) is due.
    pub fn deadline(&self) -> Option<Duration> {
        [self.send_at, self.expires_at].into_iter().flatten().min()
    }

    /// What is to be sent since this was last asked.
    pub fn take_packets(&mut self) -> Vec<Packet> {
        std::mem::take(&mut self.out)
    }

    /// Whether it went up or down since this was last asked.
    pub fn take_change(&mut self) -> Option<Change> {
        self.change.take()
    }

    /// A packet of the neighbour that was not discarded (6.8.6).
    pub fn received(&mut self, packet: &Packet, now: Duration) {
        if self.state == State::AdminDown {
            return;
        }
        let heard =
            Remote { discriminator: packet.mine, state: packet.state, min_rx: packet.min_rx, demand: packet.demand };
        let before = std::mem::replace(&mut self.remote, heard);
        if packet.last {
            (self.polling, self.before) = (false, None);
        }
        // 6.8.4: the neighbour's multiplier, times the slower of what it offers and what we asked for.
        let ours = self.before.map_or(self.spec.min_rx, |before| before.min_rx.max(self.spec.min_rx));
        let pace = ours.max(packet.min_tx);
        self.detection = pace * u32::from(packet.multiplier);
        self.expires_at = Some(now + self.detection);
        let silent = self.send_at.is_none();
        self.follow(packet.state, now);
        if packet.poll {
            // An answer goes out whatever the timers say.
            self.emit(true, now);
        }
        if silent || before.min_rx != heard.min_rx || before.demand != heard.demand {
            self.reschedule(now);
        }
    }

    /// Time has passed. All that was received before must have been handed over.
    pub fn fire(&mut self, now: Duration) {
        if self.expires_at.is_some_and(|at| now >= at) {
            self.expires_at = None;
            // 6.8.1, bfd.RemoteDiscr. A neighbour that starts anew is a new one.
            self.remote = UNHEARD;
            if matches!(self.state, State::Init | State::Up) {
                self.enter(State::Down, Diagnostic::Expired, now);
            } else {
                self.reschedule(now);
            }
        }
        if self.send_at.is_some_and(|at| now >= at) {
            self.emit(false, now);
        }
    }

    /// The director ends: the neighbour is told, so that it does not wait in vain.
    pub fn stop(&mut self, now: Duration) {
        if std::mem::take(&mut self.excused) {
            self.change = Some(Change::Down(Diagnostic::Administrative));
        }
        self.enter(State::AdminDown, Diagnostic::Administrative, now);
        (self.send_at, self.expires_at) = (None, None);
    }

    /// The state machine of 6.2 and 6.8.6.
    fn follow(&mut self, remote: State, now: Duration) {
        match (self.state, remote) {
            (State::Init | State::Up, State::AdminDown) | (State::Up, State::Down) => {
                self.enter(State::Down, Diagnostic::Neighbour, now);
            }
            (State::Down, State::Down) => self.enter(State::Init, self.diagnostic, now),
            (State::Down, State::Init) | (State::Init, State::Init | State::Up) => {
                self.enter(State::Up, Diagnostic::None, now);
            }
            (State::AdminDown, _)
            | (State::Down, State::AdminDown | State::Up)
            | (State::Init, State::Down)
            | (State::Up, State::Init | State::Up) => {}
        }
    }

    fn enter(&mut self, state: State, diagnostic: Diagnostic, now: Duration) {
        let was_up = self.state == State::Up;
        (self.state, self.diagnostic, self.since) = (state, diagnostic, now);
        let up = state == State::Up;
        // Our interval changes with it, and is confirmed only between two that are up.
        (self.polling, self.before) = (up, None);
        if up != was_up {
            self.excused = !up && self.remote.state == State::AdminDown;
            self.change = Some(match self.excused {
                true => Change::Excused,
                false if up => Change::Up,
                false => Change::Down(diagnostic),
            });
        }
        if self.speaks() {
            self.emit(false, now);
        } else {
            self.send_at = None;
        }
    }

    /// Whether packets go out by themselves (6.8.7).
    fn speaks(&self) -> bool {
        let waits = self.spec.passive && self.remote.discriminator == 0;
        let spared = self.remote.demand && self.state == State::Up && self.remote.state == State::Up && !self.polling;
        !waits && !spared && !self.remote.min_rx.is_zero()
    }

    fn emit(&mut self, answers: bool, now: Duration) {
        self.out.push(Packet {
            diagnostic: self.diagnostic,
            state: self.state,
            // Never both in one packet.
            poll: self.polling && !answers,
            last: answers,
            demand: false,
            multiplier: self.spec.multiplier,
            mine: self.discriminator,
            yours: self.remote.discriminator,
            min_tx: self.min_tx(),
            min_rx: self.spec.min_rx,
        });
        // An answer is besides the rhythm: whoever asks often must not silence us.
        if !answers {
            self.sent_at = Some(now);
            self.reschedule(now);
        }
    }

    /// The next packet is an interval after the last one, by what the interval is now (6.8.3).
    fn reschedule(&mut self, now: Duration) {
        let interval = self.spread(self.interval());
        self.send_at = self.speaks().then(|| self.sent_at.map_or(now, |sent| (sent + interval).max(now)));
    }

    fn min_tx(&self) -> Duration {
        if self.state == State::Up { self.spec.min_tx } else { self.spec.idle_tx }
    }

    /// Less by up to a quarter, so that sessions do not fall into step; by a tenth at least where one missing packet
    /// counts (6.8.7).
    fn spread(&mut self, interval: Duration) -> Duration {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        let least = if self.spec.multiplier == 1 { 100 } else { 0 };
        let thousandths = least + self.random % (251 - least);
        interval - interval * thousandths / 1000
    }
}

#[cfg(test)]
mod tests;
