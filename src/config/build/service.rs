//! `virtual_server`.

use std::net::{IpAddr, Ipv4Addr};

use super::checks::Timing;
use super::group::Target;
use super::items::{Item, has};
use super::server::{Outer, of_service};
use super::values::{self, Fault};
use super::*;
use crate::config::keywords::LONGEST_TIMEOUT;
use crate::config::model::{RealServer, VirtualServer};
use crate::config::problem::Level;
use crate::config::text::Word;
use crate::sched::{Flags, Kind, Setup};
use crate::service::{Engine, Limits, Method, Persistence};
use crate::wire::{Family, Mask, Protocol};

/// `persistence_timeout` without a value (keepalived's `IPVS_SVC_PERSISTENT_TIMEOUT`).
const DEFAULT_PERSISTENCE: u64 = 360;

impl Builder<'_> {
    pub(super) fn virtual_server(&mut self, block: &Item<'_>, services: &mut Vec<VirtualServer>) {
        let items = self.items(Block::VirtualServer, block.body());
        // Everything is looked at, so that all problems of the block come out even if its address is wrong.
        let targets = self.targets(block);
        let is_address = |target: &Target| matches!(target, Target::Address(_));
        let by_mark = block.words().first().is_some_and(|word| word.text == "fwmark");
        let by_address = !by_mark && (targets.is_empty() || targets.iter().any(is_address));
        let protocol = self.protocol(&items, block, by_address);
        let scheduler = self.scheduler(&items, block);
        let method = self.service_method(&items, block);
        self.only_simple_quorum(&items);
        let family = self.mark_family(&items);
        let name = |target: &Target, protocol| match *target {
            Target::Address(virtual_) => ServiceKey { protocol, virtual_ },
            Target::Mark(mark, own) => ServiceKey::of_mark(mark, own.unwrap_or(family)),
        };
        let keys: Vec<ServiceKey> =
            targets.iter().map(|target| name(target, protocol.unwrap_or(Protocol::UDP))).collect();
        let persistence = self.persistence(&items, keys.first().map(ServiceKey::family));
        let engine = self.engine(&items, &keys);
        self.ports_are_given(block, &keys, persistence.is_some());
        let one_packet = self.one_packet(&items, &keys);

        let outer = Outer {
            keys: &keys,
            method,
            inhibit: items.iter().any(|item| item.name == "inhibit_on_failure" && item.is_on()),
            timing: Timing::of(&items),
            virtual_host: items.iter().filter(|item| item.name == "virtualhost").find_map(Item::text),
        };
        let (mut servers, mut seen) = (Vec::new(), BTreeSet::new());
        for item in items.iter().filter(|item| item.name == "real_server") {
            let Some(server) = self.real_server(item, &outer) else { continue };
            let real = keys.first().map_or(server.real, |&key| of_service(&server, key).real);
            if seen.insert(real) {
                servers.push(server);
            } else {
                let message = format!("real_server {real} is there already; this one is ignored");
                self.reports.warning(item.statement.span(), message, "");
            }
        }
        let sorry = self.sorry_server(&items, &outer);
        if protocol.is_none() {
            return;
        }
        for key in keys {
            if !self.services.insert(key) {
                self.reports.error(block.statement.span(), format!("virtual_server {key} is there already"), "");
            } else if servers.is_empty() {
                // A faulty real_server has its own error; keepalived leaves out a service without any.
                if !has(&items, "real_server") {
                    let message = format!("virtual_server {key} has no real_server; ignored");
                    self.reports.warning(block.statement.span(), message, "");
                }
            } else {
                let all: Vec<&RealServer> = servers.iter().chain(&sorry).collect();
                let full = self.full_nat(block, &items, key, &all, one_packet);
                let servers = servers.iter().map(|server| of_service(server, key)).collect();
                let sorry = sorry.as_ref().map(|server| of_service(server, key));
                let limits = Limits::default();
                services.push(VirtualServer {
                    key,
                    scheduler,
                    persistence,
                    engine,
                    limits,
                    one_packet,
                    full,
                    servers,
                    sorry,
                });
            }
        }
    }

    /// The family of a service by mark that does not say itself: `ip_family`, or that of its first server.
    fn mark_family(&mut self, items: &[Item<'_>]) -> Family {
        if let Some(item) = items.iter().find(|item| item.name == "ip_family") {
            return if item.text() == Some("inet6") { Family::V6 } else { Family::V4 };
        }
        let first = items.iter().filter(|item| item.name == "real_server").find_map(|item| item.words().first());
        let is_v6 = first.is_some_and(|word| values::address(word).is_ok_and(|address| address.is_ipv6()));
        if is_v6 { Family::V6 } else { Family::V4 }
    }

    /// LVS serves all ports of an address only with persistence, without which a client's connections would be spread.
    fn ports_are_given(&mut self, block: &Item<'_>, keys: &[ServiceKey], persistent: bool) {
        let for_all = |key: &&ServiceKey| key.mark().is_none() && key.virtual_.port == 0;
        if let Some(key) = keys.iter().find(for_all).filter(|_| !persistent) {
            let message = format!("virtual_server {} has no port", key.virtual_.addr);
            self.reports.error(block.statement.span(), message, "give a port, or `persistence_timeout` for all ports");
        }
    }

    fn engine(&mut self, items: &[Item<'_>], keys: &[ServiceKey]) -> Option<Engine> {
        let item = items.iter().rfind(|item| item.name == "persistence_engine")?;
        let Some(word) = item.words().first() else {
            self.reports.error(item.span(), "`persistence_engine` needs a name", "sip");
            return None;
        };
        if keys.iter().any(|key| !matches!(key.protocol, Protocol::UDP | 0)) {
            self.reports.warning(item.span(), "this engine is for UDP: TCP and SCTP would get no connection", "");
        }
        self.or_fault(item, word, Engine::named(&word.text).ok_or_else(|| Fault::new(&word.text, "sip")))
    }

    fn one_packet(&mut self, items: &[Item<'_>], keys: &[ServiceKey]) -> bool {
        let Some(item) = items.iter().find(|item| item.name == "ops" && item.is_on()) else { return false };
        if keys.iter().any(|key| !matches!(key.protocol, Protocol::UDP | 0)) {
            self.reports.warning(item.span(), "`ops` has no effect: it is for UDP", "");
        }
        true
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

    /// `protocol`, which services by mark have no need of.
    fn protocol(&mut self, items: &[Item<'_>], block: &Item<'_>, by_address: bool) -> Option<u8> {
        let Some(item) = items.iter().find(|item| item.name == "protocol") else {
            if by_address {
                let hint = "write `protocol TCP` or `protocol UDP`";
                self.reports.warning(block.span(), "no `protocol`: UDP, as keepalived has it", hint);
            }
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
            "FNAT" | "FULLNAT" => Some(Method::Full),
            _ => self.or_fault(item, word, Err(Fault::new(&word.text, "NAT, DR, TUN or FNAT"))),
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

    fn persistence(&mut self, items: &[Item<'_>], family: Option<Family>) -> Option<Persistence> {
        let granularity = items.iter().find(|item| item.name == "persistence_granularity");
        let mask = granularity.and_then(|item| self.granularity(item, family));
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
        let whole = Mask::of_length(family.unwrap_or(Family::V4), 128);
        // The range is below u32::MAX.
        Some(Persistence { timeout: Ticks::from_secs(seconds as u32), mask: mask.unwrap_or(whole) })
    }

    /// A netmask of any shape for IPv4, a prefix length for IPv6.
    fn granularity(&mut self, item: &Item<'_>, family: Option<Family>) -> Option<Mask> {
        let word = item.words().first()?;
        let parsed = match family? {
            Family::V4 => {
                let mask = word.text.parse::<Ipv4Addr>().map(Mask::netmask);
                mask.map_err(|_| Fault::new(&word.text, "a netmask such as 255.255.255.0"))
            }
            // At most 128.
            Family::V6 => values::number(word, 1, 128).map(|length| Mask::of_length(Family::V6, length as u8)),
        };
        self.or_fault(item, word, parsed)
    }
}
