//! Connection synchronisation, at work: `lvs_sync_daemon`, and what `ipvsadm --start-daemon` asks for.
//!
//! A director may run a *master* daemon, which tells others of its connections, a *backup* daemon, which listens to
//! others, or both. `Synchronisation` holds the sockets and moves bytes between them and [`crate::sync`], which decides.
//! It is called from the control thread's loop: when a datagram has come, when the sweep shows an entry, when a beat has
//! passed, when the plan or the role has changed. Each call does a bounded amount of work.
//!
//! With a key (`sync_key` in the `ringmaster` block) directors speak the sealed dialect on a port of its own; plain
//! messages are then neither sent nor taken, unless kernels are among the peers (`sync_kernel_peers`).

mod counts;
mod sealed;
mod socket;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;

use crate::config::model::{SyncChoices, SyncDaemon};
use crate::conn::table::{Entry, Slot};
use crate::control::view::{SyncDaemonView, SyncPeerView, SyncView};
use crate::forward::Shared;
use crate::service::{Options, Services};
use crate::sync::batch::Batch;
use crate::sync::peers::Admission;
use crate::sync::read::Incoming;
use crate::sync::receiver::Delivery;
use crate::sync::seal::{self, Kind, Session};
use crate::sync::sender::{Facts, Pace};
use crate::sync::wire::SyncRecord;
use crate::sync::{Ledger, Names, Receiver, Sender};
use crate::time::Tick;
use counts::Counts;
use sealed::Sealed;
use socket::Place;

/// Datagrams read from a socket in one turn of the loop.
const TURN: usize = 64;
/// Changed connections looked at in one beat.
const CHANGES: usize = 4096;
/// The longest UDP datagram.
const LONGEST: usize = 65535;

/// What a daemon does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncRole {
    /// It tells of connections.
    Master,
    /// It listens to what others tell.
    Backup,
}

/// Why a daemon was not started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// There is one in that role already (ipvsadm: `Daemon has already run`).
    #[error("a {0:?} sync daemon runs already")]
    Runs(SyncRole),
    /// There is none in that role (ipvsadm: `No daemon is running`).
    #[error("no {0:?} sync daemon runs")]
    RunsNot(SyncRole),
    /// The sockets could not be opened.
    #[error("no connection synchronisation on {interface}, group {group}, port {port}")]
    Socket {
        /// Its interface.
        interface: String,
        /// The group's address.
        group: IpAddr,
        /// Its port.
        port: u16,
        /// Why.
        source: io::Error,
    },
}

/// The sync daemons of a director; see the module documentation.
#[derive(Debug)]
pub(crate) struct Synchronisation {
    shared: Shared,
    /// The sweeper's lane in the loads.
    lane: usize,
    options: Options,
    services: Arc<Services>,
    names: Names,
    choices: SyncChoices,
    key: Option<seal::Key>,
    session: Session,
    ledger: Ledger,
    sender: Sender,
    master: Option<Master>,
    backup: Option<Backup>,
    sealed: Option<Sealed>,
    counts: Counts,
    buffer: Box<[u8]>,
}

#[derive(Debug)]
struct Master {
    daemon: SyncDaemon,
    /// To peers that speak the plain dialect.
    outlet: Option<UdpSocket>,
    live: Batch,
    deletions: Batch,
}

#[derive(Debug)]
struct Backup {
    daemon: SyncDaemon,
    /// From peers that speak the plain dialect.
    intake: Option<UdpSocket>,
}

impl Synchronisation {
    /// No daemon yet. `session` is a number drawn at random.
    pub(crate) fn new(shared: Shared, lane: usize, choices: &SyncChoices, options: Options, session: u64) -> Self {
        Self {
            shared,
            lane,
            options,
            services: Arc::default(),
            names: Names::default(),
            choices: choices.clone(),
            key: choices.key.as_deref().map(seal::Key::new),
            session: Session(session),
            ledger: Ledger::default(),
            sender: Sender { pace: Pace { refresh: choices.refresh }, templates_only: choices.templates_only },
            master: None,
            backup: None,
            sealed: None,
            counts: Counts::default(),
            buffer: vec![0; LONGEST].into_boxed_slice(),
        }
    }

    /// Takes in a new plan.
    pub(crate) fn plan_changed(&mut self, services: &Arc<Services>) {
        self.services = Arc::clone(services);
        self.names = Names::of(services);
    }

    /// Starts a daemon (`ipvsadm --start-daemon`).
    pub(crate) fn start(&mut self, role: SyncRole, daemon: &SyncDaemon, now: Duration) -> Result<(), SyncError> {
        if self.runs(role) {
            return Err(SyncError::Runs(role));
        }
        let failed = |source| SyncError::Socket {
            interface: daemon.interface.clone(),
            group: daemon.group,
            port: daemon.port,
            source,
        };
        self.open(role, daemon, now).map_err(failed)
    }

    /// Stops a daemon (`ipvsadm --stop-daemon`).
    pub(crate) fn stop(&mut self, role: SyncRole) -> Result<(), SyncError> {
        if !self.runs(role) {
            return Err(SyncError::RunsNot(role));
        }
        self.end(role);
        self.close_if_idle();
        Ok(())
    }

    fn end(&mut self, role: SyncRole) {
        match role {
            SyncRole::Master => {
                // What is on its way still goes out: perhaps it is the reason for the stop.
                self.flush(|batch| batch.take());
                self.master = None;
                self.shared.changes.want(false);
                self.sealed.iter_mut().for_each(Sealed::abandon_bulk);
            }
            SyncRole::Backup => self.backup = None,
        }
    }

    /// Without a daemon nobody needs to know that we are there.
    fn close_if_idle(&mut self) {
        if self.master.is_none() && self.backup.is_none() {
            self.sealed = None;
        }
    }

    /// The roles that daemons run in.
    pub(crate) fn roles(&self) -> Vec<SyncRole> {
        [SyncRole::Master, SyncRole::Backup].into_iter().filter(|&role| self.runs(role)).collect()
    }

    /// Whether a daemon runs in this role.
    pub(crate) fn runs(&self, role: SyncRole) -> bool {
        match role {
            SyncRole::Master => self.master.is_some(),
            SyncRole::Backup => self.backup.is_some(),
        }
    }

    /// Follows the role of the director: of an instance's master or backup, or of both where `daemon` names no instance.
    /// What cannot be started is told of once a change, and tried again with the next call.
    pub(crate) fn follow(
        &mut self,
        daemon: &SyncDaemon,
        is_master: impl Fn(&str) -> bool,
        now: Duration,
    ) -> Result<(), SyncError> {
        let master = daemon.instance.as_deref().is_none_or(&is_master);
        let backup = daemon.instance.as_deref().is_none_or(|instance| !is_master(instance));
        // Who stops comes first: for a moment nobody tells, but nobody tells old news either.
        for (role, wanted) in [(SyncRole::Master, master), (SyncRole::Backup, backup)] {
            if !wanted && self.runs(role) {
                self.end(role);
            }
        }
        let mut outcome = Ok(());
        for (role, wanted) in [(SyncRole::Master, master), (SyncRole::Backup, backup)] {
            if wanted && !self.runs(role) {
                outcome = outcome.and(self.start(role, daemon, now));
            }
        }
        // Not between the two: a change of role is not a new session to the peers.
        self.close_if_idle();
        outcome
    }

    /// Whether all that is known elsewhere is known here, as far as one can tell: what to wait for before a working master
    /// is preempted. Plain peers cannot be asked, so without a key there is nothing to wait for.
    pub(crate) fn in_sync(&self, now: Duration) -> bool {
        self.sealed.as_ref().is_none_or(|sealed| sealed.peers.in_sync(now))
    }

    fn open(&mut self, role: SyncRole, daemon: &SyncDaemon, now: Duration) -> io::Result<()> {
        let place = |port| Place { interface: daemon.interface.clone(), group: daemon.group, port, ttl: daemon.ttl };
        // A plain message also has to fit into an envelope.
        let maxlen = daemon.maxlen.saturating_sub(if self.key.is_some() { seal::OVERHEAD } else { 0 });
        if self.sealed.is_none()
            && let Some(key) = &self.key
        {
            let shape = (daemon.id, maxlen);
            // Numbers begin anew, which in the session before would be taken for old messages.
            self.session = Session(self.session.0.wrapping_add(1));
            self.sealed = Some(Sealed::open(&place(self.choices.peer_port), key, shape, self.session, now)?);
        }
        let speaks_plain = self.key.is_none() || self.choices.kernel_peers;
        match role {
            SyncRole::Master => {
                let outlet = speaks_plain.then(|| place(daemon.port).outlet()).transpose()?;
                let batch = Batch::new(daemon.id, maxlen);
                self.master = Some(Master { daemon: daemon.clone(), outlet, live: batch.clone(), deletions: batch });
                self.shared.changes.want(true);
            }
            SyncRole::Backup => {
                let intake = speaks_plain.then(|| place(daemon.port).intake()).transpose()?;
                self.backup = Some(Backup { daemon: daemon.clone(), intake });
            }
        }
        if self.ledger.is_empty() {
            self.ledger = Ledger::new(self.shared.table.capacity());
        }
        Ok(())
    }
}

/// The master's side.
impl Synchronisation {
    /// The sweep has met a live entry.
    pub(crate) fn met(&mut self, slot: Slot, now: Duration) {
        let Some(master) = &mut self.master else { return };
        let facts = Facts { table: &self.shared.table, services: &self.services, calls: &self.shared.calls };
        if let Some(record) = self.sender.observe(&mut self.ledger, facts, slot) {
            self.counts.told += 1;
            let full = master.live.push(&record, now);
            self.emit(Kind::Live, full);
        }
    }

    /// The sweep has found an entry ended. Its slot may be another's soon, so it is no more what peers know.
    pub(crate) fn ended(&mut self, slot: Slot, now: Duration) {
        let facts = Facts { table: &self.shared.table, services: &self.services, calls: &self.shared.calls };
        let record = self.sender.ended(&mut self.ledger, facts, slot, Tick::at(now));
        // Only peers of the sealed dialect can be told.
        if let (Some(record), Some(master), Some(_)) = (record, &mut self.master, &self.sealed) {
            self.counts.told += 1;
            let full = master.deletions.push(&record, now);
            self.emit(Kind::Deletions, full);
        }
    }

    /// A beat of the loop: changes are looked at, messages go out, whoever asked is told everything.
    pub(crate) fn beat(&mut self, now: Duration) {
        self.take_changes(now);
        self.flush(|batch| batch.due(now));
        let (master, backup) = (self.master.is_some(), self.backup.is_some());
        let Some(sealed) = &mut self.sealed else { return };
        if let Some(beat) = sealed.peers.beat(master, backup, now) {
            sealed.send(Kind::Beat, &beat);
        }
        if master {
            sealed.begin_bulk(now);
            let facts = Facts { table: &self.shared.table, services: &self.services, calls: &self.shared.calls };
            let record = |slot| self.sender.snapshot(facts, slot, Tick::at(now));
            self.counts.sent += sealed.step_bulk(facts.table, record, now);
        }
    }

    fn take_changes(&mut self, now: Duration) {
        if self.master.is_none() {
            return;
        }
        let table = Arc::clone(&self.shared.table);
        for change in std::iter::from_fn(|| self.shared.changes.pop()).take(CHANGES).collect::<Vec<_>>() {
            let same = |entry: &Entry| entry.pair() == change.pair && entry.generation() == change.generation;
            let Some(slot) = table.find(&change.key, table.hash(&change.key), same) else { continue };
            let entry = table.entry(slot);
            self.met(slot, now);
            // Its template, too: whoever takes over needs it for the client's next connection.
            let template = entry.control().filter(|&control| table.entry(control).key().is_template());
            if let Some(template) = template.filter(|&template| table.entry(template).state_word().is_live()) {
                self.met(template, now);
            }
        }
    }

    fn flush(&mut self, which: impl Fn(&mut Batch) -> Option<Vec<u8>>) {
        let Some(master) = &mut self.master else { return };
        // An end comes after what was told before it.
        let (live, deletions) = (which(&mut master.live), which(&mut master.deletions));
        self.emit(Kind::Live, live);
        self.emit(Kind::Deletions, deletions);
    }

    fn emit(&mut self, kind: Kind, message: Option<Vec<u8>>) {
        let Some(message) = message else { return };
        if let (Kind::Live, Some(Master { outlet: Some(outlet), .. })) = (kind, &self.master) {
            let taken = outlet.try_send(&message).is_ok();
            self.counts.count_sent(taken);
        }
        if let Some(sealed) = &mut self.sealed {
            let taken = sealed.send(kind, &message);
            self.counts.count_sent(taken);
        }
    }
}

/// The backup's side.
impl Synchronisation {
    /// Waits until something has come. May be dropped while waiting.
    pub(crate) async fn readable(&self) {
        let wait = async |socket: Option<&UdpSocket>| match socket {
            Some(socket) => _ = socket.readable().await,
            None => std::future::pending().await,
        };
        tokio::select! {
            () = wait(self.backup.as_ref().and_then(|backup| backup.intake.as_ref())) => {}
            () = wait(self.sealed.as_ref().map(|sealed| &sealed.intake)) => {}
        }
    }

    /// Takes in what has come, a bounded number of messages.
    pub(crate) fn receive(&mut self, now: Duration) {
        let mut buffer = std::mem::take(&mut self.buffer);
        for _ in 0..TURN {
            let socket = self.backup.as_ref().and_then(|backup| backup.intake.as_ref());
            let Some(length) = socket.and_then(|socket| socket.try_recv(&mut buffer).ok()) else { break };
            self.take_plain(&buffer[..length], Delivery::Live, now);
        }
        for _ in 0..TURN {
            let socket = self.sealed.as_ref().map(|sealed| &sealed.intake);
            let received = socket.and_then(|socket| socket.try_recv_from(&mut buffer).ok());
            let Some((length, from)) = received else { break };
            self.take_sealed(&buffer[..length], from.ip(), now);
        }
        self.buffer = buffer;
    }

    fn take_sealed(&mut self, bytes: &[u8], from: IpAddr, now: Duration) {
        let Some(sealed) = &mut self.sealed else { return };
        let Some(envelope) = sealed.read(bytes) else { return self.refuse(from) };
        if !sealed.is_for_us(&envelope) {
            return self.counts.foreign += 1;
        }
        match sealed.peers.admit(&envelope, now) {
            Admission::Records(delivery) => self.take_plain(envelope.payload, delivery, now),
            Admission::Deletions => {
                self.take_message(envelope.payload, now, |receiver, record| receiver.delete(record))
            }
            Admission::Unproven => self.counts.unproven += 1,
            Admission::Done | Admission::Stale => {}
        }
    }

    /// Told of once: whoever wishes can send such messages.
    fn refuse(&mut self, from: IpAddr) {
        if self.counts.forged == 0 {
            tracing::warn!("connection synchronisation: {from} has another `sync_key`; its messages do not count");
        }
        self.counts.forged += 1;
    }

    fn take_plain(&mut self, bytes: &[u8], delivery: Delivery, now: Duration) {
        self.take_message(bytes, now, |receiver, record| receiver.apply(record, delivery));
    }

    /// Does with every record of a message what is to be done, if it is for us.
    fn take_message(
        &mut self,
        bytes: &[u8],
        now: Duration,
        act: impl Fn(&mut Receiver<'_>, &SyncRecord) -> crate::sync::Outcome,
    ) {
        let Some(backup) = &self.backup else { return };
        let message = match Incoming::parse(bytes) {
            Ok(message) if backup.daemon.id != 0 && message.syncid != backup.daemon.id => {
                return self.counts.foreign += 1;
            }
            Ok(message) => message,
            Err(_) => return self.counts.malformed += 1,
        };
        self.counts.received += 1;
        let mut receiver = Receiver {
            shared: &self.shared,
            lane: self.lane,
            services: &self.services,
            names: &self.names,
            options: &self.options,
            ledger: &mut self.ledger,
            now: Tick::at(now),
        };
        for record in message.records() {
            match record {
                Ok(Some(record)) => self.counts.count(act(&mut receiver, &record)),
                Ok(None) => self.counts.refused += 1,
                Err(_) => self.counts.malformed += 1,
            }
        }
    }
}

/// For who asks.
impl Synchronisation {
    /// What `status` shows; `None` while no daemon runs.
    pub(crate) fn view(&self, now: Duration) -> Option<SyncView> {
        let daemons = self.daemons();
        (!daemons.is_empty()).then(|| SyncView { daemons, in_sync: self.in_sync(now), peers: self.peers(now) })
    }

    /// What the daemons have done, by names that begin with `sync-`; nothing while none has run.
    pub(crate) fn counters(&self) -> impl Iterator<Item = (String, u64)> {
        let has_run = !self.ledger.is_empty();
        has_run.then(|| self.counts.named()).into_iter().flatten()
    }

    /// The daemons that run, the master first (`ipvsadm -L --daemon`).
    pub(crate) fn daemons(&self) -> Vec<SyncDaemonView> {
        let master = self.master.iter().map(|master| (SyncRole::Master, &master.daemon));
        let backup = self.backup.iter().map(|backup| (SyncRole::Backup, &backup.daemon));
        master.chain(backup).map(|(role, daemon)| SyncDaemonView::new(role == SyncRole::Master, daemon)).collect()
    }

    fn peers(&self, now: Duration) -> Vec<SyncPeerView> {
        let Some(sealed) = &self.sealed else { return Vec::new() };
        let view = |peer: &crate::sync::peers::Peer| SyncPeerView {
            session: format!("{:016x}", peer.session.0),
            master: peer.is_master,
            proven: peer.proven,
            in_sync: peer.in_sync,
            lost: peer.lost,
            lag: sealed.peers.sent().saturating_sub(peer.acknowledged),
            silent_ms: u64::try_from(now.saturating_sub(peer.heard).as_millis()).unwrap_or(u64::MAX),
        };
        sealed.peers.list().iter().map(view).collect()
    }
}
