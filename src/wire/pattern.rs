//! Which packets: a rule over addresses, protocol and ports.

use super::{Block, Endpoint, Family};

/// All ports.
pub const ANY_PORT: (u16, u16) = (0, u16::MAX);

/// Packets of one kind. What is not said matches everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Their family.
    pub family: Option<Family>,
    /// IP protocol number.
    pub protocol: Option<u8>,
    /// Where they come from.
    pub source: Block,
    /// Where they are addressed to.
    pub destination: Block,
    /// Source ports, first and last.
    pub source_ports: (u16, u16),
    /// Destination ports, first and last.
    pub ports: (u16, u16),
}

impl Pattern {
    /// All packets.
    pub const ANY: Self = Self {
        family: None,
        protocol: None,
        source: Block::ANY,
        destination: Block::ANY,
        source_ports: ANY_PORT,
        ports: ANY_PORT,
    };

    /// Whether a packet is of this kind.
    pub fn matches(&self, protocol: u8, source: Endpoint, destination: Endpoint) -> bool {
        let within = |(first, last): (u16, u16), port| (first..=last).contains(&port);
        self.family.is_none_or(|family| family == destination.addr.family())
            && self.protocol.is_none_or(|its| its == protocol)
            && self.source.contains(source.addr)
            && self.destination.contains(destination.addr)
            && within(self.source_ports, source.port)
            && within(self.ports, destination.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> Block {
        let (address, length) = text.split_once('/').unwrap();
        Block::new(address.parse::<std::net::IpAddr>().unwrap().into(), length.parse().unwrap())
    }

    #[test]
    fn every_part_must_match() {
        let all = Pattern::ANY;
        for (pattern, expected) in [
            (all, true),
            (Pattern { family: Some(Family::V4), ..all }, true),
            (Pattern { family: Some(Family::V6), ..all }, false),
            (Pattern { protocol: Some(6), ..all }, true),
            (Pattern { protocol: Some(17), ..all }, false),
            (Pattern { source: block("198.51.100.0/29"), ..all }, true),
            (Pattern { source: block("198.51.100.8/29"), ..all }, false),
            (Pattern { destination: block("192.0.2.10/32"), ..all }, true),
            (Pattern { destination: block("192.0.2.11/32"), ..all }, false),
            (Pattern { destination: block("::/0"), family: Some(Family::V6), ..all }, false),
            (Pattern { ports: (80, 80), ..all }, true),
            (Pattern { ports: (81, 90), ..all }, false),
            (Pattern { ports: (70, 79), ..all }, false),
            (Pattern { source_ports: (1024, 65535), ..all }, true),
            (Pattern { source_ports: (0, 1023), ..all }, false),
        ] {
            let (source, destination) = ("198.51.100.7:40000".parse().unwrap(), "192.0.2.10:80".parse().unwrap());
            assert_eq!(pattern.matches(6, source, destination), expected, "{pattern:?}");
        }
    }
}
