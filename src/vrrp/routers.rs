//! All instances of a director: who an advert is for, what groups do together, what is counted and told.
//!
//! The shell tells it what happened ([`received`](Routers::received), [`fire`](Routers::fire),
//! [`interface`](Routers::interface), ...) and then carries out [`orders`](Routers::take_orders) and passes on
//! [`events`](Routers::take_events), both in their order.
//!
//! A *group* (`vrrp_sync_group`) has one role. It can take part only if all members can. It becomes master when every
//! member has heard no better master for its own master-down time, so that two groups that each lead by one member do
//! not take turns for ever; and it gives way as soon as one member must.

mod member;

use std::collections::BTreeSet;
use std::time::Duration;

use super::accept::{self, Rejection};
use super::event::{Event, Happening};
use super::machine::{Action, Actions, Input};
use super::packet::Packet;
use super::role::{Cause, Role};
use super::spec::Spec;
use super::standing::Standing;
use super::wire::Ends;
use crate::wire::Addr;

pub use member::{Counters, Member};

/// What the shell is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Send the [`datagrams`](Routers::datagrams) of this instance with this priority.
    Send(usize, u8),
    /// Put its addresses on their interfaces, forward their traffic, and announce them.
    Take(usize),
    /// Undo that.
    Leave(usize),
    /// Announce its addresses again.
    Reassert(usize),
}

/// What a tracker does to an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Influence {
    /// Its name, unique among those of the instance.
    pub tracker: String,
    /// Whether the instance may take part, as far as this tracker is concerned.
    pub met: bool,
    /// What it adds to the priority.
    pub weight: i16,
}

/// An instance of a configuration, as it begins or goes on.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is configured to do.
    pub spec: Spec,
    /// The address that it can send from, if it can.
    pub own: Option<Addr>,
    /// All that its trackers say.
    pub influences: Vec<Influence>,
    /// What this host was until now, if nothing here knows it.
    pub standing: Option<Standing>,
}

impl Entry {
    /// An instance of which nothing else is known.
    pub fn new(spec: Spec) -> Self {
        Self { spec, own: None, influences: Vec::new(), standing: None }
    }
}

/// The instances of a director; see the module documentation.
#[derive(Debug, Default)]
pub struct Routers {
    members: Vec<Member>,
    /// Nothing starts before (`vrrp_startup_delay`). Zero once that is over.
    not_before: Duration,
    /// Whether any living master is to be respected.
    respectful: bool,
    /// A time of day, and when that was.
    clock: (Duration, Duration),
    orders: Vec<Order>,
    events: Vec<Event>,
}

impl Routers {
    /// The instances in the order of the configuration. `groups` holds the numbers of those that move together; nobody
    /// takes part before `not_before`.
    pub fn new(specs: Vec<Spec>, groups: &[Vec<usize>], not_before: Duration, now: Duration) -> Self {
        let mut routers = Self { not_before, ..Self::default() };
        routers.adopt(specs.into_iter().map(Entry::new).collect(), groups, now);
        routers
    }

    /// Nobody takes part before this.
    pub fn wait_until(&mut self, not_before: Duration) {
        self.not_before = not_before;
    }

    /// Says goodbye for the instances that are not `kept`. Orders and events that follow still have the numbers of
    /// before: to be asked for before [`adopt`](Self::adopt).
    pub fn retire(&mut self, kept: impl Fn(&Spec) -> bool, now: Duration) {
        for instance in 0..self.members.len() {
            if !kept(self.members[instance].spec()) {
                self.handle(instance, Input::Remove, now);
            }
        }
    }

    /// Goes over to these instances, numbered by their order. What is the same virtual router keeps its role, its timers
    /// and what is counted of it. A group of masters and backups becomes one of backups.
    pub fn adopt(&mut self, entries: Vec<Entry>, groups: &[Vec<usize>], now: Duration) {
        let mut before = std::mem::take(&mut self.members);
        if entries.iter().any(|entry| entry.standing.is_some()) {
            self.not_before = Duration::ZERO;
        }
        for (instance, entry) in entries.into_iter().enumerate() {
            let group = groups.iter().position(|members| members.contains(&instance));
            let known = before.iter().position(|member| member.spec().is_same_router(&entry.spec));
            let Some(known) = known else {
                self.members.push(Member::new(entry, group, now));
                self.handle(instance, Input::Respect(self.respectful), now);
                continue;
            };
            let mut member = before.swap_remove(known);
            let priority = member.priority();
            member.configure(entry, group, now);
            let changed = (member.priority() != priority).then_some(member.priority());
            self.members.push(member);
            changed.into_iter().for_each(|priority| self.tell(instance, Happening::Priority(priority), now));
        }
        self.unite(groups, now);
        (0..self.members.len()).for_each(|instance| self.settle(instance, now));
    }

    /// Masters give way in groups with members that wait for another master.
    fn unite(&mut self, groups: &[Vec<usize>], now: Duration) {
        for group in groups {
            let waits = |&member: &usize| {
                let machine = &self.members[member].machine;
                machine.role() == Role::Backup && !machine.leads_or_would()
            };
            if group.iter().any(waits) {
                group.iter().for_each(|&member| self.handle(member, Input::Yield, now));
            }
        }
    }

    /// All instances, by their numbers.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// What is to be done since this was last asked.
    pub fn take_orders(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }

    /// What happened since this was last asked.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// When to call [`Routers::fire`].
    pub fn deadline(&self) -> Option<Duration> {
        let waiting = self.members.iter().any(|member| member.machine.role() == Role::Fault && member.own().is_some());
        let start = Some(self.not_before).filter(|_| waiting && self.not_before > Duration::ZERO);
        self.members.iter().filter_map(|member| member.machine.deadline()).chain(start).min()
    }

    /// An interface has come, gone or changed: the address that this instance can send from, if it can.
    pub fn interface(&mut self, instance: usize, own: Option<Addr>, now: Duration) {
        self.members[instance].set_own(own);
        self.settle(instance, now);
    }

    /// A named condition without which this instance and its group cannot take part (a tracker of weight 0).
    pub fn require(&mut self, instance: usize, name: &str, met: bool, now: Duration) {
        self.members[instance].require(name, met);
        self.settle(instance, now);
    }

    /// Whether all instances respect any living master, however low, instead of taking over from it.
    pub fn respect(&mut self, respectful: bool, now: Duration) {
        self.respectful = respectful;
        (0..self.members.len()).for_each(|instance| self.handle(instance, Input::Respect(respectful), now));
    }

    /// This neighbour is dead: instances that it was master of need not wait for its adverts.
    pub fn lost(&mut self, neighbour: Addr, now: Duration) {
        for instance in 0..self.members.len() {
            if self.members[instance].master() == Some(neighbour) {
                self.handle(instance, Input::Lost, now);
            }
        }
    }

    /// What the tracker `name` adds to the priority of an instance from now on.
    pub fn weigh(&mut self, instance: usize, name: &str, weight: i16, now: Duration) {
        let member = &mut self.members[instance];
        let before = member.machine.priority();
        member.priority.weigh(name, weight);
        let priority = member.priority.effective();
        if priority != before {
            member.machine.handle(Input::Priority(priority), now);
            self.tell(instance, Happening::Priority(priority), now);
        }
    }

    /// The shell is awake; to be said before anything else of a turn, so that lateness is measured before what was
    /// received meanwhile moves the timers.
    pub fn woke(&mut self, now: Duration) {
        for instance in 0..self.members.len() {
            if let Some(late) = self.members[instance].lateness(now) {
                self.tell(instance, Happening::Stalled(late), now);
            }
            self.handle(instance, Input::Woke, now);
        }
    }

    /// A packet of VRRP came in by `interface`.
    pub fn received(&mut self, interface: &str, packet: &Packet<'_>, now: Duration) {
        let family = packet.ends.source.family();
        let concerns = |spec: &Spec| {
            spec.interface == interface && spec.family == family && Some(spec.router) == accept::router(packet)
        };
        let Some(instance) = self.members.iter().position(|member| concerns(member.spec())) else { return };
        let wall = self.wall(now);
        let member = &mut self.members[instance];
        let verdict = accept::judge(member.spec(), member.own(), packet);
        match verdict.and_then(|heard| member.admit(packet, wall).map(|()| heard)) {
            Err(why) => member.refuse(packet.ends.source, why),
            Ok((heard, advert)) => {
                if member.differs(&advert, heard.from) {
                    self.tell(instance, Happening::Mismatch(heard.from), now);
                }
                let member = &mut self.members[instance];
                let told = member.hear(heard, now);
                told.into_iter().for_each(|what| self.tell(instance, what, now));
                self.handle(instance, Input::Heard(heard), now);
            }
        }
    }

    /// Time has passed. All that was received before must have been handed over.
    pub fn fire(&mut self, now: Duration) {
        for instance in 0..self.members.len() {
            if self.members[instance].machine.role() == Role::Fault {
                self.settle(instance, now);
            }
            self.handle(instance, Input::Deadline, now);
            if let Some(healed) = self.members[instance].forget_rival(now) {
                self.tell(instance, Happening::Healed(healed), now);
            }
        }
        if now >= self.not_before {
            self.not_before = Duration::ZERO;
        }
        let groups: BTreeSet<usize> = self.members.iter().filter_map(|member| member.group).collect();
        groups.into_iter().for_each(|group| self.lead_if_all_would(group, now));
    }

    /// The director ends: masters say goodbye.
    pub fn stop(&mut self, now: Duration) {
        for instance in 0..self.members.len() {
            self.handle(instance, Input::Stop, now);
        }
    }

    /// An advert of this instance, as IP packets to everybody who should have it. Counts them as sent.
    pub fn datagrams(&mut self, instance: usize, priority: u8, now: Duration) -> Vec<(Addr, Vec<u8>)> {
        let wall = self.wall(now);
        self.members[instance].datagrams(priority, wall)
    }

    /// It is `wall` since the beginning of 1970; it may jump. Only sequence numbers depend on it.
    pub fn set_clock(&mut self, wall: Duration, now: Duration) {
        self.clock = (wall, now);
    }

    fn wall(&self, now: Duration) -> Duration {
        let (wall, then) = self.clock;
        wall + now.saturating_sub(then)
    }

    /// What `instance` is told, and what follows for it and its group.
    fn handle(&mut self, instance: usize, input: Input, now: Duration) {
        let member = &mut self.members[instance];
        let before = member.machine.role();
        let actions = member.machine.handle(input, now);
        self.carry_out(instance, before, actions, now);
    }

    fn carry_out(&mut self, instance: usize, from: Role, actions: Actions, now: Duration) {
        for action in actions {
            match action {
                Action::Send(priority) => self.orders.push(Order::Send(instance, priority)),
                Action::Take => self.orders.push(Order::Take(instance)),
                Action::Leave => self.orders.push(Order::Leave(instance)),
                Action::Reassert => self.orders.push(Order::Reassert(instance)),
                Action::Entered(to, cause) => self.entered(instance, from, to, cause, now),
            }
        }
    }

    fn entered(&mut self, instance: usize, from: Role, to: Role, cause: Cause, now: Duration) {
        let member = &mut self.members[instance];
        let (deaf, healed) = member.entered(from, to, cause, now);
        let priority = member.machine.priority();
        if let Some((adverts, from, why)) = deaf {
            self.tell(instance, Happening::Deaf { adverts, from, why }, now);
        }
        self.tell(instance, Happening::Role { from, to, cause, priority }, now);
        if let Some(rival) = healed {
            self.tell(instance, Happening::Healed(rival), now);
        }
        if from == Role::Master && to == Role::Backup && cause != Cause::Group {
            for other in self.companions(instance) {
                self.handle(other, Input::Yield, now);
            }
        }
    }

    /// Tells an instance and its group whether they can take part.
    fn settle(&mut self, instance: usize, now: Duration) {
        let all: Vec<usize> = self.companions(instance).chain([instance]).collect();
        let able = now >= self.not_before && all.iter().all(|&member| self.members[member].able());
        for member in all {
            let own = self.members[member].own().filter(|_| able);
            self.handle(member, Input::Usable(own), now);
        }
    }

    fn lead_if_all_would(&mut self, group: usize, now: Duration) {
        let members: Vec<usize> = (0..self.members.len()).filter(|&at| self.members[at].group == Some(group)).collect();
        if members.iter().all(|&member| self.members[member].machine.leads_or_would()) {
            members.into_iter().for_each(|member| self.handle(member, Input::Lead, now));
        }
    }

    /// The other members of an instance's group.
    fn companions(&self, instance: usize) -> impl Iterator<Item = usize> + use<> {
        let group = self.members[instance].group;
        let same = |member: &Member| member.group.is_some() && member.group == group;
        let all: Vec<usize> = (0..self.members.len()).filter(|&at| at != instance && same(&self.members[at])).collect();
        all.into_iter()
    }

    fn tell(&mut self, instance: usize, what: Happening, now: Duration) {
        self.events.push(Event { at: now, instance, what });
    }
}

/// What an instance heard but could not count: how many, the last sender, what was wrong.
type Deaf = (u64, Addr, Rejection);

/// From an address to another.
const fn ends(source: Addr, destination: Addr) -> Ends {
    Ends { source, destination }
}
