//! Bringing a director up: kernel tables, ports, rings, table, workers, addresses. Each step may refuse with a reason, and
//! what was set up before it goes away again.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use ahash::RandomState;
use rtnetlink::Handle;
use tokio::task::JoinSet;

use super::confinement::Confinement;
use super::heir::Inheritance;
use super::roles::Roles;
use super::sweep::Sweep;
use super::synchronise::{SyncControl, describe};
use super::takeover::{self, Memory};
use super::workers::Workers;
use super::{Director, DirectorError, ports, sessions};
use crate::check::Health;
use crate::config::Config;
use crate::config::model::Settings;
use crate::conn::table::TableConfig;
use crate::conn::{HashSeed, Table};
use crate::control::helper::black_box_beside;
use crate::control::keeper::Keeper;
use crate::control::kernel::{Kernel, ReturnLink, Tuning, VirtualAddresses, VirtualMacs};
use crate::control::state::State;
use crate::control::sync::Synchronisation;
use crate::control::{Ids, Ledger, PAIRS, plan};
use crate::forward::{Counters, Forwarder, Shared};
use crate::io::PacketIo;
use crate::io::options::{Driver, RingOptions};
use crate::io::xdp::steer::{AttachMode, Fallback, Steering};
use crate::io::xdp::{Gauge, KernelPort, Own, PortSetup, Rings, SetupError, XdpIo, XskRs};
use crate::service::Network;
use crate::supervisor::{PULSES, RINGS};
use crate::sys::interface::Interface;
use crate::sys::{affinity, clock, memory};
use crate::wire::Addr;
use crate::worker::{Mailbox, OnDemand, Worker};

/// A director that has looked around and touched nothing yet: another one may still be at work.
pub(super) struct Prepared {
    pub(super) config: Config,
    pub(super) kernel: Kernel,
    pub(super) network: Network,
    pub(super) interfaces: Vec<Interface>,
    pub(super) workers: usize,
    pub(super) confinement: Option<Arc<Confinement>>,
}

impl Prepared {
    /// Reads the kernel's tables and chooses ports.
    pub(super) async fn new(config: Config) -> Result<Self, DirectorError> {
        let confinement = Confinement::of(&config.settings)?.map(Arc::new);
        let pairs = config.services.iter().map(|service| service.servers.len()).sum();
        if pairs > PAIRS {
            return Err(DirectorError::Pairs(pairs));
        }
        let (kernel, network) = Kernel::connect(|mirror| ports::choose(&config, mirror)).await?;
        refuse_local_servers(&config, &kernel.local_addresses().collect::<Vec<_>>())?;
        let interfaces = interfaces(kernel.ports())?;
        let workers = worker_count(&config.settings, &interfaces)?;
        Ok(Self { config, kernel, network, interfaces, workers, confinement })
    }

    /// Where clients are to ask.
    pub(super) fn socket(&self) -> &Path {
        &self.config.settings.socket
    }

    /// Brings everything up, or goes on with what was left: when this returns, packets are being forwarded.
    pub(super) async fn start(
        self,
        mut keeper: Keeper,
        mut inheritance: Inheritance,
    ) -> Result<Director, DirectorError> {
        let resumes = !inheritance.estate.is_empty();
        inheritance.look_ahead(&self);
        tracing::debug!("takeover: begins");
        let left = takeover::steering(inheritance.steering.take(), &mut keeper);
        if left.is_none() {
            // A program stays attached for as long as anybody holds it.
            inheritance.estate.release(takeover::STEERING);
        }
        let mut steering = left.map_or_else(Steering::load, Ok)?;
        let modes = attach(&mut steering, &self.interfaces, &self.config.settings)?;
        let setups = ports_of_workers(&self.interfaces, &modes, self.workers);
        let failed = |source| DirectorError::System { what: "copy a descriptor", source };
        takeover::hold_steering(&mut keeper, &steering).map_err(failed)?;
        let return_link = ReturnLink::of(self.socket());
        tracing::debug!("takeover: the steering program is there");
        let started = match self.config.settings.driver {
            Driver::Own => {
                let left = takeover::rings(inheritance.rings.take(), &setups, &mut keeper);
                let black_box = black_box_beside(&self.config.settings.socket);
                let (rings, in_hand) = match left {
                    Some(left) => left,
                    None => {
                        // A queue stays bound for as long as anybody holds its socket.
                        inheritance.estate.release(RINGS);
                        (open_rings::<Own>(&setups, &self.config.settings)?, Vec::new())
                    }
                };
                for (worker, io) in rings.iter().enumerate() {
                    takeover::hold_rings(&mut keeper, worker, io).map_err(failed)?;
                }
                let started = self.start_with(rings, steering, inheritance, keeper).await;
                takeover::save_frames(&in_hand, &black_box);
                started
            }
            Driver::XskRs => {
                // They cannot be gone on with.
                inheritance.estate.release(RINGS);
                keeper.release(RINGS);
                let rings = open_rings::<XskRs>(&setups, &self.config.settings)?;
                self.start_with(rings, steering, inheritance, keeper).await
            }
        };
        match &started {
            Ok(_) if resumes => tracing::info!("goes on where the last director stopped"),
            Ok(_) => {}
            Err(_) => return_link.remove().await,
        }
        started
    }

    /// What takes all rights comes first. What others have left is read without most of them, for it may have been written by
    /// somebody who means harm.
    async fn start_with<R: Rings + 'static>(
        self,
        mut rings: Vec<XdpIo<R>>,
        steering: Steering,
        mut inheritance: Inheritance,
        mut keeper: Keeper,
    ) -> Result<Director, DirectorError> {
        let Self { mut config, kernel, network, interfaces, workers, confinement } = self;
        tracing::debug!("takeover: the rings are there");
        let return_link = ReturnLink::of(&config.settings.socket);
        if !takeover::way_back(inheritance.way_back.take(), &mut rings) {
            // A director before this one has left its own, whose sockets are not for this one.
            return_link.remove().await;
            if let Err(error) = open_way_back(&mut rings, &return_link, kernel.handle(), &interfaces).await {
                return_link.remove().await;
                tracing::warn!(
                    "what is steered here and is the kernel's cannot go back, and is dropped: {}",
                    describe(&error)
                );
            }
        }
        for (worker, way) in rings.iter().enumerate().filter_map(|(worker, io)| Some((worker, io.way_back()?))) {
            let held = takeover::hold_way_back(&mut keeper, worker, way);
            held.map_err(|source| DirectorError::System { what: "copy a descriptor", source })?;
        }
        let addresses = VirtualAddresses::load(VirtualAddresses::record_beside(&config.settings.socket))?;
        let macs = VirtualMacs::load(&config.settings.socket, config.virtual_macs.clone())?;
        let tuning = Tuning::load(&config)?;
        if let Some(confinement) = &confinement {
            tracing::info!("{}", confinement.enter()?);
        }
        tracing::debug!("takeover: rights are given up");
        let memory = takeover::memory(&mut inheritance, workers);
        tracing::debug!("takeover: the table is there");
        let elections = takeover::elections(&mut inheritance.estate);
        let sessions = sessions::Left::of(&mut inheritance.estate);
        let file = config.clone();
        if let Some(memory) = &memory {
            takeover::repeat_changes(&mut config, &memory.state);
        }
        let (state, mut ids, ledger, shared) = match memory {
            Some(Memory { state, ids, ledger, shared }) => (state, ids, ledger, shared),
            None => {
                let shared = Shared::new(make_table(&config.settings, workers)?, workers, PAIRS);
                (State::default(), Ids::with_seed(random(5)), Ledger::default(), shared)
            }
        };
        takeover::hold_table(&mut keeper, &shared.table);
        let mut health = Health::new(random(1));
        let servers = config.services.iter().flat_map(|service| &service.servers);
        health.watch(servers.flat_map(|server| &server.checks), clock::now());
        let found: BTreeMap<_, _> = state.checks.iter().map(|(spec, up)| (spec.as_str(), *up)).collect();
        health.recall(|spec| found.get(format!("{spec:?}").as_str()).copied());
        let services = plan(&config, |checks| health.is_up(checks), &mut ids, &network, None);
        let sweeper = shared.table.sweeper().expect("a new table's sweeper has not been taken");
        let threads = Workers::new(workers)?;
        keeper.hold(PULSES, threads.pulses());
        tracing::debug!("takeover: the plan is made");
        let mut director = Director {
            pulse: threads.control_pulse()?,
            network: Arc::new(network),
            services: Arc::new(services),
            ids,
            ledger,
            generation: 1,
            confirm_soon: false,
            health,
            probes: JoinSet::new(),
            kernel,
            addresses,
            macs,
            tuning,
            roles: Roles::new(&config, elections, state.readings),
            steering,
            sweep: Sweep::new(sweeper, shared.clone(), workers),
            sync: Synchronisation::new(
                shared.clone(),
                workers,
                &config.settings.sync,
                config.settings.options,
                random(5),
            ),
            sync_control: SyncControl::default(),
            shared,
            shortage: Default::default(),
            company: Default::default(),
            workers: threads,
            ports: rings[0].ports().to_vec(),
            gauges: gauges(&rings)?,
            started: clock::now(),
            file,
            keeper,
            not_upgraded: None,
            config,
        };
        director.sync.plan_changed(&director.services);
        director.open_for_traffic(rings, inheritance.counters, confinement, sessions).await?;
        Ok(director)
    }
}

impl Director {
    /// Workers first, then the steering program's rules, then the elections that bring addresses and traffic. Workers are
    /// started with no rights at all.
    async fn open_for_traffic<R: Rings + 'static>(
        &mut self,
        rings: Vec<XdpIo<R>>,
        counters: Vec<Arc<Counters>>,
        confinement: Option<Arc<Confinement>>,
        left: sessions::Left,
    ) -> Result<(), DirectorError> {
        for io in &rings {
            io.connect(&mut self.steering)?;
        }
        self.save();
        let snapshot = Arc::new(self.snapshot());
        let cores = cores(&self.config.settings, rings.len());
        for (number, ((io, core), counters)) in rings.into_iter().zip(cores).zip(counters).enumerate() {
            let (mailbox, inbox) = Mailbox::new(Arc::clone(&snapshot));
            let forwarder = Forwarder::new(self.shared.clone(), counters, number);
            let member = self.shared.table.member(number).expect("the table was made for as many workers");
            let worker = Worker::observed(io, forwarder, member, inbox, OnDemand::default());
            self.workers.start(worker, mailbox, core, self.config.settings.poll, confinement.clone())?;
        }
        tracing::debug!("takeover: workers are started");
        self.steering.set_fallback(Fallback::Drop)?;
        self.steer()?;
        tracing::debug!("takeover: packets are steered");
        // Packets are forwarded. The next adverts are due, and need nothing that the last director may still have open.
        self.clear_leftovers().await?;
        self.roles.sessions_up = left.up(&self.config);
        let mut left = Some(left);
        if let Some(left) = left.take_if(|left| left.has_sockets()) {
            self.roles.start_bfd(&self.config, left, &mut self.keeper).await?;
        }
        let respectful = self.respect_for_now();
        self.roles.start(&self.config, respectful, &mut self.keeper).await?;
        // All that follows may need it.
        self.keeper.alone().await;
        self.roles.start_bfd(&self.config, left.unwrap_or_default(), &mut self.keeper).await?;
        self.confirm().await;
        self.learn_before_leading();
        Ok(())
    }

    /// Says what was obtained.
    pub(super) fn announce(&self) {
        for port in &self.ports {
            tracing::info!("port {}: {}", port.name, port.mode);
        }
        let (room, pages) = (self.config.settings.connections, self.shared.table.residence());
        tracing::info!("connection table: room for {room} connections, {pages}");
        let names: Vec<_> = self.ports.iter().map(|port| port.name.as_str()).collect();
        let servers = self.services.list.iter().map(|service| service.servers.len()).sum();
        tracing::info!(
            "ready: {} over {}, {} on {}",
            counted(self.services.list.len(), "virtual service"),
            counted(servers, "real server"),
            counted(self.workers.len(), "worker"),
            names.join(" and ")
        );
    }
}

/// `1 worker`, `2 workers`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// LVS hands packets for a server that is the director to the local stack; a worker cannot. A sorry server of this kind is
/// in many files and rarely needed: only a warning.
fn refuse_local_servers(config: &Config, own: &[Addr]) -> Result<(), DirectorError> {
    let is_local = |address: Addr| IpAddr::from(address).is_loopback() || own.contains(&address);
    let mut servers = config.services.iter().flat_map(|service| &service.servers);
    if let Some(server) = servers.find(|server| is_local(server.real.addr)) {
        return Err(DirectorError::LocalServer(server.real.addr));
    }
    for sorry in config.services.iter().filter_map(|service| service.sorry.as_ref()) {
        if is_local(sorry.real.addr) {
            tracing::warn!("sorry_server {} is this host, and cannot be reached: see docs/differences.md", sorry.real);
        }
    }
    Ok(())
}

fn interfaces(names: &[String]) -> Result<Vec<Interface>, DirectorError> {
    if names.is_empty() {
        return Err(DirectorError::NoPorts);
    }
    let query = |name: &String| match Interface::query(name) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(SetupError::NoSuchInterface { interface: name.clone() }.into())
        }
        Err(source) => Err(DirectorError::System { what: "ask the kernel about an interface", source }),
        Ok(interface) => Ok(interface),
    };
    names.iter().map(query).collect()
}

fn attach(
    steering: &mut Steering,
    interfaces: &[Interface],
    settings: &Settings,
) -> Result<Vec<AttachMode>, DirectorError> {
    let mut attach = |interface: &Interface| match steering.mode(interface.index) {
        Some(mode) => Ok(mode),
        None => steering.attach(interface, settings.attach),
    };
    let attached: Result<_, _> = interfaces.iter().map(&mut attach).collect();
    Ok(attached?)
}

fn gauges<R: Rings>(rings: &[XdpIo<R>]) -> Result<Vec<Gauge>, DirectorError> {
    let failed = |source| DirectorError::System { what: "keep an eye on the rings", source };
    rings.iter().map(|io| io.gauge().map_err(failed)).collect()
}

/// As many workers as asked for, or else one for each queue that all ports have, as far as there are cores.
fn worker_count(settings: &Settings, interfaces: &[Interface]) -> Result<usize, DirectorError> {
    let fewest = interfaces.iter().min_by_key(|interface| interface.queues).expect("there is a port");
    let queues = fewest.queues as usize;
    match settings.workers {
        Some(wanted) if wanted > queues => {
            Err(DirectorError::Queues { wanted, interface: fewest.name.clone(), queues: fewest.queues })
        }
        Some(wanted) => Ok(wanted),
        None => Ok(queues.min(affinity::cores().len()).max(1)),
    }
}

/// Queue `q` of every port belongs to worker `q` modulo their number.
pub(super) fn ports_of_workers(interfaces: &[Interface], modes: &[AttachMode], workers: usize) -> Vec<Vec<PortSetup>> {
    let of = |worker: usize| {
        interfaces
            .iter()
            .zip(modes)
            .map(|(interface, &attached)| PortSetup {
                interface: interface.clone(),
                queues: (0..interface.queues).filter(|queue| *queue as usize % workers == worker).collect(),
                attached,
            })
            .collect()
    };
    (0..workers).map(of).collect()
}

fn open_rings<R: Rings>(setups: &[Vec<PortSetup>], settings: &Settings) -> Result<Vec<XdpIo<R>>, DirectorError> {
    let options = RingOptions { frames: settings.frames, transfer: settings.transfer, busy_poll: settings.busy_poll };
    let rings: Result<_, _> = setups.iter().map(|ports| XdpIo::open(ports, &options)).collect();
    Ok(rings?)
}

/// Makes the way by which each worker gives packets to the kernel, on a queue of its own.
async fn open_way_back<R: Rings>(
    rings: &mut [XdpIo<R>],
    link: &ReturnLink,
    handle: &Handle,
    ports: &[Interface],
) -> Result<(), DirectorError> {
    let [ours, kernels] = link.make(handle, rings.len() as u32, ports).await?;
    let open = |queue| KernelPort::open(&ours, queue, kernels.mac);
    // Of all workers or of none: what is opened is used only then.
    let opened = (0..rings.len() as u32).map(open).collect::<Result<Vec<_>, _>>()?;
    rings.iter_mut().zip(opened).for_each(|(io, port)| io.pass_by(port));
    Ok(())
}

fn make_table(settings: &Settings, workers: usize) -> Result<Arc<Table>, DirectorError> {
    let connections = u32::try_from(settings.connections).unwrap_or(u32::MAX);
    let seed = HashSeed([random(2), random(3), random(4)]);
    let wanted = TableConfig { connections, workers: workers as u32, seed };
    // The table is filled at once, so that no packet waits for a page: the kernel would look for this memory in vain, and
    // end something else to get it.
    let (needed, available) = (Table::bytes_for(&wanted)?, memory::available().unwrap_or(u64::MAX));
    if needed > available {
        return Err(DirectorError::Memory { connections, needed: needed >> 20, available: available >> 20 });
    }
    Ok(Arc::new(Table::create(&wanted)?))
}

/// The cores to pin workers to: those named, or all in turn.
fn cores(settings: &Settings, workers: usize) -> Vec<Option<usize>> {
    let from = if settings.cpus.is_empty() { affinity::cores() } else { settings.cpus.clone() };
    (0..workers).map(|worker| (!from.is_empty()).then(|| from[worker % from.len()])).collect()
}

/// Numbers that nobody outside can guess; half of the bits are as random as all.
pub(super) fn numbers() -> impl FnMut() -> u32 + Send + 'static {
    let mut salt = 5;
    move || {
        salt += 1;
        random(salt) as u32
    }
}

/// A number that nobody outside can guess: the hash library draws its keys from the system's source.
fn random(salt: u64) -> u64 {
    RandomState::new().hash_one(salt)
}
