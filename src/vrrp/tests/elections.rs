//! Elections on virtual time: thousands of seeded schedules of loss, delay, reordering, duplication, partitions, pauses,
//! jumping clocks, reloads, crashes and restarts over two to five routers.
//!
//! What must hold, whatever happened before:
//! - two masters that hear each other are one again within an interval and a few transmission times;
//! - some time after the last trouble there is exactly one master, and it is the one that should be;
//! - a reload changes no role and makes no advert late; nor does a crash that is repaired at once.
//!
//! A failure prints its seed; `ELECTIONS=seed` runs that one alone.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::vrrp::packet::Packet;
use crate::vrrp::spec::{Preempt, Version};
use crate::vrrp::{Entry, Order, Role, Routers, Spec};
use crate::wire::{Addr, Family};

const SCHEDULES: u64 = 3000;
/// How long a transmission takes at most.
const DELAY: Duration = Duration::from_millis(40);
/// Trouble lasts so long.
const TROUBLE: Duration = Duration::from_secs(30);

#[test]
fn there_is_one_master_in_the_end_and_never_two_for_long() {
    let seeds = match std::env::var("ELECTIONS").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 1..SCHEDULES,
    };
    let mut contested = 0;
    for seed in seeds.clone() {
        let outcome = std::panic::catch_unwind(|| World::new(seed).run());
        contested += outcome.unwrap_or_else(|_| panic!("ELECTIONS={seed} shows it"));
    }
    // A simulation in which nothing happens proves nothing.
    assert!(seeds.end == seeds.start + 1 || contested > SCHEDULES, "only {contested} times were there two masters");
}

/// A generator of numbers (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.below(most.as_micros() as u64 + 1))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Deliver {
        to: usize,
        bytes: Vec<u8>,
    },
    Wake(usize),
    Resume(usize),
    /// What came while nobody was there is lost.
    Restart(usize),
    Trouble,
    Heal,
}

struct Node {
    routers: Routers,
    /// What its clock shows more than the world's.
    ahead: Duration,
    paused: bool,
    inbox: Vec<Vec<u8>>,
    /// Which side of a partition it is on.
    side: u64,
}

struct World {
    dice: Dice,
    now: Duration,
    serial: u64,
    steps: BinaryHeap<Reverse<(Duration, u64, Step)>>,
    nodes: Vec<Node>,
    specs: Vec<Spec>,
    /// One in so many packets is lost.
    loss: Option<u64>,
    /// One in so many packets comes twice.
    doubling: Option<u64>,
    /// Since when there are several masters.
    several: Option<Duration>,
    contested: u64,
    /// When the last trouble was over.
    calm: Option<Duration>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let count = 2 + dice.below(4) as usize;
        let specs = specs(count, &mut dice);
        let nodes = specs.iter().map(|spec| Node {
            routers: Routers::new(vec![spec.clone()], &[], Duration::ZERO, Duration::ZERO),
            ahead: Duration::from_millis(dice.below(5000)),
            paused: false,
            inbox: Vec::new(),
            side: 0,
        });
        let nodes = nodes.collect();
        let (now, steps) = (Duration::from_secs(1), BinaryHeap::new());
        let mut world = Self {
            dice,
            now,
            serial: 0,
            steps,
            nodes,
            specs,
            loss: None,
            doubling: None,
            several: None,
            contested: 0,
            calm: None,
        };
        for number in 0..count {
            let at = world.now + world.dice.up_to(Duration::from_secs(4));
            world.plan(at, Step::Wake(number));
        }
        world.plan(world.now, Step::Trouble);
        world.plan(world.now + TROUBLE, Step::Heal);
        world
    }

    /// Runs to the end and gives how often there were several masters.
    fn run(mut self) -> u64 {
        let end = self.now + TROUBLE + self.settling() * 2;
        while let Some(Reverse((at, _, step))) = self.steps.pop() {
            if at > end {
                break;
            }
            self.now = at;
            self.step(step);
            self.watch();
        }
        let masters: Vec<usize> = self.masters().collect();
        assert_eq!(masters.len(), 1, "masters in the end: {masters:?}");
        if self.specs.iter().all(|spec| spec.preempt != Preempt::Never) {
            let best = self.specs.iter().map(|spec| spec.priority).max();
            assert_eq!(Some(self.specs[masters[0]].priority), best, "the best one leads");
        }
        self.contested
    }

    /// After the last trouble, any timer that was running has run out, and who then leads has been heard; with a
    /// delayed preemption, its delay is over too.
    fn settling(&self) -> Duration {
        self.interval() * 9 + Duration::from_secs(8)
    }

    /// The longest.
    fn interval(&self) -> Duration {
        self.specs.iter().map(|spec| spec.interval).max().expect("there are some")
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Deliver { to, bytes } if self.nodes[to].paused => self.nodes[to].inbox.push(bytes),
            Step::Deliver { to, bytes } => self.turn(to, &[bytes]),
            Step::Wake(number) if self.nodes[number].paused => {}
            Step::Wake(number) => self.turn(number, &[]),
            Step::Resume(number) => {
                self.nodes[number].paused = false;
                let inbox = std::mem::take(&mut self.nodes[number].inbox);
                self.turn(number, &inbox);
            }
            Step::Restart(number) => {
                self.nodes[number].inbox.clear();
                self.nodes[number].paused = false;
                self.turn(number, &[]);
            }
            Step::Trouble => self.trouble(),
            Step::Heal => {
                (self.loss, self.doubling) = (None, None);
                self.calm = Some(self.now);
                self.nodes.iter_mut().for_each(|node| node.side = 0);
            }
        }
    }

    /// As the loop of `control::vrrp`: take in everything, let time pass, carry out.
    fn turn(&mut self, number: usize, packets: &[Vec<u8>]) {
        let node = &mut self.nodes[number];
        let local = self.now + node.ahead;
        if node.routers.members()[0].own().is_none() {
            node.routers.interface(0, Some(address(number)), local);
        }
        for bytes in packets {
            node.routers.received("eth0", &Packet::parse(bytes).unwrap(), local);
        }
        node.routers.fire(local);
        let mut sent = Vec::new();
        for order in node.routers.take_orders() {
            if let Order::Send(instance, priority) = order {
                sent.extend(node.routers.datagrams(instance, priority, local).into_iter().map(|(_, bytes)| bytes));
            }
        }
        let (side, deadline) = (node.side, node.routers.deadline());
        if let Some(deadline) = deadline {
            let at = deadline.saturating_sub(node.ahead).max(self.now);
            self.plan(at, Step::Wake(number));
        }
        sent.into_iter().for_each(|bytes| self.send(number, side, &bytes));
    }

    fn send(&mut self, from: usize, side: u64, bytes: &[u8]) {
        for to in 0..self.nodes.len() {
            let lost = self.loss.is_some_and(|many| self.dice.one_in(many));
            if to != from && self.nodes[to].side == side && !lost {
                let twice = self.doubling.is_some_and(|many| self.dice.one_in(many));
                for _ in 0..1 + usize::from(twice) {
                    let at = self.now + self.dice.up_to(DELAY);
                    self.plan(at, Step::Deliver { to, bytes: bytes.to_vec() });
                }
            }
        }
    }

    /// Something bad, and the next time of something bad.
    fn trouble(&mut self) {
        if self.calm.is_some() {
            return;
        }
        let number = self.dice.below(self.nodes.len() as u64) as usize;
        match self.dice.below(10) {
            5 => self.doubling = Some(1 + self.dice.below(5)),
            6 | 7 => self.reload(number),
            8 => self.crash(number, true),
            9 => self.crash(number, false),
            0 => self.loss = Some(1 + self.dice.below(5)),
            1 => self.loss = None,
            2 => (0..self.nodes.len()).for_each(|at| self.nodes[at].side = self.dice.below(2)),
            3 if !self.nodes[number].paused => {
                self.nodes[number].paused = true;
                let at = self.now + self.dice.up_to(Duration::from_secs(6));
                self.plan(at, Step::Resume(number));
            }
            // A machine that was suspended: its clock jumps.
            _ => {
                self.nodes[number].ahead += self.dice.up_to(Duration::from_secs(3));
                if !self.nodes[number].paused {
                    self.turn(number, &[]);
                }
            }
        }
        let next = self.now + self.dice.up_to(Duration::from_secs(3));
        self.plan(next, Step::Trouble);
    }

    /// Another priority, manner of preemption or list of addresses; in version 3 perhaps another interval.
    fn reload(&mut self, number: usize) {
        if self.nodes[number].paused {
            return;
        }
        let spec = &mut self.specs[number];
        match self.dice.below(4) {
            0 => spec.priority = 1 + self.dice.below(254) as u8,
            1 if spec.preempt != Preempt::Never => {
                spec.preempt = Preempt::After(Duration::from_secs(self.dice.below(4)));
            }
            2 if spec.version == Version::V3 => spec.interval = Duration::from_secs(1 + self.dice.below(2)),
            _ => spec.addresses.push(Addr::v4(0x0a00_0065 + spec.addresses.len() as u32)),
        }
        let spec = spec.clone();
        let node = &mut self.nodes[number];
        let local = self.now + node.ahead;
        let own = node.routers.members()[0].own();
        let seen = |routers: &Routers| (routers.members()[0].role(), routers.deadline());
        let (role, due) = seen(&node.routers);
        let interval = spec.interval;
        node.routers.retire(|_| true, local);
        node.routers.adopt(vec![Entry { own, ..Entry::new(spec) }], &[], local);
        let (role_now, due_now) = seen(&node.routers);
        assert_eq!(role_now, role, "a reload changes no role");
        if role == Role::Master {
            assert_eq!(due_now, due.map(|due| due.min(local + interval)), "and makes no advert late");
        }
        self.turn(number, &[]);
    }

    /// The process dies, and another one takes its place within a tenth of a second: with what it had noted, or from the
    /// beginning.
    fn crash(&mut self, number: usize, noted: bool) {
        let spec = self.specs[number].clone();
        let later = self.now + self.dice.up_to(Duration::from_millis(100));
        let node = &mut self.nodes[number];
        if node.paused || node.routers.members()[0].own().is_none() {
            return;
        }
        let standing = node.routers.members()[0].standing().filter(|_| noted);
        let role = node.routers.members()[0].role();
        node.routers = Routers::default();
        let local = later + node.ahead;
        let entry = Entry { own: Some(address(number)), standing, ..Entry::new(spec) };
        node.routers.adopt(vec![entry], &[], local);
        assert!(!noted || node.routers.members()[0].role() == role, "a repaired crash is no change of role");
        node.paused = true;
        self.plan(later, Step::Restart(number));
    }

    /// Several masters at once are no more than the protocol allows.
    fn watch(&mut self) {
        if self.masters().count() < 2 {
            self.several = None;
            return;
        }
        self.contested += u64::from(self.several.is_none());
        let since = *self.several.get_or_insert(self.now);
        // Those that stood still for a while after the last trouble count from their return.
        if self.nodes.iter().any(|node| node.paused) {
            self.calm = self.calm.map(|_| self.now);
        }
        let Some(calm) = self.calm else { return };
        let allowed = self.interval() + DELAY * 3;
        let lasted = self.now - since.max(calm);
        assert!(lasted <= allowed, "{:?} at once for {lasted:?}", self.masters().collect::<Vec<_>>());
    }

    fn masters(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(|&number| self.nodes[number].routers.members()[0].role() == Role::Master)
    }

    fn plan(&mut self, at: Duration, step: Step) {
        self.serial += 1;
        self.steps.push(Reverse((at, self.serial, step)));
    }
}

fn address(number: usize) -> Addr {
    Addr::v4(0x0a00_000a + number as u32)
}

/// The same for all but priority and preemption; sometimes with equal priorities.
fn specs(count: usize, dice: &mut Dice) -> Vec<Spec> {
    let base = Spec {
        version: if dice.one_in(2) { Version::V2 } else { Version::V3 },
        interval: if dice.one_in(3) { Duration::from_secs(2) } else { Duration::from_secs(1) },
        addresses: vec![Addr::v4(0x0a00_0064)],
        ..Spec::new("VI", "eth0", 51, Family::V4)
    };
    let (equal, stubborn) = (dice.one_in(4), dice.one_in(4));
    let spec = |_| Spec {
        priority: if equal { 100 } else { 1 + dice.below(254) as u8 },
        preempt: match (stubborn, dice.one_in(3)) {
            (true, _) => Preempt::Never,
            (false, true) => Preempt::After(Duration::from_secs(dice.below(4))),
            (false, false) => Preempt::After(Duration::ZERO),
        },
        ..base.clone()
    };
    (0..count).map(spec).collect()
}
