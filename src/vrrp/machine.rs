//! The election of one instance (RFC 5798 6.4).
//!
//! ```text
//!                     usable                      silence, or told by the group
//!   Fault ──────────────────────────▶ Backup ────────────────────────────────────▶ Master
//!     ▲                                 │  ▲                                          │
//!     └────────── not usable ───────────┘  └── a higher advert, or told by the group ─┘
//! ```
//!
//! Promises. A master advertises at every interval whatever it hears: only an advert of its own moves its timer.
//! A backup becomes master only by [`Input::Deadline`] (or by its group), so a shell that hands over everything received
//! before it lets time pass never takes over from a master that is alive. [`Machine::deadline`] says when to come back.

#[cfg(test)]
mod tests;

use std::time::Duration;

use arrayvec::ArrayVec;

use super::accept::Heard;
use super::role::{Cause, Role};
use super::spec::{Preempt, Spec, Version};
use super::standing::Standing;
use super::timers::{master_down, skew};
use crate::wire::Addr;

/// What a machine is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// An advert that counts, from another router.
    Heard(Heard),
    /// Time has passed; perhaps the deadline.
    Deadline,
    /// It can take part, sending from this address, or no longer.
    Usable(Option<Addr>),
    /// The shell is awake, perhaps after a long sleep; to be said before what was received meanwhile.
    Woke,
    /// Its effective priority.
    Priority(u8),
    /// The master is dead: somebody who looks more often than it advertises (BFD) has noticed.
    Lost,
    /// Whether any living master is to be respected, however low: there is more to be learned from it.
    Respect(bool),
    /// All members of its group are ready: be master.
    Lead,
    /// A member of its group gave way: be backup.
    Yield,
    /// The director ends.
    Stop,
    /// The configuration has it no more.
    Remove,
}

/// What is to be done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send an advert of this priority.
    Send(u8),
    /// Take the addresses and announce them.
    Take,
    /// Give the addresses up.
    Leave,
    /// Announce the addresses again: somebody else may have.
    Reassert,
    /// The role changed.
    Entered(Role, Cause),
}

/// Of several backups that found the master dead, the best should lead, but the skew of a second would spoil what was won:
/// this part of it is enough for an advert to get to the others.
const HASTE: u32 = 8;
/// The longest interval that an advert of version 3 can name: 12 bits of hundredths (RFC 5798 5.2.7).
const LONGEST: Duration = Duration::from_millis(40_950);

/// At most this many actions follow from one input.
pub const MOST: usize = 4;

/// What follows from an input.
pub type Actions = ArrayVec<Action, MOST>;

/// The election of one instance; see the module documentation.
#[derive(Clone, Debug)]
pub struct Machine {
    version: Version,
    interval: Duration,
    down_adverts: u8,
    preempt: Preempt,
    respectful: bool,
    owner_from_start: bool,
    /// What it was before this machine was made, and nobody has heard otherwise.
    resumes: Option<Standing>,
    manners: super::spec::Manners,
    yields_after: Option<Duration>,
    /// Waits for its group before it becomes master.
    grouped: bool,
    /// Effective.
    priority: u8,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fault,
    Backup(Backup),
    Master(Master),
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Backup {
    own: Addr,
    /// `Master_Adver_Interval`.
    interval: Duration,
    /// When the master counts as down. `None`: it does, and the group is not ready.
    down_at: Option<Duration>,
    /// Since a lower master was first heard: when it need not be respected any longer.
    preempt_at: Option<Duration>,
    /// Why it counts as down, when it does.
    down_by: Cause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Master {
    own: Addr,
    advert_at: Duration,
    /// When a lower advert was last answered.
    answered: Option<Duration>,
}

impl Machine {
    /// An instance that cannot take part yet. `grouped`: it belongs to a group.
    pub fn new(spec: &Spec, grouped: bool) -> Self {
        Self {
            version: spec.version,
            interval: spec.interval,
            down_adverts: spec.down_adverts,
            preempt: spec.preempt,
            resumes: None,
            respectful: false,
            owner_from_start: spec.starts_as_master && spec.priority == u8::MAX,
            manners: spec.manners,
            yields_after: spec.yields_after,
            grouped,
            priority: spec.priority,
            state: State::Fault,
        }
    }

    /// Has it go on with this as soon as it can take part: this host stood so until now, and said no goodbye.
    pub fn resume(&mut self, standing: Standing) {
        self.resumes = Some(standing);
    }

    /// What another machine must know to go on in its place; `None` if it takes no part.
    pub fn standing(&self) -> Option<Standing> {
        match self.state {
            State::Master(Master { advert_at, .. }) => Some(Standing::Master { advert_at }),
            State::Backup(Backup { interval, down_at, preempt_at, .. }) => {
                Some(Standing::Backup { interval, down_at: down_at.unwrap_or_default(), preempt_at })
            }
            State::Fault | State::Stopped => None,
        }
    }

    /// Goes on under another configuration, in the same role; `priority` is the effective one. A master's next advert
    /// is no later than it would have been, and no later than the new interval allows; what a backup has heard counts
    /// from when it was heard.
    pub fn configure(&mut self, spec: &Spec, grouped: bool, priority: u8, now: Duration) {
        let before = self.clone();
        self.version = spec.version;
        self.interval = spec.interval;
        self.down_adverts = spec.down_adverts;
        self.preempt = spec.preempt;
        self.owner_from_start = spec.starts_as_master && spec.priority == u8::MAX;
        self.manners = spec.manners;
        self.yields_after = spec.yields_after;
        self.grouped = grouped;
        self.priority = priority;
        match &mut self.state {
            State::Master(master) => master.advert_at = master.advert_at.min(now + spec.interval),
            State::Backup(backup) => {
                let was = before.down_after(backup.interval);
                // In version 3 it is the master's interval that counts, whatever ours is.
                if spec.version == Version::V2 {
                    backup.interval = spec.interval;
                }
                let waits = master_down(spec.version, backup.interval, priority, spec.down_adverts);
                if backup.down_by == Cause::Silence {
                    backup.down_at = backup.down_at.map(|at| (at + waits).saturating_sub(was).max(now));
                }
            }
            State::Fault | State::Stopped => {}
        }
    }

    /// What it is.
    pub fn role(&self) -> Role {
        match self.state {
            State::Fault => Role::Fault,
            State::Backup(_) => Role::Backup,
            State::Master(_) => Role::Master,
            State::Stopped => Role::Stopped,
        }
    }

    /// Its effective priority.
    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// Whether it is master, or would be if its group were ready.
    pub fn leads_or_would(&self) -> bool {
        match self.state {
            State::Master(_) => true,
            State::Backup(backup) => backup.down_at.is_none(),
            State::Fault | State::Stopped => false,
        }
    }

    /// When [`Input::Deadline`] is due.
    pub fn deadline(&self) -> Option<Duration> {
        match self.state {
            State::Backup(backup) => backup.down_at,
            State::Master(master) => Some(master.advert_at),
            State::Fault | State::Stopped => None,
        }
    }

    /// Takes an input in and says what follows.
    pub fn handle(&mut self, input: Input, now: Duration) -> Actions {
        let mut actions = Actions::new();
        match (self.state, input) {
            (State::Stopped, _) => {}
            (_, Input::Priority(priority)) => self.priority = priority,
            (_, Input::Respect(respectful)) => self.respectful = respectful,
            (state, Input::Stop) => self.leave(state, State::Stopped, Cause::Stop, &mut actions),
            (state, Input::Remove) => self.leave(state, State::Stopped, Cause::Removed, &mut actions),
            (State::Fault, Input::Usable(Some(own))) => self.start(own, now, &mut actions),
            (State::Fault, _) => {}
            (state, Input::Usable(None)) => self.leave(state, State::Fault, Cause::Unusable, &mut actions),
            (state, Input::Usable(Some(own))) => self.state = state.sending_from(own),
            (State::Backup(backup), input) => self.as_backup(backup, input, now, &mut actions),
            (State::Master(master), input) => self.as_master(master, input, now, &mut actions),
        }
        actions
    }

    fn start(&mut self, own: Addr, now: Duration, actions: &mut Actions) {
        if let Some(standing) = self.resumes.take() {
            return self.go_on(own, standing, now, actions);
        }
        if self.owner_from_start && !self.grouped {
            return self.lead(own, Cause::Owner, now, actions);
        }
        self.state = self.backup(own, self.interval, now);
        actions.push(Action::Entered(Role::Backup, Cause::Usable));
    }

    /// A master's advert is due when it was, or at once if that is past. A backup was deaf meanwhile: it gives the master
    /// the chance of one more advert, but does not begin to wait anew.
    fn go_on(&mut self, own: Addr, standing: Standing, now: Duration, actions: &mut Actions) {
        match standing {
            Standing::Master { advert_at } if self.is_late(advert_at, now) => {
                self.state = self.backup(own, self.interval, now);
                actions.push(Action::Entered(Role::Backup, Cause::Late));
            }
            Standing::Master { advert_at } => {
                let next = now + self.interval;
                let advert_at = if advert_at <= now {
                    actions.push(Action::Send(self.priority));
                    next
                } else {
                    advert_at.min(next)
                };
                self.state = State::Master(Master { own, advert_at, answered: None });
                actions.push(Action::Take);
                actions.push(Action::Entered(Role::Master, Cause::Resumed));
            }
            Standing::Backup { interval, down_at, preempt_at } => {
                // Whoever wrote it may have been dying, or mean harm.
                let interval = if self.version == Version::V3 { interval.min(LONGEST) } else { self.interval };
                let one_more = now + interval + skew(self.version, interval, self.priority);
                let down_at = down_at.max(one_more).min(now + self.down_after(interval));
                self.state = State::Backup(Backup {
                    own,
                    interval,
                    down_at: Some(down_at),
                    preempt_at,
                    down_by: Cause::Silence,
                });
                actions.push(Action::Entered(Role::Backup, Cause::Resumed));
            }
        }
    }

    fn as_backup(&mut self, backup: Backup, input: Input, now: Duration, actions: &mut Actions) {
        match input {
            Input::Heard(heard) => self.state = State::Backup(self.hear_as_backup(backup, heard, now)),
            Input::Deadline if backup.down_at.is_some_and(|down_at| now >= down_at) => {
                if self.grouped {
                    self.state = State::Backup(Backup { down_at: None, ..backup });
                } else {
                    self.lead(backup.own, backup.down_by, now, actions);
                }
            }
            Input::Lost => {
                let soon = now + skew(self.version, backup.interval, self.priority) / HASTE;
                self.state = State::Backup(backup.down_by(soon, Cause::Lost));
            }
            Input::Lead => self.lead(backup.own, Cause::Group, now, actions),
            Input::Deadline | Input::Yield | Input::Woke | Input::Usable(_) => {}
            // Seen to before.
            Input::Priority(_) | Input::Respect(_) | Input::Stop | Input::Remove => {}
        }
    }

    /// RFC 5798 6.4.2 (420) to (465), with the delay of keepalived's `preempt_delay`.
    fn hear_as_backup(&self, backup: Backup, heard: Heard, now: Duration) -> Backup {
        if heard.priority == 0 {
            // Never later than before: goodbyes that are repeated do not keep us waiting.
            let soon = now + skew(self.version, backup.interval, self.priority);
            return backup.down_by(soon, Cause::Released);
        }
        let (respected, preempt_at) = match self.preempt {
            _ if heard.priority >= self.priority => (true, None),
            // The delay of a preemption runs meanwhile.
            Preempt::After(delay) if self.respectful => (true, Some(backup.preempt_at.unwrap_or(now + delay))),
            Preempt::Never => (true, None),
            Preempt::After(delay) => {
                let at = backup.preempt_at.unwrap_or(now + delay);
                (now < at, Some(at))
            }
        };
        if !respected {
            return Backup { preempt_at, ..backup };
        }
        let interval = self.interval_of(heard);
        Backup {
            interval,
            down_at: Some(now + self.down_after(interval)),
            preempt_at,
            down_by: Cause::Silence,
            ..backup
        }
    }

    fn as_master(&mut self, master: Master, input: Input, now: Duration, actions: &mut Actions) {
        match input {
            Input::Heard(heard) => self.hear_as_master(master, heard, now, actions),
            Input::Deadline if now >= master.advert_at => {
                actions.push(Action::Send(self.priority));
                // In step with the intervals before, unless one was missed altogether.
                let next = (master.advert_at + self.interval).max(now);
                let advert_at = if next == now { now + self.interval } else { next };
                self.state = State::Master(Master { advert_at, ..master });
            }
            Input::Yield => {
                let backup = self.backup(master.own, self.interval, now);
                self.leave(self.state, backup, Cause::Group, actions);
            }
            Input::Woke if self.is_late(master.advert_at, now) => {
                self.state = self.backup(master.own, self.interval, now);
                actions.push(Action::Leave);
                actions.push(Action::Entered(Role::Backup, Cause::Late));
            }
            Input::Deadline | Input::Woke | Input::Lead | Input::Lost | Input::Usable(_) => {}
            // Seen to before.
            Input::Priority(_) | Input::Respect(_) | Input::Stop | Input::Remove => {}
        }
    }

    /// Whether the last advert was so long ago that another router has had the time to take over.
    fn is_late(&self, advert_at: Duration, now: Duration) -> bool {
        self.yields_after.is_some_and(|after| now + self.interval >= advert_at + after)
    }

    /// RFC 5798 6.4.3 (700) to (770).
    fn hear_as_master(&mut self, master: Master, heard: Heard, now: Duration, actions: &mut Actions) {
        let advert_at = now + self.interval;
        if heard.priority == 0 {
            if self.may_answer(master, now) {
                actions.push(Action::Send(self.priority));
                self.state = State::Master(Master { advert_at, answered: Some(now), ..master });
            }
        } else if (heard.priority, heard.from) > (self.priority, master.own) {
            if self.manners.owner_stays && self.priority == u8::MAX {
                return;
            }
            if self.manners.answers_higher {
                actions.push(Action::Send(self.priority));
            }
            let interval = self.interval_of(heard);
            self.state = self.backup(master.own, interval, now);
            actions.push(Action::Leave);
            actions.push(Action::Entered(Role::Backup, Cause::Higher(heard.from, heard.priority)));
        } else if self.may_answer(master, now) {
            let mut master = Master { answered: Some(now), ..master };
            if self.manners.answers_lower {
                actions.push(Action::Send(self.priority));
                master.advert_at = advert_at;
            }
            actions.push(Action::Reassert);
            self.state = State::Master(master);
        }
    }

    /// A queue of adverts that piled up is answered once: ten answers an interval are the most.
    fn may_answer(&self, master: Master, now: Duration) -> bool {
        master.answered.is_none_or(|before| now >= before + self.interval / 10)
    }

    fn lead(&mut self, own: Addr, cause: Cause, now: Duration, actions: &mut Actions) {
        self.state = State::Master(Master { own, advert_at: now + self.interval, answered: None });
        actions.push(Action::Send(self.priority));
        actions.push(Action::Take);
        actions.push(Action::Entered(Role::Master, cause));
    }

    /// A master says goodbye before it gives its addresses up.
    fn leave(&mut self, from: State, to: State, cause: Cause, actions: &mut Actions) {
        if matches!(from, State::Master(_)) {
            actions.push(Action::Send(0));
            actions.push(Action::Leave);
        }
        self.state = to;
        actions.push(Action::Entered(self.role(), cause));
    }

    fn backup(&self, own: Addr, interval: Duration, now: Duration) -> State {
        let down_at = Some(now + self.down_after(interval));
        State::Backup(Backup { own, interval, down_at, preempt_at: None, down_by: Cause::Silence })
    }

    /// The interval to expect adverts of this master at. One of 0 cannot be meant: it would count as down at once.
    fn interval_of(&self, heard: Heard) -> Duration {
        let tells = self.version == Version::V3 && !heard.interval.is_zero();
        if tells { heard.interval } else { self.interval }
    }

    fn down_after(&self, interval: Duration) -> Duration {
        master_down(self.version, interval, self.priority, self.down_adverts)
    }
}

impl State {
    fn sending_from(self, own: Addr) -> Self {
        match self {
            State::Backup(backup) => State::Backup(Backup { own, ..backup }),
            State::Master(master) => State::Master(Master { own, ..master }),
            State::Fault | State::Stopped => self,
        }
    }
}

impl Backup {
    /// With a master that counts as down at `soon` for this reason, unless it did before.
    fn down_by(self, soon: Duration, cause: Cause) -> Self {
        Self { down_at: self.down_at.map(|down_at| down_at.min(soon)), down_by: cause, ..self }
    }
}
