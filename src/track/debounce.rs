//! A change that must last before it counts.
//!
//! Interfaces that lose their link for a moment (`interface_up_down_delays`) and processes that are restarted
//! (`fork_delay`, `terminate_delay`) would otherwise move the addresses to and fro.

use std::time::Duration;

/// Whether something is up, after its changes have lasted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debounce {
    up: bool,
    /// When the opposite counts, if it lasts until then.
    turns_at: Option<Duration>,
}

impl Debounce {
    /// What it is from the beginning.
    pub fn new(up: bool) -> Self {
        Self { up, turns_at: None }
    }

    /// What counts.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// It was seen up or down; if that is a change, it must last for `delay`. A change that is waiting already does not
    /// begin anew.
    pub fn see(&mut self, up: bool, delay: Duration, now: Duration) {
        self.turns_at = (up != self.up).then(|| self.turns_at.unwrap_or(now + delay));
        self.fire(now);
    }

    /// When [`fire`](Self::fire) is due.
    pub fn deadline(&self) -> Option<Duration> {
        self.turns_at
    }

    /// Time has passed.
    pub fn fire(&mut self, now: Duration) {
        if self.turns_at.take_if(|at| now >= *at).is_some() {
            self.up = !self.up;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_when_it_has_lasted() {
        let at = Duration::from_secs;
        // What was seen when, with what delay; and what counts then.
        let table = [
            (0, Some((true, 2)), true),
            (10, Some((false, 2)), true),
            (11, Some((false, 2)), true),
            (12, None, false),
            (20, Some((true, 3)), false),
            (22, Some((false, 2)), false),
            (24, None, false),
            (30, Some((true, 0)), true),
            (40, Some((false, 5)), true),
            (44, Some((true, 5)), true),
            (46, None, true),
        ];
        let mut debounce = Debounce::new(true);
        for (now, seen, up) in table {
            match seen {
                Some((seen, delay)) => debounce.see(seen, at(delay), at(now)),
                None => debounce.fire(at(now)),
            }
            assert_eq!(debounce.is_up(), up, "at {now}");
        }
        assert_eq!(debounce.deadline(), None);
        debounce.see(false, at(5), at(50));
        assert_eq!(debounce.deadline(), Some(at(55)));
    }
}
