//! `virtual_server_group`, and what a virtual server is known by.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::addresses::parse_prefixed;
use super::items::Item;
use super::values::{self, Fault};
use super::*;
use crate::config::text::Word;
use crate::wire::{Endpoint, Family};

/// The most members of a group: a slip of the pen in a range must not fill memory.
const MOST_MEMBERS: usize = 4096;

/// What packets of a virtual server have in common, its protocol aside.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// An address and a port; 0 for all ports.
    Address(Endpoint),
    /// A firewall mark, and the family if it is given.
    Mark(u32, Option<Family>),
}

impl Builder<'_> {
    pub(super) fn group(&mut self, block: &Item<'_>) {
        let Some(name) = block.words().first() else {
            self.reports.error(block.span(), "`virtual_server_group` needs a name", "");
            return;
        };
        let mut members = Vec::new();
        for line in block.body() {
            members.extend(self.members(block, &line.words));
            if members.len() > MOST_MEMBERS {
                let message = format!("`{}` has too many addresses", name.text);
                self.reports.error(line.span(), message, format!("at most {MOST_MEMBERS}"));
                members.truncate(MOST_MEMBERS);
                break;
            }
        }
        if self.groups.contains_key(&name.text) {
            self.reports.error(name.span, format!("virtual_server_group {} is there already", name.text), "");
        } else {
            self.groups.insert(name.text.clone(), members);
        }
    }

    /// `fwmark N [inet|inet6]`, or `ADDRESSES [PORT]`.
    fn members(&mut self, block: &Item<'_>, words: &[Word]) -> Vec<Target> {
        if words[0].text == "fwmark" {
            return self.mark_target(block, &words[1..]).into_iter().collect();
        }
        let addresses = self.or_fault(block, &words[0], addresses(&words[0]));
        let port = match words.get(1) {
            Some(word) => self.or_fault(block, word, values::number(word, 0, u64::from(u16::MAX))),
            None => Some(0),
        };
        self.surplus(words, 2);
        let (Some(addresses), Some(port)) = (addresses, port) else { return Vec::new() };
        // The range ends at u16::MAX.
        addresses.into_iter().map(|address| Target::Address(Endpoint::new(address, port as u16))).collect()
    }

    /// What follows `virtual_server`: `fwmark N [inet|inet6]`, `group NAME` or `ADDRESS [PORT]`.
    pub(super) fn targets(&mut self, block: &Item<'_>) -> Vec<Target> {
        let words = block.words();
        match words.first().map(|word| word.text.as_str()) {
            Some("fwmark") => {
                let target = self.mark_target(block, &words[1..]);
                if let (Some(Target::Mark(mark, _)), Some(span)) = (target, words.get(1).map(|word| word.span)) {
                    self.marks.push((mark, span));
                }
                target.into_iter().collect()
            }
            Some("group") => self.group_of(block, &words[1..]),
            _ => {
                let Some((address, port)) = self.endpoint(block, words) else { return Vec::new() };
                vec![Target::Address(Endpoint::new(address, port.unwrap_or(0)))]
            }
        }
    }

    fn group_of(&mut self, block: &Item<'_>, words: &[Word]) -> Vec<Target> {
        let Some(name) = words.first() else {
            self.reports.error(block.span(), "`virtual_server group` needs a name", "that of a virtual_server_group");
            return Vec::new();
        };
        self.surplus(words, 1);
        let Some(members) = self.groups.get(&name.text).cloned() else {
            self.reports.error(name.span, format!("there is no virtual_server_group {}", name.text), "");
            return Vec::new();
        };
        if members.is_empty() {
            self.reports.warning(name.span, format!("virtual_server_group {} is empty", name.text), "");
        }
        for &member in &members {
            if let Target::Mark(mark, _) = member {
                self.marks.push((mark, name.span));
            }
        }
        members
    }

    fn mark_target(&mut self, item: &Item<'_>, words: &[Word]) -> Option<Target> {
        let mark = self.mark_number(item, words)?;
        let family = match words.get(1) {
            Some(word) => match word.text.as_str() {
                "inet" => Some(Family::V4),
                "inet6" => Some(Family::V6),
                _ => self.or_fault(item, word, Err(Fault::new(&word.text, "inet or inet6"))),
            },
            None => None,
        };
        self.surplus(words, 2);
        Some(Target::Mark(mark, family))
    }

    pub(super) fn surplus(&mut self, words: &[Word], taken: usize) {
        if let Some(word) = words.get(taken) {
            self.reports.warning(word.span, format!("`{}` is ignored", word.text), "each member needs its own line");
        }
    }
}

/// `ADDRESS`, `ADDRESS/LENGTH`, or a range: `192.0.2.1-9` (last byte), `2001:db8::1-f` (last group, hexadecimal) or
/// `FIRST-LAST` in full.
pub(super) fn addresses(word: &Word) -> Result<Vec<IpAddr>, Fault> {
    let fault = || Fault::new(&word.text, "an address, ADDRESS/LENGTH or a range such as 192.0.2.1-9");
    if word.text.contains('/') {
        let (address, length) = parse_prefixed(word)?;
        let block = crate::wire::Block::new(address.into(), length);
        let few = block.size().is_some_and(|size| size as usize <= MOST_MEMBERS);
        return if few { Ok(block.addresses().map(IpAddr::from).collect()) } else { Err(fault()) };
    }
    let Some((first, last)) = word.text.split_once('-') else {
        return values::address(word).map(|address| vec![address]).map_err(|_| fault());
    };
    let part = |text: &str| values::address(&Word { text: text.to_owned(), span: word.span }).map_err(|_| fault());
    match (part(first)?, part(last).ok()) {
        (IpAddr::V4(first), last_address) => {
            let [a, b, c, _] = first.octets();
            let last = match last_address {
                Some(IpAddr::V4(last)) => last,
                Some(IpAddr::V6(_)) => return Err(fault()),
                None => Ipv4Addr::new(a, b, c, last.parse().map_err(|_| fault())?),
            };
            range(u32::from(first).into(), u32::from(last).into(), |bits| Ipv4Addr::from(bits as u32).into())
                .ok_or_else(fault)
        }
        (IpAddr::V6(first), last_address) => {
            let last = match last_address {
                Some(IpAddr::V6(last)) => u128::from(last),
                Some(IpAddr::V4(_)) => return Err(fault()),
                None => u128::from(first) & !0xffff | u128::from(u16::from_str_radix(last, 16).map_err(|_| fault())?),
            };
            range(u128::from(first), last, |bits| Ipv6Addr::from(bits).into()).ok_or_else(fault)
        }
    }
}

/// First to last, if they are in order and not too many.
fn range(first: u128, last: u128, address: impl Fn(u128) -> IpAddr) -> Option<Vec<IpAddr>> {
    let few = first <= last && last - first < MOST_MEMBERS as u128;
    few.then(|| (first..=last).map(address).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::text::Span;

    #[test]
    fn ranges_are_understood_in_every_form() {
        let parse = |text: &str| {
            let word = Word { text: text.to_owned(), span: Span { file: 0, line: 1, column: 1, width: 1 } };
            addresses(&word).ok().map(|list| list.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" "))
        };
        for (text, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1-3", Some("192.0.2.1 192.0.2.2 192.0.2.3")),
            ("192.0.2.9-9", Some("192.0.2.9")),
            ("192.0.2.255-192.0.3.1", Some("192.0.2.255 192.0.3.0 192.0.3.1")),
            ("192.0.2.5/31", Some("192.0.2.4 192.0.2.5")),
            ("2001:db8::f-10", Some("2001:db8::f 2001:db8::10")),
            ("2001:db8::ffff-2001:db8::1:0", Some("2001:db8::ffff 2001:db8::1:0")),
            ("192.0.2.3-1", None),
            ("192.0.2.1-256", None),
            ("192.0.2.1-", None),
            ("192.0.2.1-2-3", None),
            ("192.0.2.1-2001:db8::1", None),
            ("10.0.0.0/8", None),
            ("10.0.0.0-10.1.0.0", None),
            ("2001:db8::-2001:db9::", None),
            ("web", None),
        ] {
            assert_eq!(parse(text).as_deref(), expected, "{text}");
        }
    }
}
