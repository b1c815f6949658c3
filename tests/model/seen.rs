//! What sequences have shown.

use std::collections::BTreeMap;
use std::fmt;

use crate::frames::Outcome;

/// Counts of everything, so that a generator gone astray is found out.
#[derive(Default)]
pub struct Seen {
    pub steps: u64,
    packets: u64,
    pub changes: u64,
    pub sweeps: u64,
    outcomes: BTreeMap<&'static str, u64>,
    states: BTreeMap<String, u64>,
}

impl Seen {
    /// A packet had this outcome.
    pub fn outcome(&mut self, outcome: &Outcome) {
        self.packets += 1;
        *self.outcomes.entry(name(outcome)).or_default() += 1;
    }

    /// A connection was in this state when everything was compared.
    pub fn state(&mut self, state: &str) {
        *self.states.entry(state.to_owned()).or_default() += 1;
    }

    /// Whether every outcome and every state that can be reached was there, if there was time for them.
    pub fn is_rich(&self, sequences: u64) -> bool {
        const STATES: usize = 23;
        sequences < 100 || (self.outcomes.len() == 8 && self.states.len() >= STATES)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, packets, changes, sweeps, outcomes, states } = self;
        write!(f, "{steps} steps, {packets} packets, {changes} changes, {sweeps} sweeps; {outcomes:?}, {states:?}")
    }
}

fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::ToServer { .. } => "to server",
        Outcome::ToClient { .. } => "to client",
        Outcome::ToOrigin => "to origin",
        Outcome::Reset => "reset",
        Outcome::PortUnreachable => "port unreachable",
        Outcome::ProtocolUnreachable => "protocol unreachable",
        Outcome::Untouched => "untouched",
        Outcome::Dropped => "dropped",
    }
}
