//! The director: everything put together, and the loop that keeps it together.
//!
//! Bring-up is in [`start`], worker threads in [`workers`], listings in `source`. The loop holds the facts
//! (configuration, health, network), makes the whole desired state anew from them whenever one changes, and publishes
//! it: to the workers as a snapshot, to the steering program as rules, to the kernel as addresses.

mod change;
mod company;
mod confinement;
mod error;
mod heir;
mod ports;
mod reload;
mod resign;
mod roles;
mod sessions;
mod shortage;
mod signals;
mod source;
mod start;
mod sweep;
mod synchronise;
mod takeover;
mod turnover;
mod workers;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use super::admin;
use super::configuration::{Given, Written};
use super::keeper::{Keeper, Wish};
use super::kernel::{self, Kernel, ReturnLink, Tuning, VirtualAddresses, VirtualMacs};
use super::ledger::{Counts, ESTIMATE};
use super::socket::ControlSocket;
use super::state::State;
use super::sync::{SyncRole, Synchronisation};
use super::vrrp::Command;
use super::{Ids, Ledger, Locals, plan, rules};
use crate::check::{self, Failure, Health, Spec};
use crate::config::{Config, Reading};
use crate::forward::{Reason, Shared};
use crate::io::PortInfo;
use crate::io::xdp::Gauge;
use crate::io::xdp::SetupError;
use crate::io::xdp::steer::Steering;
use crate::service::{Network, Services, Snapshot};
use crate::supervisor::{CONFIGURATION, Channel};
use crate::sys::pulse::{Hold, Pulse};
use crate::sys::{capabilities, clock, scheduling};
use crate::worker::stand_still_on_demand;
use company::Company;
pub use confinement::Confinement;
pub use error::DirectorError;
pub use resign::resign;
use roles::Roles;
use shortage::Shortage;
use signals::{Order, Signals};
use start::Prepared;
use sweep::Sweep;
use synchronise::SyncControl;
use workers::Workers;

/// How soon a neighbour that a worker has asked for is looked up, and how finely the table is swept.
const BEAT: Duration = Duration::from_millis(5);
/// How often the neighbours that services depend on are confirmed.
const CONFIRM: Duration = Duration::from_secs(3);

/// A running director.
pub(crate) struct Director {
    config: Config,
    network: Arc<Network>,
    services: Arc<Services>,
    ids: Ids,
    ledger: Ledger,
    generation: u64,
    /// Neighbours are to be looked up at the next beat: a client has changed who is needed.
    confirm_soon: bool,
    health: Health,
    probes: JoinSet<Probed>,
    kernel: Kernel,
    addresses: VirtualAddresses,
    macs: VirtualMacs,
    tuning: Tuning,
    roles: Roles,
    steering: Steering,
    shared: Shared,
    sweep: Sweep,
    /// Of full NAT's local ends.
    shortage: shortage::Watch,
    company: Company,
    sync: Synchronisation,
    sync_control: SyncControl,
    workers: Workers,
    ports: Vec<PortInfo>,
    gauges: Vec<Gauge>,
    started: Duration,
    /// The configuration as it was read last; in `config` are the changes that clients have asked for since.
    file: Config,
    keeper: Keeper,
    /// The control thread's sign of life.
    pulse: Hold,
    /// Why the last upgrade came to nothing.
    not_upgraded: Option<String>,
}

/// A check, and what its probe has found.
type Probed = (Arc<Spec>, Result<(), Failure>);

/// How a director ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With everything that it has set up.
    Asked,
    /// Another one goes on with it.
    Followed,
}

/// Runs a director until a signal ends it, or its supervisor wants another in its place. `again` reads the configuration
/// once more; `None` if it would not load.
pub async fn run(
    Given { written, goes_on }: Given,
    mut again: impl FnMut() -> Option<Written>,
    supervisor: Option<Channel>,
) -> Result<(), DirectorError> {
    // Before anything else: without them each step would fail in its own words.
    let missing = capabilities::missing();
    if !missing.is_empty() {
        return Err(DirectorError::Privileges(missing));
    }
    let mut signals = Signals::new()?;
    let system = |what| move |source| DirectorError::System { what, source };
    let mut keeper = Keeper::new(supervisor).map_err(system("listen to the supervisor"))?;
    let Written { config, reading, file } = written;
    let mut prepared = Prepared::new(config).await?;
    let Some(inheritance) = prepared.inherit(&mut keeper).await? else { return Ok(()) };
    let at = prepared.socket().to_owned();
    // If nobody has died or made way, whoever listens there would be disturbed.
    let is_first = inheritance.estate.is_empty() && !goes_on;
    let first = is_first.then(|| ControlSocket::bind(&at)).transpose()?;
    let mut director = prepared.start(keeper, inheritance).await?;
    let mut socket = first.map_or_else(|| ControlSocket::take_over(&at), Ok)?;
    // A spare has gone first since it waited.
    let _ = scheduling::go_along();
    director.keeper.hold(CONFIGURATION, &file);
    director.announce();
    director.keeper.ready();
    if goes_on {
        compare(&reading, again());
    }
    match director.serve(&mut socket, &mut signals, &mut again).await {
        Ok(End::Followed) => {
            // Nobody may be told that this director is still there.
            drop(socket);
            director.make_way();
            Ok(())
        }
        outcome => {
            director.stop().await?;
            outcome.map(drop)
        }
    }
}

/// Says what has become of the files that the last director had read, if anything has.
fn compare(kept: &Reading, files: Option<Written>) {
    match files {
        Some(files) if files.reading == *kept => {}
        Some(_) => {
            tracing::warn!("the configuration has changed since it was read: what was read holds until a reload")
        }
        None => tracing::error!(
            "the configuration does not load any more: what was read before holds, but repair it before you reload, \
             upgrade or restart"
        ),
    }
}

impl Director {
    /// The loop.
    async fn serve(
        &mut self,
        socket: &mut ControlSocket,
        signals: &mut Signals,
        again: &mut impl FnMut() -> Option<Written>,
    ) -> Result<End, DirectorError> {
        let (mut beat, mut confirm, mut estimate) = (steady(BEAT), steady(CONFIRM), steady(ESTIMATE));
        let mut look = steady(company::LOOK);
        loop {
            let deadline = self.health.deadline();
            tokio::select! {
                network = self.kernel.changed() => self.network_changed(network?).await,
                () = until(deadline) => self.start_probes(),
                Some(end) = self.probes.join_next() => self.probes_ended(end),
                _ = beat.tick() => self.beat().await,
                _ = confirm.tick() => self.confirm().await,
                () = self.sync.readable() => self.sync.receive(clock::now()),
                _ = estimate.tick() => self.estimate(),
                _ = look.tick() => self.company.look(&self.workers, clock::now()),
                report = self.roles.next() => self.role_changed(report).await,
                query = socket.next() => query.answer(self),
                order = signals.next() => match order {
                    Order::Reload => match again() {
                        Some(written) => self.reload(written).await,
                        None => tracing::error!("SIGHUP: the configuration does not load; nothing was changed"),
                    },
                    Order::End(name) => {
                        tracing::info!("{name}: stopping");
                        return Ok(End::Asked);
                    }
                },
                wish = self.keeper.next() => match wish {
                    Wish::GiveWay => return Ok(End::Followed),
                    Wish::NotUpgraded(why) => self.not_upgraded = Some(why),
                }
            }
        }
    }

    async fn network_changed(&mut self, network: Network) {
        self.network = Arc::new(network);
        self.replan();
        self.confirm().await;
    }

    fn start_probes(&mut self) {
        for spec in self.health.due(clock::now()) {
            self.probes.spawn_local(async move {
                let answer = check::probe(&spec).await;
                (spec, answer)
            });
        }
    }

    /// Takes in an answer, and all others that are there: with a rack of servers gone, one plan says it.
    fn probes_ended(&mut self, first: Result<Probed, JoinError>) {
        let mut changed = false;
        let mut ended = Some(first);
        while let Some(end) = ended {
            if let Ok((spec, answer)) = end
                && let Some(change) = self.health.answer(&spec, answer, clock::now())
            {
                tracing::info!("{change}");
                changed = true;
            }
            ended = self.probes.try_join_next();
        }
        if changed {
            self.replan();
        }
    }

    async fn beat(&mut self) {
        stand_still_on_demand();
        let now = clock::now();
        self.pulse.turn();
        while let Some(next) = self.shared.wanted.pop() {
            self.kernel.resolve(next, now).await;
        }
        if std::mem::take(&mut self.confirm_soon) {
            self.confirm().await;
        }
        let settled = self.workers.all_up_to_date();
        let before = clock::processor();
        self.sweep.step(&self.services, &self.config.settings.options, settled, &mut self.sync, now);
        self.sweep.cost(clock::processor().saturating_sub(before));
        self.sync.beat(clock::now());
        self.learn_before_leading();
        if self.roles.have_news() {
            self.save();
        }
        if settled && self.sweep.vacate(&self.services, &mut self.ids) {
            self.replan();
        }
    }

    async fn confirm(&mut self) {
        self.follow_sync_role();
        let wanted = kernel::wanted(&self.services, &self.network);
        self.kernel.keep_resolved(&wanted, clock::now()).await;
        self.watch_local_ends();
    }

    /// Says when full NAT runs out of local ends, and when that is over.
    fn watch_local_ends(&mut self) {
        let refused = self.workers.counters().map(|counters| counters.reason(Reason::NoLocalEnd)).sum();
        match self.shortage.look(refused) {
            Some(began @ Shortage::Began(_)) => tracing::warn!("{began}"),
            Some(over @ Shortage::Over(_)) => tracing::info!("{over}"),
            None => {}
        }
    }

    /// Works the desired state out anew and publishes it.
    fn replan(&mut self) {
        self.work_out();
        self.renew();
    }

    /// Works the desired state out anew, and keeps it to itself.
    fn work_out(&mut self) {
        self.tally();
        let health = |specs: &[Spec]| self.health.is_up(specs);
        let services = plan(&self.config, health, &mut self.ids, &self.network, Some(&self.services));
        self.shared.loads.follow(&self.services, &services);
        self.services = Arc::new(services);
        self.sync.plan_changed(&self.services);
        self.tally();
    }

    /// Makes workers and steering program follow, or says why the latter does not.
    fn renew(&mut self) {
        if let Err(error) = self.publish() {
            tracing::error!("the steering program keeps its old rules: {error}");
        }
    }

    /// Makes workers and steering program follow services, network and role.
    fn publish(&mut self) -> Result<(), SetupError> {
        self.generation += 1;
        // Before a worker enters a connection by an id, the next director must know what the id means.
        self.save();
        self.workers.publish(&Arc::new(self.snapshot()));
        self.steer()
    }

    /// Has what this director knows held for the next one.
    fn save(&mut self) {
        if self.keeper.holds() {
            let state = State {
                ids: self.ids.save(),
                ledger: self.ledger.save(),
                changes: admin::difference(&self.file, &self.config),
                readings: self.roles.readings(),
                checks: self.health.found().map(|(spec, up)| (format!("{spec:?}"), up)).collect(),
            };
            takeover::hold_state(&mut self.keeper, &state);
        }
    }

    fn snapshot(&self) -> Snapshot {
        if self.services.list.iter().any(|service| service.engine.is_some()) {
            self.shared.calls.make_room();
        }
        Snapshot {
            generation: self.generation,
            services: Arc::clone(&self.services),
            network: Arc::clone(&self.network),
            options: self.config.settings.options,
            forwarding: self.forwards(),
        }
    }

    fn steer(&mut self) -> Result<(), SetupError> {
        let virtual_ = self.config.instances.iter().flat_map(|instance| &instance.addresses);
        let virtual_ = virtual_.map(|address| address.address.into()).collect();
        let locals = Locals { own: self.kernel.local_addresses().collect(), virtual_ };
        let rules = self.roles.prune(rules(&self.services, &locals), self.forwards());
        self.steering.update(&rules)
    }

    /// Stops so that another director can go on: nothing is taken back, and nobody is told goodbye.
    fn make_way(mut self) {
        tracing::info!("another director goes on");
        let counters = self.workers.stop();
        self.ledger.read(&self.services, |id| Counts::sum(counters.iter().filter_map(|counters| counters.pair(id))));
        self.save();
    }

    /// Stops, and gives signs of life meanwhile: the kernel, programs and mail servers that are waited for may take some seconds,
    /// which is no hang.
    async fn stop(self) -> Result<(), DirectorError> {
        let (pulse, mut beat) = (Pulse::clone(&self.pulse), steady(BEAT));
        let mut end = pin!(self.take_down());
        loop {
            tokio::select! {
                ended = &mut end => return ended,
                _ = beat.tick() => pulse.turn(),
            }
        }
    }

    /// Stops in an order that loses nothing more than it must: goodbyes to the backups first; once one of them leads, the
    /// addresses, since the kernel would reset the connections to an address of its own, then the program, so that the kernel
    /// has its packets back, then the workers and their way to the kernel.
    async fn take_down(mut self) -> Result<(), DirectorError> {
        self.roles.tell_elections(Command::Stop);
        let mut beat = steady(BEAT);
        // The others go on to be told of connections until one of them leads.
        while !self.roles.have_ended() {
            beat.tick().await;
            self.beat().await;
        }
        let _ = self.sync.stop(SyncRole::Master);
        self.roles.stop();
        self.roles.remove_paths(self.kernel.handle()).await;
        self.remove_static_paths().await;
        let cleared = self.addresses.clear(self.kernel.handle()).await;
        let cleared = cleared.and(self.macs.clear(self.kernel.handle()).await).and(self.tuning.restore());
        // The program stays attached for as long as anybody holds it.
        self.keeper.release("");
        drop(self.steering);
        self.workers.stop();
        ReturnLink::of(&self.config.settings.socket).remove().await;
        self.roles.farewell().await;
        Ok(cleared?)
    }
}

/// Ticks that are not made up for after a stall.
fn steady(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Sleeps until `deadline` on the director's clock.
async fn until(deadline: Option<Duration>) {
    match deadline {
        Some(deadline) => sleep(deadline.saturating_sub(clock::now())).await,
        None => std::future::pending().await,
    }
}
