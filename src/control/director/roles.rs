//! What the roles of VRRP mean for the director: which addresses it holds and whether it forwards.
//!
//! A director forwards what is addressed to the addresses of instances that it is master of, and to addresses that no
//! instance is about. As backup it neither takes such traffic from the kernel nor forwards it.
//!
//! Becoming master: forwarding first, then the addresses, then their announcement, so that the kernel never has an address
//! whose connections it would reset. Losing it: the addresses first, then forwarding.

use std::collections::BTreeSet;
use std::time::Duration;

use rtnetlink::Handle;
use tokio::time::{sleep, timeout};

use super::{Director, DirectorError, takeover};
use crate::config::Config;
use crate::config::model::{VirtualAddress, VrrpInstance};
use crate::control::bfd::Neighbours;
use crate::control::keeper::Keeper;
use crate::control::kernel::{KernelError, Paths};
use crate::control::notify::Notifier;
use crate::control::programs::Programs;
use crate::control::track::Trackers;
use crate::control::view::{BfdView, RoleView, TrackerView};
use crate::control::vrrp::{Command, ElectionError, Elections, Legacy, Plan, Record, Report};
use crate::io::xdp::steer::Rules;
use crate::track::{Reading, Tracker, Watch};
use crate::vrrp::{Event, Standing};
use crate::wire::{Addr, ServiceKey};

/// How long it may take to be master once more, which one must be to say goodbye.
const TO_LEAD: Duration = Duration::from_millis(300);
/// From the order to say goodbye until it is said.
const TO_SPEAK: Duration = Duration::from_millis(30);

/// The roles of a director; see the module documentation.
#[derive(Debug)]
pub(super) struct Roles {
    pub(super) elections: Option<Elections>,
    pub(super) trackers: Trackers,
    pub(super) neighbours: Option<Neighbours>,
    pub(super) notifier: Option<Notifier>,
    pub(super) instances: Vec<Instance>,
    /// The addresses of full NAT and the static ones, which are the director's own whatever its roles.
    pub(super) local: Vec<VirtualAddress>,
    /// `static_routes` and `static_rules`.
    static_: Paths,
    /// How elections stood when a director before this one ended.
    legacy: Legacy,
    /// Sessions of BFD that go on, and are up.
    pub(super) sessions_up: Vec<String>,
    /// What its trackers had read: kind, name and reading.
    read_before: Vec<(String, String, Reading)>,
}

#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) name: String,
    pub(super) addresses: Vec<VirtualAddress>,
    pub(super) paths: Paths,
    /// Whether its addresses take what no service is for.
    pub(super) accepts: bool,
    pub(super) master: bool,
}

impl Instance {
    /// An instance of the configuration, in this role.
    pub(super) fn new(instance: &VrrpInstance, master: bool) -> Self {
        Self {
            name: instance.election.name.clone(),
            addresses: instance.addresses.clone(),
            paths: Paths { routes: instance.routes.clone(), rules: instance.rules.clone() },
            accepts: instance.accepts,
            master,
        }
    }
}

impl Roles {
    /// Backup of all instances but those that a director before this one was master of; with what that one had read.
    pub(super) fn new(config: &Config, legacy: Legacy, read_before: Vec<(String, String, Reading)>) -> Self {
        let led =
            |instance: &VrrpInstance| legacy.standing(&instance.election).is_some_and(|standing| standing.is_master());
        Self {
            elections: None,
            trackers: Trackers::default(),
            neighbours: None,
            notifier: None,
            instances: config.instances.iter().map(|instance| Instance::new(instance, led(instance))).collect(),
            local: local(config),
            static_: Paths { routes: config.static_routes.clone(), rules: config.static_rules.clone() },
            legacy,
            sessions_up: Vec::new(),
            read_before,
        }
    }

    /// The names of the instances that are master.
    pub(super) fn masters(&self) -> Vec<String> {
        self.instances.iter().filter(|instance| instance.master).map(|instance| instance.name.clone()).collect()
    }

    /// What trackers have read, for the next director.
    pub(super) fn readings(&self) -> Vec<(String, String, Reading)> {
        let saved =
            |(tracker, reading): (&Tracker, _)| (tracker.watch.kind().to_owned(), tracker.name.clone(), reading);
        self.trackers.readings().map(saved).collect()
    }

    /// Whether trackers have read something since this was last asked.
    pub(super) fn have_news(&mut self) -> bool {
        self.trackers.take_news()
    }

    /// Begins to hold elections, with everything but BFD that moves them or is told of them; `respectful` ones take over from no
    /// living master.
    pub(super) async fn start(
        &mut self,
        config: &Config,
        respectful: bool,
        keeper: &mut Keeper,
    ) -> Result<(), DirectorError> {
        Programs::complain(config);
        self.notifier = Some(Notifier::start(config));
        if config.instances.is_empty() {
            return Ok(());
        }
        let Self { legacy, sessions_up, read_before, .. } = self;
        let is_up = |name: &str| sessions_up.iter().any(|up| up == name);
        let plan = Plan::new(config, &[], |spec| legacy.standing(spec))?;
        let recall = |tracker: &Tracker| {
            if tracker.watch == Watch::Bfd && is_up(&tracker.name) {
                return Some(Reading::Up);
            }
            let same =
                |(kind, name, _): &&(String, String, Reading)| kind == tracker.watch.kind() && *name == tracker.name;
            let known = read_before.iter().find(same).map(|(.., reading)| *reading);
            // A session is down before it is up.
            known
                .filter(|reading| *reading != Reading::Unknown)
                .or((tracker.watch == Watch::Bfd).then_some(Reading::Down))
        };
        let took_part = |instance: usize| legacy.standing(&config.instances[instance].election).is_some();
        let influences = self.trackers.follow(config, recall, took_part, is_up);
        let mut elections = hold_elections(keeper, legacy)?;
        elections.tell(Command::Respect(respectful));
        // There are no numbers of before.
        let _ = elections.adopt(plan.influenced(influences)).await;
        self.elections = Some(elections);
        Ok(())
    }

    /// Tells the elections something, if there are any.
    pub(super) fn tell_elections(&self, command: Command) {
        if let Some(elections) = &self.elections {
            elections.tell(command);
        }
    }

    /// Whether elections have ended that were told to.
    pub(super) fn have_ended(&self) -> bool {
        self.elections.as_ref().is_none_or(Elections::have_ended)
    }

    /// Waits until they have ended.
    pub(super) fn stop(&mut self) {
        for event in self.elections.take().into_iter().flat_map(Elections::stop) {
            self.tell(&event);
        }
        self.neighbours.take().into_iter().for_each(Neighbours::stop);
    }

    /// Leads the elections of the masters once more, for as long as it takes to say goodbye for them.
    pub(super) async fn say_goodbye(&self, config: &Config) -> Result<(), DirectorError> {
        let plan = Plan::new(config, &[], |spec| self.legacy.standing(spec).filter(Standing::is_master))?;
        let record = Record::new(&Legacy::default());
        let record = record.map_err(|source| ElectionError::System { what: "keep a record", source })?;
        let mut elections = Elections::start(record)?;
        let _ = elections.adopt(plan).await;
        let mut awaited = self.masters().len();
        let lead = async {
            while awaited > 0 {
                awaited -= usize::from(matches!(elections.next().await, Some(Report::Take(_))));
            }
        };
        // An instance whose interface is gone cannot; the others need not wait for it.
        let _ = timeout(TO_LEAD, lead).await;
        elections.tell(Command::Stop);
        sleep(TO_SPEAK).await;
        Ok(())
    }

    /// Removes routes and rules of all instances: at the start those that a director before this one left, at the end
    /// those of this one.
    pub(super) async fn remove_paths(&self, handle: &Handle) {
        for instance in &self.instances {
            instance.paths.remove(handle).await;
        }
    }

    /// Waits, within reason, until everybody is told what was to be told.
    pub(super) async fn farewell(&mut self) {
        if let Some(notifier) = self.notifier.take() {
            notifier.finish().await;
        }
    }

    /// What the elections report next; trackers move them meanwhile. May be dropped while waiting; nothing is lost.
    pub(super) async fn next(&mut self) -> Report {
        let Self { elections: Some(elections), trackers, .. } = self else {
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

    /// Whether there is anything to forward for these services. Those of firewall marks have no address of their own; they
    /// follow the instances.
    fn forwards(&self, mut services: impl Iterator<Item = ServiceKey>) -> bool {
        let owned: BTreeSet<Addr> = addresses(&self.instances, |_| true).collect();
        self.instances.is_empty()
            || self.instances.iter().any(|instance| instance.master)
            || services.any(|key| key.mark().is_none() && !owned.contains(&key.virtual_.addr))
    }

    /// Whether the director is master of the instance of this name.
    pub(super) fn is_master(&self, name: &str) -> bool {
        self.instances.iter().any(|instance| instance.master && instance.name == name)
    }

    /// Without what belongs to a master elsewhere: all of it, unless this director `forwards`. Of its own, those addresses are
    /// closed that take nothing but services.
    pub(super) fn prune(&self, mut rules: Rules, forwards: bool) -> Rules {
        if !forwards {
            let Rules { local_addresses, own_addresses, .. } = rules;
            return Rules { local_addresses, own_addresses, ..Rules::default() };
        }
        let held: BTreeSet<Addr> = addresses(&self.instances, |instance| instance.master).collect();
        let elsewhere: BTreeSet<Addr> =
            addresses(&self.instances, |instance| !instance.master).filter(|address| !held.contains(address)).collect();
        rules.vips.retain(|vip| !elsewhere.contains(vip));
        rules.ftp.retain(|vip| !elsewhere.contains(vip));
        rules.services.retain(|key| !elsewhere.contains(&key.virtual_.addr));
        rules.closed_addresses = addresses(&self.instances, |instance| instance.master && !instance.accepts).collect();
        rules
    }

    /// The instances for listings.
    pub(super) fn views(&self) -> Vec<RoleView> {
        self.elections.as_ref().map(Elections::roles).unwrap_or_default()
    }

    /// What instances track, for listings.
    pub(super) fn tracked(&self) -> Vec<TrackerView> {
        self.trackers.views()
    }

    /// The sessions of BFD, for listings.
    pub(super) fn neighbours(&self) -> Vec<BfdView> {
        self.neighbours.as_ref().map(Neighbours::views).unwrap_or_default()
    }

    /// The addresses that are to be on interfaces.
    pub(super) fn wanted(&self) -> Vec<VirtualAddress> {
        wanted(&self.instances, &self.local)
    }

    /// Tells the log and whom the configuration names.
    pub(super) fn tell(&mut self, event: &Event) {
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
    /// Whether there is anything to forward.
    pub(super) fn forwards(&self) -> bool {
        self.roles.forwards(self.services.list.iter().map(|service| service.key))
    }

    /// Takes in a report and all that have come in with it: a director of many instances changes role once.
    pub(super) async fn role_changed(&mut self, first: Report) {
        let (mut taken, mut left) = (BTreeSet::new(), BTreeSet::new());
        let mut next = Some(first);
        while let Some(report) = next {
            match report {
                Report::Take(instance) => _ = (taken.insert(instance), left.remove(&instance)),
                Report::Leave(instance) => _ = (left.insert(instance), taken.remove(&instance)),
                Report::Happened(event) => self.roles.tell(&event),
                // It is waited for where it is asked for.
                Report::Renumbered => {}
            }
            next = self.roles.elections.as_mut().and_then(Elections::try_next);
        }
        if !left.is_empty() {
            for &instance in &left {
                self.roles.instances[instance].master = false;
                self.roles.instances[instance].paths.remove(self.kernel.handle()).await;
            }
            self.place().await;
            self.renew();
        }
        if !taken.is_empty() {
            taken.iter().for_each(|&instance| self.roles.instances[instance].master = true);
            self.renew();
            self.place().await;
            for &instance in &taken {
                if let Err(error) = self.roles.instances[instance].paths.add(self.kernel.handle()).await {
                    tracing::error!("instance {}: {error}", self.roles.instances[instance].name);
                }
                tracing::info!("instance {}: addresses in place", self.roles.instances[instance].name);
                self.roles.tell_elections(Command::Placed(instance));
            }
        }
        self.follow_sync_role();
    }

    /// Takes away what a director before this one has left, and this one does not go on with.
    pub(super) async fn clear_leftovers(&mut self) -> Result<(), KernelError> {
        for instance in self.roles.instances.iter().filter(|instance| !instance.master) {
            instance.paths.remove(self.kernel.handle()).await;
        }
        self.tuning.apply()?;
        self.macs.make(self.kernel.handle()).await?;
        self.place_addresses(&self.roles.wanted()).await?;
        if let Err(error) = self.roles.static_.add(self.kernel.handle()).await {
            tracing::error!("{error}");
        }
        Ok(())
    }

    /// Takes static routes and rules away.
    pub(super) async fn remove_static_paths(&self) {
        self.roles.static_.remove(self.kernel.handle()).await;
    }

    /// Has the interfaces carry these addresses and no others of ours. One that cannot be placed is told of; the others are,
    /// and a director with some of its addresses serves more than none.
    pub(super) async fn place_only(&mut self, addresses: &[VirtualAddress]) {
        if let Err(error) = self.place_addresses(addresses).await {
            tracing::error!("{error}");
        }
    }

    /// Has them carry what the roles ask for.
    pub(super) async fn place(&mut self) {
        self.place_only(&self.roles.wanted()).await;
    }

    async fn place_addresses(&mut self, wanted: &[VirtualAddress]) -> Result<(), KernelError> {
        let handle = self.kernel.handle();
        let raised = self.tuning.apply().and(self.macs.raise(handle, wanted).await);
        let placed = self.addresses.set(handle, wanted).await;
        raised.and(placed).and(self.macs.lower(handle, wanted).await)
    }
}

/// Starts the thread of the elections, with a record that is held for the next director.
pub(super) fn hold_elections(keeper: &mut Keeper, legacy: &Legacy) -> Result<Elections, DirectorError> {
    let record = Record::new(legacy);
    let record = record.map_err(|source| ElectionError::System { what: "keep a record", source })?;
    takeover::hold_elections(keeper, &record);
    Ok(Elections::start(record)?)
}

/// The addresses that are the director's own whatever its roles.
pub(super) fn local(config: &Config) -> Vec<VirtualAddress> {
    config.local_addresses.iter().chain(&config.static_addresses).cloned().collect()
}

/// The addresses of masters, and the director's own.
pub(super) fn wanted(instances: &[Instance], local: &[VirtualAddress]) -> Vec<VirtualAddress> {
    let masters = instances.iter().filter(|instance| instance.master);
    masters.flat_map(|instance| &instance.addresses).chain(local).cloned().collect()
}

fn addresses(instances: &[Instance], which: impl Fn(&Instance) -> bool) -> impl Iterator<Item = Addr> {
    let chosen = instances.iter().filter(move |instance| which(instance));
    chosen.flat_map(|instance| &instance.addresses).map(|address| address.address.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const TWO_INSTANCES: &str = "vrrp_instance A {\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {\n \
        192.0.2.1\n 192.0.2.9\n }\n}\nvrrp_instance B {\n interface eth0\n virtual_router_id 2\n virtual_ipaddress {\n \
        192.0.2.2\n 192.0.2.9 dev eth1\n }\n}\n";

    fn service(vip: &str) -> String {
        format!("virtual_server {vip} 80 {{\n lb_algo rr\n lb_kind NAT\n real_server 10.0.0.1 80 {{\n }}\n}}\n")
    }

    fn roles(text: &str, masters: &[usize]) -> (Roles, Rules, bool) {
        let config = config::parse_str("x.conf", text).unwrap().config;
        let mut roles = Roles::new(&config, Legacy::default(), Vec::new());
        masters.iter().for_each(|&master| roles.instances[master].master = true);
        let mut rules = Rules::default();
        for service in &config.services {
            rules.services.insert(service.key);
            rules.vips.insert(service.key.virtual_.addr);
            rules.servers.insert((6, service.servers[0].real));
        }
        let forwards = roles.forwards(config.services.iter().map(|service| service.key));
        (roles, rules, forwards)
    }

    #[test]
    fn a_director_forwards_what_it_is_master_of_and_what_no_instance_is_about() {
        let owned = TWO_INSTANCES.to_owned() + &["192.0.2.1", "192.0.2.2", "192.0.2.9"].map(service).concat();
        let free = owned.clone() + &service("192.0.2.3");
        // (configuration, masters, last bytes of the virtual addresses that are steered to the workers)
        let cases: [(&str, &[usize], &[u32]); 7] = [
            (&owned, &[], &[]),
            (&owned, &[0], &[1, 9]),
            (&owned, &[1], &[2, 9]),
            (&owned, &[0, 1], &[1, 2, 9]),
            (&free, &[], &[3]),
            (&free, &[0], &[1, 3, 9]),
            (&service("192.0.2.5"), &[], &[5]),
        ];
        for (text, masters, steered) in cases {
            let (roles, rules, forwards) = roles(text, masters);
            let pruned = roles.prune(rules, forwards);
            let last = |key: &ServiceKey| key.virtual_.addr.low32() & 0xff;
            let mut got: Vec<u32> = pruned.services.iter().map(last).collect();
            got.sort_unstable();
            assert_eq!(got, steered, "masters of {masters:?}");
            assert_eq!(pruned.vips.len(), steered.len());
            assert_eq!(forwards, !steered.is_empty());
            assert_eq!(pruned.servers.is_empty(), steered.is_empty(), "a backup takes no replies of servers either");
        }
        let config = config::parse_str("x.conf", "").unwrap().config;
        assert!(
            Roles::new(&config, Legacy::default(), Vec::new()).forwards(std::iter::empty()),
            "without instances there is nothing to be elected for"
        );
    }
}
