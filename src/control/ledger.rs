//! What services and servers have carried, and how fast.
//!
//! Workers only ever add to the counters of a pair. The ledger reads them, now and then and before every plan, and books
//! what has been added since: to the server, and to its service. So a service that is added again begins at 0 while its
//! servers go on where they were, and what is zeroed for an operator does not have to be zeroed for a worker.
//!
//! Rates are the kernel's (`ip_vs_est.c`): every [`ESTIMATE`] each moves a quarter of the way to what was measured since
//! the last time, in fixed-point numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::forward::PairCounters;
use crate::service::{PairFlags, PairId, ServiceId, Services, Side};
use crate::wire::{Endpoint, ServiceKey};

/// How often rates are estimated.
pub(super) const ESTIMATE: Duration = Duration::from_secs(2);

/// Connections, packets and bytes; as counters, or per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// New connections.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Packets to clients, as far as they pass the director.
    pub packets_out: u64,
    /// Bytes of the packets from clients: IP packet lengths.
    pub bytes_in: u64,
    /// Bytes of the packets to clients.
    pub bytes_out: u64,
}

impl Counts {
    /// The sum of what several workers have counted for one pair.
    pub fn sum<'a>(counters: impl IntoIterator<Item = &'a PairCounters>) -> Self {
        let each = counters.into_iter().map(|pair| {
            let PairCounters { connections, packets: [packets_in, packets_out], bytes: [bytes_in, bytes_out] } = pair;
            [connections, packets_in, packets_out, bytes_in, bytes_out].map(|counter| counter.get())
        });
        Self::of(each.fold([0; 5], |sum, one| std::array::from_fn(|at| u64::wrapping_add(sum[at], one[at]))))
    }

    const fn of([connections, packets_in, packets_out, bytes_in, bytes_out]: [u64; 5]) -> Self {
        Self { connections, packets_in, packets_out, bytes_in, bytes_out }
    }

    /// In the order of ipvsadm's columns.
    pub const fn columns(self) -> [u64; 5] {
        [self.connections, self.packets_in, self.packets_out, self.bytes_in, self.bytes_out]
    }

    fn zip(self, other: Self, with: impl Fn(u64, u64) -> u64) -> Self {
        let (left, right) = (self.columns(), other.columns());
        Self::of(std::array::from_fn(|at| with(left[at], right[at])))
    }

    fn plus(self, other: Self) -> Self {
        self.zip(other, u64::wrapping_add)
    }

    fn since(self, earlier: Self) -> Self {
        self.zip(earlier, u64::wrapping_sub)
    }
}

/// The account of a service or a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Since it began, or was zeroed.
    pub counts: Counts,
    /// `counts` at the last estimate.
    estimated_at: Counts,
    /// Rates in units of 2^-10 for connections and packets, 2^-5 for bytes.
    scaled: Counts,
}

impl Account {
    /// Fractional bits of each column's rate (`ip_vs_est.c`).
    const BITS: [u32; 5] = [10, 10, 10, 5, 5];

    fn estimate(&mut self) {
        let added = self.counts.since(self.estimated_at).columns();
        let before = self.scaled.columns();
        self.scaled = Counts::of(std::array::from_fn(|at| {
            // Over two seconds: half of what was added.
            let measured = (added[at] << (Self::BITS[at] - 1)).cast_signed();
            before[at].wrapping_add_signed((measured - before[at].cast_signed()) >> 2)
        }));
        self.estimated_at = self.counts;
    }

    fn take_over(&mut self, other: Self) {
        self.counts = self.counts.plus(other.counts);
        self.estimated_at = self.estimated_at.plus(other.estimated_at);
        self.scaled = self.scaled.plus(other.scaled);
    }

    /// Per second, rounded to the nearest as the kernel rounds.
    pub fn rates(&self) -> Counts {
        let scaled = self.scaled.columns();
        Counts::of(std::array::from_fn(|at| {
            let bits = Self::BITS[at];
            (scaled[at] + (1 << (bits - 1)) - 1) >> bits
        }))
    }
}

/// A pair as it was last read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    generation: u32,
    /// The service and the server, by whatever method.
    server: (ServiceKey, Endpoint),
    counted: Counts,
    account: Account,
}

/// What has been counted, for another director. Rates begin anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedLedger {
    services: Vec<(u32, Counts)>,
    pairs: Vec<SavedReading>,
}

/// A pair by its id, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedReading {
    id: u32,
    generation: u32,
    server: (ServiceKey, Endpoint),
    counts: Counts,
}

/// All accounts; see the module documentation.
#[derive(Debug, Default)]
pub struct Ledger {
    services: BTreeMap<ServiceId, Account>,
    pairs: BTreeMap<PairId, Reading>,
}

impl Ledger {
    /// Books what `counted` says more than the last time. A pair that is new begins now; accounts of services and pairs
    /// that are no longer known are closed. To be called before and after every change of `services`.
    pub fn read(&mut self, services: &Services, counted: impl Fn(PairId) -> Counts) {
        let mut before = std::mem::take(&mut self.pairs);
        let (mut gone, mut begun) = (Vec::new(), BTreeSet::new());
        for (id, pair) in (0..).map(PairId).zip(&services.pairs).filter(|(_, pair)| pair.generation != 0) {
            let now = counted(id);
            let mut reading = match before.remove(&id) {
                Some(reading) if reading.generation == pair.generation => reading,
                other => {
                    gone.extend(other);
                    begun.insert(id);
                    let server = (pair.service_key(), pair.end(Side::Real));
                    Reading { generation: pair.generation, server, counted: now, account: Account::default() }
                }
            };
            // Nothing is counted for a server that was removed (`ip_vs_core.c: ip_vs_in_stats`).
            if !pair.flags.has(PairFlags::REMOVED) {
                let added = now.since(reading.counted);
                reading.account.counts = reading.account.counts.plus(added);
                if let Some(service) = services.list.get(pair.service as usize) {
                    let account = self.services.entry(service.id).or_default();
                    account.counts = account.counts.plus(added);
                }
            }
            reading.counted = now;
            self.pairs.insert(id, reading);
        }
        gone.extend(before.into_values());
        self.bequeath(gone, &begun);
        // What connections of another method carry belongs to the server as it is now.
        for (former, present) in &services.former {
            let account = self.pairs.get_mut(former).map(|reading| std::mem::take(&mut reading.account));
            if let (Some(account), Some(present)) = (account, self.pairs.get_mut(present)) {
                present.account.take_over(account);
            }
        }
        let known: BTreeSet<ServiceId> = services.list.iter().map(|service| service.id).collect();
        self.services.retain(|id, _| known.contains(id));
    }

    /// For another director.
    pub fn save(&self) -> SavedLedger {
        let pair = |(id, reading): (&PairId, &Reading)| {
            let &Reading { generation, server, account, .. } = reading;
            SavedReading { id: id.0, generation, server, counts: account.counts }
        };
        SavedLedger {
            services: self.services.iter().map(|(id, account)| (id.0, account.counts)).collect(),
            pairs: self.pairs.iter().map(pair).collect(),
        }
    }

    /// As another director had it. Its workers' counters are gone; ours begin at 0.
    pub fn restore(saved: &SavedLedger) -> Self {
        let account = |counts| Account { counts, estimated_at: counts, ..Account::default() };
        let reading = |&SavedReading { id, generation, server, counts }: &SavedReading| {
            (PairId(id), Reading { generation, server, counted: Counts::default(), account: account(counts) })
        };
        let SavedLedger { services, pairs } = saved;
        Self {
            services: services.iter().map(|&(id, counts)| (ServiceId(id), account(counts))).collect(),
            pairs: pairs.iter().map(reading).collect(),
        }
    }

    /// A server is remembered as long as a connection to it is, even if that goes by a former method. Who begins now, with
    /// nothing before it, is another.
    fn bequeath(&mut self, gone: Vec<Reading>, begun: &BTreeSet<PairId>) {
        for reading in gone {
            let mut heirs =
                self.pairs.iter_mut().filter(|(id, heir)| !begun.contains(id) && heir.server == reading.server);
            if let Some((_, heir)) = heirs.next() {
                heir.account.take_over(reading.account);
            }
        }
    }

    /// Moves all rates; to be called every `ESTIMATE`, after a reading.
    pub fn estimate(&mut self) {
        self.services.values_mut().for_each(Account::estimate);
        self.pairs.values_mut().for_each(|reading| reading.account.estimate());
    }

    /// Begins at 0 again, counters and rates, for one service and its servers or for all.
    pub fn zero(&mut self, services: &Services, only: Option<ServiceId>) {
        for service in services.list.iter().filter(|service| only.is_none_or(|id| id == service.id)) {
            self.services.remove(&service.id);
            for server in &service.servers {
                if let Some(reading) = self.pairs.get_mut(&server.pair) {
                    reading.account = Account::default();
                }
            }
        }
    }

    /// A service's account.
    pub fn service(&self, id: ServiceId) -> Account {
        self.services.get(&id).copied().unwrap_or_default()
    }

    /// A server's account.
    pub fn server(&self, id: PairId) -> Account {
        self.pairs.get(&id).map(|reading| reading.account).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sched::{Kind, Scheduler};
    use crate::service::{Method, Network, Pair, Server, Service, ServicesBuilder, Thresholds};
    use crate::wire::{Endpoint, ServiceKey};

    fn counts(connections: u64) -> Counts {
        Counts::of([connections, connections * 10, connections * 9, connections * 1000, connections * 900])
    }

    /// One service with servers of these ids and generations, and removed pairs beside it.
    fn services(live: &[(u32, u32)], removed: &[(u32, u32)]) -> Services {
        let key = ServiceKey { protocol: 6, virtual_: "192.0.2.10:80".parse().unwrap() };
        let real = |id: u32| Endpoint::new(std::net::Ipv4Addr::from(0x0a01_0000 + id), 80);
        let server = |&(id, _): &(u32, u32)| Server {
            pair: PairId(id),
            real: real(id),
            method: Method::Nat,
            weight: 1,
            thresholds: Thresholds::default(),
        };
        let mut builder = ServicesBuilder::default();
        let generations: Vec<u32> = live.iter().map(|&(_, generation)| generation).collect();
        let service = Service {
            id: ServiceId(7),
            key,
            scheduler: Arc::new(Scheduler::new(Kind::Rr, &[])),
            persistence: None,
            admission: Arc::default(),
            engine: None,
            one_packet: false,
            full: None,
            servers: live.iter().map(server).collect(),
            bypass: None,
        };
        builder.add(service, &generations, &Network::default());
        for &(id, generation) in removed {
            let pair = Pair::new(generation, 6, Method::Nat, key.virtual_, real(id));
            builder.add_removed(PairId(id), pair, &Network::default());
        }
        builder.build()
    }

    #[test]
    fn a_steady_rate_is_approached_in_the_kernel_s_steps() {
        let mut account = Account::default();
        let shown: Vec<u64> = (1..=8)
            .map(|step| {
                account.counts = counts(100 * step);
                account.estimate();
                account.rates().connections
            })
            .collect();
        assert_eq!(shown, [12, 22, 29, 34, 38, 41, 43, 45]);
        (0..200).for_each(|_| account.estimate());
        assert_eq!(account.rates(), Counts::default(), "and left when nothing comes any more");
    }

    #[test]
    fn what_was_counted_before_is_nobody_s_and_a_removed_server_gets_nothing() {
        let mut ledger = Ledger::default();
        let list = services(&[(0, 1), (1, 1)], &[]);
        ledger.read(&list, |_| counts(5));
        assert_eq!(ledger.service(ServiceId(7)).counts, Counts::default());
        ledger.read(&list, |id| counts(5 + u64::from(id.0) + 1));
        assert_eq!(ledger.server(PairId(0)).counts, counts(1));
        assert_eq!(ledger.server(PairId(1)).counts, counts(2));
        assert_eq!(ledger.service(ServiceId(7)).counts, counts(3));

        let without = services(&[(0, 1)], &[(1, 1)]);
        ledger.read(&without, |_| counts(20));
        ledger.read(&list, |_| counts(21));
        assert_eq!(ledger.server(PairId(1)).counts, counts(3), "1 since it is back");
        assert_eq!(ledger.server(PairId(0)).counts, counts(16));

        ledger.read(&services(&[(0, 1), (1, 2)], &[]), |_| counts(30));
        assert_eq!(ledger.server(PairId(1)).counts, Counts::default(), "another holder of the id");
    }

    #[test]
    fn zeroing_is_for_one_service_with_its_servers_and_a_service_that_went_starts_anew() {
        let mut ledger = Ledger::default();
        let list = services(&[(0, 1)], &[]);
        ledger.read(&list, |_| counts(0));
        ledger.read(&list, |_| counts(4));
        ledger.estimate();
        ledger.zero(&list, Some(ServiceId(6)));
        assert_eq!(ledger.service(ServiceId(7)).counts, counts(4), "another's");
        ledger.zero(&list, Some(ServiceId(7)));
        ledger.read(&list, |_| counts(5));
        assert_eq!(ledger.server(PairId(0)).counts, counts(1));
        assert_eq!(ledger.server(PairId(0)).rates(), Counts::default());
        assert_eq!(ledger.service(ServiceId(7)).counts, counts(1));

        ledger.read(&Services::default(), |_| counts(5));
        ledger.read(&list, |_| counts(9));
        assert_eq!(ledger.service(ServiceId(7)).counts, Counts::default());
    }
}
