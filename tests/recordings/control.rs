//! The control thread's part: services, their plan, and the book of what was counted.

use std::sync::Arc;

use ringmaster::config::Config;
use ringmaster::config::model::{Mark, VirtualServer};
use ringmaster::conn::Table;
use ringmaster::control::admin::{self, Change, Refusal};
use ringmaster::control::{Counts, Ids, Ledger, plan};
use ringmaster::forward::Counters;
use ringmaster::service::{Defend, Network, Options, PairFlags, PairId, Services, Snapshot};
use ringmaster::time::Ticks;

/// What a recording asks for and the director cannot do.
pub type Unmodelled = String;

/// The control thread's state, as far as services go.
pub struct Control {
    pub config: Config,
    pub services: Arc<Services>,
    pub ledger: Ledger,
    ids: Ids,
    network: Arc<Network>,
    counters: Arc<Counters>,
    generation: u64,
}

impl Control {
    pub fn new(network: Network, counters: Arc<Counters>) -> Self {
        let mut config = Config::default();
        // Recorded with ICMP rate limits off.
        config.settings.options = Options { icmp_ratelimit: Ticks(0), icmp_msgs_per_sec: 0, ..Options::KERNEL };
        Self {
            config,
            services: Arc::default(),
            ledger: Ledger::default(),
            ids: Ids::default(),
            network: Arc::new(network),
            counters,
            generation: 0,
        }
    }

    /// The present state for the workers.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            generation: self.generation,
            services: Arc::clone(&self.services),
            network: Arc::clone(&self.network),
            options: self.config.settings.options,
            forwarding: true,
        }
    }

    /// Carries out what a client asks for.
    pub fn change(&mut self, change: &Change) -> Result<(), Refusal> {
        admin::apply(&mut self.config, change)?;
        self.tally();
        self.replan();
        self.tally();
        if let Change::Zero(only) = change {
            let only = only.as_ref().and_then(|name| admin::service_id(&self.services, name));
            self.ledger.zero(&self.services, only);
        }
        Ok(())
    }

    /// Takes another list of services at once.
    pub fn reload(&mut self, services: Vec<VirtualServer>) {
        self.config.services = services;
        self.tally();
        self.replan();
        self.tally();
    }

    /// Forgets removed servers that no connection has any more.
    pub fn vacate(&mut self, table: &Table) {
        let pairs = (0..).map(PairId).zip(&self.services.pairs);
        let removed = pairs.filter(|(_, pair)| pair.flags.has(PairFlags::REMOVED));
        for (id, pair) in removed {
            if !table.entries().any(|listed| listed.record.pair == id.0) {
                self.ids.vacate(id, pair.generation);
            }
        }
        self.tally();
        self.replan();
        self.tally();
    }

    /// Books what the worker has counted.
    pub fn tally(&mut self) {
        let Self { ledger, services, counters, .. } = self;
        ledger.read(services, |id| Counts::sum(counters.pair(id)));
    }

    /// What marks packets, from now on.
    pub fn mark(&mut self, rules: Vec<Mark>) {
        self.config.settings.marks = rules;
        self.replan();
    }

    /// Sets a `net.ipv4.vs` sysctl.
    pub fn set(&mut self, sysctl: &str, value: u32) -> Result<(), Unmodelled> {
        let unmodelled = || format!("sysctl {sysctl}={value}");
        let options = &mut self.config.settings.options;
        match sysctl.strip_prefix("net.ipv4.vs.").ok_or_else(unmodelled)? {
            "conn_reuse_mode" => options.conn_reuse_mode = u8::try_from(value).map_err(|_| unmodelled())?,
            "expire_nodest_conn" => options.expire_nodest_conn = value != 0,
            "expire_quiescent_template" => options.expire_quiescent_template = value != 0,
            "pmtu_disc" => options.pmtu_disc = value != 0,
            "drop_packet" => options.defences.drop_packet = defend(value).ok_or_else(unmodelled)?,
            "drop_entry" => options.defences.drop_entry = defend(value).ok_or_else(unmodelled)?,
            "secure_tcp" => options.defences.secure_tcp = defend(value).ok_or_else(unmodelled)?,
            "am_droprate" => options.defences.am_droprate = value,
            "nat_icmp_send" => options.nat_icmp_send = value != 0,
            "schedule_icmp" => options.schedule_icmp = value != 0,
            "cache_bypass" => {
                options.cache_bypass = value != 0;
                self.replan();
            }
            "sloppy_sctp" => options.sloppy_sctp = value != 0,
            "sloppy_tcp" => options.sloppy_tcp = value != 0,
            _ => return Err(unmodelled()),
        }
        self.generation += 1;
        Ok(())
    }

    fn replan(&mut self) {
        let services = plan(&self.config, |_| true, &mut self.ids, &self.network, Some(&self.services));
        self.services = Arc::new(services);
        self.generation += 1;
    }
}

fn defend(value: u32) -> Option<Defend> {
    Defend::from_number(u8::try_from(value).ok()?)
}
