//! A worker without a process around it: one thread, no network interface, time by argument.
//!
//! Replay, tests and benchmarks run the very worker of the director this way: the same packet path, the same table, the
//! same sweep.

use std::sync::Arc;

use super::{Mailbox, Observer, Worker};
use crate::conn::table::{Fate, Sweeper, TableConfig, TableError};
use crate::conn::{HashSeed, Table};
use crate::forward::{Counters, Culling, Forwarder, Shared, farewell, lifecycle};
use crate::io::PacketIo;
use crate::service::Snapshot;
use crate::time::Tick;

/// How large, and by which secret.
#[derive(Clone, Copy, Debug)]
pub struct OfflineConfig {
    /// Connections that the table is to hold.
    pub connections: u32,
    /// Highest pair id that loads and counters have room for, and one more.
    pub pairs: usize,
    /// The hash secret: the same seed and the same input give the same output.
    pub seed: HashSeed,
}

/// One worker and the sweeper of its table.
#[derive(Debug)]
pub struct Offline<I, O = ()> {
    /// The worker.
    pub worker: Worker<I, O>,
    /// What it shares with the sweeper.
    pub shared: Shared,
    /// Its counters.
    pub counters: Arc<Counters>,
    mailbox: Mailbox,
    snapshot: Arc<Snapshot>,
    sweeper: Sweeper,
    culling: Culling,
}

/// The sweeper's lane in the loads; the worker's is 0.
const SWEEPER_LANE: usize = 1;

impl<I: PacketIo, O: Observer> Offline<I, O> {
    /// A worker over `io` that starts with `snapshot`.
    pub fn new(io: I, observer: O, snapshot: Snapshot, config: &OfflineConfig) -> Result<Self, TableError> {
        let table_config = TableConfig { connections: config.connections, workers: 1, seed: config.seed };
        let table = Arc::new(Table::create(&table_config)?);
        let shared = Shared::new(Arc::clone(&table), 1, config.pairs);
        let counters = Arc::new(Counters::new(config.pairs));
        let snapshot = Arc::new(snapshot);
        let (mailbox, inbox) = Mailbox::new(Arc::clone(&snapshot));
        let forwarder = Forwarder::new(shared.clone(), Arc::clone(&counters), 0);
        let member = table.member(0).expect("a new table has a place for its one worker");
        let sweeper = table.sweeper().expect("a new table's sweeper has not been taken");
        let worker = Worker::observed(io, forwarder, member, inbox, observer);
        Ok(Self { worker, shared, counters, mailbox, snapshot, sweeper, culling: Culling::default() })
    }

    /// Gives the worker a newer snapshot.
    pub fn publish(&mut self, snapshot: Snapshot) {
        self.snapshot = Arc::new(snapshot);
        self.mailbox.publish(Arc::clone(&self.snapshot));
    }

    /// The snapshot published last.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Turns until nothing more is received, and returns how many frames were.
    pub fn drain(&mut self, now: Tick) -> usize {
        let mut total = 0;
        loop {
            match self.worker.turn(now) {
                0 => return total,
                received => total += received,
            }
        }
    }

    /// Walks the whole table once, ending what has expired.
    pub fn sweep(&mut self, now: Tick) {
        let Self { shared, snapshot, sweeper, culling, .. } = self;
        culling.step(shared, &snapshot.options, now);
        culling.walk(now);
        let groups = sweeper.groups();
        sweeper.sweep(
            groups,
            |slot, entry| match lifecycle::fate(&shared.table, &snapshot.services, &snapshot.options, entry, now) {
                Fate::Keep if culling.takes(shared, entry, now) => Fate::Kill,
                Fate::Keep => Fate::Keep,
                Fate::Kill => farewell::on_expiry(
                    shared,
                    SWEEPER_LANE,
                    (&snapshot.services, &snapshot.options),
                    (slot, entry),
                    now,
                ),
            },
            |_, entry| lifecycle::ended(shared, SWEEPER_LANE, entry),
        );
    }
}
