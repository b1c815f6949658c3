//! What the roles of VRRP mean for the director: which addresses it holds and whether it forwards.
//!
//! A director forwards what is addressed to the addresses of instances that it is master of, and to addresses that no
//! instance is about. As backup it neither takes such traffic from the kernel nor forwards it.
//!
//! Becoming master: forwarding first, then the addresses, then their announcement, so that the kernel never has an address
//! whose connections it would reset. Losing it: the addresses first, then forwarding.

use std::collections::BTreeSet;

use super::{Director, DirectorError};
use crate::config::Config;
use crate::config::model::VirtualAddress;
use crate::control::bfd::Neighbours;
use crate::control::notify::Notifier;
use crate::control::programs::Programs;
use crate::control::track::Trackers;
use crate::control::view::{BfdView, RoleView, TrackerView};
use crate::control::vrrp::{Command, Elections, Report};
use crate::io::xdp::steer::Rules;
use crate::vrrp::Event;
use crate::wire::Addr;

/// The roles of a director; see the module documentation.
#[derive(Debug)]
pub(super) struct Roles {
    elections: Option<Elections>,
    trackers: Option<Trackers>,
    neighbours: Option<Neighbours>,
    notifier: Option<Notifier>,
    instances: Vec<Instance>,
    /// Some service has an address that no instance is about.
    free: bool,
}

#[derive(Debug)]
struct Instance {
    name: String,
    addresses: Vec<VirtualAddress>,
    master: bool,
}

impl Roles {
    /// Backup everywhere.
    pub(super) fn new(config: &Config) -> Self {
        let instance = |instance: &crate::config::model::VrrpInstance| Instance {
            name: instance.election.name.clone(),
            addresses: instance.addresses.clone(),
            master: false,
        };
        let instances: Vec<Instance> = config.instances.iter().map(instance).collect();
        let owned: BTreeSet<Addr> = addresses(&instances, |_| true).collect();
        let free = config.services.iter().any(|service| !owned.contains(&service.key.virtual_.addr));
        Self { elections: None, trackers: None, neighbours: None, notifier: None, instances, free }
    }

    /// Begins to hold elections, with everything that moves them or is told of them. `random` gives numbers that nobody
    /// can guess.
    pub(super) fn start(&mut self, config: &Config, random: impl FnMut() -> u32) -> Result<(), DirectorError> {
        for complaint in Programs::review(config) {
            tracing::error!("{complaint}");
        }
        self.neighbours = Neighbours::start(&config.bfd, random)?;
        self.notifier = Some(Notifier::start(config));
        let (trackers, first) = Trackers::start(config, self.neighbours.as_mut());
        self.trackers = Some(trackers);
        self.elections = Elections::start(config, first)?;
        Ok(())
    }

    /// Ends them: when this returns, the backups know.
    pub(super) fn stop(&mut self) {
        for event in self.elections.take().into_iter().flat_map(Elections::stop) {
            self.tell(&event);
        }
        self.neighbours.take().into_iter().for_each(Neighbours::stop);
    }

    /// Waits, within reason, until everybody is told what was to be told.
    pub(super) async fn farewell(&mut self) {
        if let Some(notifier) = self.notifier.take() {
            notifier.finish().await;
        }
    }

    /// What the elections report next; trackers move them meanwhile. May be dropped while waiting; nothing is lost.
    pub(super) async fn next(&mut self) -> Report {
        let (Some(elections), Some(trackers)) = (&mut self.elections, &mut self.trackers) else {
            return std::future::pending().await;
        };
        loop {
            let commands = tokio::select! {
                report = elections.next() => match report {
                    Some(report) => return report,
                    None => return std::future::pending().await,
                },
                commands = trackers.next() => commands,
            };
            commands.into_iter().for_each(|command| elections.tell(command));
        }
    }

    /// Whether there is anything to forward.
    pub(super) fn forwards(&self) -> bool {
        self.free || self.instances.is_empty() || self.instances.iter().any(|instance| instance.master)
    }

    /// Without what belongs to a master elsewhere.
    pub(super) fn prune(&self, mut rules: Rules) -> Rules {
        if !self.forwards() {
            return Rules { local_addresses: rules.local_addresses, ..Rules::default() };
        }
        let held: BTreeSet<Addr> = addresses(&self.instances, |instance| instance.master).collect();
        let elsewhere: BTreeSet<Addr> =
            addresses(&self.instances, |instance| !instance.master).filter(|address| !held.contains(address)).collect();
        rules.vips.retain(|vip| !elsewhere.contains(vip));
        rules.services.retain(|key| !elsewhere.contains(&key.virtual_.addr));
        rules
    }

    /// The instances for listings.
    pub(super) fn views(&self) -> Vec<RoleView> {
        self.elections.as_ref().map(Elections::roles).unwrap_or_default()
    }

    /// What instances track, for listings.
    pub(super) fn tracked(&self) -> Vec<TrackerView> {
        self.trackers.as_ref().map(Trackers::views).unwrap_or_default()
    }

    /// The sessions of BFD, for listings.
    pub(super) fn neighbours(&self) -> Vec<BfdView> {
        self.neighbours.as_ref().map(Neighbours::views).unwrap_or_default()
    }

    fn wanted(&self) -> Vec<VirtualAddress> {
        self.instances
            .iter()
            .filter(|instance| instance.master)
            .flat_map(|instance| instance.addresses.clone())
            .collect()
    }

    /// Tells the log and whom the configuration names.
    fn tell(&mut self, event: &Event) {
        if let Some(notifier) = &mut self.notifier {
            notifier.tell(event);
        }
        let name = &self.instances[event.instance].name;
        if event.what.is_alarming() {
            tracing::warn!("instance {name}: {}", event.what);
        } else {
            tracing::info!("instance {name}: {}", event.what);
        }
    }
}

impl Director {
    /// Takes in a report and all that have come in with it: a director of many instances changes role once.
    pub(super) async fn role_changed(&mut self, first: Report) {
        let (mut taken, mut left) = (BTreeSet::new(), BTreeSet::new());
        let mut next = Some(first);
        while let Some(report) = next {
            match report {
                Report::Take(instance) => _ = (taken.insert(instance), left.remove(&instance)),
                Report::Leave(instance) => _ = (left.insert(instance), taken.remove(&instance)),
                Report::Happened(event) => self.roles.tell(&event),
            }
            next = self.roles.elections.as_mut().and_then(Elections::try_next);
        }
        if !left.is_empty() {
            left.iter().for_each(|&instance| self.roles.instances[instance].master = false);
            self.place().await;
            self.publish();
        }
        if !taken.is_empty() {
            taken.iter().for_each(|&instance| self.roles.instances[instance].master = true);
            self.publish();
            self.place().await;
            for &instance in &taken {
                tracing::info!("instance {}: addresses in place", self.roles.instances[instance].name);
                self.roles.elections.iter().for_each(|elections| elections.tell(Command::Placed(instance)));
            }
        }
    }

    /// An address that cannot be placed is told of; the others are, and a director with some of its addresses serves more
    /// than none.
    async fn place(&mut self) {
        if let Err(error) = self.addresses.set(self.kernel.handle(), &self.roles.wanted()).await {
            tracing::error!("{error}");
        }
    }
}

fn addresses(instances: &[Instance], which: impl Fn(&Instance) -> bool) -> impl Iterator<Item = Addr> {
    let chosen = instances.iter().filter(move |instance| which(instance));
    chosen.flat_map(|instance| &instance.addresses).map(|address| address.address.into())
}
