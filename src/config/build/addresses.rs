//! Lines of `virtual_ipaddress`: which addresses are owned, and where.

use std::net::IpAddr;

use super::items::Item;
use super::values::Fault;
use super::*;
use crate::config::model::VirtualAddress;
use crate::config::problem::Level;
use crate::config::text::{Span, Word};

/// An address, where it stands, and whether adverts list it.
pub(super) struct Listed {
    pub(super) address: VirtualAddress,
    pub(super) span: Span,
    pub(super) advertised: bool,
    /// `use_vmac` stands beside it.
    pub(super) virtual_mac: bool,
}

impl Builder<'_> {
    /// First `virtual_ipaddress`, then `virtual_ipaddress_excluded`. The first address names the family of adverts.
    pub(super) fn addresses(&mut self, items: &[Item<'_>], interface: &str) -> Vec<Listed> {
        let blocks = |name: &'static str| items.iter().filter(move |item| item.name == name);
        let mut listed: Vec<Listed> = Vec::new();
        let mut family = None;
        let mut seen = BTreeSet::new();
        for item in blocks("virtual_ipaddress").chain(blocks("virtual_ipaddress_excluded")) {
            let advertised = item.name == "virtual_ipaddress";
            for statement in item.body() {
                let Some(address) = self.virtual_address(item.name, &statement.words, interface) else { continue };
                let virtual_mac = statement.words.iter().any(|word| word.text == "use_vmac");
                let is_v4 = address.address.is_ipv4();
                let span = statement.span();
                if advertised && *family.get_or_insert(is_v4) != is_v4 {
                    let message = format!("{} is of another family than the first address", address.address);
                    self.reports.error(span, message, "put it into virtual_ipaddress_excluded");
                } else if !seen.insert((address.address, address.device.clone())) {
                    self.reports.warning(span, format!("{} is listed twice", address.address), "");
                } else {
                    listed.push(Listed { address, span, advertised, virtual_mac });
                }
            }
        }
        listed
    }

    /// `static_ipaddress`; each line names its interface, unless there is a `default_interface`.
    pub(super) fn static_addresses(&mut self, block: &Item<'_>, interface: Option<&str>) -> Vec<VirtualAddress> {
        let mut addresses = Vec::new();
        for line in block.body() {
            let address = self.virtual_address(block.name, &line.words, interface.unwrap_or_default());
            if address.as_ref().is_some_and(|address| address.device.is_empty()) {
                self.reports.error(
                    line.span(),
                    "`static_ipaddress` needs an interface",
                    "`dev`, or `default_interface`",
                );
            }
            addresses.extend(address);
        }
        addresses
    }

    /// `ADDRESS[/PREFIX] [brd A] [dev NAME] [scope S] [label L] ...`, as in `ip address add`.
    fn virtual_address(&mut self, block: &str, words: &[Word], interface: &str) -> Option<VirtualAddress> {
        let (address, prefix) = match parse_prefixed(&words[0]) {
            Ok(parsed) => parsed,
            Err(fault) => {
                self.fault(Level::Error, block, words[0].span, fault);
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
                "home" | "-nodad" | "nodad" | "mngtmpaddr" | "noprefixroute" | "autojoin" | "no_track"
                | "track_group" => self.address_option(word),
                "use_vmac" => {}
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
pub(super) fn scope(name: &str) -> Option<u8> {
    match name {
        "global" | "universe" => Some(0),
        "site" => Some(200),
        "link" => Some(253),
        "host" => Some(254),
        "nowhere" => Some(255),
        number => number.parse().ok(),
    }
}
