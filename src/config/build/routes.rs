//! Lines of `virtual_routes` and `virtual_rules`, and of their static kin, in the words of `ip route` and `ip rule`.
//!
//! What is left out of that grammar (several next hops, encapsulation, ...) would lead packets elsewhere than written, so
//! it is refused.

use std::net::IpAddr;

use super::addresses::{parse_prefixed, scope};
use super::items::Item;
use super::values;
use super::*;
use crate::config::model::{Prefix, RouteKind, VirtualRoute, VirtualRule};
use crate::config::problem::Level;
use crate::config::text::Word;

/// `RT_TABLE_MAIN`.
const MAIN: u32 = 254;

/// The words of a line that are still to be read, and what a keyword of the line is called when it is wrong.
struct Line<'a> {
    block: &'static str,
    words: std::slice::Iter<'a, Word>,
}

impl Builder<'_> {
    /// All lines of `virtual_routes` or `static_routes`.
    pub(super) fn routes(&mut self, items: &[Item<'_>], block: &'static str) -> Vec<VirtualRoute> {
        let lines = items.iter().filter(|item| item.name == block).flat_map(Item::body);
        lines.filter_map(|line| self.route(block, &line.words)).collect()
    }

    /// All lines of `virtual_rules` or `static_rules`.
    pub(super) fn rules(&mut self, items: &[Item<'_>], block: &'static str) -> Vec<VirtualRule> {
        let lines = items.iter().filter(|item| item.name == block).flat_map(Item::body);
        lines.filter_map(|line| self.rule(block, &line.words)).collect()
    }

    fn route(&mut self, block: &'static str, words: &[Word]) -> Option<VirtualRoute> {
        let mut route = VirtualRoute {
            destination: None,
            kind: RouteKind::Unicast,
            via: None,
            device: None,
            source: None,
            metric: None,
            table: MAIN,
            scope: None,
            mtu: None,
            onlink: false,
        };
        let mut line = Line { block, words: words.iter() };
        let mut named = false;
        while let Some(word) = line.words.next() {
            match word.text.as_str() {
                "unicast" => route.kind = RouteKind::Unicast,
                "blackhole" => route.kind = RouteKind::Blackhole,
                "unreachable" => route.kind = RouteKind::Unreachable,
                "prohibit" => route.kind = RouteKind::Prohibit,
                "via" | "gw" => route.via = Some(self.family_and_address(&mut line, word)?),
                "dev" => route.device = Some(self.next_word(&mut line, word)?.text.clone()),
                "src" => route.source = Some(self.address_after(&mut line, word)?),
                "metric" | "preference" | "priority" => route.metric = Some(self.number_after(&mut line, word)?),
                "mtu" => route.mtu = Some(self.number_after(&mut line, word)?),
                "table" => route.table = self.table_after(&mut line, word)?,
                "scope" => route.scope = Some(self.scope_after(&mut line, word)?),
                "onlink" => route.onlink = true,
                "no_track" => {}
                "to" => (route.destination, named) = (self.prefix_after(&mut line, word)?, true),
                _ if !named => (route.destination, named) = (self.prefix(line.block, word)?, true),
                _ => return self.not_done(&line, word),
            }
        }
        if route.kind == RouteKind::Unicast && route.via.is_none() && route.device.is_none() {
            self.reports.error(words[0].span, "a route needs `via` or `dev`", "");
            return None;
        }
        Some(route)
    }

    fn rule(&mut self, block: &'static str, words: &[Word]) -> Option<VirtualRule> {
        let mut rule = VirtualRule {
            from: None,
            to: None,
            incoming: None,
            outgoing: None,
            mark: None,
            priority: None,
            table: MAIN,
            kind: RouteKind::Unicast,
        };
        let mut line = Line { block, words: words.iter() };
        while let Some(word) = line.words.next() {
            match word.text.as_str() {
                "from" => rule.from = self.prefix_after(&mut line, word)?,
                "to" => rule.to = self.prefix_after(&mut line, word)?,
                "iif" | "dev" => rule.incoming = Some(self.next_word(&mut line, word)?.text.clone()),
                "oif" => rule.outgoing = Some(self.next_word(&mut line, word)?.text.clone()),
                "fwmark" => rule.mark = Some(self.number_after(&mut line, word)?),
                "priority" | "preference" | "pref" | "order" => {
                    rule.priority = Some(self.number_after(&mut line, word)?);
                }
                "table" | "lookup" => rule.table = self.table_after(&mut line, word)?,
                "blackhole" => rule.kind = RouteKind::Blackhole,
                "unreachable" => rule.kind = RouteKind::Unreachable,
                "prohibit" => rule.kind = RouteKind::Prohibit,
                "no_track" => {}
                _ => return self.not_done(&line, word),
            }
        }
        Some(rule)
    }

    fn not_done<T>(&mut self, line: &Line<'_>, word: &Word) -> Option<T> {
        let message = format!("`{}` in `{}` is not done", word.text, line.block);
        self.reports.error(word.span, message, "each route and rule needs its own line");
        None
    }

    fn next_word<'a>(&mut self, line: &mut Line<'a>, keyword: &Word) -> Option<&'a Word> {
        let next = line.words.next();
        if next.is_none() {
            self.reports.error(keyword.span, format!("`{}` needs a value", keyword.text), "");
        }
        next
    }

    fn prefix_after(&mut self, line: &mut Line<'_>, keyword: &Word) -> Option<Option<Prefix>> {
        let word = self.next_word(line, keyword)?;
        self.prefix(line.block, word)
    }

    /// `default` and `all` are no prefix.
    fn prefix(&mut self, block: &str, word: &Word) -> Option<Option<Prefix>> {
        if matches!(word.text.as_str(), "default" | "all" | "any") {
            return Some(None);
        }
        match parse_prefixed(word) {
            Ok((address, length)) => Some(Some(Prefix { address, length })),
            Err(fault) => {
                self.fault(Level::Error, block, word.span, fault);
                None
            }
        }
    }

    /// `via inet6 fe80::1` names the family first.
    fn family_and_address(&mut self, line: &mut Line<'_>, keyword: &Word) -> Option<IpAddr> {
        if line.words.as_slice().first().is_some_and(|word| matches!(word.text.as_str(), "inet" | "inet6")) {
            line.words.next();
        }
        self.address_after(line, keyword)
    }

    fn address_after(&mut self, line: &mut Line<'_>, keyword: &Word) -> Option<IpAddr> {
        let word = self.next_word(line, keyword)?;
        let address = values::address(word);
        address.map_err(|fault| self.fault(Level::Error, line.block, word.span, fault)).ok()
    }

    fn number_after(&mut self, line: &mut Line<'_>, keyword: &Word) -> Option<u32> {
        let word = self.next_word(line, keyword)?;
        let number = values::number(word, 0, u32::MAX.into());
        // The range is that of the type.
        number.map(|number| number as u32).map_err(|fault| self.fault(Level::Error, line.block, word.span, fault)).ok()
    }

    /// A number, or one of the names that every system has (`/etc/iproute2/rt_tables`).
    fn table_after(&mut self, line: &mut Line<'_>, keyword: &Word) -> Option<u32> {
        match line.words.as_slice().first().map(|word| word.text.as_str()) {
            Some("main") => line.words.next().map(|_| MAIN),
            Some("default") => line.words.next().map(|_| 253),
            Some("local") => line.words.next().map(|_| 255),
            _ => self.number_after(line, keyword),
        }
    }

    fn scope_after(&mut self, line: &mut Line<'_>, keyword: &Word) -> Option<u8> {
        let word = self.next_word(line, keyword)?;
        let scope = scope(&word.text);
        if scope.is_none() {
            self.reports.error(word.span, "unknown scope", "expected global, site, link, host or a number");
        }
        scope
    }
}
