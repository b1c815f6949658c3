//! Lines of `virtual_routes` and `virtual_rules`, and of their static kin, in the words of `ip route` and `ip rule`, as far as
//! keepalived takes them.
//!
//! What is left out of that grammar would lead packets elsewhere than written, so it is refused.

mod encapsulation;
mod hops;
mod names;
mod route;
mod rule;

use std::net::IpAddr;

use super::addresses::parse_prefixed;
use super::items::Item;
use super::values::{self, Fault};
use super::*;
use crate::config::model::{Prefix, Realms, VirtualRoute, VirtualRule};
use crate::config::problem::Level;
use crate::config::text::Word;
use names::Names;

/// `RT_TABLE_MAIN`.
const MAIN: u32 = 254;
/// `RTPROT_KEEPALIVED` of <linux/rtnetlink.h>.
const KEEPALIVED: u8 = 18;

/// A line and how far it has been read.
struct Line<'a> {
    /// What errors name.
    block: &'static str,
    all: &'a [Word],
    words: std::slice::Iter<'a, Word>,
    /// `no_track`: the line may bear another maker's name.
    free: bool,
}

impl<'a> Line<'a> {
    fn new(block: &'static str, words: &'a [Word]) -> Self {
        Self { block, all: words, words: words.iter(), free: words.iter().any(|word| word.text == "no_track") }
    }

    fn next(&mut self) -> Option<&'a Word> {
        self.words.next()
    }

    /// The next word, if it is one of these: it is taken.
    fn take(&mut self, choices: &[&str]) -> Option<&'a Word> {
        let next = self.peek().filter(|word| choices.contains(&word.text.as_str()));
        next.inspect(|_| _ = self.words.next())
    }

    fn peek(&self) -> Option<&'a Word> {
        self.words.as_slice().first()
    }

    fn written(&self) -> String {
        self.all.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
    }
}

impl Builder<'_> {
    /// All lines of `virtual_routes` or `static_routes`.
    pub(super) fn routes(&mut self, items: &[Item<'_>], block: &'static str) -> Vec<VirtualRoute> {
        let lines = items.iter().filter(|item| item.name == block).flat_map(Item::body);
        lines.filter_map(|line| self.route(Line::new(block, &line.words))).collect()
    }

    /// All lines of `virtual_rules` or `static_rules`.
    pub(super) fn rules(&mut self, items: &[Item<'_>], block: &'static str) -> Vec<VirtualRule> {
        let lines = items.iter().filter(|item| item.name == block).flat_map(Item::body);
        lines.filter_map(|line| self.rule(Line::new(block, &line.words))).collect()
    }

    fn not_done<T>(&mut self, line: &Line<'_>, word: &Word, hint: &str) -> Option<T> {
        self.reports.error(word.span, format!("`{}` in `{}` is not done", word.text, line.block), hint);
        None
    }

    fn wrong<T>(&mut self, line: &Line<'_>, word: &Word, fault: Fault) -> Option<T> {
        self.fault(Level::Error, line.block, word.span, fault);
        None
    }

    fn next_word<'a>(&mut self, line: &mut Line<'a>, keyword: &Word) -> Option<&'a Word> {
        let next = line.next();
        if next.is_none() {
            self.reports.error(keyword.span, format!("`{}` needs a value", keyword.text), "");
        }
        next
    }

    /// The next word, read by `parse`; `expected` says what it should have been.
    fn read<T>(
        &mut self,
        line: &mut Line<'_>,
        keyword: &Word,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let word = self.next_word(line, keyword)?;
        parse(&word.text).or_else(|| self.wrong(line, word, Fault::new(&word.text, expected)))
    }

    fn prefix_after(&mut self, line: &mut Line<'_>, keyword: &Word) -> Option<Option<Prefix>> {
        let word = self.next_word(line, keyword)?;
        self.prefix(line, word)
    }

    /// `default` and `all` are no prefix.
    fn prefix(&mut self, line: &Line<'_>, word: &Word) -> Option<Option<Prefix>> {
        if matches!(word.text.as_str(), "default" | "all" | "any") {
            return Some(None);
        }
        match parse_prefixed(word) {
            Ok((address, length)) => Some(Some(Prefix { address, length })),
            Err(fault) => self.wrong(line, word, fault),
        }
    }

    /// `via inet6 fe80::1` names the family first.
    fn family_and_address(&mut self, line: &mut Line<'_>, keyword: &Word) -> Option<IpAddr> {
        line.take(&["inet", "inet6"]);
        self.address_after(line, keyword)
    }

    fn address_after(&mut self, line: &mut Line<'_>, keyword: &Word) -> Option<IpAddr> {
        let word = self.next_word(line, keyword)?;
        values::address(word).or_else(|fault| self.wrong(line, word, fault).ok_or(())).ok()
    }

    fn number_after(&mut self, line: &mut Line<'_>, keyword: &Word, from: u32, to: u32) -> Option<u32> {
        self.read(line, keyword, &format!("a number, {from} to {to}"), |text| in_range(text, from, to))
    }

    fn byte_after(&mut self, line: &mut Line<'_>, keyword: &Word) -> Option<u8> {
        self.number_after(line, keyword, 0, u8::MAX.into()).map(|number| number as u8)
    }

    /// A number, or one of the names of this system.
    fn named_after(&mut self, line: &mut Line<'_>, keyword: &Word, names: Names, from: u32, to: u32) -> Option<u32> {
        let expected = format!("a number, {from} to {to}, or a name of {}", names.file());
        self.read(line, keyword, &expected, |text| {
            in_range(text, from, to).or_else(|| names.number(text)).filter(|number| (from..=to).contains(number))
        })
    }

    fn table_after(&mut self, line: &mut Line<'_>, keyword: &Word) -> Option<u32> {
        self.named_after(line, keyword, Names::Tables, 1, u32::MAX)
    }

    /// Who is told to have made a route or rule. By that name it is found again, so it is ours, unless `no_track` stands there.
    fn protocol_after(&mut self, line: &mut Line<'_>, keyword: &Word) -> Option<u8> {
        let protocol = self.named_after(line, keyword, Names::Protocols, 1, u8::MAX.into())? as u8;
        if line.free || protocol == KEEPALIVED {
            return Some(protocol);
        }
        let message = format!("`{}` bears protocol keepalived ({KEEPALIVED}) all the same", line.all[0].text);
        self.reports.warning(keyword.span, message, "with `no_track` it bears another");
        Some(KEEPALIVED)
    }

    /// `TO` or `FROM/TO`.
    fn realms_after(&mut self, line: &mut Line<'_>, keyword: &Word) -> Option<Realms> {
        let one =
            |text: &str| in_range(text, 0, 0xffff).or_else(|| Names::Realms.number(text)).map(|number| number as u16);
        let expected = "realms, as DESTINATION or SOURCE/DESTINATION";
        self.read(line, keyword, expected, |text| {
            let (source, destination) = text.split_once('/').unwrap_or(("0", text));
            Some(Realms { source: one(source)?, destination: one(destination)? })
        })
    }

    /// `track_group` ties a static route or rule to instances; here it is there from start to end.
    fn track_group(&mut self, line: &mut Line<'_>, keyword: &Word) -> Option<()> {
        self.next_word(line, keyword)?;
        self.reports.note(keyword.span, "`track_group` is accepted, but has no effect yet", "");
        Some(())
    }
}

/// A number in decimals, or in hexadecimals after 0x.
fn in_range(text: &str, from: u32, to: u32) -> Option<u32> {
    whole(text).and_then(|number| u32::try_from(number).ok()).filter(|number| (from..=to).contains(number))
}

fn whole(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+')),
        None => text.parse().ok().filter(|_| !text.starts_with('+')),
    }
}

/// The family of the first of these addresses, or that which a word has asked for.
fn family(asked: Option<Family>, addresses: impl IntoIterator<Item = Option<IpAddr>>) -> Family {
    let first = addresses.into_iter().flatten().next();
    let found = first.map(|address| if address.is_ipv6() { Family::V6 } else { Family::V4 });
    asked.or(found).unwrap_or(Family::V4)
}
