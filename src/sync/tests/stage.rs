//! A director's table and plan, for tests.

use std::sync::Arc;

use crate::conn::table::{Insert, Listed, Record, Slot, TableConfig};
use crate::conn::{FlowKey, HashSeed, State, Table};
use crate::forward::{Shared, lifecycle};
use crate::service::{
    Load, Method, Network, Options, PairId, Server, Service, ServiceId, Services, ServicesBuilder, Thresholds,
};
use crate::sync::receiver::Delivery;
use crate::sync::sender::Facts;
use crate::sync::wire::SyncRecord;
use crate::sync::{Ledger, Names, Outcome, Receiver, Sender};
use crate::time::{Tick, Ticks};
use crate::wire::{Endpoint, ServiceKey};

/// Ids of the pairs: the first service's two servers by NAT, the second's by DR, one over IPv6 by TUN, one of UDP, one of
/// SCTP, one of a firewall mark by DR, one of a service for all ports, one of FTP.
pub(in crate::sync) const NAT: [PairId; 2] = [PairId(0), PairId(1)];
pub(in crate::sync) const DR: PairId = PairId(2);
pub(in crate::sync) const TUN6: PairId = PairId(3);
pub(in crate::sync) const UDP: PairId = PairId(4);
pub(in crate::sync) const SCTP: PairId = PairId(5);
pub(in crate::sync) const MARK: PairId = PairId(6);
pub(in crate::sync) const WIDE: PairId = PairId(7);
pub(in crate::sync) const FTP: PairId = PairId(8);

pub(in crate::sync) struct Stage {
    pub(in crate::sync) shared: Shared,
    pub(in crate::sync) services: Services,
    pub(in crate::sync) names: Names,
    pub(in crate::sync) options: Options,
    pub(in crate::sync) ledger: Ledger,
    pub(in crate::sync) sender: Sender,
    pub(in crate::sync) now: Tick,
}

impl Stage {
    pub(in crate::sync) fn new() -> Self {
        let seed = HashSeed([1, 2, 3]);
        let table = Arc::new(Table::create(&TableConfig { connections: 1024, workers: 1, seed }).unwrap());
        let shared = Shared::new(Arc::clone(&table), 1, 9);
        let services = services();
        let names = Names::of(&services);
        let ledger = Ledger::new(table.capacity());
        let (options, sender) = (Options::RINGMASTER, Sender::default());
        Self { shared, services, names, options, ledger, sender, now: Tick(1000) }
    }

    pub(in crate::sync) fn pass(&mut self, seconds: u32) {
        self.now = self.now.plus(Ticks::from_secs(seconds));
    }

    fn receiver(&mut self) -> Receiver<'_> {
        let Self { shared, services, names, options, ledger, now, .. } = self;
        Receiver { shared, lane: 1, services, names, options, ledger, now: *now }
    }

    pub(in crate::sync) fn apply(&mut self, record: &SyncRecord) -> Outcome {
        self.receiver().apply(record, Delivery::Live)
    }

    pub(in crate::sync) fn apply_bulk(&mut self, record: &SyncRecord) -> Outcome {
        self.receiver().apply(record, Delivery::Bulk)
    }

    pub(in crate::sync) fn delete(&mut self, record: &SyncRecord) -> Outcome {
        self.receiver().delete(record)
    }

    /// Opens a connection as a worker would.
    pub(in crate::sync) fn open(&mut self, client: &str, id: PairId, state: State) -> Slot {
        let client: Endpoint = client.parse().unwrap();
        let pair = *self.services.pair(id).unwrap();
        let protocol = if pair.protocol == 0 && client.port != 0 { 6 } else { pair.protocol };
        let template = matches!(state, State::Template | State::TemplateAssured);
        let key = match template {
            true => FlowKey::template(protocol, client.addr),
            false => FlowKey::connection(protocol, client.addr, client.port),
        };
        let timeout = if template { Ticks::from_secs(360) } else { self.options.timeouts.of(state) };
        let record = Record {
            pair: id.0,
            generation: pair.generation,
            state,
            flags: if pair.method == Method::Nat || template { 0 } else { lifecycle::NO_OUTPUT },
            timeout,
            last_seen: self.now,
            vport: if pair.ports[0] == 0 && !template { 8443 } else { pair.ports[0] },
            rport: if pair.ports[1] == 0 && !template { 8443 } else { pair.ports[1] },
            control: None,
            hop: 0,
            epoch: 0,
            vip: pair
                .service_key()
                .mark()
                .filter(|_| !template)
                .map(|_| "192.0.2.77".parse::<std::net::IpAddr>().unwrap().into()),
        };
        let table = &self.shared.table;
        let Insert::Inserted(slot) = table.insert_or_find(&key, table.hash(&key), |_| true, &record) else {
            panic!("there is room, and it is new");
        };
        lifecycle::adopt(&self.shared, 0, id, state);
        slot
    }

    /// A packet of a connection: its state may change.
    pub(in crate::sync) fn packet(&self, slot: Slot, next: State) {
        let entry = self.shared.table.entry(slot);
        entry.touch(self.now);
        let word = entry.state_word();
        if word.state() != next {
            lifecycle::change_state(&self.shared, 0, &self.options, entry, word, next, word.flags());
        }
    }

    /// Shows an entry to the sender.
    pub(in crate::sync) fn observe(&mut self, slot: Slot) -> Option<SyncRecord> {
        let Self { shared, services, ledger, sender, .. } = self;
        sender.observe(ledger, Facts { table: &shared.table, services, calls: &shared.calls }, slot)
    }

    pub(in crate::sync) fn entries(&self) -> Vec<Listed> {
        self.shared.table.entries().collect()
    }

    pub(in crate::sync) fn load(&self, id: PairId) -> (u32, u32) {
        let Load { active, inactive } = self.shared.loads.load(id);
        (active, inactive)
    }
}

fn services() -> Services {
    let mut builder = ServicesBuilder::default();
    builder.ftp_ports(Options::RINGMASTER.ftp_ports);
    type Named<'a> = (PairId, &'a str, Method);
    let plan: [(u8, &str, &[Named<'_>]); 8] = [
        (6, "192.0.2.1:80", &[(NAT[0], "10.1.0.11:8080", Method::Nat), (NAT[1], "10.1.0.12:8080", Method::Nat)]),
        (6, "192.0.2.2:443", &[(DR, "10.1.0.11:443", Method::Dr)]),
        (6, "[2001:db8:1::1]:443", &[(TUN6, "[2001:db8:2::b]:443", Method::IPIP)]),
        (17, "192.0.2.1:53", &[(UDP, "10.1.0.11:53", Method::Nat)]),
        (132, "192.0.2.1:7", &[(SCTP, "10.1.0.11:7", Method::Nat)]),
        (0, "0.0.0.9:0", &[(MARK, "10.1.0.31:0", Method::Dr)]),
        (6, "192.0.2.3:0", &[(WIDE, "10.1.0.11:0", Method::Dr)]),
        (6, "192.0.2.1:21", &[(FTP, "10.1.0.11:21", Method::Nat)]),
    ];
    for (at, (protocol, virtual_, servers)) in (0..).zip(plan) {
        let server = |&(pair, real, method): &Named<'_>| Server {
            pair,
            real: real.parse().unwrap(),
            method,
            weight: 1,
            thresholds: Thresholds::default(),
        };
        let service = Service {
            id: ServiceId(at),
            key: ServiceKey { protocol, virtual_: virtual_.parse().unwrap() },
            scheduler: Arc::new(crate::sched::Scheduler::new(crate::sched::Kind::Rr, &[])),
            persistence: None,
            admission: Arc::default(),
            engine: None,
            one_packet: false,
            full: None,
            servers: servers.iter().map(server).collect(),
            bypass: None,
        };
        builder.add(service, &vec![7; servers.len()], &Network::default());
    }
    builder.build()
}
