//! Tunnels: the packet whole, behind an outer IP header and what the kind of tunnel puts between the two
//! (`ip_vs_xmit.c: ip_vs_tunnel_xmit`, `ipvs_gue_encap`, `ipvs_gre_encap`).

mod outer;
mod shim;

use super::look::Look;
use super::{Packet, Turn};
use crate::service::{Method, Pair, PairId, Side, Tunnel};
use crate::wire::{Addr, Family, Protocol};
use outer::Outer;

/// Puts the tunnel's headers on a packet whose TTL was already decremented, if its server is behind a tunnel. `false`:
/// there is no address to send it from, or no room for them.
///
/// VLAN tags are kept; the Ethernet addresses are left to the caller.
#[inline]
pub(super) fn wrap(turn: &Turn<'_>, packet: &mut Packet<'_>, look: &Look, pair_id: PairId, pair: &Pair) -> bool {
    let Method::Tun(tunnel) = pair.method else { return true };
    let Some(source) = turn.services.tunnel_source(pair_id) else { return false };
    let ends = Ends { source, destination: pair.ends[Side::Real as usize] };
    let offset = usize::from(packet.frame.offset);
    let pmtu_disc = turn.options.pmtu_disc;
    let Some(start) = encapsulate(packet.slot, offset, look, tunnel, ends, pmtu_disc) else { return false };
    packet.frame.len = (offset + usize::from(look.end) - start) as u16;
    packet.frame.offset = start as u16;
    true
}

/// The longest packet that fits into a tunnel packet of `mtu` bytes; 0 if the way is too narrow for any
/// (`ip_vs_xmit.c: __ip_vs_get_out_rt`: 68 and 1280 bytes must be left).
#[inline]
pub(super) fn limit(mtu: u16, pair: &Pair) -> u16 {
    let left = mtu.saturating_sub(u16::from(pair.overhead));
    let least = match pair.ends[Side::Real as usize].family() {
        Family::V4 => 68,
        Family::V6 => 1280,
    };
    if left < least { 0 } else { left }
}

/// Where a tunnel begins and where it leads.
#[derive(Clone, Copy, Debug)]
struct Ends {
    source: Addr,
    destination: Addr,
}

/// Writes an Ethernet type and the headers in front of the packet in `slot`, whose frame starts at `offset`. Returns the
/// new offset, or `None` where the slot has no room in front. Without `pmtu_disc` the outer header never has DF.
fn encapsulate(
    slot: &mut [u8],
    offset: usize,
    look: &Look,
    tunnel: Tunnel,
    ends: Ends,
    pmtu_disc: bool,
) -> Option<usize> {
    let packet_at = offset + usize::from(look.l3);
    let shim_at = packet_at.checked_sub(usize::from(tunnel.shim()))?;
    let header_at = packet_at.checked_sub(usize::from(tunnel.overhead(ends.destination.family())))?;
    let frame_at = header_at.checked_sub(usize::from(look.l3))?;
    let end = offset + usize::from(look.end);
    let outer = Outer::over(slot.get(packet_at..end)?, look, tunnel, pmtu_disc)?;
    match tunnel {
        Tunnel::Ipip => {}
        Tunnel::Gre { checksum } => shim::gre(slot.get_mut(shim_at..end)?, look.family, checksum),
        Tunnel::Gue { port, checksum } => {
            shim::gue(slot.get_mut(shim_at..end)?, look, [source_port(look), port], checksum, ends);
        }
    }
    if look.l3 > 14 {
        slot.copy_within(offset + 12..packet_at - 2, frame_at + 12);
    }
    let ethertype = outer.write(slot.get_mut(header_at..shim_at)?, ends);
    slot[header_at - 2..header_at].copy_from_slice(&ethertype);
    Some(frame_at)
}

/// The protocol number of a packet of this family inside another.
const fn inner_protocol(family: Family) -> u8 {
    match family {
        Family::V4 => Protocol::IPIP,
        Family::V6 => Protocol::IPV6,
    }
}

/// The source port of a flow's GUE datagrams: spread over the kernel's range of local ports, so that routers with several
/// ways and network cards with several queues tell flows apart (`udp_flow_src_port`).
fn source_port(look: &Look) -> u16 {
    const RANGE: std::ops::RangeInclusive<u16> = 32768..=60999;
    let ports = u64::from(RANGE.end() - RANGE.start()) + 1;
    // The product's upper half is below `ports`, and so below 2^16.
    RANGE.start() + (((look.hash.0 >> 32) * ports) >> 32) as u16
}
