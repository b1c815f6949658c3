//! The director's listings, compared with those that `ipvsadm` printed.

use std::collections::BTreeMap;

use ringmaster::cli::layout;
use ringmaster::control::view;
use ringmaster::forward::{PairCounters, Shared};
use ringmaster::service::{Pair, PairId, Services, Side};
use ringmaster::time::Tick;
use ringmaster::wire::{Family, ServiceKey};

use crate::compare::{self, Rows};
use crate::scenario::Listing;

/// The size of the recorded kernel's table.
const TABLE_SIZE: u64 = 4096;

/// What was found out about a listing.
pub enum Outcome {
    Same,
    Different(String),
    /// There is no such listing yet.
    NotCompared,
}

impl From<Result<(), String>> for Outcome {
    fn from(result: Result<(), String>) -> Self {
        match result {
            Ok(()) => Outcome::Same,
            Err(difference) => Outcome::Different(difference),
        }
    }
}

/// Compares one listing with the present state.
pub fn compare(listing: &Listing, services: &Services, shared: &Shared, traffic: &Traffic, now: Tick) -> Outcome {
    match listing.args.as_str() {
        "-Ln" => compare::services(&listing.text, &service_listing(services, shared)).into(),
        "-Ln --nosort" => compare::order(&listing.text, &order(services)).into(),
        "-Lnc" => compare::connections(&listing.text, &connection_listing(services, shared, now)).into(),
        "-Ln --stats --exact" => compare::counters(&listing.text, &traffic.rows(services)).into(),
        _ => Outcome::NotCompared,
    }
}

fn service_listing(services: &Services, shared: &Shared) -> String {
    text(|out| layout::services(out, TABLE_SIZE, &view::services(services, &shared.loads)))
}

fn connection_listing(services: &Services, shared: &Shared, now: Tick) -> String {
    text(|out| {
        layout::connections_head(out)?;
        let views = shared.table.entries().filter_map(|listed| view::connection(services, &listed, now));
        views.into_iter().try_for_each(|view| layout::connection(out, &view))
    })
}

fn text(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).expect("memory takes everything");
    String::from_utf8(out).expect("listings are text")
}

fn order(services: &Services) -> BTreeMap<String, Vec<String>> {
    let servers = |service: &ringmaster::service::Service| service.servers.iter().map(|s| s.real.to_string()).collect();
    services.list.iter().map(|service| (name(service.key), servers(service))).collect()
}

fn name(key: ServiceKey) -> String {
    match (key.mark(), key.family()) {
        (Some(mark), Family::V4) => format!("FWM {mark}"),
        (Some(mark), Family::V6) => format!("FWM {mark} IPv6"),
        (None, _) => {
            let protocol = view::Protocol::from_number(key.protocol).map_or("?", view::Protocol::name);
            format!("{protocol} {}", key.virtual_)
        }
    }
}

/// Connections, packets in and out, bytes in and out.
type Counts = [u64; 5];

/// What was counted when services came to be or counters were zeroed, and is not to be shown.
#[derive(Default)]
pub struct Traffic {
    counted: BTreeMap<PairId, Counts>,
    services: BTreeMap<ServiceKey, Counts>,
    pairs: BTreeMap<PairId, Counts>,
}

impl Traffic {
    /// Takes over the counters of all pairs.
    pub fn read<'a>(&mut self, services: &Services, counters: impl Fn(PairId) -> Option<&'a PairCounters>) {
        let known = (0..).map(PairId).zip(&services.pairs).filter(|(_, pair)| pair.generation != 0);
        self.counted = known.filter_map(|(id, _)| Some((id, counts(counters(id)?)))).collect();
    }

    /// A service was added: its own counters begin at 0, whatever its servers have counted before.
    pub fn begin(&mut self, services: &Services, key: ServiceKey) {
        self.services.insert(key, self.of_service(services, key));
    }

    /// `-Z` for one service, or for all.
    pub fn zero(&mut self, services: &Services, only: Option<ServiceKey>) {
        for service in services.list.iter().filter(|service| only.is_none_or(|key| key == service.key)) {
            self.begin(services, service.key);
            for server in &service.servers {
                self.pairs.insert(server.pair, self.of_pair(server.pair));
            }
        }
    }

    fn of_pair(&self, id: PairId) -> Counts {
        self.counted.get(&id).copied().unwrap_or_default()
    }

    /// The sum over all pairs that the service has ever had.
    fn of_service(&self, services: &Services, key: ServiceKey) -> Counts {
        let its = |pair: &Pair| pair.protocol == key.protocol && pair.end(Side::Virtual) == key.virtual_;
        let pairs = (0..).map(PairId).zip(&services.pairs).filter(|(_, pair)| pair.generation != 0 && its(pair));
        pairs.fold(Counts::default(), |sum, (id, _)| std::array::from_fn(|at| sum[at] + self.of_pair(id)[at]))
    }

    fn rows(&self, services: &Services) -> Rows<Counts> {
        let less = |counts: Counts, base: Option<&Counts>| {
            let base = base.copied().unwrap_or_default();
            std::array::from_fn(|at| counts[at] - base[at])
        };
        let mut rows = Rows::new();
        for service in &services.list {
            let (name, key) = (name(service.key), service.key);
            for server in &service.servers {
                let counts = less(self.of_pair(server.pair), self.pairs.get(&server.pair));
                rows.insert(format!("{name} -> {}", server.real), counts);
            }
            rows.insert(name, less(self.of_service(services, key), self.services.get(&key)));
        }
        rows
    }
}

fn counts(pair: &PairCounters) -> Counts {
    let PairCounters { connections, packets: [in_packets, out_packets], bytes: [in_bytes, out_bytes] } = pair;
    [connections, in_packets, out_packets, in_bytes, out_bytes].map(|counter| counter.get())
}
