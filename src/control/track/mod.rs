//! Tracking for real: what [`crate::track`] decides, fed by scripts, processes, files, interfaces and BFD.
//!
//! Each kind is watched by tasks of its own on the control thread; they report readings, the table says what follows, and
//! the director passes that on to the elections. Nothing of it waits: reading `/proc` is left to another thread.
//!
//! | part | what it watches |
//! | --- | --- |
//! | `scripts` | runs programs, ends those that take too long |
//! | `processes` | looks through `/proc` four times a second |
//! | `files` | is told of changes by inotify(7), and looks once a second besides |
//! | `links` | follows interfaces over netlink, or asks them |
//!
//! `watchers` starts and ends them as configurations come and go. What a new one asks for in the same words goes on
//! undisturbed; of what it asks for in others, the last reading holds until there is another.

pub(super) mod files;
mod links;
mod processes;
mod scripts;
mod watchers;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;

use super::bfd::SessionChange;
use super::view::{EffectView, TrackerView};
use crate::bfd::{Change, Diagnostic};
use crate::config::Config;
use crate::control::vrrp::Command;
use crate::sys::clock;
use crate::track::{Dependence, Effect, Order, Reading, Table, Tracker, Watch};
use crate::vrrp::Influence;
use watchers::{Number, Watchers};

/// A watched thing's number and what is seen of it.
type Report = (Number, Reading);
/// Where watchers report.
type Reports = UnboundedSender<Report>;

/// All trackers of a director.
#[derive(Debug)]
pub struct Trackers {
    table: Table,
    watchers: Watchers,
    reports: UnboundedReceiver<Report>,
    /// What becomes of the sessions of BFD.
    sessions: Option<UnboundedReceiver<SessionChange>>,
    /// Sessions that count as up from before, and when they count as down unless they come up.
    awaited: BTreeMap<String, Duration>,
    /// What instances are called.
    instances: Vec<String>,
    /// Something was read since this was last asked.
    news: bool,
}

impl Default for Trackers {
    /// Nothing is tracked so far.
    fn default() -> Self {
        let (sender, reports) = unbounded_channel();
        Self {
            table: Table::new(&Default::default(), |_| None, |_| false),
            watchers: Watchers::new(sender),
            reports,
            sessions: None,
            awaited: BTreeMap::new(),
            instances: Vec::new(),
            news: false,
        }
    }
}

impl Trackers {
    /// Hears of sessions from now on.
    pub fn hear(&mut self, sessions: UnboundedReceiver<SessionChange>) {
        self.sessions = Some(sessions);
    }

    /// Watches what a configuration asks for, and goes on watching what it asked for before. Must be called inside a
    /// `LocalSet`. `recall` knows readings of before that this does not, `takes_part` which instances need not wait for
    /// what has not been read yet, `is_up` which sessions of BFD count as up. Gives what is to be told to each instance.
    pub fn follow(
        &mut self,
        config: &Config,
        recall: impl Fn(&Tracker) -> Option<Reading>,
        takes_part: impl Fn(usize) -> bool,
        is_up: impl Fn(&str) -> bool,
    ) -> Vec<Vec<Influence>> {
        let before = &self.table;
        self.table =
            Table::new(&config.tracking, |tracker| before.reading(tracker).or_else(|| recall(tracker)), takes_part);
        self.instances = config.instances.iter().map(|instance| instance.election.name.clone()).collect();
        self.watchers.follow(config);
        let now = clock::now();
        let down = |name: &str| {
            self.table.readings().any(|(tracker, reading)| {
                tracker.watch == Watch::Bfd && tracker.name == name && reading == Reading::Down
            })
        };
        let unsure = config.bfd.iter().filter(|spec| !down(&spec.name) && !is_up(&spec.name));
        self.awaited =
            unsure.map(|spec| (spec.name.clone(), now + spec.idle_tx * u32::from(spec.multiplier))).collect();
        let mut influences = vec![Vec::new(); config.instances.len()];
        for (instance, tracker, Effect { met, weight }) in self.table.all() {
            influences[instance].push(Influence { tracker, met, weight });
        }
        influences
    }

    /// What the elections are to be told next. May be dropped while waiting; nothing is lost.
    pub async fn next(&mut self) -> Vec<Command> {
        loop {
            let late = self.awaited.values().min().copied();
            let commands = tokio::select! {
                Some((number, reading)) = self.reports.recv() => match self.watchers.place(number) {
                    Some(place) => self.read(place, reading),
                    // Nobody asks for it any more.
                    None => Vec::new(),
                },
                Some(change) = heard(&mut self.sessions) => self.session_changed(&change),
                () = until(late) => self.give_up_waiting(),
            };
            if !commands.is_empty() {
                return commands;
            }
        }
    }

    /// Whether something was read since this was last asked.
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// All trackers with what they see.
    pub fn readings(&self) -> impl Iterator<Item = (&Tracker, Reading)> {
        self.table.readings()
    }

    fn read(&mut self, place: usize, reading: Reading) -> Vec<Command> {
        self.news = true;
        self.table.read(place, reading).into_iter().flat_map(commands).collect()
    }

    /// What has not come up by now is down.
    fn give_up_waiting(&mut self) -> Vec<Command> {
        let now = clock::now();
        let (late, awaited) = std::mem::take(&mut self.awaited).into_iter().partition(|(_, until)| *until <= now);
        self.awaited = awaited;
        let late: BTreeMap<String, Duration> = late;
        let places = late.keys().filter_map(|name| self.session(name)).collect::<Vec<_>>();
        places.into_iter().flat_map(|place| self.read(place, Reading::Down)).collect()
    }

    /// The place of a session, if it is tracked.
    fn session(&self, name: &str) -> Option<usize> {
        self.table.readings().position(|(tracker, _)| tracker.watch == Watch::Bfd && tracker.name == name)
    }

    fn session_changed(&mut self, change: &SessionChange) -> Vec<Command> {
        let SessionChange { name, neighbour, change } = change;
        self.awaited.remove(name);
        let reading = match change {
            Change::Up => {
                tracing::info!("bfd {name}: up");
                Reading::Up
            }
            Change::Down(diagnostic) => {
                tracing::warn!("bfd {name}: down, {diagnostic}");
                Reading::Down
            }
            Change::Excused => {
                tracing::info!("bfd {name}: ended by the neighbour on purpose; counts as before");
                return Vec::new();
            }
        };
        let place = self.session(name);
        let mut commands: Vec<_> = place.into_iter().flat_map(|place| self.read(place, reading)).collect();
        if *change == Change::Down(Diagnostic::Expired) {
            commands.push(Command::Lost(*neighbour));
        }
        commands
    }

    /// All trackers.
    pub fn views(&self) -> Vec<TrackerView> {
        let effects: Vec<(&Dependence, Effect)> = self.table.effects().collect();
        let of = |place: usize| {
            let concerned = effects.iter().filter(move |(dependence, _)| dependence.tracker == place);
            concerned.flat_map(|(dependence, effect)| self.subjects(dependence, *effect)).collect()
        };
        let view = |(place, (tracker, reading)): (usize, (&crate::track::Tracker, Reading))| TrackerView {
            kind: tracker.watch.kind().to_owned(),
            name: tracker.name.clone(),
            reading: match reading {
                Reading::Unknown => "unknown".to_owned(),
                Reading::Up => "up".to_owned(),
                Reading::Down => "down".to_owned(),
                Reading::Number(number) => number.to_string(),
            },
            effects: of(place),
        };
        self.table.readings().enumerate().map(view).collect()
    }

    fn subjects(&self, dependence: &Dependence, effect: Effect) -> Vec<EffectView> {
        let view = |subject: &String| EffectView { subject: subject.clone(), met: effect.met, weight: effect.weight };
        match &dependence.group {
            Some(group) => vec![view(group)],
            None => dependence.instances.iter().map(|&instance| view(&self.instances[instance])).collect(),
        }
    }
}

/// An order in the words of the elections.
fn commands(order: Order) -> impl Iterator<Item = Command> {
    let Order { instance, tracker, effect, condition, weight } = order;
    let require = Command::Require { instance, tracker: tracker.clone(), met: effect.met };
    let weigh = Command::Weigh { instance, tracker, weight: effect.weight };
    condition.then_some(require).into_iter().chain(weight.then_some(weigh))
}

/// What becomes of a session next; nothing, if nobody tells.
async fn heard(sessions: &mut Option<UnboundedReceiver<SessionChange>>) -> Option<SessionChange> {
    match sessions {
        Some(sessions) => sessions.recv().await,
        None => None,
    }
}

/// Says what a tracker sees, if that is new. `what` names it in the log.
fn report(reports: &Reports, number: Number, what: &str, seen: &mut Reading, reading: Reading) {
    if *seen == reading {
        return;
    }
    *seen = reading;
    match reading {
        Reading::Up => tracing::info!("{what}: up"),
        Reading::Down => tracing::warn!("{what}: down"),
        Reading::Number(number) => tracing::info!("{what}: {number}"),
        Reading::Unknown => {}
    }
    // The director listens for as long as it lives.
    let _ = reports.send((number, reading));
}

/// Sleeps until `deadline` on the director's clock.
async fn until(deadline: Option<Duration>) {
    match deadline {
        Some(deadline) => sleep(deadline.saturating_sub(clock::now())).await,
        None => std::future::pending().await,
    }
}
