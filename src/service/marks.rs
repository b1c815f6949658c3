//! Firewall marks: which packets carry which, as `mangle` rules would set them in front of LVS.
//!
//! The steering program judges each packet that no service's address names by the same rules, so that the kernel keeps
//! all others. Workers ask only for packets of no known connection.

use crate::io::PortId;
use crate::wire::{Addr, Block, Endpoint, Family};

/// An interface that packets come in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its number among the director's ports.
    pub port: PortId,
    /// Its number in the kernel.
    pub ifindex: u32,
}

/// Packets that get a mark. What is not said matches everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkRule {
    /// The mark; never 0.
    pub mark: u32,
    /// The packets' family.
    pub family: Option<Family>,
    /// IP protocol number.
    pub protocol: Option<u8>,
    /// Where they come from.
    pub source: Block,
    /// Where they are addressed to. [`Block::ANY`]: anywhere but to the director's own addresses.
    pub destination: Block,
    /// Source ports, first and last.
    pub source_ports: (u16, u16),
    /// Destination ports, first and last.
    pub ports: (u16, u16),
    /// Where they come in.
    pub arrival: Option<Arrival>,
}

/// All ports.
pub const ANY_PORT: (u16, u16) = (0, u16::MAX);

impl MarkRule {
    /// A rule for all packets.
    pub const fn all(mark: u32) -> Self {
        Self {
            mark,
            family: None,
            protocol: None,
            source: Block::ANY,
            destination: Block::ANY,
            source_ports: ANY_PORT,
            ports: ANY_PORT,
            arrival: None,
        }
    }

    fn matches(&self, packet: &Marked) -> bool {
        let within = |(first, last): (u16, u16), port| (first..=last).contains(&port);
        self.family.is_none_or(|family| family == packet.destination.addr.family())
            && self.protocol.is_none_or(|protocol| protocol == packet.protocol)
            && self.arrival.is_none_or(|arrival| arrival.port == packet.port)
            && self.source.contains(packet.source.addr)
            && self.destination.contains(packet.destination.addr)
            && within(self.source_ports, packet.source.port)
            && within(self.ports, packet.destination.port)
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
        left = left.checked_sub(rule.destination.size()?)?;
        addresses.extend(rule.destination.addresses());
    }
    Some(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn every_part_of_a_rule_must_match() {
        let all = MarkRule::all(7);
        let arrival = |port| Some(Arrival { port: PortId(port), ifindex: 0 });
        for (rule, expected) in [
            (all, 7),
            (MarkRule { family: Some(Family::V4), ..all }, 7),
            (MarkRule { family: Some(Family::V6), ..all }, 0),
            (MarkRule { protocol: Some(6), ..all }, 7),
            (MarkRule { protocol: Some(17), ..all }, 0),
            (MarkRule { source: block("198.51.100.0/29"), ..all }, 7),
            (MarkRule { source: block("198.51.100.8/29"), ..all }, 0),
            (MarkRule { destination: block("192.0.2.10/32"), ..all }, 7),
            (MarkRule { destination: block("192.0.2.11/32"), ..all }, 0),
            (MarkRule { destination: block("::/0"), family: Some(Family::V6), ..all }, 0),
            (MarkRule { ports: (80, 80), ..all }, 7),
            (MarkRule { ports: (81, 90), ..all }, 0),
            (MarkRule { ports: (70, 79), ..all }, 0),
            (MarkRule { source_ports: (1024, 65535), ..all }, 7),
            (MarkRule { source_ports: (0, 1023), ..all }, 0),
            (MarkRule { arrival: arrival(1), ..all }, 7),
            (MarkRule { arrival: arrival(0), ..all }, 0),
        ] {
            assert_eq!(mark_of(&[rule], &packet()), expected, "{rule:?}");
        }
    }

    #[test]
    fn the_first_that_matches_holds() {
        let narrow = MarkRule { ports: (80, 80), ..MarkRule::all(1) };
        let rules = [MarkRule { protocol: Some(17), ..MarkRule::all(3) }, narrow, MarkRule::all(2)];
        assert_eq!(mark_of(&rules, &packet()), 1);
        assert_eq!(mark_of(&rules[2..], &packet()), 2);
        assert_eq!(mark_of(&[], &packet()), 0);
    }

    #[test]
    fn destinations_are_listed_as_long_as_they_can_be_counted() {
        let to = |text| MarkRule { destination: block(text), ..MarkRule::all(1) };
        let other = MarkRule { mark: 2, ..to("0.0.0.0/0") };
        let count = |rules: &[MarkRule]| destinations(rules, |mark| mark == 1).map(|list| list.len());
        assert_eq!(count(&[to("192.0.2.0/24"), to("2001:db8::1/128"), other]), Some(257));
        assert_eq!(count(&[to("192.0.2.0/22"), to("192.0.2.1/32")]), None);
        assert_eq!(count(&[to("0.0.0.0/0")]), None);
        assert_eq!(count(&[MarkRule::all(1)]), None);
    }
}
