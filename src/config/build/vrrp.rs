//! `vrrp_instance`: which addresses are owned, and where.

use std::net::IpAddr;

use super::items::{Item, has};
use super::values::Fault;
use super::*;
use crate::config::model::{VirtualAddress, VrrpInstance};
use crate::config::problem::Level;
use crate::config::text::Word;

/// `priority` where the file gives none (keepalived's `VRRP_PRIO_DFL`).
const DEFAULT_PRIORITY: u8 = 100;

impl Builder<'_> {
    pub(super) fn instance(&mut self, block: &Item<'_>, instances: &mut Vec<VrrpInstance>) {
        let items = self.items(Block::VrrpInstance, block.body());
        self.useless_nopreempt(block);
        let Some(name) = block.words().first() else {
            return self.reports.error(block.span(), "`vrrp_instance` needs a name", "");
        };
        if !self.names.insert(name.text.clone()) {
            self.reports.error(name.span, format!("a vrrp_instance `{}` is there already", name.text), "");
        }
        for needed in ["interface", "virtual_router_id"] {
            if !has(&items, needed) {
                self.reports.error(name.span, format!("instance `{}` has no `{needed}`", name.text), "");
            }
        }
        let mut instance = VrrpInstance {
            name: name.text.clone(),
            interface: String::new(),
            virtual_router_id: 0,
            priority: DEFAULT_PRIORITY,
            addresses: Vec::new(),
        };
        for item in &items {
            match item.name {
                "interface" => instance.interface = item.text().unwrap_or_default().to_owned(),
                "virtual_router_id" => instance.virtual_router_id = item.number().unwrap_or_default(),
                "priority" => instance.priority = item.number().unwrap_or(DEFAULT_PRIORITY),
                _ => {}
            }
        }
        self.addresses(&items, &mut instance);
        if instance.addresses.is_empty() {
            self.reports.warning(name.span, format!("instance `{}` has no address", name.text), "");
        }
        let id = instance.virtual_router_id;
        if id != 0
            && let Some(other) = self.instances.insert((instance.interface.clone(), id), name.text.clone())
        {
            let message = format!("`{other}` and `{}` both use virtual_router_id {id}", name.text);
            self.reports.error(name.span, message, format!("on {}", instance.interface));
        }
        instances.push(instance);
    }

    fn useless_nopreempt(&mut self, block: &Item<'_>) {
        let find = |name: &str| block.body().iter().find(|statement| statement.keyword().text == name);
        let master =
            find("state").is_some_and(|state| state.values().first().is_some_and(|word| word.text == "MASTER"));
        if let Some(nopreempt) = find("nopreempt").filter(|_| master) {
            self.reports.warning(
                nopreempt.span(),
                "`nopreempt` has no effect with `state MASTER`",
                "write `state BACKUP`",
            );
        }
    }

    /// First `virtual_ipaddress`, then `virtual_ipaddress_excluded`.
    fn addresses(&mut self, items: &[Item<'_>], instance: &mut VrrpInstance) {
        let blocks = |name: &'static str| items.iter().filter(move |item| item.name == name);
        let mut family = None;
        let mut seen = BTreeSet::new();
        for item in blocks("virtual_ipaddress").chain(blocks("virtual_ipaddress_excluded")) {
            for statement in item.body() {
                let Some(address) = self.virtual_address(&statement.words, &instance.interface) else { continue };
                let is_v4 = address.address.is_ipv4();
                let span = statement.span();
                if item.name == "virtual_ipaddress" && *family.get_or_insert(is_v4) != is_v4 {
                    let message = format!("{} is of another family than the first address", address.address);
                    self.reports.error(span, message, "put it into virtual_ipaddress_excluded");
                } else if !seen.insert((address.address, address.device.clone())) {
                    self.reports.warning(span, format!("{} is listed twice", address.address), "");
                } else {
                    instance.addresses.push(address);
                }
            }
        }
    }

    /// `ADDRESS[/PREFIX] [brd A] [dev NAME] [scope S] [label L] ...`, as in `ip address add`.
    fn virtual_address(&mut self, words: &[Word], interface: &str) -> Option<VirtualAddress> {
        let (address, prefix) = match parse_prefixed(&words[0]) {
            Ok(parsed) => parsed,
            Err(fault) => {
                self.fault(Level::Error, "virtual_ipaddress", words[0].span, fault);
                return None;
            }
        };
        let mut result = VirtualAddress { address, prefix, device: interface.to_owned(), label: None, scope: 0 };
        let mut rest = words[1..].iter();
        while let Some(word) = rest.next() {
            let mut value = || rest.next().map(|word| word.text.clone());
            match word.text.as_str() {
                "dev" => match value() {
                    Some(device) => result.device = device,
                    None => self.reports.error(word.span, "`dev` needs a value", "the name of an interface"),
                },
                "label" => result.label = value(),
                "scope" => match scope(&value().unwrap_or_default()) {
                    Some(scope) => result.scope = scope,
                    None => {
                        self.reports.error(word.span, "unknown scope", "expected global, site, link, host or a number")
                    }
                },
                "brd" | "broadcast" | "peer" | "preferred_lft" | "metric" => {
                    value();
                    self.address_option(word);
                }
                "home" | "-nodad" | "nodad" | "mngtmpaddr" | "noprefixroute" | "autojoin" | "no_track" | "use_vmac"
                | "track_group" => self.address_option(word),
                other => {
                    let message = format!("unknown word `{other}` after an address; ignored");
                    self.reports.warning(word.span, message, "each address needs its own line");
                }
            }
        }
        Some(result)
    }

    fn address_option(&mut self, word: &Word) {
        const KNOWN: &str = "address options";
        if self.noted.insert((Block::Lines, KNOWN)) {
            let message = format!("`{}` of an address is accepted, but has no effect yet", word.text);
            self.reports.note(word.span, message, "");
        }
    }
}

/// `ADDRESS` or `ADDRESS/LENGTH`.
pub(super) fn parse_prefixed(word: &Word) -> Result<(IpAddr, u8), Fault> {
    let (address, prefix) = match word.text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (word.text.as_str(), None),
    };
    let address: IpAddr = address.parse().map_err(|_| Fault::new(&word.text, "an address, perhaps with /prefix"))?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let Some(prefix) = prefix else { return Ok((address, longest)) };
    match prefix.parse() {
        Ok(length) if length <= longest => Ok((address, length)),
        _ => Err(Fault::new(&word.text, format!("a prefix of 0 to {longest}"))),
    }
}

/// The kernel's number of a scope (`/etc/iproute2/rt_scopes`).
fn scope(name: &str) -> Option<u8> {
    match name {
        "global" | "universe" => Some(0),
        "site" => Some(200),
        "link" => Some(253),
        "host" => Some(254),
        "nowhere" => Some(255),
        number => number.parse().ok(),
    }
}
