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

pub(super) mod files;
mod links;
mod processes;
mod scripts;

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::bfd::Neighbours;
use super::programs::Programs;
use super::view::{EffectView, TrackerView};
use crate::bfd::{Change, Diagnostic};
use crate::config::Config;
use crate::control::vrrp::Command;
use crate::sys::clock;
use crate::track::{Dependence, Effect, Order, Reading, Table, Watch};
use crate::wire::Addr;

/// A tracker's place and what it sees.
type Report = (usize, Reading);
/// Where watchers report.
type Reports = UnboundedSender<Report>;

/// All trackers of a director.
#[derive(Debug)]
pub struct Trackers {
    table: Table,
    reports: UnboundedReceiver<Report>,
    /// Neighbours that BFD has found dead.
    lost: UnboundedReceiver<Addr>,
    /// Ends with the director.
    tasks: JoinSet<()>,
    /// What instances and groups are called.
    instances: Vec<String>,
}

impl Trackers {
    /// Begins to watch. Must be called inside a `LocalSet`. Gives what elections must know before they begin.
    pub fn start(config: &Config, neighbours: Option<&mut Neighbours>) -> (Self, Vec<Command>) {
        let (reports, inbox) = unbounded_channel();
        let (deaths, lost) = unbounded_channel();
        let mut table = Table::new(&config.tracking);
        let orders = table.first();
        let instances = config.instances.iter().map(|instance| instance.election.name.clone()).collect();
        let mut trackers = Self { table, reports: inbox, lost, tasks: JoinSet::new(), instances };
        trackers.watch(config, neighbours, &reports, deaths);
        let commands = orders.into_iter().flat_map(commands).collect();
        (trackers, commands)
    }

    fn watch(
        &mut self,
        config: &Config,
        neighbours: Option<&mut Neighbours>,
        reports: &Reports,
        deaths: UnboundedSender<Addr>,
    ) {
        let programs = Programs::new(config);
        let (mut links, mut processes, mut sessions) = (Vec::new(), Vec::new(), Vec::new());
        for (place, tracker) in config.tracking.trackers.iter().enumerate() {
            let name = &tracker.name;
            match &tracker.watch {
                Watch::Script(spec) => {
                    _ = self.tasks.spawn_local(scripts::watch(
                        name.clone(),
                        spec.clone(),
                        programs.clone(),
                        place,
                        reports.clone(),
                    ));
                }
                Watch::File(spec) => _ = self.tasks.spawn_local(files::watch(spec.clone(), place, reports.clone())),
                Watch::Process(spec) => processes.push((place, spec.clone())),
                Watch::Interface => links.push((place, name.clone())),
                Watch::Bfd => {
                    sessions.extend(config.bfd.iter().position(|spec| spec.name == *name).map(|at| (at, place)))
                }
            }
        }
        if !processes.is_empty() {
            self.tasks.spawn_local(processes::watch(processes, reports.clone()));
        }
        if !links.is_empty() {
            self.tasks.spawn_local(links::watch(links, config.tracking.clone(), reports.clone()));
        }
        if let Some(changes) = neighbours.and_then(Neighbours::take_changes) {
            let ends = config.bfd.iter().map(|spec| (spec.name.clone(), spec.neighbour)).collect();
            self.tasks.spawn_local(sessions_changed(changes, ends, sessions, reports.clone(), deaths));
        }
    }

    /// What the elections are to be told next. May be dropped while waiting; nothing is lost.
    pub async fn next(&mut self) -> Vec<Command> {
        loop {
            let (place, reading) = tokio::select! {
                Some(report) = self.reports.recv() => report,
                Some(neighbour) = self.lost.recv() => return vec![Command::Lost(neighbour)],
                else => return std::future::pending().await,
            };
            let orders = self.table.read(place, reading);
            if !orders.is_empty() {
                return orders.into_iter().flat_map(commands).collect();
            }
        }
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

/// Passes on what becomes of sessions: `tracked` has their numbers and the places of their trackers.
async fn sessions_changed(
    mut changes: UnboundedReceiver<(usize, Change)>,
    neighbours: Vec<(String, Addr)>,
    tracked: Vec<(usize, usize)>,
    reports: Reports,
    deaths: UnboundedSender<Addr>,
) {
    // A session is down before it is up.
    for &(_, place) in &tracked {
        let _ = reports.send((place, Reading::Down));
    }
    while let Some((session, Change { up, diagnostic })) = changes.recv().await {
        let (name, neighbour) = &neighbours[session];
        if up {
            tracing::info!("bfd {name}: up");
        } else {
            tracing::warn!("bfd {name}: down, {diagnostic}");
        }
        // Who was stopped on purpose has said goodbye by VRRP.
        if !up && diagnostic == Diagnostic::Expired {
            let _ = deaths.send(*neighbour);
        }
        let reading = if up { Reading::Up } else { Reading::Down };
        for &(_, place) in tracked.iter().filter(|(tracked, _)| *tracked == session) {
            let _ = reports.send((place, reading));
        }
    }
}

/// Says what a tracker sees, if that is new. `what` names it in the log.
fn report(reports: &Reports, place: usize, what: &str, seen: &mut Reading, reading: Reading) {
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
    let _ = reports.send((place, reading));
}

/// Sleeps until `deadline` on the director's clock.
async fn until(deadline: Option<Duration>) {
    match deadline {
        Some(deadline) => sleep(deadline.saturating_sub(clock::now())).await,
        None => std::future::pending().await,
    }
}
