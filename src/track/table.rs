//! All readings, and the effects that follow from a new one.
//!
//! It is a table and not a stream of events: whoever asks gets what holds now, and only what differs from what was said
//! before is said again.

use super::spec::{Dependence, Spec, Tracker};
use super::weight::{Effect, Reading};

/// The readings of a configuration; see the module documentation.
#[derive(Debug)]
pub struct Table {
    trackers: Vec<(Tracker, Reading)>,
    dependences: Vec<(Dependence, Effect)>,
}

/// What an instance is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The instance, by its place in the configuration.
    pub instance: usize,
    /// The tracker's name, unique among those of the instance.
    pub tracker: String,
    /// What it does now.
    pub effect: Effect,
    /// Whether that differs in whether the instance may take part.
    pub condition: bool,
    /// Whether it differs in what is added to the priority.
    pub weight: bool,
}

impl Table {
    /// Nothing is known so far. Instances must be told [`first`](Self::first).
    pub fn new(spec: &Spec) -> Self {
        let trackers = spec.trackers.iter().map(|tracker| (tracker.clone(), Reading::Unknown)).collect();
        let dependences = spec.dependences.iter().map(|dependence| (dependence.clone(), Effect::NONE)).collect();
        Self { trackers, dependences }
    }

    /// What must be said before any election begins.
    pub fn first(&mut self) -> Vec<Order> {
        (0..self.trackers.len()).flat_map(|tracker| self.follow(tracker)).collect()
    }

    /// A tracker has seen something. Gives what follows; nothing if it knew.
    pub fn read(&mut self, tracker: usize, reading: Reading) -> Vec<Order> {
        self.trackers[tracker].1 = reading;
        self.follow(tracker)
    }

    /// All trackers with what they see.
    pub fn readings(&self) -> impl Iterator<Item = (&Tracker, Reading)> {
        self.trackers.iter().map(|(tracker, reading)| (tracker, *reading))
    }

    /// Who depends on trackers, and what they do.
    pub fn effects(&self) -> impl Iterator<Item = (&Dependence, Effect)> {
        self.dependences.iter().map(|(dependence, effect)| (dependence, *effect))
    }

    fn follow(&mut self, tracker: usize) -> Vec<Order> {
        let (watched, reading) = &self.trackers[tracker];
        let mut orders = Vec::new();
        for (dependence, effect) in self.dependences.iter_mut().filter(|(dependence, _)| dependence.tracker == tracker)
        {
            let before = std::mem::replace(effect, dependence.weight.effect(*reading));
            let (condition, weight) = (before.met != effect.met, before.weight != effect.weight);
            if condition || weight {
                let name = label(watched, dependence);
                let order = |&instance| Order { instance, tracker: name.clone(), effect: *effect, condition, weight };
                orders.extend(dependence.instances.iter().map(order));
            }
        }
        orders
    }
}

/// An instance and its group may depend on the same tracker, and names of different kinds may be the same.
fn label(tracker: &Tracker, dependence: &Dependence) -> String {
    let (kind, name) = (tracker.watch.kind(), &tracker.name);
    match &dependence.group {
        Some(group) => format!("{kind} {name} of group {group}"),
        None => format!("{kind} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::{Watch, Weight};

    fn spec() -> Spec {
        let tracker = |name: &str, watch| Tracker { name: name.to_owned(), watch };
        let dependence = |tracker, instances: &[usize], group: Option<&str>, value| Dependence {
            tracker,
            instances: instances.to_vec(),
            group: group.map(str::to_owned),
            weight: Weight { value, reverse: false },
        };
        Spec {
            trackers: vec![tracker("eth0", Watch::Interface), tracker("peer", Watch::Bfd)],
            dependences: vec![
                dependence(0, &[0], None, 0),
                dependence(0, &[0, 1], Some("G"), -5),
                dependence(1, &[1], None, 9),
            ],
            ..Spec::default()
        }
    }

    fn said(orders: Vec<Order>) -> Vec<(usize, String, Option<bool>, Option<i16>)> {
        let said = |order: Order| {
            let Order { instance, tracker, effect, condition, weight } = order;
            (instance, tracker, condition.then_some(effect.met), weight.then_some(effect.weight))
        };
        orders.into_iter().map(said).collect()
    }

    #[test]
    fn only_what_changes_is_said_and_to_all_whom_it_concerns() {
        let mut table = Table::new(&spec());
        let own = || "interface eth0".to_owned();
        let group = || "interface eth0 of group G".to_owned();
        assert_eq!(said(table.first()), [(0, own(), Some(false), None)], "who depends on it waits");
        assert_eq!(said(table.first()), []);
        assert_eq!(said(table.read(0, Reading::Up)), [(0, own(), Some(true), None)]);
        assert_eq!(said(table.read(0, Reading::Up)), []);
        let down = [(0, own(), Some(false), None), (0, group(), None, Some(-5)), (1, group(), None, Some(-5))];
        assert_eq!(said(table.read(0, Reading::Down)), down);
        assert_eq!(said(table.read(1, Reading::Up)), [(1, "bfd peer".to_owned(), None, Some(9))]);
        assert_eq!(said(table.read(1, Reading::Down)), [(1, "bfd peer".to_owned(), None, Some(0))]);
    }
}
