//! The election of a `vrrp_instance`: version, priority, timers, manners, announcements, and what does not go together.

use std::net::IpAddr;
use std::time::Duration;

use super::items::{Item, has};
use super::*;
use crate::config::model::GarpGroup;
use crate::config::problem::Level;
use crate::vrrp::Spec;
use crate::vrrp::spec::{Announcing, Burst, Manners, Preempt, Version};
use crate::vrrp::timers::master_down;
use crate::vrrp::wire::Checksum;
use crate::wire::Addr;

/// What `global_defs` says for all instances.
#[derive(Clone, Debug, Default)]
pub(super) struct Defaults {
    pub(super) interface: Option<String>,
    /// `vrrp_mcast_group4` and `vrrp_mcast_group6`.
    pub(super) groups: [Option<Addr>; 2],
    pub(super) only_peers: bool,
    pub(super) tells_priorities: bool,
    /// `smtp_alert_vrrp`, or else `smtp_alert`.
    pub(super) mails: bool,
    /// `vmac_prefix` and `vmac_addr_prefix`.
    pub(super) mac_names: [Option<String>; 2],
    version: Option<u64>,
    pub(super) announcing: Announcing,
    manners: Manners,
    down_adverts: Option<u8>,
    compares_once: bool,
    plain_checksum: bool,
    strict: bool,
}

impl Defaults {
    pub(super) fn read(&mut self, items: &[Item<'_>]) {
        let is_on = |name: &str| items.iter().any(|item| item.name == name && item.is_on());
        if is_on("vrrp_min_garp") {
            let once = Burst { rounds: 1, again: Duration::ZERO };
            self.announcing = Announcing { master: once, lower: once, ..self.announcing };
        }
        announcing(items, "vrrp_", &mut self.announcing);
        self.manners.answers_lower &= !is_on("vrrp_lower_prio_no_advert");
        self.manners.answers_higher |= is_on("vrrp_higher_prio_send_advert");
        self.manners.owner_stays |= is_on("vrrp_owner_ignore_adverts");
        self.compares_once |= is_on("vrrp_skip_check_adv_addr");
        self.plain_checksum |= is_on("v3_checksum_as_v2");
        self.only_peers |= is_on("vrrp_check_unicast_src");
        self.strict |= is_on("vrrp_strict");
        self.tells_priorities |= is_on("vrrp_notify_priority_changes");
        let alert = items.iter().find(|item| item.name == "smtp_alert_vrrp");
        self.mails = alert.map_or(self.mails || is_on("smtp_alert"), Item::is_on);
        for item in items {
            match item.name {
                "default_interface" => self.interface = item.text().map(str::to_owned),
                "vmac_prefix" => self.mac_names[0] = item.text().map(str::to_owned),
                "vmac_addr_prefix" => self.mac_names[1] = item.text().map(str::to_owned),
                "vrrp_version" => self.version = item.number().or(self.version),
                "vrrp_down_timer_adverts" => self.down_adverts = item.number().or(self.down_adverts),
                "vrrp_mcast_group4" => self.groups[0] = item.address().map(Addr::from),
                "vrrp_mcast_group6" => self.groups[1] = item.address().map(Addr::from),
                "vrrp_garp_interval" => self.announcing.arp_gap = item.seconds().unwrap_or_default(),
                "vrrp_gna_interval" => self.announcing.na_gap = item.seconds().unwrap_or_default(),
                _ => {}
            }
        }
    }
}

/// The family of an instance's adverts: that of its first address, or of its peers.
pub(super) fn family(items: &[Item<'_>], first: Option<IpAddr>) -> Family {
    let peers = items.iter().filter(|item| item.name == "unicast_peer").flat_map(Item::body);
    let peer = || peers.filter_map(|line| line.words[0].text.parse().ok()).next();
    let named = || items.iter().find(|item| item.name.ends_with("_src_ip")).and_then(Item::address);
    match first.or_else(peer).or_else(named) {
        Some(address) => Addr::from(address).family(),
        None if has(items, "native_ipv6") => Family::V6,
        None => Family::V4,
    }
}

impl Builder<'_> {
    pub(super) fn election(&mut self, items: &[Item<'_>], defaults: &Defaults, spec: &mut Spec) {
        self.version(items, defaults, spec);
        spec.manners = defaults.manners;
        spec.announcing = defaults.announcing;
        announcing(items, "", &mut spec.announcing);
        self.extra_announcements(items, "garp_extra_if", &mut spec.announcing);
        spec.compares_once = defaults.compares_once;
        spec.checksum = if defaults.plain_checksum { Checksum::Bare } else { Checksum::Journey };
        spec.down_adverts = defaults.down_adverts.unwrap_or(spec.down_adverts);
        let mut strict = defaults.strict;
        for item in items {
            match item.name {
                "priority" => spec.priority = item.number().unwrap_or(spec.priority),
                "state" => spec.starts_as_master = item.text() == Some("MASTER"),
                "down_timer_adverts" => spec.down_adverts = item.number().unwrap_or(spec.down_adverts),
                "lower_prio_no_advert" => spec.manners.answers_lower = !item.is_on(),
                "higher_prio_send_advert" => spec.manners.answers_higher = item.is_on(),
                "owner_ignore_adverts" => spec.manners.owner_stays = item.is_on(),
                "skip_check_adv_addr" => spec.compares_once = item.is_on(),
                "v3_checksum_as_v2" if item.is_on() => spec.checksum = Checksum::Bare,
                "v3_checksum_as_v2" => spec.checksum = Checksum::Journey,
                "old_unicast_checksum" if item.words().iter().any(|word| word.text == "never") => {
                    spec.learns_checksum = false
                }
                "old_unicast_checksum" => spec.checksum = Checksum::Group,
                "dont_track_primary" => spec.needs_link = !item.is_on(),
                "strict_mode" => strict = item.is_on(),
                _ => {}
            }
        }
        self.interval(items, spec);
        self.preemption(items, spec);
        self.lateness(items, spec);
        self.proof(items, spec, strict);
        self.peers(items, defaults, spec, strict);
        spec.manners.answers_lower &= !strict;
    }

    fn version(&mut self, items: &[Item<'_>], defaults: &Defaults, spec: &mut Spec) {
        let own = items.iter().find(|item| item.name == "version");
        let wanted: Option<u64> = own.and_then(Item::number).or(defaults.version);
        if spec.family == Family::V4 {
            spec.version = if wanted == Some(3) { Version::V3 } else { Version::V2 };
        } else if let Some(own) = own.filter(|_| wanted == Some(2)) {
            self.reports.warning(own.span(), "there is no version 2 over IPv6; 3 is used", "");
        }
    }

    /// Whole seconds in version 2, 12 bits of hundredths in version 3.
    fn interval(&mut self, items: &[Item<'_>], spec: &mut Spec) {
        const LONGEST: Duration = Duration::from_millis(40_950);
        let Some(item) = items.iter().find(|item| item.name == "advert_int") else { return };
        let Some(wanted) = item.seconds() else { return };
        spec.interval = match spec.version {
            Version::V2 => Duration::from_secs((wanted.as_millis() as u64 + 500) / 1000).max(Duration::from_secs(1)),
            Version::V3 => Duration::from_millis(wanted.as_millis() as u64 / 10 * 10).min(LONGEST),
        };
        if spec.interval != wanted {
            let hint = if spec.version == Version::V2 { "for fractions, set `version 3` on all directors" } else { "" };
            let (number, used) = (spec.version.number(), spec.interval.as_secs_f64());
            let message = format!("adverts of version {number} cannot carry this; {used} s is used");
            self.reports.warning(item.words()[0].span, message, hint);
        }
    }

    fn preemption(&mut self, items: &[Item<'_>], spec: &mut Spec) {
        let find = |name: &str| items.iter().find(|item| item.name == name);
        let delay = find("preempt_delay").and_then(Item::seconds).unwrap_or_default();
        spec.preempt = Preempt::After(delay);
        if let Some(item) = find("nopreempt").filter(|item| item.is_on()) {
            let useless = if spec.starts_as_master {
                Some(("`nopreempt` has no effect with `state MASTER`", "write `state BACKUP`"))
            } else if spec.priority == u8::MAX {
                Some((
                    "`nopreempt` has no effect with priority 255",
                    "an owner always takes its addresses; lower the priority",
                ))
            } else {
                None
            };
            match useless {
                Some((message, hint)) => self.reports.warning(item.span(), message, hint),
                None => spec.preempt = Preempt::Never,
            }
        }
        let Some(item) = find("preempt_delay").filter(|_| delay > Duration::ZERO) else { return };
        if spec.starts_as_master {
            spec.preempt = Preempt::After(Duration::ZERO);
            self.reports.warning(
                item.span(),
                "`preempt_delay` has no effect with `state MASTER`",
                "write `state BACKUP`",
            );
        } else if spec.preempt == Preempt::Never {
            self.reports.warning(item.span(), "`preempt_delay` has no effect with `nopreempt`", "");
        }
    }

    /// As soon as another router, of the highest priority that there is, would take over.
    fn lateness(&mut self, items: &[Item<'_>], spec: &mut Spec) {
        let Some(item) = items.iter().find(|item| item.name == "timer_expired_backup") else { return };
        if spec.preempt != Preempt::Never {
            let message = "`timer_expired_backup` has no effect without `nopreempt`";
            return self.reports.warning(item.span(), message, "");
        }
        let highest = match item.words().first().map(|word| values::number(word, 1, 254)) {
            None => 254,
            // At most 254.
            Some(Ok(number)) => number as u8,
            Some(Err(fault)) => return self.fault(Level::Error, item.name, item.words()[0].span, fault),
        };
        spec.yields_after = Some(master_down(spec.version, spec.interval, highest, 3));
    }
}

impl Builder<'_> {
    /// `garp_extra_if [all] SECONDS`, or the same of `global_defs`.
    pub(super) fn extra_announcements(&mut self, items: &[Item<'_>], name: &str, to: &mut Announcing) {
        let Some(item) = items.iter().find(|item| item.name == name) else { return };
        let mut given = false;
        for word in item.words() {
            match values::number(word, 0, 86400) {
                _ if word.text == "all" => to.extra_all = true,
                Ok(seconds) => (to.extra, given) = (Duration::from_secs(seconds), true),
                Err(fault) => self.fault(Level::Warning, item.name, word.span, fault),
            }
        }
        if !given {
            self.reports.warning(
                item.span(),
                format!("`{name}` names no time; ignored"),
                "seconds, after `all` or alone",
            );
        }
    }

    /// `garp_group`.
    pub(super) fn garp_group(&mut self, block: &Item<'_>) -> Option<GarpGroup> {
        let items = self.items(Block::GarpGroup, block.body());
        let gap = |name: &str| items.iter().find(|item| item.name == name).and_then(Item::seconds).unwrap_or_default();
        let one = items.iter().filter(|item| item.name == "interface").filter_map(|item| item.words().first());
        let lines = items.iter().filter(|item| item.name == "interfaces").flat_map(Item::body);
        let interfaces: Vec<String> =
            one.chain(lines.flat_map(|line| &line.words)).map(|word| word.text.clone()).collect();
        if interfaces.is_empty() {
            self.reports.warning(block.span(), "a garp_group without interfaces; ignored", "");
            return None;
        }
        Some(GarpGroup { interfaces, arp_gap: gap("garp_interval"), na_gap: gap("gna_interval") })
    }
}

/// The `garp_*` keywords that are given, under their names of `global_defs` (`vrrp_`) or of an instance. What is not said
/// of lower adverts is as for masters.
fn announcing(items: &[Item<'_>], prefix: &str, to: &mut Announcing) {
    let find = |name: &str| items.iter().find(|item| item.name.strip_prefix(prefix) == Some(name));
    let seconds = |name: &str| find(name).and_then(Item::seconds);
    let rounds = |name: &str| find(name).and_then(Item::number::<u32>);
    for name in ["garp_master_delay", "garp_lower_prio_delay"] {
        let Some(again) = seconds(name) else { continue };
        to.lower.again = again;
        if name == "garp_master_delay" {
            to.master.again = again;
        }
    }
    for name in ["garp_master_repeat", "garp_lower_prio_repeat"] {
        let Some(rounds) = rounds(name) else { continue };
        to.lower.rounds = rounds;
        if name == "garp_master_repeat" {
            to.master.rounds = rounds;
        }
    }
    to.refresh = seconds("garp_master_refresh").unwrap_or(to.refresh);
    to.refresh_rounds = rounds("garp_master_refresh_repeat").unwrap_or(to.refresh_rounds);
}
