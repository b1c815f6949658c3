//! A line of `virtual_rules` or `static_rules`.

use super::*;
use crate::config::model::RuleAction;

/// Protocols over IP that have a name here (`/etc/protocols`).
const TRANSPORTS: [(&str, u8); 10] = [
    ("icmp", 1),
    ("tcp", 6),
    ("udp", 17),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("ipv6-icmp", 58),
    ("vrrp", 112),
    ("sctp", 132),
];

/// Of a rule that says nothing of its priority (keepalived's `vrrp_iprule.c: RULE_START_PRIORITY`).
const FIRST_PRIORITY: u32 = 16384;

impl Builder<'_> {
    pub(super) fn rule(&mut self, mut line: Line<'_>) -> Option<VirtualRule> {
        let mut rule = empty(&line);
        let (mut asked, mut action, mut priority) = (None, None, None);
        while let Some(word) = line.next() {
            match word.text.as_str() {
                "inet" => asked = Some(Family::V4),
                "inet6" => asked = Some(Family::V6),
                "no_track" => {}
                "track_group" => self.track_group(&mut line, word)?,
                "priority" | "preference" | "pref" | "order" => {
                    priority = Some(self.number_after(&mut line, word, 0, u32::MAX)?);
                }
                "protocol" => rule.protocol = self.protocol_after(&mut line, word)?,
                "realms" => rule.realms = Some(self.realms_after(&mut line, word)?),
                "suppress_prefixlength" => {
                    rule.suppressed_length = Some(self.number_after(&mut line, word, 0, 128)?);
                }
                "suppress_ifgroup" => {
                    rule.suppressed_group =
                        Some(self.named_after(&mut line, word, Names::Groups, 0, i32::MAX as u32)?);
                }
                "not" => rule.inverted = true,
                _ => match self.action(&mut line, word)? {
                    Some(found) => action = Some(found),
                    None => self.selector(&mut line, word, &mut rule)?,
                },
            }
        }
        let ends = [rule.from, rule.to].map(|prefix| prefix.map(|prefix| prefix.address));
        rule.family = family(asked, ends);
        let Some(action) = action else {
            let message = "the rule says nothing about its packets; ignored";
            self.reports.warning(
                line.all[0].span,
                message,
                "expected `table`, `goto`, `l3mdev`, `nop`, `blackhole` ...",
            );
            return None;
        };
        rule.action = action;
        rule.priority = priority.unwrap_or_else(|| self.next_priority(&line, rule.family));
        self.sound(&line, &rule).then_some(rule)
    }

    /// For a rule that says nothing of it: each comes before the one before, as in keepalived.
    fn next_priority(&mut self, line: &Line<'_>, family: Family) -> u32 {
        let before = self.unordered_rules.entry(family).or_default();
        let priority = FIRST_PRIORITY.saturating_sub(*before);
        *before += 1;
        let message = format!("the rule says nothing of its priority: it gets {priority}");
        self.reports.warning(line.all[0].span, message, "write `priority N`: rules with lower ones are asked first");
        priority
    }

    /// What becomes of packets, if `word` is about that. `None` after an error.
    fn action(&mut self, line: &mut Line<'_>, word: &Word) -> Option<Option<RuleAction>> {
        Some(Some(match word.text.as_str() {
            "table" | "lookup" => RuleAction::Table(self.table_after(line, word)?),
            "goto" => RuleAction::Goto(self.number_after(line, word, 1, u32::MAX)?),
            "l3mdev" => RuleAction::MasterTable,
            "nop" => RuleAction::Nop,
            "blackhole" => RuleAction::Blackhole,
            "unreachable" => RuleAction::Unreachable,
            "prohibit" => RuleAction::Prohibit,
            _ => return Some(None),
        }))
    }

    /// Which packets it is about.
    fn selector(&mut self, line: &mut Line<'_>, word: &Word, rule: &mut VirtualRule) -> Option<()> {
        match word.text.as_str() {
            "from" => rule.from = self.prefix_after(line, word)?,
            "to" => rule.to = self.prefix_after(line, word)?,
            "iif" | "dev" => rule.incoming = Some(self.next_word(line, word)?.text.clone()),
            "oif" => rule.outgoing = Some(self.next_word(line, word)?.text.clone()),
            "tos" | "dsfield" => rule.tos = self.named_after(line, word, Names::Services, 0, 255)? as u8,
            "fwmark" => rule.mark = Some(self.read(line, word, "a number, perhaps with a mask as 0x10/0xff", mark)?),
            "uidrange" => rule.users = Some(self.range_after(line, word, 0, u32::MAX - 1)?),
            "ipproto" => rule.transport = Some(self.read(line, word, "a protocol over IP", transport)?),
            "sport" => rule.source_ports = Some(self.ports_after(line, word)?),
            "dport" => rule.destination_ports = Some(self.ports_after(line, word)?),
            _ => return self.not_done(line, word, "each rule needs its own line"),
        }
        Some(())
    }

    /// The kernel knows neither port 0 nor the last one here (`fib_rules.h: fib_rule_port_range_valid`).
    fn ports_after(&mut self, line: &mut Line<'_>, keyword: &Word) -> Option<(u16, u16)> {
        self.range_after(line, keyword, 1, 0xfffe).map(|(first, last)| (first as u16, last as u16))
    }

    /// `FIRST-LAST`, or one number.
    fn range_after(&mut self, line: &mut Line<'_>, keyword: &Word, least: u32, most: u32) -> Option<(u32, u32)> {
        self.read(line, keyword, &format!("FIRST-LAST, {least} to {most}"), |text| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let range = (in_range(first, least, most)?, in_range(last, least, most)?);
            (range.0 <= range.1).then_some(range)
        })
    }

    /// What the kernel would refuse.
    fn sound(&mut self, line: &Line<'_>, rule: &VirtualRule) -> bool {
        let is_v6 = rule.family == Family::V6;
        let strange = [rule.from, rule.to].into_iter().flatten().any(|prefix| prefix.address.is_ipv6() != is_v6);
        let back = matches!(rule.action, RuleAction::Goto(to) if to <= rule.priority);
        let problem = if strange {
            "the addresses of a rule must be of one family"
        } else if back {
            "`goto` leads to a rule behind this one"
        } else if is_v6 && rule.realms.is_some() {
            "`realms` are for IPv4 rules"
        } else {
            return true;
        };
        self.reports.error(line.all[0].span, problem, "");
        false
    }
}

fn empty(line: &Line<'_>) -> VirtualRule {
    VirtualRule {
        written: line.written(),
        family: Family::V4,
        inverted: false,
        from: None,
        to: None,
        incoming: None,
        outgoing: None,
        mark: None,
        tos: 0,
        users: None,
        transport: None,
        source_ports: None,
        destination_ports: None,
        priority: FIRST_PRIORITY,
        realms: None,
        suppressed_length: None,
        suppressed_group: None,
        protocol: KEEPALIVED,
        action: RuleAction::Nop,
    }
}

/// `MARK` or `MARK/MASK`.
fn mark(text: &str) -> Option<(u32, Option<u32>)> {
    let one = |text| in_range(text, 0, u32::MAX);
    match text.split_once('/') {
        Some((mark, mask)) => Some((one(mark)?, Some(one(mask)?))),
        None => Some((one(text)?, None)),
    }
}

fn transport(text: &str) -> Option<u8> {
    let lower = text.to_ascii_lowercase();
    let named = TRANSPORTS.iter().find(|(name, _)| *name == lower).map(|(_, number)| *number);
    named.or_else(|| in_range(text, 0, 255).map(|number| number as u8))
}
