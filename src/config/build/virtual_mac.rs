//! `use_vmac`, `use_vmac_addr` and `vmac_xmit_base`: which interfaces with virtual MAC addresses an instance needs, and what
//! goes onto them.
//!
//! As in keepalived: an instance's own interface with a virtual MAC address takes its addresses of its own family, as far as
//! they name no other interface. For the others `use_vmac_addr`, or `use_vmac` beside the address, makes one on their
//! interface, with the MAC address of their family.

use super::addresses::Listed;
use super::election::Defaults;
use super::items::{Item, has};
use super::*;
use crate::config::model::virtual_mac;
use crate::config::text::Word;
use crate::vrrp::Spec;
use crate::vrrp::spec::Peers;
use crate::wire::Mac;

/// The longest name of an interface (`IFNAMSIZ` without the zero at its end).
const LONGEST_NAME: usize = 15;

/// The words after `use_vmac`.
#[derive(Default)]
struct Own {
    name: Option<String>,
    mac: Option<Mac>,
}

impl Builder<'_> {
    /// Puts addresses onto interfaces with virtual MAC addresses, and has adverts sent from one. Gives where the instance's own
    /// addresses are.
    pub(super) fn virtual_macs(
        &mut self,
        items: &[Item<'_>],
        defaults: &Defaults,
        spec: &mut Spec,
        listed: &mut [Listed],
    ) -> String {
        let find = |name: &str| items.iter().find(|item| item.name == name);
        let own = find("use_vmac").map(|item| self.own_mac(item, spec.router));
        let mac_of = |family| own.as_ref().and_then(|own| own.mac).unwrap_or(virtual_mac(spec.router, family));
        let everywhere = has(items, "use_vmac_addr");
        let [prefix, others] = &defaults.mac_names;
        let prefix = prefix.as_deref().unwrap_or("vrrp");
        let others = others.as_deref().unwrap_or(prefix);
        let mine = own.as_ref().map(|own| {
            let mac = mac_of(spec.family);
            self.interface_with(&spec.interface, mac, own.name.clone(), names(prefix, spec.router, spec.family))
        });
        for listed in listed {
            let family = Addr::from(listed.address.address).family();
            let device = match &mine {
                Some(mine) if listed.address.device == spec.interface && family == spec.family => mine.clone(),
                _ if listed.virtual_mac
                    || everywhere && (listed.address.device != spec.interface || family != spec.family) =>
                {
                    let names = names(others, spec.router, family);
                    self.interface_with(&listed.address.device, mac_of(family), None, names)
                }
                _ => continue,
            };
            let interface = self.virtual_macs.iter_mut().find(|interface| interface.name == device);
            interface.into_iter().for_each(|interface| interface.ipv6 |= family == Family::V6);
            listed.address.device = device;
        }
        if let Some(item) = find("vmac_xmit_base").filter(|_| own.is_none()) {
            self.reports.warning(item.span(), "`vmac_xmit_base` has no effect without `use_vmac`", "");
        }
        // Unicast finds its way by the interface's own address.
        let from_base = has(items, "vmac_xmit_base") || matches!(spec.peers, Peers::Unicast { .. });
        spec.mac = own.is_some().then(|| mac_of(spec.family)).filter(|_| !from_base);
        mine.unwrap_or_else(|| spec.interface.clone())
    }

    fn own_mac(&mut self, item: &Item<'_>, router: u8) -> Own {
        let mut own = Own::default();
        let mut words = item.words().iter();
        while let Some(word) = words.next() {
            match word.text.as_str() {
                "name" => {}
                "netlink_notify_msg" => {}
                "group" => {
                    words.next();
                    self.reports.note(word.span, "`group` of `use_vmac` has no effect yet", "");
                }
                text if text.contains(':') => own.mac = self.given_mac(word, router),
                text if own.name.is_some() => {
                    self.reports.warning(word.span, format!("a second name `{text}` after `use_vmac`; ignored"), "");
                }
                text => own.name = self.interface_name(word).then(|| text.to_owned()),
            }
        }
        own
    }

    /// Six bytes, or five that the `virtual_router_id` follows.
    fn given_mac(&mut self, word: &Word, router: u8) -> Option<Mac> {
        let text = word.text.trim_end_matches(':');
        let whole = text.parse().or_else(|_| format!("{text}:{router:x}").parse::<Mac>());
        match whole {
            Ok(mac) if mac.0[0] & 1 == 0 && !is_reserved(mac) => Some(mac),
            Ok(mac) if is_reserved(mac) => {
                let hint = "leave it out: it is what follows from the virtual_router_id";
                self.reports.warning(word.span, format!("{mac} is of the range of VRRP itself; ignored"), hint);
                None
            }
            _ => {
                let message = format!("`use_vmac`: `{}` is no MAC address of a host", word.text);
                self.reports.error(word.span, message, "expected six or five hexadecimal bytes, the first even");
                None
            }
        }
    }

    fn interface_name(&mut self, word: &Word) -> bool {
        let text = &word.text;
        let fits = text.len() <= LONGEST_NAME && !text.contains('/') && !matches!(text.as_str(), "." | "..");
        if !fits {
            let message = format!("`{text}` is no name of an interface");
            self.reports.error(word.span, message, format!("it has at most {LONGEST_NAME} characters, and no slash"));
        } else if self.virtual_macs.iter().any(|other| other.name == *text) {
            self.reports.warning(
                word.span,
                format!("another virtual MAC address has `{text}`; another name is used"),
                "",
            );
            return false;
        }
        fits
    }

    /// The name of the interface with this MAC address on top of `parent`: the one that is wanted already, or a new one with
    /// its given name or the first of `names` that is free.
    fn interface_with(
        &mut self,
        parent: &str,
        mac: Mac,
        given: Option<String>,
        mut names: impl Iterator<Item = String>,
    ) -> String {
        if let Some(same) = self.virtual_macs.iter().find(|other| other.parent == parent && other.mac == mac) {
            return same.name.clone();
        }
        let free = |name: &String| !self.virtual_macs.iter().any(|other| other.name == *name);
        let name = given.or_else(|| names.find(free)).unwrap_or_default();
        self.virtual_macs.push(VirtualMac { name: name.clone(), parent: parent.to_owned(), mac, ipv6: false });
        name
    }
}

fn is_reserved(mac: Mac) -> bool {
    matches!(mac.0, [0, 0, 0x5e, 0, 1 | 2, _])
}

/// As keepalived names them: `vrrp.51`, then `vrrp1.51` and so on; of IPv6, `vrrp6.51` comes second.
fn names(prefix: &str, router: u8, family: Family) -> impl Iterator<Item = String> {
    let ipv6 = family == Family::V6;
    let numbers = ipv6.then_some(6).into_iter().chain((1..=u16::MAX).filter(move |number| !ipv6 || *number != 6));
    let endings = std::iter::once(format!(".{router}")).chain(numbers.map(move |number| format!("{number}.{router}")));
    endings.map(move |ending| {
        let room = LONGEST_NAME - ending.len();
        let cut = prefix.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= room).last();
        format!("{}{ending}", &prefix[..cut.unwrap_or(0)])
    })
}
