//! What is to be steered to the workers, as a plain value; and how to get from what is to what should be.

#![expect(unsafe_code, reason = "lays values out as the program's maps hold them")]

use std::collections::{BTreeMap, BTreeSet};

use crate::io::options::MOST_MARK_RULES;
use crate::wire::{Addr, Block, Endpoint, Family, Pattern, ServiceKey};

/// What belongs to the director. See the head of `steer.c` for what follows from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Served addresses, ports and protocols; port 0 for all ports.
    pub services: BTreeSet<ServiceKey>,
    /// Addresses with a service on FTP's port that takes the data connections too.
    pub ftp: BTreeSet<Addr>,
    /// IP protocol number, address and port of the real servers that answer through the director (NAT); 0 for any.
    pub servers: BTreeSet<(u8, Endpoint)>,
    /// Virtual addresses, for packets without ports: later fragments and ICMP errors.
    pub vips: BTreeSet<Addr>,
    /// Addresses of the servers in `servers`, likewise.
    pub server_addresses: BTreeSet<Addr>,
    /// IP protocol number, address and port (GUE's, else 0) that tunnel packets go to, for ICMP errors about them.
    pub tunnels: BTreeSet<(u8, Endpoint)>,
    /// The director's addresses and ports (the first and the last) that full NAT connects to servers from.
    pub local_ends: BTreeMap<Addr, (u16, u16)>,
    /// The director's own addresses, virtual ones included. What else servers send to these is the kernel's.
    pub local_addresses: BTreeSet<Addr>,
    /// The same without the virtual ones. No rule takes packets to these but one that names them.
    pub own_addresses: BTreeSet<Addr>,
    /// Virtual addresses that take only what is served, and neighbour discovery (`no_accept`).
    pub closed_addresses: BTreeSet<Addr>,
    /// The rules that give packets their marks, the first that matches first; no more than [`MOST_MARK_RULES`].
    pub marks: Vec<Marking>,
}

/// A rule that gives packets a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marking {
    /// Which packets.
    pub pattern: Pattern,
    /// The kernel's number of the interface that they come in by, if that matters.
    pub ifindex: Option<u32>,
    /// Whether their mark is that of a service. If not, they are left to the kernel.
    pub served: bool,
}

/// `struct rules` of `steer.c`, of which only the rules that there are.
pub(super) type MarksValue = [u8; 4 + MOST_MARK_RULES * RULE];

/// The size of `struct rule`.
const RULE: usize = 88;

/// Bits of `kinds` in `steer.c`.
const ALL_PORTS: u32 = 1;
const ANY_PORT: u32 = 2;
const MARKS: u32 = 4;

impl Rules {
    /// What there is beside services for one address and port.
    pub(super) fn kinds(&self) -> u32 {
        let all_ports = !self.ftp.is_empty() || self.services.iter().any(|key| key.virtual_.port == 0);
        let any_port = self.servers.iter().any(|(_, real)| real.port == 0);
        let kinds = [(all_ports, ALL_PORTS), (any_port, ANY_PORT), (!self.marks.is_empty(), MARKS)];
        kinds.into_iter().filter(|(there, _)| *there).map(|(_, bit)| bit).sum()
    }

    /// The value of the map `marks`. Rules beyond [`MOST_MARK_RULES`] are left out.
    pub(super) fn marks_value(&self) -> MarksValue {
        let mut value = [0; _];
        let (count, rules) = value.split_at_mut(4);
        let (rules, _) = rules.as_chunks_mut::<RULE>();
        let used = self.marks.len().min(MOST_MARK_RULES) as u32;
        count.copy_from_slice(&used.to_ne_bytes());
        for (bytes, marking) in rules.iter_mut().zip(&self.marks) {
            *bytes = rule(marking);
        }
        value
    }
}

/// `struct rule` of `steer.c`.
fn rule(marking: &Marking) -> [u8; RULE] {
    let Pattern { family, protocol, source, destination, source_ports, ports } = marking.pattern;
    let mut bytes = [0; RULE];
    let block = |block: Block| [block.first().octets(), block.mask().octets()].concat();
    bytes[..32].copy_from_slice(&block(source));
    bytes[32..64].copy_from_slice(&block(destination));
    let numbers = [source_ports.0, source_ports.1, ports.0, ports.1];
    for (place, number) in bytes[64..72].chunks_exact_mut(2).zip(numbers) {
        place.copy_from_slice(&number.to_ne_bytes());
    }
    let interface = marking.ifindex.map_or([0; 2], |ifindex| [ifindex, u32::MAX]);
    bytes[72..80].copy_from_slice(&interface.map(u32::to_ne_bytes).concat());
    let number = |family| match family {
        Family::V4 => 4,
        Family::V6 => 6,
    };
    let masked = |value: Option<u8>| value.map_or([0; 2], |value| [value, u8::MAX]);
    let flags = [destination == Block::ANY, marking.served].map(u8::from);
    bytes[80..86].copy_from_slice(&[masked(protocol), masked(family.map(number)), flags].concat());
    bytes
}

/// `struct hints` of `steer.c`: what may be true of an address, by its hash.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Hints([u8; 1 << HINT_BITS]);

const HINT_BITS: u32 = 12;

// SAFETY: an array of bytes.
unsafe impl aya::Pod for Hints {}

impl Hints {
    /// That nothing is true of any address.
    pub(super) const NONE: Self = Self([0; 1 << HINT_BITS]);

    /// The hints that make the program ask the sets about all addresses in them.
    pub(super) fn new(rules: &Rules) -> Self {
        let mut hints = Self::NONE;
        let served = rules.services.iter().map(|key| (key.virtual_.addr, 1));
        let servers = rules.servers.iter().map(|(_, real)| (real.addr, 2));
        let local = rules.local_addresses.iter().map(|&addr| (addr, 4));
        let closed = rules.closed_addresses.iter().map(|&addr| (addr, 8));
        for (addr, hint) in served.chain(servers).chain(local).chain(closed) {
            hints.0[hash(addr)] |= hint;
        }
        hints
    }

    /// Those of both.
    pub(super) fn with(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] | other.0[at]))
    }
}

fn hash(addr: Addr) -> usize {
    let octets = addr.octets();
    let words = octets.chunks_exact(4).map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
    (words.fold(0, |all, word| all ^ word).wrapping_mul(0x9e37_79b1) >> (32 - HINT_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_a_set_is_hinted_at() {
        let addr = |text: &str| text.parse::<Endpoint>().unwrap().addr;
        let rules = Rules {
            servers: [(6, "10.0.0.11:80".parse().unwrap())].into(),
            local_addresses: [addr("10.0.0.1:0"), addr("[fd00::1]:0")].into(),
            closed_addresses: [addr("10.0.0.1:0")].into(),
            ..Rules::default()
        };
        let hints = Hints::new(&rules);
        assert_eq!(hints.0[hash(addr("10.0.0.11:0"))] & 2, 2);
        assert_eq!(hints.0[hash(addr("10.0.0.1:0"))] & 12, 12);
        assert_eq!(hints.0[hash(addr("[fd00::1]:0"))] & 4, 4);
        assert_eq!(hints.0.iter().filter(|&&hint| hint != 0).count(), 3);
        assert!(hints.with(Hints::NONE) == hints && Hints::NONE.with(hints) == hints);
    }
}
