//! Full NAT, in the words of DPVS's keepalived: `local_address_group`, and in a virtual server `laddr_group_name`,
//! `proxy_protocol` and `toa`.

use super::group::addresses;
use super::items::{Item, has};
use super::*;
use crate::config::model::{RealServer, VirtualAddress, VirtualServer};
use crate::service::{FullNat, HandOn, LOCAL_PORTS, Method, ProxyVersion};
use crate::wire::{Addr, Protocol};

impl Builder<'_> {
    /// `local_address_group NAME`, a block of lines `ADDRESSES [INTERFACE]`. Those with an interface are put there.
    pub(super) fn local_group(&mut self, block: &Item<'_>, config: &mut Config) {
        let Some(name) = block.words().first() else {
            self.reports.error(block.span(), "`local_address_group` needs a name", "");
            return;
        };
        let mut members: Vec<Addr> = Vec::new();
        for line in block.body() {
            let Some(found) = self.or_fault(block, &line.words[0], addresses(&line.words[0])) else { continue };
            self.surplus(&line.words, 2);
            for address in found {
                if members.contains(&address.into()) {
                    self.reports.warning(line.span(), format!("{address} is listed twice"), "");
                    continue;
                }
                members.push(address.into());
                self.local_lines.push((address.into(), line.span()));
                let place = |device: &crate::config::text::Word| VirtualAddress {
                    address,
                    prefix: if address.is_ipv4() { 32 } else { 128 },
                    device: device.text.clone(),
                    label: None,
                    scope: 0,
                };
                let placed = line.words.get(1).map(place).filter(|placed| !config.local_addresses.contains(placed));
                config.local_addresses.extend(placed);
            }
        }
        if self.local_groups.insert(name.text.clone(), members).is_some() {
            self.reports.error(name.span, format!("local_address_group {} is there already", name.text), "");
        }
    }

    /// What full NAT of the service's servers needs. Everything that cannot be is an error.
    pub(super) fn full_nat(
        &mut self,
        block: &Item<'_>,
        items: &[Item<'_>],
        key: ServiceKey,
        servers: &[&RealServer],
        one_packet: bool,
    ) -> Option<FullNat> {
        let hand_on = self.hand_on(items, key.protocol);
        let group = items.iter().rfind(|item| item.name == "laddr_group_name");
        if !servers.iter().any(|server| server.method == Method::Full) {
            if let Some(item) = group {
                self.reports.warning(item.statement.span(), "`laddr_group_name` has no effect without FNAT", "");
            }
            return None;
        }
        let span = block.span();
        if key.mark().is_some() {
            let hint = "give the virtual server an address, or use NAT";
            self.reports.error(span, "FNAT does not go with firewall marks", hint);
        }
        if one_packet {
            self.reports.error(span, "FNAT does not go with `ops`", "replies could not be told apart");
        }
        let Some(name) = group.and_then(Item::text) else {
            let hint = "write `laddr_group_name NAME`, and a `local_address_group` of that name";
            self.reports.error(span, "FNAT needs local addresses", hint);
            return None;
        };
        let span = group.map_or(span, |item| item.statement.span());
        let Some(members) = self.local_groups.get(name) else {
            self.reports.error(span, format!("there is no local_address_group {name}"), "");
            return None;
        };
        let addresses: Vec<Addr> = members.iter().copied().filter(|address| address.family() == key.family()).collect();
        if addresses.is_empty() {
            let message = format!("local_address_group {name} has no address of the family of {key}");
            self.reports.error(span, message, "FNAT does not translate between families");
            return None;
        }
        Some(FullNat { addresses, ports: LOCAL_PORTS, hand_on })
    }

    fn hand_on(&mut self, items: &[Item<'_>], protocol: u8) -> HandOn {
        let find = |name: &str| items.iter().rfind(|item| item.name == name);
        let version = match find("proxy_protocol").and_then(Item::text) {
            Some("v1") => Some(ProxyVersion::V1),
            Some("v2") => Some(ProxyVersion::V2),
            _ => None,
        };
        if let Some(item) = find("proxy_protocol").filter(|_| protocol != Protocol::TCP && version.is_some()) {
            self.reports.warning(item.statement.span(), "`proxy_protocol` has no effect: it is for TCP", "");
        }
        match version {
            Some(version) => {
                if let Some(item) = find("toa").filter(|item| item.is_on()) {
                    self.reports.warning(item.statement.span(), "`toa` has no effect beside `proxy_protocol`", "");
                }
                HandOn::Proxy(version)
            }
            None if has(items, "toa") && !find("toa").is_some_and(Item::is_on) => HandOn::Nothing,
            None => HandOn::Toa,
        }
    }

    /// A packet to a virtual address comes from a client; to a local one, from a server. To be called when all services are
    /// known.
    pub(super) fn locals_are_not_virtual(&mut self, services: &[VirtualServer]) {
        for (address, span) in std::mem::take(&mut self.local_lines) {
            if services.iter().any(|service| service.key.mark().is_none() && service.key.virtual_.addr == address) {
                let message = format!("{address} is the address of a virtual_server");
                self.reports.error(span, message, "FNAT needs addresses that no client connects to");
            }
        }
    }

    /// `local_ports FIRST LAST`.
    pub(super) fn local_ports(&mut self, item: &Item<'_>) -> Option<(u16, u16)> {
        let [first, last] = item.words() else {
            self.reports.error(item.statement.span(), "`local_ports` takes two ports", "such as 1024 32767");
            return None;
        };
        let number = |word| super::values::number(word, 1, u64::from(u16::MAX));
        let (from, to) = (self.or_fault(item, first, number(first))?, self.or_fault(item, last, number(last))?);
        if from > to {
            self.reports.error(last.span, format!("`local_ports`: {to} is below {from}"), "the first, then the last");
            return None;
        }
        // The range ends at u16::MAX.
        Some((from as u16, to as u16))
    }
}

/// Gives full NAT its ports, once all of the file is read.
pub(super) fn set_local_ports(services: &mut [VirtualServer], ports: (u16, u16)) {
    services.iter_mut().filter_map(|service| service.full.as_mut()).for_each(|full| full.ports = ports);
}
