//! When to run a script, and what its exits make of it (`vrrp_script`).
//!
//! It starts every `interval`, counted from start to start, and never twice at a time. After `timeout` it counts as
//! failed and is asked to end; if it is still there [`GRACE`] later, it is killed. It is up after `rise` successes in a
//! row and down after `fall` failures in a row; the very first exit decides at once, unless `init_fail` says that it is
//! down to begin with.

use std::time::Duration;

use super::weight::Reading;
use crate::program::Program;

/// A script that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// `script` and `user`.
    pub program: Program,
    /// `interval`.
    pub interval: Duration,
    /// `timeout`.
    pub timeout: Duration,
    /// `rise`.
    pub rise: u32,
    /// `fall`.
    pub fall: u32,
    /// `init_fail`.
    pub starts_down: bool,
}

impl Spec {
    /// With the defaults of keepalived.
    pub fn new(program: Program) -> Self {
        let second = Duration::from_secs(1);
        Self { program, interval: second, timeout: second, rise: 1, fall: 1, starts_down: false }
    }
}

/// How long a script that was asked to end may take for that.
pub const GRACE: Duration = Duration::from_secs(2);

/// What the machine is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time has passed, perhaps up to the deadline.
    Deadline,
    /// The script has ended, well or not; or it could not be started.
    Ended(bool),
}

/// What the machine asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start it, and bring back its end.
    Start,
    /// Ask it and its children to end.
    Terminate,
    /// End it and its children.
    Kill,
}

/// A script; see the module documentation.
#[derive(Clone, Debug)]
pub struct Machine {
    spec: Spec,
    reading: Reading,
    /// Exits in a row that speak against the reading.
    against: u32,
    next: Duration,
    run: Run,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    Idle,
    Running {
        until: Duration,
    },
    /// Has counted as failed.
    Ending {
        until: Duration,
    },
    /// Was killed: only the kernel can keep it now.
    Killed,
}

impl Machine {
    /// A script that runs for the first time at `now`.
    pub fn new(spec: Spec, now: Duration) -> Self {
        let reading = if spec.starts_down { Reading::Down } else { Reading::Unknown };
        Self { spec, reading, against: 0, next: now, run: Run::Idle }
    }

    /// What is known.
    pub fn reading(&self) -> Reading {
        self.reading
    }

    /// When [`Input::Deadline`] is due.
    pub fn deadline(&self) -> Option<Duration> {
        match self.run {
            Run::Idle => Some(self.next),
            Run::Running { until } | Run::Ending { until } => Some(until),
            Run::Killed => None,
        }
    }

    /// Takes an input in and says what follows.
    pub fn handle(&mut self, input: Input, now: Duration) -> Option<Action> {
        match (self.run, input) {
            (Run::Idle, Input::Deadline) if now >= self.next => {
                self.next = now + self.spec.interval;
                self.run = Run::Running { until: now + self.spec.timeout };
                Some(Action::Start)
            }
            (Run::Running { until }, Input::Deadline) if now >= until => {
                self.count(false);
                self.run = Run::Ending { until: now + GRACE };
                Some(Action::Terminate)
            }
            (Run::Ending { until }, Input::Deadline) if now >= until => {
                self.run = Run::Killed;
                Some(Action::Kill)
            }
            (Run::Running { .. }, Input::Ended(well)) => {
                self.count(well);
                self.run = Run::Idle;
                None
            }
            (Run::Ending { .. } | Run::Killed, Input::Ended(_)) => {
                self.run = Run::Idle;
                None
            }
            (_, Input::Deadline) | (Run::Idle, Input::Ended(_)) => None,
        }
    }

    fn count(&mut self, well: bool) {
        let exit = if well { Reading::Up } else { Reading::Down };
        let enough = match self.reading {
            Reading::Unknown => 1,
            _ if exit == self.reading => {
                self.against = 0;
                return;
            }
            _ if well => self.spec.rise,
            _ => self.spec.fall,
        };
        self.against += 1;
        if self.against >= enough {
            (self.reading, self.against) = (exit, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn spec(rise: u32, fall: u32, starts_down: bool) -> Spec {
        Spec { rise, fall, starts_down, ..Spec::new(Program::parse("/bin/true").unwrap()) }
    }

    /// `+` and `-` for exits; after each, whether it counts as up (`U`), down (`D`) or is unknown (`?`).
    fn readings(spec: Spec, exits: &str) -> String {
        let mut machine = Machine::new(spec, Duration::ZERO);
        let letter = |reading| match reading {
            Reading::Unknown => '?',
            Reading::Up => 'U',
            Reading::Down | Reading::Number(_) => 'D',
        };
        let mut seen = String::from(letter(machine.reading()));
        for (second, exit) in exits.chars().enumerate() {
            let now = SECOND * second as u32;
            assert_eq!(machine.handle(Input::Deadline, now), Some(Action::Start));
            machine.handle(Input::Ended(exit == '+'), now);
            seen.push(letter(machine.reading()));
        }
        seen
    }

    #[test]
    fn exits_in_a_row_decide() {
        for (rise, fall, starts_down, exits, expected) in [
            (1, 1, false, "+-+--", "?UDUDD"),
            (2, 3, false, "+--+---+-++", "?UUUUUUDDDDU"),
            (2, 2, false, "-+-++", "?DDDDU"),
            (3, 1, true, "++-+++-", "DDDDDDUD"),
            (1, 1, true, "-+", "DDU"),
        ] {
            assert_eq!(readings(spec(rise, fall, starts_down), exits), expected, "{rise} {fall} {exits}");
        }
    }

    #[test]
    fn a_script_that_does_not_end_is_ended() {
        let spec = Spec { interval: SECOND * 5, timeout: SECOND * 3, ..spec(1, 1, false) };
        let mut machine = Machine::new(spec, SECOND);
        // What it is told when, what it asks for, what is known, and when to come back.
        let table = [
            (1, Input::Deadline, Some(Action::Start), Reading::Unknown, Some(4)),
            (3, Input::Deadline, None, Reading::Unknown, Some(4)),
            (4, Input::Deadline, Some(Action::Terminate), Reading::Down, Some(6)),
            (5, Input::Deadline, None, Reading::Down, Some(6)),
            (6, Input::Deadline, Some(Action::Kill), Reading::Down, None),
            (7, Input::Deadline, None, Reading::Down, None),
            (8, Input::Ended(true), None, Reading::Down, Some(6)),
            (8, Input::Deadline, Some(Action::Start), Reading::Down, Some(11)),
            (9, Input::Ended(true), None, Reading::Up, Some(13)),
            (13, Input::Deadline, Some(Action::Start), Reading::Up, Some(16)),
            (16, Input::Deadline, Some(Action::Terminate), Reading::Down, Some(18)),
            (17, Input::Ended(false), None, Reading::Down, Some(18)),
            (18, Input::Deadline, Some(Action::Start), Reading::Down, Some(21)),
        ];
        for (now, input, action, reading, deadline) in table {
            assert_eq!(machine.handle(input, SECOND * now), action, "at {now}");
            assert_eq!(machine.reading(), reading, "at {now}");
            assert_eq!(machine.deadline(), deadline.map(|at| SECOND * at), "at {now}");
        }
    }

    proptest! {
        /// Against counting by hand: the last `rise` or `fall` exits decide.
        #[test]
        fn only_a_row_of_exits_turns_it(
            rise in 1..5_u32, fall in 1..5_u32, exits in proptest::collection::vec(any::<bool>(), 1..60),
        ) {
            let text: String = exits.iter().map(|&well| if well { '+' } else { '-' }).collect();
            let seen: Vec<char> = readings(spec(rise, fall, false), &text).chars().collect();
            let mut up = exits[0];
            for (at, _) in exits.iter().enumerate() {
                let needed = if up { fall } else { rise } as usize;
                let row = &exits[(at + 1).saturating_sub(needed)..=at];
                if row.len() == needed && row.iter().all(|&exit| exit != up) {
                    up = !up;
                }
                prop_assert_eq!(seen[at + 1], if up { 'U' } else { 'D' });
            }
        }
    }
}
