//! The effective priority: the configured one, and what trackers add to it or take from it.
//!
//! Each tracker has a name and a weight. The sum stays within 1 to 254: no tracker can release the addresses (0) or make
//! an owner (255). An owner's priority does not move at all.

use std::collections::BTreeMap;

/// The priority of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priority {
    base: u8,
    weights: BTreeMap<String, i16>,
}

impl Priority {
    /// Without trackers.
    pub fn new(base: u8) -> Self {
        Self { base, weights: BTreeMap::new() }
    }

    /// The configured one.
    pub fn base(&self) -> u8 {
        self.base
    }

    /// Sets what the tracker `name` counts just now; 0 takes it away.
    pub fn weigh(&mut self, name: &str, weight: i16) {
        match weight {
            0 => _ = self.weights.remove(name),
            weight => _ = self.weights.insert(name.to_owned(), weight),
        }
    }

    /// What adverts carry.
    pub fn effective(&self) -> u8 {
        if self.base == u8::MAX {
            return self.base;
        }
        let sum = i32::from(self.base) + self.weights.values().map(|&weight| i32::from(weight)).sum::<i32>();
        u8::try_from(sum.clamp(1, 254)).expect("it was clamped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_add_up_within_limits_and_an_owner_does_not_move() {
        type Weights<'a> = &'a [(&'a str, i16)];
        let cases: [(u8, Weights<'_>, u8); 7] = [
            (100, &[], 100),
            (100, &[("a", -20), ("b", 5)], 85),
            (100, &[("a", -20), ("a", 0)], 100),
            (100, &[("a", -20), ("a", -30)], 70),
            (100, &[("a", -253)], 1),
            (100, &[("a", 253), ("b", 253)], 254),
            (255, &[("a", -253)], 255),
        ];
        for (base, weights, effective) in cases {
            let mut priority = Priority::new(base);
            weights.iter().for_each(|&(name, weight)| priority.weigh(name, weight));
            assert_eq!(priority.effective(), effective, "{base} {weights:?}");
        }
    }
}
