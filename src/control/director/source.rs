//! What the control socket shows of a running director.

use std::collections::BTreeMap;
use std::path::Path;

use super::Director;
use crate::control::admin::{Change, Refusal};
use crate::control::view::{self, ConnectionPage, PortView, ServiceView, SlotsView, Source, Status, SyncDaemonView};
use crate::forward::{Counter, Counters, Reason};
use crate::io::xdp::{Census, Gauge, Losses};
use crate::sys::clock;

/// Slots looked at for one page, so that a large and nearly empty table does not hold up the loop.
const SLOTS: u32 = 1 << 16;

impl Source for Director {
    fn services(&mut self) -> Vec<ServiceView> {
        self.tally();
        view::services(&self.services, &self.shared.loads, &self.ledger)
    }

    fn change(&mut self, changes: &[Change]) -> Vec<Option<Refusal>> {
        self.carry_out(changes)
    }

    fn upgrade(&mut self, program: &Path) -> Result<(), String> {
        if !self.keeper.is_there() {
            return Err("it runs without a supervisor, who could start another".to_owned());
        }
        self.not_upgraded = None;
        self.keeper.upgrade(program);
        Ok(())
    }

    fn start_daemon(&mut self, daemon: &SyncDaemonView) -> Result<(), Refusal> {
        self.start_sync_daemon(daemon)
    }

    fn stop_daemon(&mut self, master: bool) -> Result<(), Refusal> {
        self.stop_sync_daemon(master)
    }

    fn connections(&self, cursor: u64, at_most: usize) -> ConnectionPage {
        let mut page = ConnectionPage::default();
        let (first, now) = (u32::try_from(cursor).unwrap_or(u32::MAX), clock::tick());
        let end = first.saturating_add(SLOTS).min(self.shared.table.capacity());
        for number in first..end {
            if page.entries.len() == at_most {
                page.next = Some(u64::from(number));
                return page;
            }
            let listed = self.shared.table.slot(number).and_then(|slot| self.shared.table.listed(slot));
            page.entries.extend(listed.and_then(|listed| view::connection(&self.shared, &self.services, &listed, now)));
        }
        page.next = (end < self.shared.table.capacity()).then_some(u64::from(end));
        page
    }

    fn status(&mut self) -> Status {
        let port = |port: &crate::io::PortInfo| PortView { name: port.name.clone(), mode: port.mode.clone() };
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: std::process::id(),
            supervisor: self.keeper.supervisor(),
            not_upgraded: self.not_upgraded.clone(),
            uptime: clock::now().saturating_sub(self.started).as_secs(),
            forwarding: self.forwards(),
            table_size: u64::from(self.shared.table.capacity()),
            connections: self.shared.table.len() as u64,
            workers: self.workers.len(),
            workers_with_company: self.workers.with_company(),
            ports: self.ports.iter().map(port).collect(),
            timeouts: self.config.settings.options.timeouts.into(),
            listing: (&self.config.settings.options).into(),
            slots: self.gauges.iter().map(Gauge::census).fold(SlotsView::default(), add),
            counters: self.counters(),
            sync: self.sync.view(clock::now()),
            roles: self.roles.views(),
            trackers: self.roles.tracked(),
            bfd: self.roles.neighbours(),
        }
    }
}

fn add(sum: SlotsView, Census { free, receive, transmit, in_hand }: Census) -> SlotsView {
    SlotsView {
        free: sum.free + free,
        receive: sum.receive + receive,
        transmit: sum.transmit + transmit,
        in_hand: sum.in_hand + in_hand,
    }
}

impl Director {
    /// The counters of all workers, added up, and those of the steering program.
    fn counters(&mut self) -> BTreeMap<String, u64> {
        let sum = |of: fn(&Counters) -> &Counter| self.workers.counters().map(|counters| of(counters).get()).sum();
        let mut all: BTreeMap<String, u64> = [
            ("received", sum(|counters| &counters.received)),
            ("transmitted", sum(|counters| &counters.transmitted)),
            ("answered", sum(|counters| &counters.answered)),
            ("passed", sum(|counters| &counters.passed)),
            ("gathered", sum(|counters| &counters.gathered)),
            ("cut", sum(|counters| &counters.cut)),
            ("checksum-completed", sum(|counters| &counters.checksum_completed)),
        ]
        .map(|(name, count)| (name.to_owned(), count))
        .into();
        all.extend(self.sync.counters());
        all.insert("culled".to_owned(), self.shared.defence.culled());
        let losses =
            self.gauges.iter().filter_map(|gauge| gauge.losses().ok()).fold(Losses::default(), |sum, of| sum + of);
        let Losses { ring_full, no_slot, dropped, invalid } = losses;
        let lost = [("ring-full", ring_full), ("no-slot", no_slot), ("dropped", dropped), ("invalid", invalid)];
        all.extend(lost.map(|(why, count)| (format!("lost-{why}"), count)));
        for &reason in Reason::ALL {
            let count = self.workers.counters().map(|counters| counters.reason(reason)).sum();
            all.insert(format!("ended-{}", reason.name()), count);
        }
        // A map that cannot be read is not worth the others.
        if let Ok(counts) = self.steering.counters() {
            let steered = [("kernel", counts.passed), ("workers", counts.redirected), ("nobody", counts.dropped)];
            all.extend(steered.map(|(to, count)| (format!("steered-to-{to}"), count)));
            all.insert("refused-no-accept".to_owned(), counts.refused);
        }
        all
    }
}
