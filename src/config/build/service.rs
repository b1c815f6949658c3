//! `virtual_server`.

use std::net::{IpAddr, Ipv4Addr};

use super::checks::Timing;
use super::items::{Item, has};
use super::server::Outer;
use super::values::{self, Fault};
use super::*;
use crate::config::keywords::LONGEST_TIMEOUT;
use crate::config::model::VirtualServer;
use crate::config::problem::Level;
use crate::config::text::Word;
use crate::sched::{Flags, Kind, Setup};
use crate::service::{Limits, Method, Persistence};
use crate::wire::{Endpoint, Family, Mask, Protocol};

/// `persistence_timeout` without a value (keepalived's `IPVS_SVC_PERSISTENT_TIMEOUT`).
const DEFAULT_PERSISTENCE: u64 = 360;

impl Builder<'_> {
    pub(super) fn virtual_server(&mut self, block: &Item<'_>, services: &mut Vec<VirtualServer>) {
        let items = self.items(Block::VirtualServer, block.body());
        // Everything is looked at, so that all problems of the block come out even if its address is wrong.
        let protocol = self.protocol(&items, block);
        let scheduler = self.scheduler(&items, block);
        let method = self.service_method(&items, block);
        self.only_simple_quorum(&items);
        let address = self.service_address(block);
        let persistence = self.persistence(&items, address.map(|(address, _)| address));
        let virtual_ = address.map(|(address, port)| Endpoint::new(address, port));

        let outer = Outer {
            virtual_,
            method,
            inhibit: items.iter().any(|item| item.name == "inhibit_on_failure" && item.is_on()),
            timing: Timing::of(&items),
            virtual_host: items.iter().filter(|item| item.name == "virtualhost").find_map(Item::text),
        };
        let (mut servers, mut seen) = (Vec::new(), BTreeSet::new());
        for item in items.iter().filter(|item| item.name == "real_server") {
            let Some(server) = self.real_server(item, &outer) else { continue };
            if seen.insert(server.real) {
                servers.push(server);
            } else {
                let message = format!("real_server {} is there already; this one is ignored", server.real);
                self.reports.warning(item.statement.span(), message, "");
            }
        }
        let sorry = self.sorry_server(&items, &outer);
        let (Some(virtual_), Some(protocol)) = (virtual_, protocol) else { return };
        let key = ServiceKey { protocol, virtual_ };
        if !self.services.insert(key) {
            self.reports.error(block.statement.span(), format!("virtual_server {} is there already", key.virtual_), "");
        } else if servers.is_empty() {
            // A faulty real_server has its own error; keepalived leaves out a service without any.
            if !has(&items, "real_server") {
                let message = format!("virtual_server {} has no real_server; ignored", key.virtual_);
                self.reports.warning(block.statement.span(), message, "");
            }
        } else {
            let limits = Limits::default();
            services.push(VirtualServer { key, scheduler, persistence, limits, one_packet: false, servers, sorry });
        }
    }

    /// `virtual_server ADDRESS PORT`.
    fn service_address(&mut self, block: &Item<'_>) -> Option<(IpAddr, u16)> {
        let words = block.words();
        let refused = match words.first().map(|word| word.text.as_str()) {
            Some("fwmark") => "services by firewall mark are not supported yet",
            Some("group") => "services by virtual_server_group are not supported yet",
            _ => {
                let (address, port) = self.endpoint(block, words)?;
                if port.is_none() {
                    let hint = "give a port; a service for all ports is not supported yet";
                    self.reports.error(block.statement.span(), "`virtual_server` has no port", hint);
                }
                return Some((address, port?));
            }
        };
        self.reports.error(block.statement.span(), refused, "write `virtual_server ADDRESS PORT`");
        None
    }

    /// An address and perhaps a port; port 0 counts as none.
    pub(super) fn endpoint(&mut self, item: &Item<'_>, words: &[Word]) -> Option<(IpAddr, Option<u16>)> {
        let Some(first) = words.first() else {
            self.reports.error(item.span(), format!("`{}` needs an address", item.name), "ADDRESS PORT");
            return None;
        };
        let address = self.or_fault(item, first, values::address(first));
        let port = match words.get(1) {
            Some(word) => self.or_fault(item, word, values::number(word, 0, u64::from(u16::MAX))),
            None => Some(0),
        };
        if let Some(surplus) = words.get(2) {
            self.reports.warning(surplus.span, format!("ignored after the port of `{}`", item.name), "");
        }
        let port = u16::try_from(port?).expect("the range ends at u16::MAX");
        Some((address?, (port != 0).then_some(port)))
    }

    /// The value, or nothing and an error.
    pub(super) fn or_fault<T>(&mut self, item: &Item<'_>, word: &Word, value: Result<T, Fault>) -> Option<T> {
        value.map_err(|fault| self.fault(Level::Error, item.name, word.span, fault)).ok()
    }

    fn protocol(&mut self, items: &[Item<'_>], block: &Item<'_>) -> Option<u8> {
        let Some(item) = items.iter().find(|item| item.name == "protocol") else {
            let hint = "write `protocol TCP` or `protocol UDP`";
            self.reports.warning(block.span(), "no `protocol`: UDP, as keepalived has it", hint);
            return Some(Protocol::UDP);
        };
        let word = item.words().first()?;
        match word.text.to_ascii_uppercase().as_str() {
            "TCP" => Some(Protocol::TCP),
            "UDP" => Some(Protocol::UDP),
            "SCTP" => Some(Protocol::SCTP),
            _ => self.or_fault(item, word, Err(Fault::new(&word.text, "TCP, UDP or SCTP"))),
        }
    }

    fn scheduler(&mut self, items: &[Item<'_>], block: &Item<'_>) -> Setup {
        let is_on = |names: &[&str]| items.iter().any(|item| names.contains(&item.name));
        let flags = Flags {
            fallback: is_on(&["sh-fallback", "mh-fallback", "flag-1"]),
            port: is_on(&["sh-port", "mh-port", "flag-2"]),
            third: is_on(&["flag-3"]),
        };
        let kind = match items.iter().rfind(|item| matches!(item.name, "lvs_sched" | "lb_algo")) {
            Some(item) => self.scheduler_kind(item),
            None => {
                self.reports.warning(block.span(), "no `lvs_sched`: wlc", "write `lvs_sched wlc`");
                None
            }
        };
        Setup { kind: kind.unwrap_or_default(), flags }
    }

    fn scheduler_kind(&mut self, item: &Item<'_>) -> Option<Kind> {
        let word = item.words().first()?;
        // keepalived has no word for a service without a scheduler.
        let known = Kind::ALL.into_iter().filter(|&kind| kind != Kind::None);
        let kind = known.clone().find(|kind| kind.name() == word.text);
        let expected = || known.map(Kind::name).collect::<Vec<_>>().join(", ");
        self.or_fault(item, word, kind.ok_or_else(|| Fault::new(&word.text, expected())))
    }

    fn service_method(&mut self, items: &[Item<'_>], block: &Item<'_>) -> Method {
        if !has(items, "lvs_method") && !has(items, "lb_kind") {
            self.reports.warning(block.span(), "no `lvs_method`: NAT", "write `lvs_method NAT`");
        }
        self.method(items, &["lvs_method", "lb_kind"]).unwrap_or_default()
    }

    /// The last of `names` among the items, as a method.
    pub(super) fn method(&mut self, items: &[Item<'_>], names: &[&str]) -> Option<Method> {
        let item = items.iter().rfind(|item| names.contains(&item.name))?;
        let (word, options) = item.words().split_first()?;
        match word.text.as_str() {
            "NAT" => Some(Method::Nat),
            "DR" => Some(Method::Dr),
            "TUN" => self.tunnel(item, word, options).map(Method::Tun),
            "FNAT" | "FULLNAT" => {
                self.reports.error(word.span, "full NAT is not supported", "expected NAT, DR or TUN");
                None
            }
            _ => self.or_fault(item, word, Err(Fault::new(&word.text, "NAT, DR or TUN"))),
        }
    }

    fn only_simple_quorum(&mut self, items: &[Item<'_>]) {
        for (name, done) in [("quorum", 1), ("hysteresis", 0)] {
            for item in items.iter().filter(|item| item.name == name) {
                if item.number().is_some_and(|number: u64| number != done) {
                    let message = format!("`{name}` other than {done} is not supported yet");
                    self.reports.error(item.statement.span(), message, "it would decide when servers are used at all");
                }
            }
        }
    }

    fn persistence(&mut self, items: &[Item<'_>], vip: Option<IpAddr>) -> Option<Persistence> {
        let granularity = items.iter().find(|item| item.name == "persistence_granularity");
        let mask = granularity.and_then(|item| self.granularity(item, vip));
        let Some(item) = items.iter().find(|item| item.name == "persistence_timeout") else {
            if let Some(item) = granularity.filter(|_| mask.is_some()) {
                let message = "`persistence_granularity` has no effect without `persistence_timeout`";
                self.reports.warning(item.statement.span(), message, "");
            }
            return None;
        };
        let seconds = match item.words().first() {
            None => DEFAULT_PERSISTENCE,
            Some(word) if word.text == "0" => {
                let hint = "leave the line out for no persistence";
                self.reports.warning(word.span, "`persistence_timeout` 0 means none here; keepalived rejects it", hint);
                return None;
            }
            Some(word) => self.or_fault(item, word, values::number(word, 1, LONGEST_TIMEOUT))?,
        };
        if let Some(surplus) = item.words().get(1) {
            self.reports.warning(surplus.span, "ignored after the value of `persistence_timeout`", "");
        }
        let whole = match vip.is_none_or(|vip| vip.is_ipv4()) {
            true => Mask::of_length(Family::V4, 32),
            false => Mask::of_length(Family::V6, 128),
        };
        // The range is below u32::MAX.
        Some(Persistence { timeout: Ticks::from_secs(seconds as u32), mask: mask.unwrap_or(whole) })
    }

    /// A netmask of any shape for IPv4, a prefix length for IPv6.
    fn granularity(&mut self, item: &Item<'_>, vip: Option<IpAddr>) -> Option<Mask> {
        let word = item.words().first()?;
        let parsed = match vip? {
            IpAddr::V4(_) => {
                let mask = word.text.parse::<Ipv4Addr>().map(Mask::netmask);
                mask.map_err(|_| Fault::new(&word.text, "a netmask such as 255.255.255.0"))
            }
            // At most 128.
            IpAddr::V6(_) => values::number(word, 1, 128).map(|length| Mask::of_length(Family::V6, length as u8)),
        };
        self.or_fault(item, word, parsed)
    }
}
