//! All health checks and what they have found: the table that says which servers may take connections.
//!
//! It is a table and no stream of events: whoever asks [`Health::is_up`] sees the present facts, however many changes
//! went by unnoticed. Each [`Spec`] is checked once, for all servers of all services that ask for it.
//!
//! The loop around it sleeps until [`deadline`](Health::deadline), starts a probe for everything that is
//! [`due`](Health::due), and brings each [`answer`](Health::answer) back.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Action, Checker, Failure, Input, Spec};

/// The table; see the module documentation.
#[derive(Debug)]
pub struct Health {
    /// In the order of the configuration, no spec twice.
    checks: Vec<Checker>,
    by_spec: hashbrown::HashMap<Arc<Spec>, usize, ahash::RandomState>,
    /// Which checks wait, and until when: a loop with ten thousand checks asks at each turn.
    waiting: BTreeSet<(Duration, usize)>,
    /// Spreads the first checks over their warm-up times.
    spread: ahash::RandomState,
}

/// A server came up or went down in the eyes of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The check.
    pub spec: Arc<Spec>,
    /// Why it fails; `None` if it passes.
    pub failure: Option<Failure>,
}

impl fmt::Display for Change {
    /// `TCP_CHECK of 192.0.2.1:80 fails: connection refused`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            None => write!(f, "{} passes", self.spec),
            Some(failure) => write!(f, "{} fails: {failure}", self.spec),
        }
    }
}

impl Health {
    /// An empty table. The seed decides when, within its warm-up time, each check starts.
    pub fn new(seed: u64) -> Self {
        let spread = ahash::RandomState::with_seeds(seed, seed, seed, seed);
        Self { checks: Vec::new(), by_spec: hashbrown::HashMap::default(), waiting: BTreeSet::new(), spread }
    }

    /// From now on watches what is `wanted`, and nothing else. A check that is wanted still goes on undisturbed, with the
    /// probe it may have out. A new one that asks what an old one asked, only at another pace, starts from what is
    /// known, so that a reload does not bring a dead server up.
    pub fn watch<'a>(&mut self, wanted: impl IntoIterator<Item = &'a Spec>, now: Duration) {
        let old = std::mem::take(&mut self.checks);
        let known = std::mem::take(&mut self.by_spec);
        for spec in wanted {
            if self.by_spec.contains_key(spec) {
                continue;
            }
            let check = match known.get(spec) {
                Some(&at) => old[at].clone(),
                None => self.begin(spec, &old, now),
            };
            self.by_spec.insert(Arc::clone(check.spec()), self.checks.len());
            self.checks.push(check);
        }
        self.queue_anew();
    }

    fn queue_anew(&mut self) {
        let deadlines = self.checks.iter().zip(0..).filter_map(|(check, at)| Some((check.deadline()?, at)));
        self.waiting = deadlines.collect();
    }

    /// Lets a check take a step, and keeps its place in the queue.
    fn step(&mut self, at: usize, input: Input, now: Duration) -> Option<Action> {
        let check = &mut self.checks[at];
        if let Some(deadline) = check.deadline() {
            self.waiting.remove(&(deadline, at));
        }
        let action = check.handle(input, now);
        self.waiting.extend(check.deadline().map(|deadline| (deadline, at)));
        action
    }

    fn begin(&self, spec: &Spec, old: &[Checker], now: Duration) -> Checker {
        // Any 32 of the 64 bits will do.
        let spread = self.spread.hash_one(spec) as u32;
        let check = Checker::new(Arc::new(spec.clone()), now, spread);
        let answers = old.iter().filter(|old| old.spec().same_question(spec)).map(Checker::is_up);
        match answers.reduce(|all, up| all && up) {
            Some(up) => check.knowing(up),
            None => check,
        }
    }

    /// What every check has found.
    pub fn found(&self) -> impl Iterator<Item = (&Spec, bool)> {
        self.checks.iter().map(|check| (&**check.spec(), check.is_up()))
    }

    /// Has checks start from what is known already.
    pub fn recall(&mut self, known: impl Fn(&Spec) -> Option<bool>) {
        for check in &mut self.checks {
            if let Some(up) = known(check.spec()) {
                *check = check.clone().knowing(up);
            }
        }
        self.queue_anew();
    }

    /// Whether all of these checks pass. One that is not in the table counts as it would when it begins.
    pub fn is_up(&self, specs: &[Spec]) -> bool {
        specs.iter().all(|spec| self.find(spec).map_or(!spec.starts_down, |at| self.checks[at].is_up()))
    }

    /// When something will be due; `None` if nothing is before an answer comes.
    pub fn deadline(&self) -> Option<Duration> {
        self.waiting.first().map(|&(deadline, _)| deadline)
    }

    /// The probes to start now. The answer to each must be brought back.
    pub fn due(&mut self, now: Duration) -> Vec<Arc<Spec>> {
        let mut late: Vec<usize> =
            self.waiting.iter().take_while(|(deadline, _)| *deadline <= now).map(|&(_, at)| at).collect();
        // In the order of the configuration.
        late.sort_unstable();
        late.retain(|&at| matches!(self.step(at, Input::Deadline, now), Some(Action::Probe)));
        late.into_iter().map(|at| Arc::clone(self.checks[at].spec())).collect()
    }

    /// Takes the answer to a probe, and says if it changes the server's state. The answer to a check that is no longer
    /// wanted is ignored.
    pub fn answer(&mut self, spec: &Spec, answer: Result<(), Failure>, now: Duration) -> Option<Change> {
        let at = self.find(spec)?;
        let failure = match self.step(at, Input::Answer(answer), now)? {
            Action::Up => None,
            Action::Down(failure) => Some(failure),
            Action::Probe => return None,
        };
        Some(Change { spec: Arc::clone(self.checks[at].spec()), failure })
    }

    fn find(&self, spec: &Spec) -> Option<usize> {
        self.by_spec.get(spec).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::machine::tests::spec;
    use crate::wire::{Addr, Endpoint};

    const SECOND: Duration = Duration::from_secs(1);

    fn at(server: u32) -> Spec {
        Spec { target: Endpoint::new(Addr::v4(server), 80), ..spec() }
    }

    /// Lets every due check of the next `seconds` be answered at once; `dead` refuse.
    fn run(health: &mut Health, from: Duration, seconds: u32, dead: &[&Spec]) -> Vec<String> {
        let mut changes = Vec::new();
        for second in 0..seconds {
            let now = from + SECOND * second;
            for spec in health.due(now) {
                let answer = if dead.contains(&&*spec) { Err(Failure::Refused) } else { Ok(()) };
                changes.extend(health.answer(&spec, answer, now).map(|change| change.to_string()));
            }
            assert_eq!(health.deadline(), health.checks.iter().filter_map(Checker::deadline).min(), "the queue agrees");
        }
        changes
    }

    #[test]
    fn all_checks_of_a_server_must_pass() {
        let mut health = Health::new(1);
        let (good, bad) = (at(1), at(2));
        health.watch([&good, &bad], Duration::ZERO);
        assert!(health.is_up(&[good.clone(), bad.clone()]));
        assert_eq!(
            run(&mut health, Duration::ZERO, 60, &[&bad]),
            ["TCP_CHECK of 0.0.0.2:80 fails: connection refused"]
        );
        assert!(health.is_up(&[]) && health.is_up(std::slice::from_ref(&good)));
        assert!(!health.is_up(&[good, bad]));
        assert_eq!(run(&mut health, 60 * SECOND, 60, &[]), ["TCP_CHECK of 0.0.0.2:80 passes"]);
    }

    #[test]
    fn one_spec_is_checked_once_for_all_who_ask() {
        let mut health = Health::new(1);
        let (shared, other) = (Spec { warmup: Duration::ZERO, ..at(1) }, Spec { warmup: Duration::ZERO, ..at(2) });
        health.watch([&shared, &other, &shared.clone()], Duration::ZERO);
        assert_eq!(health.due(Duration::ZERO).iter().map(|spec| (**spec).clone()).collect::<Vec<_>>(), [shared, other]);
        assert_eq!(health.due(Duration::ZERO), []);
        assert_eq!(health.deadline(), None, "both are out");
    }

    #[test]
    fn a_reload_keeps_what_is_known() {
        let mut health = Health::new(1);
        let (kept, dropped) = (at(1), at(2));
        health.watch([&kept, &dropped], Duration::ZERO);
        run(&mut health, Duration::ZERO, 60, &[&kept, &dropped]);
        let deadline = health.checks[0].deadline();

        let slower = Spec { interval: 20 * SECOND, ..kept.clone() };
        let elsewhere = Spec { target: Endpoint::new(Addr::v4(1), 81), ..kept.clone() };
        health.watch([&elsewhere, &slower, &kept], 60 * SECOND);
        assert_eq!(health.checks[2].deadline(), deadline, "its next check comes when it was due");
        let up = |spec: &Spec| health.is_up(std::slice::from_ref(spec));
        assert_eq!([&kept, &slower, &elsewhere].map(up), [false, false, true]);
        assert_eq!(health.answer(&dropped, Ok(()), 61 * SECOND), None);
        let unknown = Spec { starts_down: true, ..dropped.clone() };
        assert!(health.is_up(&[dropped]) && !health.is_up(&[unknown]));
    }

    #[test]
    fn an_answer_under_way_survives_a_reload() {
        let mut health = Health::new(1);
        let fragile = Spec { retries: 0, warmup: Duration::ZERO, ..at(1) };
        health.watch([&fragile], Duration::ZERO);
        assert_eq!(health.due(Duration::ZERO).len(), 1);
        health.watch([&at(9), &fragile], SECOND);
        let change = health.answer(&fragile, Err(Failure::TimedOut), SECOND).unwrap();
        assert_eq!(change.failure, Some(Failure::TimedOut));
    }

    #[test]
    fn first_checks_are_spread_over_the_warm_up() {
        let mut health = Health::new(7);
        let specs: Vec<Spec> = (0..100).map(at).collect();
        health.watch(&specs, Duration::ZERO);
        let mut due = [0; 6];
        for (second, count) in (1u32..).zip(&mut due) {
            *count = health.due(SECOND * second).len();
        }
        assert!(due.iter().all(|count| (5..30).contains(count)) && due.iter().sum::<usize>() == 100, "{due:?}");
    }
}
