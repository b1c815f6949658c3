//! One health check as a state machine: when to ask, and what the answers make of the server.
//!
//! It asks every `interval`. A failure is asked again after `retry_delay`; the server is down after `retries` + 1
//! failures in a row, and up after one success. Delays count from the answer. At every moment the machine either has a
//! deadline or waits for the answer to a probe, which is bounded by the probe's own timeout: it cannot get stuck.
//!
//! A server that dies without a word is found down at the latest
//! `interval` + `retries` x `retry_delay` + (`retries` + 1) x `timeout` after its last good answer.

use std::sync::Arc;
use std::time::Duration;

use super::{Failure, Spec};

/// What the machine is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time has passed, perhaps up to the deadline.
    Deadline,
    /// The probe that was asked for has ended.
    Answer(Result<(), Failure>),
}

/// What the machine asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a probe and bring back its answer.
    Probe,
    /// The server has come up.
    Up,
    /// The server has gone down, for this reason.
    Down(Failure),
}

/// A health check in progress.
#[derive(Clone, Debug)]
pub struct Checker {
    spec: Arc<Spec>,
    up: bool,
    /// Failures in a row that were forgiven; has no meaning while down.
    failures: u32,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Until then there is nothing to do.
    Waiting { until: Duration },
    /// A probe is out.
    Probing,
}

impl Checker {
    /// A check that starts within `spec.warmup` from `now`: `spread` of 0 means at once, `u32::MAX` at the end, and
    /// random numbers keep the checks of many servers apart. The server is up, unless `spec.starts_down`.
    pub fn new(spec: Arc<Spec>, now: Duration, spread: u32) -> Self {
        let up = !spec.starts_down;
        let until = now + share(spec.warmup, spread);
        Self { spec, up, failures: 0, phase: Phase::Waiting { until } }
    }

    /// The same check, starting from what is already known of the server.
    #[must_use]
    pub fn knowing(self, up: bool) -> Self {
        Self { up, ..self }
    }

    /// What it checks.
    pub fn spec(&self) -> &Arc<Spec> {
        &self.spec
    }

    /// Whether the server counts as up.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// When to call [`handle`](Self::handle) with [`Input::Deadline`]; `None` while a probe is out.
    pub fn deadline(&self) -> Option<Duration> {
        match self.phase {
            Phase::Waiting { until } => Some(until),
            Phase::Probing => None,
        }
    }

    /// Takes one step; `now` never goes back. An answer that was not asked for changes nothing.
    pub fn handle(&mut self, input: Input, now: Duration) -> Option<Action> {
        match (self.phase, input) {
            (Phase::Waiting { until }, Input::Deadline) if now >= until => {
                self.phase = Phase::Probing;
                Some(Action::Probe)
            }
            (Phase::Probing, Input::Answer(Ok(()))) => self.passed(now),
            (Phase::Probing, Input::Answer(Err(failure))) => self.failed(failure, now),
            // Woke early: `deadline` still says when.
            (Phase::Waiting { .. }, Input::Deadline) => None,
            (Phase::Probing, Input::Deadline) | (Phase::Waiting { .. }, Input::Answer(_)) => None,
        }
    }

    fn passed(&mut self, now: Duration) -> Option<Action> {
        self.phase = Phase::Waiting { until: now + self.spec.interval };
        self.failures = 0;
        let was_up = std::mem::replace(&mut self.up, true);
        (!was_up).then_some(Action::Up)
    }

    fn failed(&mut self, failure: Failure, now: Duration) -> Option<Action> {
        if self.up && self.failures < self.spec.retries {
            self.failures += 1;
            self.phase = Phase::Waiting { until: now + self.spec.retry_delay };
            return None;
        }
        self.phase = Phase::Waiting { until: now + self.spec.interval };
        let was_up = std::mem::replace(&mut self.up, false);
        was_up.then_some(Action::Down(failure))
    }
}

/// `spread` of 2^32 parts of `whole`.
fn share(whole: Duration, spread: u32) -> Duration {
    let nanos = (whole.as_nanos() * u128::from(spread)) >> u32::BITS;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
pub(super) mod tests;
