//! From one set of instances to another, under way: what `vrrp_instance`, `vrrp_sync_group`, the tracking blocks,
//! `bfd_instance` and the notifications of a new configuration mean for elections that are being held.
//!
//! What is the same virtual router (interface, `virtual_router_id` and family) goes on in its role and at its times, whatever
//! else of it has changed. One that is gone says goodbye; one that is new begins as backup, unless it takes over addresses that
//! this director holds: then it begins as master, so that they are not missing for a master-down time. Addresses move
//! without being taken off, as long as one master or another here has them.
//!
//! First everything is done that may be refused ([`Turnover::prepare`]), then what cannot.

use std::collections::BTreeSet;
use std::time::Duration;

use super::roles::{Instance, Roles, hold_elections, local, wanted};
use super::sessions::hold_sessions;
use super::{Director, DirectorError};
use crate::bfd::State;
use crate::config::Config;
use crate::config::model::{VirtualAddress, VirtualRoute, VirtualRule};
use crate::control::bfd::{self, Neighbours};
use crate::control::keeper::Keeper;
use crate::control::kernel::Paths;
use crate::control::vrrp::{Command, Elections, Legacy, Plan, Report};
use crate::track::{Reading, Tracker, Watch};
use crate::vrrp::{Spec, Standing};
use crate::wire::Addr;

/// See the module documentation.
pub(super) struct Turnover {
    /// `None` if there are no elections, before or after.
    plan: Option<Plan>,
    elections: Option<Elections>,
    sessions: bfd::Prepared,
    neighbours: Option<Neighbours>,
    /// The instances of the new configuration, as far as it is known which are master.
    instances: Vec<Instance>,
    /// The numbers that they had.
    was: Vec<Option<usize>>,
    local: Vec<VirtualAddress>,
}

impl Turnover {
    /// Does all that may be refused.
    pub(super) fn prepare(
        roles: &Roles,
        old: &Config,
        new: &Config,
        keeper: &mut Keeper,
    ) -> Result<Self, DirectorError> {
        let before: Vec<&Spec> = old.instances.iter().map(|instance| &instance.election).collect();
        let was: Vec<Option<usize>> = new
            .instances
            .iter()
            .map(|instance| before.iter().position(|other| other.is_same_router(&instance.election)))
            .collect();
        let moved = moved(roles, new, &was);
        let begins = |spec: &Spec| {
            // At once: whoever else may lead must hear of it.
            let begins = Standing::Master { advert_at: Duration::ZERO };
            spec.addresses.iter().any(|address| moved.contains(address)).then_some(begins)
        };
        let master = |(number, was): (usize, &Option<usize>)| match *was {
            Some(was) => roles.instances[was].master,
            None => begins(&new.instances[number].election).is_some(),
        };
        let masters: Vec<bool> = was.iter().enumerate().map(master).collect();
        let plan = (roles.elections.is_some() || !new.instances.is_empty())
            .then(|| Plan::new(new, &before, begins))
            .transpose()?;
        let sessions = bfd::Prepared::new(&new.bfd, &old.bfd)?;
        let begins_bfd = roles.neighbours.is_none() && !new.bfd.is_empty();
        let neighbours = begins_bfd.then(|| hold_sessions(keeper, &bfd::Legacy::default())).transpose()?;
        let elections = (roles.elections.is_none() && plan.is_some())
            .then(|| hold_elections(keeper, &Legacy::default()))
            .transpose()?;
        let instances = new.instances.iter().zip(masters).map(|(instance, master)| Instance::new(instance, master));
        let (instances, local) = (instances.collect(), local(new));
        Ok(Self { plan, elections, sessions, neighbours, instances, was, local })
    }

    /// Ends what was begun for it.
    pub(super) fn abandon(self) {
        self.elections.iter().for_each(|elections| elections.tell(Command::Stop));
        self.neighbours.into_iter().for_each(Neighbours::stop);
    }

    /// The addresses that are there and are to stay.
    pub(super) fn staying(&self, roles: &Roles) -> Vec<VirtualAddress> {
        let next = wanted(&self.instances, &self.local);
        roles.wanted().into_iter().filter(|address| next.contains(address)).collect()
    }
}

/// Addresses that this director holds as a master that will hold them no longer.
fn moved(roles: &Roles, new: &Config, was: &[Option<usize>]) -> BTreeSet<Addr> {
    let kept = new.instances.iter().zip(was).filter(|(_, was)| was.is_some_and(|was| roles.instances[was].master));
    let stay: BTreeSet<Addr> =
        kept.flat_map(|(instance, _)| &instance.addresses).map(|address| address.address.into()).collect();
    let held = roles.instances.iter().filter(|instance| instance.master).flat_map(|instance| &instance.addresses);
    held.map(|address| address.address.into()).filter(|address| !stay.contains(address)).collect()
}

impl Director {
    /// Goes over; `config` is the new one already, and its services are published.
    pub(super) async fn turn_over(&mut self, turnover: Turnover) {
        let Turnover { plan, elections, sessions, neighbours, mut instances, was, local } = turnover;
        if self.roles.elections.is_none() {
            self.roles.elections = elections;
        }
        if self.roles.neighbours.is_some() || neighbours.is_some() {
            self.roles.speak_bfd(sessions, neighbours, &mut self.keeper).await;
        }
        let mut taken = BTreeSet::new();
        if let Some(plan) = plan {
            let influences = self.follow_trackers(&was);
            let reports = match &mut self.roles.elections {
                Some(elections) => elections.adopt(plan.influenced(influences)).await,
                None => Vec::new(),
            };
            taken = self.hear_last(reports);
        }
        for (instance, was) in instances.iter_mut().zip(&was) {
            instance.master = was.map_or(instance.master, |was| self.roles.instances[was].master);
        }
        if let Some(notifier) = &mut self.roles.notifier {
            notifier.follow(&self.config, |number| was[number]);
        }
        let before = std::mem::replace(&mut self.roles.instances, instances);
        self.roles.local = local;
        self.move_paths(&before).await;
        self.macs.want(self.config.virtual_macs.clone());
        let tuned = self.tuning.follow(&self.config);
        if let Err(error) = tuned.and(self.macs.make(self.kernel.handle()).await) {
            tracing::error!("{error}");
        }
        self.renew();
        self.place().await;
        for (number, instance) in self.roles.instances.iter().enumerate().filter(|(_, instance)| instance.master) {
            let Some(was) = was[number] else { continue };
            if before[was].addresses != instance.addresses || taken.contains(&was) {
                self.roles.tell_elections(Command::Placed(number));
            }
        }
        self.follow_sync_role();
    }

    /// What is tracked follows, and gives what it says to each instance.
    fn follow_trackers(&mut self, was: &[Option<usize>]) -> Vec<Vec<crate::vrrp::Influence>> {
        let sessions = self.roles.neighbours();
        let session = |name: &str| sessions.iter().find(|session| session.name == name);
        let is_up =
            |name: &str| session(name).is_some_and(|session| session.state == State::Up.name() || session.excused);
        let recall = |tracker: &Tracker| {
            session(&tracker.name).filter(|_| tracker.watch == Watch::Bfd)?;
            Some(if is_up(&tracker.name) { Reading::Up } else { Reading::Down })
        };
        let groups = &self.config.groups;
        let companions = |instance: usize| groups.iter().find(|group| group.members.contains(&instance));
        // A group that takes part does not stop for a member that joins it.
        let takes_part = |instance: usize| {
            let members = companions(instance).map_or(&[instance][..], |group| &group.members).to_vec();
            members.into_iter().any(|member| was[member].is_some())
        };
        self.roles.trackers.follow(&self.config, recall, takes_part, is_up)
    }

    /// Takes in what was reported with the numbers of before. Gives who took addresses.
    fn hear_last(&mut self, reports: Vec<Report>) -> BTreeSet<usize> {
        let mut taken = BTreeSet::new();
        for report in reports {
            match report {
                Report::Take(instance) => {
                    self.roles.instances[instance].master = true;
                    taken.insert(instance);
                }
                Report::Leave(instance) => {
                    self.roles.instances[instance].master = false;
                    taken.remove(&instance);
                }
                Report::Happened(event) => self.roles.tell(&event),
                Report::Renumbered => {}
            }
        }
        taken
    }

    /// Routes and rules that masters had and have no more go, and new ones come.
    async fn move_paths(&self, before: &[Instance]) {
        let (old, new) = (paths(before), paths(&self.roles.instances));
        without(&old, &new).remove(self.kernel.handle()).await;
        if let Err(error) = without(&new, &old).add(self.kernel.handle()).await {
            tracing::error!("{error}");
        }
    }
}

/// Those of all masters.
fn paths(instances: &[Instance]) -> Paths {
    let masters = || instances.iter().filter(|instance| instance.master).map(|instance| &instance.paths);
    let routes: Vec<VirtualRoute> = masters().flat_map(|paths| paths.routes.clone()).collect();
    let rules: Vec<VirtualRule> = masters().flat_map(|paths| paths.rules.clone()).collect();
    Paths { routes, rules }
}

fn without(paths: &Paths, others: &Paths) -> Paths {
    Paths {
        routes: paths.routes.iter().filter(|route| !others.routes.contains(route)).cloned().collect(),
        rules: paths.rules.iter().filter(|rule| !others.rules.contains(rule)).cloned().collect(),
    }
}
