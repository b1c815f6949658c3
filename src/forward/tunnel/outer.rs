//! The outer IP header, which is the same in front of every kind of tunnel.
//!
//! The outer TTL is the inner one after it was decremented; the outer DSCP is the inner one, and its ECN bits too except
//! that CE becomes ECT(0) (RFC 6040's compatibility side); the outer DF bit is the inner one
//! (`ip_vs_xmit.c: ip_vs_prepare_tunneled_skb`).

use super::{Ends, inner_protocol};
use crate::forward::look::Look;
use crate::service::Tunnel;
use crate::wire::checksum::finish;
use crate::wire::{Family, Protocol};

/// What an outer header says, besides addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outer {
    /// Bytes behind the header.
    payload: u16,
    /// The inner one, already decremented.
    ttl: u8,
    /// DSCP and ECN, CE turned into ECT(0).
    traffic_class: u8,
    /// The inner IPv4 packet's DF bit, if path MTU discovery is on; false for IPv6.
    dont_fragment: bool,
    /// What follows the header.
    protocol: u8,
    /// The IPv4 identification.
    id: u16,
}

impl Outer {
    /// The header for this packet, whose TTL was already decremented.
    pub(super) fn over(packet: &[u8], look: &Look, tunnel: Tunnel, pmtu_disc: bool) -> Option<Outer> {
        let (class, dont_fragment) = match look.family {
            Family::V4 => (*packet.get(1)?, pmtu_disc && packet.get(6)? & 0x40 != 0),
            Family::V6 => (packet.first()? << 4 | packet.get(1)? >> 4, false),
        };
        let protocol = match tunnel {
            Tunnel::Ipip => inner_protocol(look.family),
            Tunnel::Gre { .. } => Protocol::GRE,
            Tunnel::Gue { .. } => Protocol::UDP,
        };
        Some(Outer {
            payload: look.packet_len() + u16::from(tunnel.shim()),
            ttl: look.ttl.wrapping_sub(1),
            traffic_class: if class & 3 == 3 { class & !1 } else { class },
            dont_fragment,
            protocol,
            id: identification(packet, look, dont_fragment),
        })
    }

    /// Writes the header over all of `bytes`, whose length is that of a header of the destination's family, and returns
    /// the Ethernet type to put in front.
    pub(super) fn write(&self, bytes: &mut [u8], ends: Ends) -> [u8; 2] {
        match ends.destination.family() {
            Family::V4 => {
                bytes.copy_from_slice(&self.v4(ends));
                [0x08, 0x00]
            }
            Family::V6 => {
                bytes.copy_from_slice(&self.v6(ends));
                [0x86, 0xdd]
            }
        }
    }

    fn v4(&self, ends: Ends) -> [u8; 20] {
        let mut header = [0; 20];
        header[0] = 0x45;
        header[1] = self.traffic_class;
        header[2..4].copy_from_slice(&(self.payload + 20).to_be_bytes());
        header[4..6].copy_from_slice(&self.id.to_be_bytes());
        header[6] = if self.dont_fragment { 0x40 } else { 0 };
        header[8] = self.ttl;
        header[9] = self.protocol;
        header[12..16].copy_from_slice(&ends.source.low32().to_be_bytes());
        header[16..20].copy_from_slice(&ends.destination.low32().to_be_bytes());
        let sum = finish(0, &header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header
    }

    fn v6(&self, ends: Ends) -> [u8; 40] {
        let mut header = [0; 40];
        header[0] = 0x60 | self.traffic_class >> 4;
        header[1] = self.traffic_class << 4;
        header[4..6].copy_from_slice(&self.payload.to_be_bytes());
        header[6] = self.protocol;
        header[7] = self.ttl;
        header[8..24].copy_from_slice(&ends.source.octets());
        header[24..40].copy_from_slice(&ends.destination.octets());
        header
    }
}

/// The outer IPv4 identification: 0 for what is never cut (RFC 6864 4.1). Else the inner one where there is one, so that
/// the pieces of a cut tunnel packet are told apart as well as those of the packet itself would be. An inner packet with
/// DF may have none to lend: the sum of what tells it from others serves as well.
fn identification(packet: &[u8], look: &Look, dont_fragment: bool) -> u16 {
    match (look.family, packet.get(4..7)) {
        _ if dont_fragment => 0,
        (Family::V4, Some(&[.., flags])) if flags & 0x40 != 0 => finish(0, packet.get(..32).unwrap_or(packet)),
        (Family::V4, Some(&[high, low, _])) => u16::from_be_bytes([high, low]),
        _ => look.hash.0 as u16,
    }
}
