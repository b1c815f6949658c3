//! A stand-in for the kernel's own stack, which gets the frames that the director has no use for.
//!
//! It routes what is addressed to others, untouched but for MAC addresses and TTL. What is addressed to the director
//! itself the kernel answers in ways of its own, so there it only knows an answer of the right kind when it sees one.

use ringmaster::io::PortId;
use ringmaster::service::{HopTo, Network};
use ringmaster::wire::checksum::Delta;
use ringmaster::wire::{Addr, Family, Parsed, Protocol, parse};

/// What becomes of a frame that was passed to the kernel.
pub enum Handed {
    /// It leaves as it came.
    Routed(PortId, Vec<u8>),
    /// It is addressed to the director.
    Local { source: Addr, destination: Addr, protocol: u8 },
    /// It goes nowhere.
    Lost,
}

/// Hands a frame to the stack.
pub fn hand(network: &Network, own: &[Addr], frame: &[u8]) -> Handed {
    let Ok(packet) = parse(frame) else { return Handed::Lost };
    let Parsed { source, destination, protocol, .. } = packet;
    if own.contains(&source) {
        return Handed::Lost;
    }
    if own.contains(&destination) {
        return Handed::Local { source, destination, protocol };
    }
    match network.hop_to(destination) {
        HopTo::Ready(id) if packet.ttl > 1 => {
            let hop = network.hop(id).expect("a hop that is ready is there");
            let mut frame = frame[..usize::from(packet.end)].to_vec();
            frame[..12].copy_from_slice(&hop.macs);
            age(&mut frame, &packet);
            Handed::Routed(hop.port, frame)
        }
        _ => Handed::Lost,
    }
}

fn age(frame: &mut [u8], packet: &Parsed) {
    let l3 = usize::from(packet.l3);
    match packet.family() {
        Family::V4 => {
            frame[l3 + 8] -= 1;
            let sum = Delta::TTL.apply(u16::from_be_bytes([frame[l3 + 10], frame[l3 + 11]]));
            frame[l3 + 10..l3 + 12].copy_from_slice(&sum.to_be_bytes());
        }
        Family::V6 => frame[l3 + 7] -= 1,
    }
}

impl Handed {
    /// What leaves by this port.
    pub fn leaves_by(&self, port: PortId) -> Option<Vec<u8>> {
        match self {
            Handed::Routed(to, frame) if *to == port => Some(frame.clone()),
            _ => None,
        }
    }

    /// Whether the frame is such as a stack on which nobody listens answers with: a reset for TCP, an ICMP message for
    /// anything else, from the packet's destination to its source.
    pub fn is_answered_by(&self, frame: &[u8]) -> bool {
        let (&Handed::Local { source, destination, protocol }, Ok(answer)) = (self, parse(frame)) else { return false };
        let kind = match protocol {
            Protocol::TCP => answer.protocol == Protocol::TCP && answer.flags.rst(),
            _ => matches!(answer.protocol, Protocol::ICMP | Protocol::ICMPV6),
        };
        kind && (answer.source, answer.destination) == (destination, source)
    }
}
