//! Changing a frame in place: MAC addresses, TTL, one end's address and port, and the checksums that cover them.
//!
//! Every function works on the frame's bytes and the offsets of a [`Look`]; both families and both directions take the
//! same way.

use super::look::Look;
use crate::service::Hop;
use crate::wire::checksum::{self, Delta};
use crate::wire::{Addr, Endpoint, Family, HEAD, Protocol, sctp};

/// The end of a packet that NAT rewrites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum End {
    Source = 0,
    Destination = 1,
}

/// Sets destination and source MAC.
#[inline(always)]
pub(super) fn set_macs(frame: &mut [u8], hop: &Hop) {
    if let Some(macs) = frame.first_chunk_mut::<12>() {
        *macs = hop.macs;
    }
}

/// Where a packet's headers are, in bytes from the start of the frame.
#[derive(Clone, Copy)]
struct Places {
    family: Family,
    l3: usize,
    l4: usize,
}

impl Places {
    /// Of untagged IPv4 without options.
    const V4: Places = Places { family: Family::V4, l3: 14, l4: 34 };
    /// Of untagged IPv6 without extension headers.
    const V6: Places = Places { family: Family::V6, l3: 14, l4: 54 };

    #[inline(always)]
    fn of(look: &Look) -> Self {
        Self { family: look.family, l3: usize::from(look.l3), l4: usize::from(look.l4) }
    }

    /// Runs `edit` on a frame. Where nearly all frames have their headers, the compiler knows the places and spares the
    /// checks for the frame's end.
    #[inline(always)]
    fn edit(frame: &mut [u8], look: &Look, edit: impl Fn(&mut [u8], Places)) {
        match (look.family, look.l3, look.l4) {
            (Family::V4, 14, 34) if frame.len() >= HEAD => edit(frame, Self::V4),
            (Family::V6, 14, 54) if frame.len() >= HEAD => edit(frame, Self::V6),
            _ => edit(frame, Self::of(look)),
        }
    }
}

/// What NAT does: [`set_end`] and [`age`].
#[inline(always)]
pub(super) fn translate(frame: &mut [u8], look: &Look, end: End, new: Endpoint, address: Delta, transport: Delta) {
    Places::edit(
        frame,
        look,
        #[inline(always)]
        |frame, places| {
            set_end_at(frame, look, places, end, new, transport);
            age_at(frame, look, places, address);
        },
    );
}

/// Decrements the TTL (or hop limit), and for IPv4 brings the header checksum along, together with `edit`.
#[inline(always)]
pub(super) fn age(frame: &mut [u8], look: &Look, edit: Delta) {
    Places::edit(
        frame,
        look,
        #[inline(always)]
        |frame, places| age_at(frame, look, places, edit),
    );
}

#[inline(always)]
fn age_at(frame: &mut [u8], look: &Look, Places { family, l3, .. }: Places, edit: Delta) {
    match family {
        Family::V4 => {
            let Some(header) = frame.get_mut(l3..).and_then(|rest| rest.first_chunk_mut::<20>()) else { return };
            header[8] = look.ttl.wrapping_sub(1);
            let sum = edit.and(Delta::TTL).apply(u16::from_be_bytes([header[10], header[11]]));
            [header[10], header[11]] = sum.to_be_bytes();
        }
        Family::V6 => {
            if let Some(hop_limit) = frame.get_mut(l3 + 7) {
                *hop_limit = look.ttl.wrapping_sub(1);
            }
        }
    }
}

/// Puts a new address and port into one end, and brings the transport checksum along by `edit`. The IPv4 header's
/// checksum is left to [`age`].
pub(super) fn set_end(frame: &mut [u8], look: &Look, end: End, new: Endpoint, edit: Delta) {
    set_end_at(frame, look, Places::of(look), end, new, edit);
}

#[inline(always)]
fn set_end_at(frame: &mut [u8], look: &Look, places: Places, end: End, new: Endpoint, edit: Delta) {
    let Places { family, l3, l4 } = places;
    write_address(frame, l3, family, end, new.addr);
    let at = l4 + 2 * end as usize;
    let Some(port) = frame.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<2>()) else { return };
    let old = std::mem::replace(port, new.port.to_be_bytes());
    if look.protocol == Protocol::SCTP {
        return renew_sctp(frame, look, old != new.port.to_be_bytes());
    }
    let udp = look.protocol == Protocol::UDP;
    let Some(field) = transport_checksum(frame, l4, look.protocol) else { return };
    match u16::from_be_bytes(*field) {
        0 if udp => fill_checksum(frame, look, end, new),
        old if udp => *field = edit.apply_udp(old).to_be_bytes(),
        old => *field = edit.apply(old).to_be_bytes(),
    }
}

/// Brings the checksum of an IPv4 header along by `edit`.
pub(super) fn correct_header(frame: &mut [u8], look: &Look, edit: Delta) {
    let header = frame.get_mut(usize::from(look.l3)..).and_then(|rest| rest.first_chunk_mut::<20>());
    if let (Family::V4, Some(header)) = (look.family, header) {
        let sum = edit.apply(u16::from_be_bytes([header[10], header[11]]));
        [header[10], header[11]] = sum.to_be_bytes();
    }
}

/// The checksum of SCTP covers no addresses, and the kernel works it out only where it changes; a wrong one stays wrong
/// (`ip_vs_proto_sctp.c: sctp_dnat_handler`).
#[cold]
fn renew_sctp(frame: &mut [u8], look: &Look, changed: bool) {
    if let (true, Some(packet)) = (changed, frame.get_mut(usize::from(look.l4)..usize::from(look.end))) {
        sctp::put_checksum(packet);
    }
}

/// Gives a datagram without checksum one, as the kernel does where it rewrites the datagram
/// (`ip_vs_proto_udp.c: udp_dnat_handler`).
#[cold]
fn fill_checksum(frame: &mut [u8], look: &Look, end: End, new: Endpoint) {
    let (source, destination) = look.ends();
    let (source, destination) = match end {
        End::Source => (new.addr, destination),
        End::Destination => (source, new.addr),
    };
    let length = u32::from(look.end - look.l4);
    put_checksum(frame, look, checksum::pseudo_header(source, destination, look.protocol, length));
}

#[inline(always)]
pub(super) fn write_address(frame: &mut [u8], l3: usize, family: Family, end: End, address: Addr) {
    match family {
        Family::V4 => {
            let at = l3 + 12 + 4 * end as usize;
            if let Some(bytes) = frame.get_mut(at..at + 4) {
                bytes.copy_from_slice(&address.low32().to_be_bytes());
            }
        }
        Family::V6 => {
            let at = l3 + 8 + 16 * end as usize;
            if let Some(bytes) = frame.get_mut(at..at + 16) {
                bytes.copy_from_slice(&address.octets());
            }
        }
    }
}

/// The checksum field of TCP or UDP.
#[inline(always)]
fn transport_checksum(frame: &mut [u8], l4: usize, protocol: u8) -> Option<&mut [u8; 2]> {
    let at = l4 + if protocol == Protocol::UDP { 6 } else { 16 };
    frame.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<2>())
}

/// Finishes a transport checksum that a local stack left to hardware it does not have. Returns whether there was one to
/// finish. To be called before any rewriting: what follows is then an ordinary frame.
#[inline]
pub(super) fn complete_checksum(frame: &mut [u8], look: &Look) -> bool {
    if look.protocol == Protocol::SCTP {
        let packet = frame.get_mut(usize::from(look.l4)..usize::from(look.end));
        return packet.is_some_and(sctp::complete_checksum);
    }
    let (source, destination) = look.ends();
    let length = u32::from(look.end - look.l4);
    let pseudo = checksum::pseudo_header(source, destination, look.protocol, length);
    let Some(field) = transport_checksum(frame, usize::from(look.l4), look.protocol) else { return false };
    if !checksum::is_unfinished(u16::from_be_bytes(*field), pseudo) {
        return false;
    }
    *field = [0; 2];
    put_checksum(frame, look, pseudo);
    true
}

/// Works the transport checksum out over a segment in which it is 0.
fn put_checksum(frame: &mut [u8], look: &Look, pseudo: u64) {
    let Some(segment) = frame.get(usize::from(look.l4)..usize::from(look.end)) else { return };
    let sum = match checksum::finish(pseudo, segment) {
        // To UDP, 0 means that there is no checksum.
        0 if look.protocol == Protocol::UDP => 0xffff,
        sum => sum,
    };
    if let Some(field) = transport_checksum(frame, usize::from(look.l4), look.protocol) {
        *field = sum.to_be_bytes();
    }
}
