//! From statements to a [`Config`]: what the keywords mean together.
//!
//! [`items`] checks each statement against the table of keywords; the files beside it put the values of one kind of block
//! together and check what no single keyword can show. Building never stops at a problem, so that all are found.

mod addresses;
mod checks;
mod election;
mod full_nat;
mod group;
mod groups;
mod items;
mod limits;
mod mail;
mod marks;
mod paths;
mod peers;
mod programs;
mod proof;
mod server;
mod service;
mod settings;
mod sync;
mod trackers;
mod tracking;
mod tunnel;
mod useless;
mod values;
mod virtual_mac;
mod vrrp;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::keywords::Block;
use super::model::{Config, Settings, VirtualMac};
use super::text::{Reports, Span, Statement};
use crate::service::Options;
use crate::time::Ticks;
use crate::wire::{Addr, Family, ServiceKey};

/// Builds the configuration. It is of use only if `reports` holds no error.
pub(super) fn build(statements: &[Statement], reports: &mut Reports) -> Config {
    let mut builder = Builder {
        reports,
        noted: BTreeSet::new(),
        quiet: false,
        services: BTreeSet::new(),
        names: BTreeSet::new(),
        limits: Vec::new(),
        instances: BTreeMap::new(),
        virtual_macs: Vec::new(),
        sync_daemon: None,
        groups: BTreeMap::new(),
        local_groups: BTreeMap::new(),
        local_lines: Vec::new(),
        marks: Vec::new(),
        trackers: Vec::new(),
        tracked: Vec::new(),
        tracked_by_groups: Vec::new(),
        delayed: Vec::new(),
        unordered_rules: BTreeMap::new(),
    };
    builder.config(statements)
}

struct Builder<'a> {
    reports: &'a mut Reports,
    /// Keywords without effect that have had their note.
    noted: BTreeSet<(Block, &'static str)>,
    /// Inside a block that has no effect itself: its keywords need no note of their own.
    quiet: bool,
    /// The services so far.
    services: BTreeSet<ServiceKey>,
    /// The names of the instances so far.
    names: BTreeSet<String>,
    /// The `limit` lines so far.
    limits: Vec<limits::Limit>,
    /// And by interface, virtual_router_id and family.
    instances: BTreeMap<(String, u8, Family), String>,
    /// The interfaces with virtual MAC addresses so far.
    virtual_macs: Vec<VirtualMac>,
    /// Where `lvs_sync_daemon` stands.
    sync_daemon: Option<Span>,
    /// The members of each `virtual_server_group`.
    groups: BTreeMap<String, Vec<group::Target>>,
    /// And of each `local_address_group`.
    local_groups: BTreeMap<String, Vec<Addr>>,
    /// Their addresses, and where each stands.
    local_lines: Vec<(Addr, Span)>,
    /// Marks of virtual servers, and where they stand.
    marks: Vec<(u32, Span)>,
    /// What can be tracked.
    trackers: Vec<trackers::Definition>,
    /// What each instance tracks, and each group that tracks something.
    tracked: Vec<Vec<tracking::Line>>,
    tracked_by_groups: Vec<(usize, Vec<tracking::Line>)>,
    /// Interfaces of `interface_up_down_delays`, and where each stands.
    delayed: Vec<(String, Span)>,
    /// How many rules of each family have said nothing of their priority.
    unordered_rules: BTreeMap<Family, u32>,
}

impl Builder<'_> {
    fn config(&mut self, statements: &[Statement]) -> Config {
        let mut config = Config::default();
        let items = self.items(Block::Root, statements);
        // First what holds for all instances, wherever it stands.
        let mut defaults = election::Defaults::default();
        for item in items.iter().filter(|item| item.name == "global_defs") {
            self.global(item, &mut config, &mut defaults);
        }
        // Groups may be defined after their use.
        for item in items.iter().filter(|item| item.name == "virtual_server_group") {
            self.group(item);
        }
        for item in items.iter().filter(|item| item.name == "local_address_group") {
            self.local_group(item, &mut config);
        }
        for item in &items {
            match item.name {
                "ringmaster" => self.settings(item, &mut config.settings),
                "virtual_server" => self.virtual_server(item, &mut config.services),
                "static_ipaddress" => {
                    let addresses = self.static_addresses(item, defaults.interface.as_deref());
                    config.static_addresses.extend(addresses);
                }
                "garp_group" => config.garp_groups.extend(self.garp_group(item)),
                "vrrp_instance" => self.instance(item, &defaults, &mut config.instances),
                "vrrp_script" | "vrrp_track_process" | "track_file" | "vrrp_track_file" | "bfd_instance" => {
                    self.tracker(item, &mut config.bfd);
                }
                "linkbeat_interfaces" => self.polled(item, &mut config.tracking),
                "interface_up_down_delays" => self.delays(item, &mut config.tracking),
                _ => {}
            }
        }
        config.static_routes = self.routes(&items, "static_routes");
        config.static_rules = self.rules(&items, "static_rules");
        self.check_sync(&config);
        self.set_limits(&mut config.services);
        self.locals_are_not_virtual(&config.services);
        full_nat::set_local_ports(&mut config.services, config.settings.local_ports);
        for item in items.iter().filter(|item| item.name == "vrrp_sync_group") {
            self.sync_group(item, &defaults, &mut config);
        }
        self.marks_are_given(&config);
        self.tracking(&mut config);
        config.virtual_macs = std::mem::take(&mut self.virtual_macs);
        config
    }

    fn global(&mut self, block: &items::Item<'_>, config: &mut Config, defaults: &mut election::Defaults) {
        let items = self.items(Block::GlobalDefs, block.body());
        defaults.read(&items);
        self.extra_announcements(&items, "vrrp_garp_extra_if", &mut defaults.announcing);
        config.global.pipes.extend(self.pipes(&items));
        config.global.post = self.post(&items).or(config.global.post.take());
        for item in items {
            match item.name {
                "vrrp_startup_delay" => config.global.startup_delay = item.seconds().unwrap_or_default(),
                "vrrp_delay_after_boot" => config.global.boot_delay = item.seconds().unwrap_or_default(),
                "enable_script_security" => config.global.script_security = item.is_on(),
                "script_user" => config.global.script_user = self.user(item.words()),
                "fifo_write_vrrp_states_on_reload" => config.global.retells_roles = true,
                "dynamic_interfaces" => config.global.dynamic_interfaces = true,
                "router_id" => config.global.router_id = item.text().map(str::to_owned),
                "lvs_sync_daemon" => config.global.sync_daemon = self.sync_daemon(&item),
                "lvs_timeouts" => self.lvs_timeouts(&item, &mut config.settings),
                _ => {}
            }
        }
    }
}
