//! Firewall marks: which packets carry which, as `mangle` rules would set them in front of LVS.
//!
//! The steering program judges each packet that no service's address names by the same rules, so that the kernel keeps
//! all others. Workers ask only for packets of no known connection.

use crate::io::PortId;
use crate::wire::{Addr, Endpoint, Pattern};

/// An interface that packets come in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its number among the director's ports.
    pub port: PortId,
    /// Its number in the kernel.
    pub ifindex: u32,
}

/// Packets that get a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkRule {
    /// The mark; never 0.
    pub mark: u32,
    /// Which packets. Without a destination, those to the director's own addresses are not meant.
    pub pattern: Pattern,
    /// Where they come in, if that matters.
    pub arrival: Option<Arrival>,
}

impl MarkRule {
    /// A rule for all packets.
    pub const fn all(mark: u32) -> Self {
        Self { mark, pattern: Pattern::ANY, arrival: None }
    }

    fn matches(&self, packet: &Marked) -> bool {
        self.arrival.is_none_or(|arrival| arrival.port == packet.port)
            && self.pattern.matches(packet.protocol, packet.source, packet.destination)
    }
}

/// What rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Marked {
    /// Where the packet came in.
    pub port: PortId,
    /// IP protocol number.
    pub protocol: u8,
    /// Source address and port.
    pub source: Endpoint,
    /// Destination address and port.
    pub destination: Endpoint,
}

/// The mark of a packet: that of the first rule that matches it, 0 if none does.
pub(super) fn mark_of(rules: &[MarkRule], packet: &Marked) -> u32 {
    rules.iter().find(|rule| rule.matches(packet)).map_or(0, |rule| rule.mark)
}

/// The addresses that rules of these marks may make virtual, if they can be counted; else `None`.
pub(super) fn destinations(rules: &[MarkRule], is_served: impl Fn(u32) -> bool) -> Option<Vec<Addr>> {
    /// More would fill the filter of virtual addresses so far that it said "yes" to everything anyway.
    const MOST: u32 = 1024;
    let mut addresses = Vec::new();
    let mut left = MOST;
    for rule in rules.iter().filter(|rule| is_served(rule.mark)) {
        left = left.checked_sub(rule.pattern.destination.size()?)?;
        addresses.extend(rule.pattern.destination.addresses());
    }
    Some(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Block;

    fn block(text: &str) -> Block {
        let (address, length) = text.split_once('/').unwrap();
        Block::new(address.parse::<std::net::IpAddr>().unwrap().into(), length.parse().unwrap())
    }

    fn packet() -> Marked {
        Marked {
            port: PortId(1),
            protocol: 6,
            source: "198.51.100.7:40000".parse().unwrap(),
            destination: "192.0.2.10:80".parse().unwrap(),
        }
    }

    #[test]
    fn the_first_rule_that_matches_holds() {
        let with = |mark, pattern| MarkRule { mark, pattern, arrival: None };
        let arrival = |port| Some(Arrival { port: PortId(port), ifindex: 0 });
        let rules = [
            with(3, Pattern { protocol: Some(17), ..Pattern::ANY }),
            MarkRule { arrival: arrival(0), ..MarkRule::all(4) },
            with(1, Pattern { ports: (80, 80), ..Pattern::ANY }),
            MarkRule::all(2),
        ];
        assert_eq!(mark_of(&rules, &packet()), 1);
        assert_eq!(mark_of(&rules[3..], &packet()), 2);
        assert_eq!(mark_of(&rules, &Marked { port: PortId(0), ..packet() }), 4);
        assert_eq!(mark_of(&rules[..2], &packet()), 0);
        assert_eq!(mark_of(&[], &packet()), 0);
    }

    #[test]
    fn destinations_are_listed_as_long_as_they_can_be_counted() {
        let to = |text| {
            let pattern = Pattern { destination: block(text), ..Pattern::ANY };
            MarkRule { pattern, ..MarkRule::all(1) }
        };
        let other = MarkRule { mark: 2, ..to("0.0.0.0/0") };
        let count = |rules: &[MarkRule]| destinations(rules, |mark| mark == 1).map(|list| list.len());
        assert_eq!(count(&[to("192.0.2.0/24"), to("2001:db8::1/128"), other]), Some(257));
        assert_eq!(count(&[to("192.0.2.0/22"), to("192.0.2.1/32")]), None);
        assert_eq!(count(&[to("0.0.0.0/0")]), None);
        assert_eq!(count(&[MarkRule::all(1)]), None);
    }
}
