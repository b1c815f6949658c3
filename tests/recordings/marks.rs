//! The rules that marked packets while a recording was made, as those of a `ringmaster` block.

use std::net::IpAddr;

use ringmaster::config::model::Mark;
use ringmaster::service::MarkRule;
use ringmaster::wire::{Block, Family, Pattern, Protocol};

/// The rules of an `nft` ruleset. `Err`: something that is not understood.
pub fn rules(nft: &str) -> Result<Vec<Mark>, String> {
    let lines = nft.lines().map(str::trim).filter(|line| line.contains("mark set"));
    let rules: Result<Vec<_>, _> = lines.map(|line| rule(line).ok_or_else(|| format!("nft {line}"))).collect();
    Ok(rules?.concat())
}

/// One line: conditions, then `meta mark set N`.
fn rule(line: &str) -> Option<Vec<Mark>> {
    let (conditions, mark) = line.split_once("meta mark set ")?;
    let mut mark = Mark { rule: MarkRule::all(mark.parse().ok()?), interface: None };
    let mut ports = vec![mark.rule.pattern.ports];
    let mut rest = conditions.trim();
    while !rest.is_empty() {
        let mut words = rest.splitn(3, ' ');
        let (subject, what) = (words.next()?, words.next()?);
        let tail = words.next().unwrap_or_default();
        match (subject, what) {
            ("iif", name) => {
                mark.interface = Some(name.trim_matches('"').to_owned());
                rest = tail;
            }
            ("ip" | "ip6", "daddr") => {
                let (value, after) = tail.split_once(' ').unwrap_or((tail, ""));
                let family = if subject == "ip" { Family::V4 } else { Family::V6 };
                mark.rule.pattern.family = Some(family);
                mark.rule.pattern.destination = block(value)?;
                rest = after;
            }
            ("tcp" | "udp", "dport") => {
                mark.rule.pattern.protocol = Some(if subject == "tcp" { Protocol::TCP } else { Protocol::UDP });
                let (value, after) = match tail.strip_prefix('{') {
                    Some(list) => list.split_once('}')?,
                    None => tail.split_once(' ').unwrap_or((tail, "")),
                };
                ports = value.split(',').map(|range| self::ports(range.trim())).collect::<Option<_>>()?;
                rest = after.trim();
            }
            _ => return None,
        }
    }
    let with = |ports| {
        let pattern = Pattern { ports, ..mark.rule.pattern };
        Mark { rule: MarkRule { pattern, ..mark.rule }, interface: mark.interface.clone() }
    };
    Some(ports.into_iter().map(with).collect())
}

fn block(text: &str) -> Option<Block> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, length.parse().ok()?),
        None => (text, 128),
    };
    Some(Block::new(address.parse::<IpAddr>().ok()?.into(), length))
}

fn ports(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.parse().ok()?, last.parse().ok()?))
}
