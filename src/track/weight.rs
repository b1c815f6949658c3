//! What a reading does to an instance that depends on it.
//!
//! A weight of 0 means a condition: without it the instance is in fault. A positive weight is added while all is well, a
//! negative one is taken off while it is not; `reverse` turns the sign of what is added or taken off, and the sense of a
//! condition (keepalived.conf(5), `track_interface`). A file's number is multiplied by its weight.

use serde::{Deserialize, Serialize};

/// What a tracker sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reading {
    /// Nothing yet: whoever depends on it waits.
    Unknown,
    /// All is well.
    Up,
    /// It is not.
    Down,
    /// The number in a file.
    Number(i64),
}

/// What a tracker counts for an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// 0: a condition.
    pub value: i32,
    /// `reverse`.
    pub reverse: bool,
}

/// What an instance is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Whether it may take part, as far as this tracker is concerned.
    pub met: bool,
    /// What is added to its priority.
    pub weight: i16,
}

/// A weight beyond this puts an instance into fault if it is negative, and counts no more if it is positive: priorities
/// lie between 1 and 254.
pub const MOST: i16 = 253;

impl Effect {
    /// What holds for an instance that nothing was said of.
    pub const NONE: Effect = Effect { met: true, weight: 0 };
}

impl Weight {
    /// What a reading does.
    pub fn effect(self, reading: Reading) -> Effect {
        if self.value == 0 {
            let met = match reading {
                Reading::Unknown => false,
                Reading::Up => !self.reverse,
                Reading::Down => self.reverse,
                Reading::Number(number) => (number == 0) != self.reverse,
            };
            return Effect { met, weight: 0 };
        }
        let value = i128::from(self.value);
        let counts = match reading {
            Reading::Unknown => 0,
            Reading::Up => value.max(0),
            Reading::Down => value.min(0),
            Reading::Number(number) => value * i128::from(number),
        };
        let counts = if self.reverse { -counts } else { counts };
        let fault = counts < -i128::from(MOST);
        let weight = if fault { 0 } else { counts.min(MOST.into()) };
        Effect { met: !fault, weight: i16::try_from(weight).expect("it is within -253 and 253") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Reading::{Down, Number, Unknown, Up};

    #[test]
    fn every_weight_by_every_reading() {
        // Weight, reverse, reading: may it take part, and what is added.
        let table = [
            (0, false, Unknown, false, 0),
            (0, false, Up, true, 0),
            (0, false, Down, false, 0),
            (0, true, Unknown, false, 0),
            (0, true, Up, false, 0),
            (0, true, Down, true, 0),
            (20, false, Unknown, true, 0),
            (20, false, Up, true, 20),
            (20, false, Down, true, 0),
            (-20, false, Unknown, true, 0),
            (-20, false, Up, true, 0),
            (-20, false, Down, true, -20),
            (20, true, Up, true, -20),
            (20, true, Down, true, 0),
            (-20, true, Up, true, 0),
            (-20, true, Down, true, 20),
            (0, false, Number(0), true, 0),
            (0, false, Number(1), false, 0),
            (0, false, Number(-1), false, 0),
            (0, true, Number(0), false, 0),
            (0, true, Number(7), true, 0),
            (1, false, Number(-30), true, -30),
            (2, false, Number(-30), true, -60),
            (2, true, Number(-30), true, 60),
            (-1, false, Number(10), true, -10),
            (1, false, Number(253), true, 253),
            (1, false, Number(254), true, 253),
            (1, false, Number(-253), true, -253),
            (1, false, Number(-254), false, 0),
            (254, false, Number(-1), false, 0),
            (i32::MAX, false, Number(i64::MAX), true, 253),
            (i32::MIN, false, Number(i64::MAX), false, 0),
            (i32::MIN, true, Number(i64::MIN), false, 0),
        ];
        for (value, reverse, reading, met, weight) in table {
            let effect = Weight { value, reverse }.effect(reading);
            assert_eq!(effect, Effect { met, weight }, "{value} {reverse} {reading:?}");
        }
    }
}
