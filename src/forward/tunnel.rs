//! IPIP: an outer IP header in front of the packet (RFC 2003, RFC 2473; `ip_vs_xmit.c: ip_vs_tunnel_xmit`).
//!
//! The outer TTL is the inner one after it was decremented; the outer DSCP is the inner one, and its ECN bits too except
//! that CE becomes ECT(0) (RFC 6040's compatibility side); the outer DF bit is the inner one.

use super::look::Look;
use crate::wire::checksum::finish;
use crate::wire::{Addr, Family, Protocol, parse};

/// What the outer header costs, by the family it is of.
pub(super) const fn overhead(outer: Family) -> u16 {
    match outer {
        Family::V4 => 20,
        Family::V6 => 40,
    }
}

/// The longest packet that fits into a tunnel packet of `mtu` bytes; 0 if the way is too narrow for any
/// (`ip_vs_xmit.c: __ip_vs_get_out_rt`: 68 and 1280 bytes must be left).
pub(super) fn limit(mtu: u16, outer: Family) -> u16 {
    let left = mtu.saturating_sub(overhead(outer));
    let least = match outer {
        Family::V4 => 68,
        Family::V6 => 1280,
    };
    if left < least { 0 } else { left }
}

/// What of the inner header goes into the outer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Inner {
    /// Length of the inner packet in bytes.
    len: u16,
    /// Already decremented.
    ttl: u8,
    /// DSCP and ECN, CE turned into ECT(0).
    traffic_class: u8,
    /// IPv4's DF bit; false for IPv6.
    dont_fragment: bool,
    protocol: u8,
}

impl Inner {
    fn of(packet: &[u8], look: &Look) -> Option<Inner> {
        let (class, dont_fragment, protocol) = match look.family {
            Family::V4 => (*packet.get(1)?, packet.get(6)? & 0x40 != 0, Protocol::IPIP),
            Family::V6 => (packet.first()? << 4 | packet.get(1)? >> 4, false, Protocol::IPV6),
        };
        let traffic_class = if class & 3 == 3 { class & !1 } else { class };
        Some(Inner { len: look.packet_len(), ttl: look.ttl.wrapping_sub(1), traffic_class, dont_fragment, protocol })
    }

    fn outer_v4(&self, id: u16, source: Addr, destination: Addr) -> [u8; 20] {
        let mut header = [0; 20];
        header[0] = 0x45;
        header[1] = self.traffic_class;
        header[2..4].copy_from_slice(&(self.len + 20).to_be_bytes());
        header[4..6].copy_from_slice(&id.to_be_bytes());
        header[6] = if self.dont_fragment { 0x40 } else { 0 };
        header[8] = self.ttl;
        header[9] = self.protocol;
        header[12..16].copy_from_slice(&source.low32().to_be_bytes());
        header[16..20].copy_from_slice(&destination.low32().to_be_bytes());
        let sum = finish(0, &header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header
    }

    fn outer_v6(&self, source: Addr, destination: Addr) -> [u8; 40] {
        let mut header = [0; 40];
        header[0] = 0x60 | self.traffic_class >> 4;
        header[1] = self.traffic_class << 4;
        header[4..6].copy_from_slice(&self.len.to_be_bytes());
        header[6] = self.protocol;
        header[7] = self.ttl;
        header[8..24].copy_from_slice(&source.octets());
        header[24..40].copy_from_slice(&destination.octets());
        header
    }
}

/// The outer IPv4 identification: 0 for what is never cut (RFC 6864 4.1). Else the inner one where there is one, so that
/// the pieces of a cut tunnel packet are told apart as well as those of the packet itself would be.
pub(super) fn identification(frame: &[u8], look: &Look) -> u16 {
    let at = usize::from(look.l3) + 4;
    match (look.family, frame.get(at..at + 3)) {
        (Family::V4, Some(&[.., flags])) if flags & 0x40 != 0 => 0,
        (Family::V4, Some(&[high, low, _])) => u16::from_be_bytes([high, low]),
        _ => look.hash.0 as u16,
    }
}

/// Writes an Ethernet and an outer IP header in front of the packet in `slot`, whose frame starts at `offset` and whose
/// TTL was already decremented. Returns the new offset, or `None` where the slot has no room in front.
///
/// `id` is the outer IPv4 identification. VLAN tags are kept; the Ethernet addresses are left to the caller.
pub(super) fn encapsulate(
    slot: &mut [u8],
    offset: usize,
    look: &Look,
    id: u16,
    source: Addr,
    destination: Addr,
) -> Option<usize> {
    let packet_at = offset + usize::from(look.l3);
    let inner = Inner::of(slot.get(packet_at..)?, look)?;
    let outer = destination.family();
    let header_at = packet_at.checked_sub(usize::from(overhead(outer)))?;
    let frame_at = header_at.checked_sub(usize::from(look.l3))?;
    if look.l3 > 14 {
        slot.copy_within(offset + 12..packet_at - 2, frame_at + 12);
    }
    let ethertype: [u8; 2] = match outer {
        Family::V4 => {
            slot[header_at..packet_at].copy_from_slice(&inner.outer_v4(id, source, destination));
            [0x08, 0x00]
        }
        Family::V6 => {
            slot[header_at..packet_at].copy_from_slice(&inner.outer_v6(source, destination));
            [0x86, 0xdd]
        }
    };
    slot[header_at - 2..header_at].copy_from_slice(&ethertype);
    Some(frame_at)
}

/// Takes the DF bit off the outer IPv4 header of a frame whose inner packet `look` describes. What may be cut needs an
/// identification, and an inner packet with DF may have none to lend: its checksum serves as well.
#[cold]
pub(super) fn allow_cutting(frame: &mut [u8], look: &Look) {
    let inner = usize::from(look.end - look.l3);
    let Some(parsed) = parse(frame).ok().filter(|parsed| parsed.family() == Family::V4) else { return };
    let l3 = usize::from(parsed.l3);
    let inner_at = usize::from(parsed.end) - inner;
    let id = match frame.get(inner_at..inner_at + 12) {
        Some(header) if look.family == Family::V4 => finish(0, header),
        _ => look.hash.0 as u16,
    };
    let Some(header) = frame.get_mut(l3..).and_then(|rest| rest.first_chunk_mut::<20>()) else { return };
    if header[6] & 0x40 == 0 {
        return;
    }
    header[4..6].copy_from_slice(&id.to_be_bytes());
    header[6] &= !0x40;
    header[10..12].fill(0);
    let sum = finish(0, header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}
