//! All readings, and the effects that follow from a new one.
//!
//! It is a table and not a stream of events: whoever asks gets what holds now, and only what differs from what was said
//! before is said again. A table for another configuration begins with what this one knows.

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
    /// With readings as far as `recall` knows them. An unknown one holds back whoever depends on it, but not instances that
    /// take part already (`takes_part`): a tracker that is new to them counts once it has seen something.
    pub fn new(spec: &Spec, recall: impl Fn(&Tracker) -> Option<Reading>, takes_part: impl Fn(usize) -> bool) -> Self {
        let reading = |tracker: &Tracker| recall(tracker).unwrap_or(Reading::Unknown);
        let trackers: Vec<_> = spec.trackers.iter().map(|tracker| (tracker.clone(), reading(tracker))).collect();
        let effect = |dependence: &Dependence| match trackers[dependence.tracker].1 {
            Reading::Unknown if dependence.instances.iter().any(|&instance| takes_part(instance)) => Effect::NONE,
            reading => dependence.weight.effect(reading),
        };
        let dependences = spec.dependences.iter().map(|dependence| (dependence.clone(), effect(dependence))).collect();
        Self { trackers, dependences }
    }

    /// What each instance is to be told before anything else: the tracker's name, unique among those of the instance, and
    /// its effect.
    pub fn all(&self) -> impl Iterator<Item = (usize, String, Effect)> {
        self.dependences.iter().flat_map(|(dependence, effect)| {
            let name = label(&self.trackers[dependence.tracker].0, dependence);
            dependence.instances.iter().map(move |&instance| (instance, name.clone(), *effect))
        })
    }

    /// What is known of a tracker of this kind and name.
    pub fn reading(&self, tracker: &Tracker) -> Option<Reading> {
        let same =
            |(other, _): &&(Tracker, Reading)| other.name == tracker.name && other.watch.kind() == tracker.watch.kind();
        self.trackers.iter().find(same).map(|(_, reading)| *reading).filter(|reading| *reading != Reading::Unknown)
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

    fn told(table: &Table) -> Vec<(usize, String, bool, i16)> {
        table.all().map(|(instance, name, effect)| (instance, name, effect.met, effect.weight)).collect()
    }

    #[test]
    fn what_is_unknown_holds_back_who_does_not_take_part_yet() {
        let own = |met| (0, "interface eth0".to_owned(), met, 0);
        let rest = |weight| {
            let group = "interface eth0 of group G".to_owned();
            [(0, group.clone(), true, weight), (1, group, true, weight), (1, "bfd peer".to_owned(), true, 0)]
        };
        let unknown = |_: &Tracker| None;
        let cases = [
            (Table::new(&spec(), unknown, |_| false), own(false), rest(0)),
            (Table::new(&spec(), unknown, |instance| instance == 0), own(true), rest(0)),
            (Table::new(&spec(), |_| Some(Reading::Down), |_| true), own(false), rest(-5)),
        ];
        for (table, first, others) in cases {
            assert_eq!(told(&table), [vec![first], others.to_vec()].concat());
        }
        // What was held to be well is told as soon as it is seen not to be.
        let mut table = Table::new(&spec(), unknown, |_| true);
        assert_eq!(said(table.read(0, Reading::Down))[0], (0, "interface eth0".to_owned(), Some(false), None));
    }

    #[test]
    fn a_reading_is_found_by_kind_and_name() {
        let mut table = Table::new(&spec(), |_| None, |_| false);
        table.read(0, Reading::Up);
        let find = |name: &str, watch| table.reading(&Tracker { name: name.to_owned(), watch });
        assert_eq!(find("eth0", Watch::Interface), Some(Reading::Up));
        assert_eq!(find("eth0", Watch::Bfd), None);
        assert_eq!(find("peer", Watch::Bfd), None, "nothing is known of it");
    }

    #[test]
    fn only_what_changes_is_said_and_to_all_whom_it_concerns() {
        let mut table = Table::new(&spec(), |_| None, |_| false);
        let own = || "interface eth0".to_owned();
        let group = || "interface eth0 of group G".to_owned();
        assert_eq!(said(table.read(0, Reading::Up)), [(0, own(), Some(true), None)]);
        assert_eq!(said(table.read(0, Reading::Up)), []);
        let down = [(0, own(), Some(false), None), (0, group(), None, Some(-5)), (1, group(), None, Some(-5))];
        assert_eq!(said(table.read(0, Reading::Down)), down);
        assert_eq!(said(table.read(1, Reading::Up)), [(1, "bfd peer".to_owned(), None, Some(9))]);
        assert_eq!(said(table.read(1, Reading::Down)), [(1, "bfd peer".to_owned(), None, Some(0))]);
    }
}
