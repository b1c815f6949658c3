//! Packets of the director's own: resets and ICMP errors, made in the buffer of the packet they answer.
//!
//! They look as the kernel's: TTL 64; a reset has IP id 0, DF and window 0 (`tcp_ipv4.c: tcp_v4_send_reset`); an ICMP
//! error has TOS 0xc0, comes from the virtual address, and quotes what fits into 576 bytes (IPv4, RFC 1812 4.3.2.3) or
//! 1280 (IPv6, RFC 4443 2.4(c)).

use super::look::{Look, Way};
use super::{Decision, Packet, Reason, Turn, Verdict};
use crate::io::PortId;
use crate::service::HopTo;
use crate::wire::checksum::{finish, pseudo_header};
use crate::wire::{Addr, Family, Protocol};

const TTL: u8 = 64;
/// Precedence "internetwork control", as the kernel marks its ICMP errors.
const ICMP_TOS: u8 = 0xc0;

/// An ICMP error, in the numbers of both families.
#[derive(Clone, Copy, Debug)]
pub(super) struct Error {
    v4: (u8, u8),
    v6: (u8, u8),
    /// The second word of the ICMP header: the MTU, where it has one.
    pub(super) word: u32,
}

impl Error {
    const TOO_BIG: Error = Error { v4: (3, 4), v6: (2, 0), word: 0 };
    const PORT_UNREACHABLE: Error = Error { v4: (3, 3), v6: (1, 4), word: 0 };
    const HOST_UNREACHABLE: Error = Error { v4: (3, 1), v6: (1, 3), word: 0 };
    const TTL_EXPIRED: Error = Error { v4: (11, 0), v6: (3, 0), word: 0 };

    /// What a client is told when `kind` and `code` came back about the tunnel packet its own was in: the same, or across
    /// families what says the same.
    pub(super) fn relayed(outer: Family, kind: u8, code: u8) -> Error {
        let across = match (outer, kind) {
            _ if is_too_big(outer, kind, code) => Self::TOO_BIG,
            (Family::V4, 11) | (Family::V6, 3) => Self::TTL_EXPIRED,
            _ => Self::HOST_UNREACHABLE,
        };
        match outer {
            Family::V4 => Error { v4: (kind, code), ..across },
            Family::V6 => Error { v6: (kind, code), ..across },
        }
    }
}

/// Whether the error says that a packet was too big for its way.
pub(super) fn is_too_big(family: Family, kind: u8, code: u8) -> bool {
    match family {
        Family::V4 => (kind, code) == Error::TOO_BIG.v4,
        Family::V6 => kind == Error::TOO_BIG.v6.0,
    }
}

/// A packet without a connection, which opens none, is answered as by a stack on which nobody listens, unless the options
/// say to drop it.
#[cold]
pub(super) fn no_connection(turn: &Turn<'_>, packet: &mut Packet<'_>, look: &Look) -> Decision {
    let answered = match look.protocol {
        _ if !turn.options.reset_unknown => None,
        Protocol::TCP if !look.flags.rst() => reset(turn, packet, look),
        Protocol::SCTP => no_sctp(turn, packet, look),
        Protocol::UDP => make_icmp(turn, packet, look, Error::PORT_UNREACHABLE, Reason::NoConnection),
        _ => None,
    };
    answered.unwrap_or(Decision::drop(Reason::NoConnection))
}

/// A Linux without SCTP says that it does not know the protocol: "protocol unreachable", or "unrecognised next header"
/// with the place of that header's number (`ip_input.c: ip_protocol_deliver_rcu`, `ip6_input.c:
/// ip6_protocol_deliver_rcu`).
fn no_sctp(turn: &Turn<'_>, packet: &mut Packet<'_>, look: &Look) -> Option<Decision> {
    const NEXT_HEADER: u32 = 6;
    let place = match (look.family, look.l4 - look.l3) {
        (Family::V4, _) => 0,
        (Family::V6, 40) => NEXT_HEADER,
        // The number is in one of the extension headers, and nobody is known to miss this answer.
        (Family::V6, _) => return None,
    };
    make_icmp(turn, packet, look, Error { v4: (3, 2), v6: (4, 1), word: place }, Reason::NoConnection)
}

/// A new connection that nobody can take: port unreachable, for TCP too (`ip_vs_core.c: ip_vs_leave`).
#[cold]
pub(super) fn no_server(turn: &Turn<'_>, packet: &mut Packet<'_>, look: &Look) -> Decision {
    icmp(turn, packet, look, Error::PORT_UNREACHABLE, Reason::NoServer)
}

/// What a server sends without a connection: port unreachable (`net.ipv4.vs.nat_icmp_send`).
#[cold]
pub(super) fn not_connected(turn: &Turn<'_>, packet: &mut Packet<'_>, look: &Look) -> Decision {
    icmp(turn, packet, look, Error::PORT_UNREACHABLE, Reason::NoConnection)
}

/// No route to the server or back to the client: host unreachable.
#[cold]
pub(super) fn unreachable_host(turn: &Turn<'_>, packet: &mut Packet<'_>, look: &Look) -> Decision {
    icmp(turn, packet, look, Error::HOST_UNREACHABLE, Reason::NoRoute)
}

/// The time to live ran out.
#[cold]
pub(super) fn ttl_expired(turn: &Turn<'_>, packet: &mut Packet<'_>, look: &Look) -> Decision {
    icmp(turn, packet, look, Error::TTL_EXPIRED, Reason::TtlExpired)
}

/// The packet is longer than `limit`, the MTU of its way less the tunnel header, and must not be cut: the sender is told.
/// Where not even the smallest packet would fit the kernel keeps silent.
#[cold]
pub(super) fn too_big(turn: &Turn<'_>, packet: &mut Packet<'_>, look: &Look, limit: u16) -> Decision {
    if limit == 0 {
        return Decision::drop(Reason::TooBig);
    }
    if look.way == Way::In {
        // The kernel has already decremented the TTL of the request it quotes here.
        super::rewrite::age(packet.bytes(), look, Default::default());
    }
    icmp(turn, packet, look, Error { word: u32::from(limit), ..Error::TOO_BIG }, Reason::TooBig)
}

/// An option of the IPv4 header cannot be read; `at` is where in the header.
#[cold]
pub(super) fn parameter_problem(turn: &Turn<'_>, packet: &mut Packet<'_>, look: &Look, at: u8) -> Decision {
    icmp(turn, packet, look, Error { v4: (12, 0), v6: (4, 0), word: u32::from(at) << 24 }, Reason::HeaderOption)
}

/// An error about the packet in a tunnel packet, which stands where the tunnel packet's error stood.
#[cold]
pub(super) fn relayed(turn: &Turn<'_>, packet: &mut Packet<'_>, look: &Look, error: Error) -> Decision {
    icmp(turn, packet, look, error, Reason::TunnelError)
}

fn reset(turn: &Turn<'_>, packet: &mut Packet<'_>, look: &Look) -> Option<Decision> {
    let (client, virtual_) = look.ends();
    let l4 = usize::from(look.l4);
    let frame = packet.bytes();
    let segment = frame.get(l4..usize::from(look.end))?;
    let (ports, rest) = segment.split_first_chunk::<4>()?;
    let (numbers, _) = rest.split_first_chunk::<8>()?;
    let header_len = usize::from(*segment.get(12)? >> 4) * 4;
    let taken =
        segment.len().checked_sub(header_len)? as u32 + u32::from(look.flags.syn()) + u32::from(look.flags.fin());
    let [s0, s1, s2, s3, acknowledged @ ..] = *numbers;
    let expected = u32::from_be_bytes([s0, s1, s2, s3]).wrapping_add(taken);

    let mut tcp = [0; 20];
    tcp[..4].copy_from_slice(&[ports[2], ports[3], ports[0], ports[1]]);
    if look.flags.ack() {
        tcp[4..8].copy_from_slice(&acknowledged);
        tcp[13] = 0x04;
    } else {
        tcp[8..12].copy_from_slice(&expected.to_be_bytes());
        tcp[13] = 0x14;
    }
    tcp[12] = 0x50;
    let sum = finish(pseudo_header(virtual_, client, Protocol::TCP, 20), &tcp);
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());

    let at =
        put_ip_header(packet, look, Ip { from: virtual_, protocol: Protocol::TCP, payload: 20, tos: 0, df: true })?;
    packet.bytes().get_mut(at..at + 20)?.copy_from_slice(&tcp);
    Some(leave(turn, packet, look, at + 20, Reason::NoConnection))
}

fn icmp(turn: &Turn<'_>, packet: &mut Packet<'_>, look: &Look, error: Error, reason: Reason) -> Decision {
    make_icmp(turn, packet, look, error, reason).unwrap_or(Decision::drop(reason))
}

fn make_icmp(turn: &Turn<'_>, packet: &mut Packet<'_>, look: &Look, error: Error, reason: Reason) -> Option<Decision> {
    let from = own_address(turn, packet.frame.port, look)?;
    let to = sender(look);
    let limited = error.v4 != Error::TOO_BIG.v4;
    if !is_single_host(to) || (limited && !turn.limiter.allows(turn.options, to, turn.now)) {
        return None;
    }
    let (protocol, (kind, code), header, most) = match look.family {
        Family::V4 => (Protocol::ICMP, error.v4, 20, 576),
        Family::V6 => (Protocol::ICMPV6, error.v6, 40, 1280),
    };
    let l3 = usize::from(look.l3);
    let quoted = usize::from(look.packet_len()).min(most - header - 8);
    let message_at = l3 + header;
    packet.bytes().get(..message_at + 8 + quoted)?;
    packet.bytes().copy_within(l3..l3 + quoted, message_at + 8);

    let length = (8 + quoted) as u16;
    put_ip_header(packet, look, Ip { from, protocol, payload: length, tos: ICMP_TOS, df: false })?;
    let message = packet.bytes().get_mut(message_at..message_at + 8 + quoted)?;
    message[..8].copy_from_slice(&[kind, code, 0, 0, 0, 0, 0, 0]);
    message[4..8].copy_from_slice(&error.word.to_be_bytes());
    let pseudo = match look.family {
        Family::V4 => 0,
        Family::V6 => pseudo_header(from, to, Protocol::ICMPV6, u32::from(length)),
    };
    let sum = finish(pseudo, message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    Some(leave(turn, packet, look, message_at + 8 + quoted, reason))
}

/// Whom an answer goes to.
fn sender(look: &Look) -> Addr {
    look.ends().0
}

/// Whether one host can have this address: errors are told to such only (RFC 1122 3.2.2, RFC 4443 2.4(e)), and
/// connections come from no others.
pub(super) fn is_single_host(address: Addr) -> bool {
    match address.family() {
        Family::V4 => {
            let first = address.low32() >> 24;
            first != 0 && first != 127 && first < 224
        }
        Family::V6 => address.hi >> 56 != 0xff && (address.hi, address.lo >> 1) != (0, 0),
    }
}

/// Errors about a request come from the virtual address, those about a reply from the director's address on that link.
fn own_address(turn: &Turn<'_>, port: PortId, look: &Look) -> Option<Addr> {
    match look.way {
        Way::In => Some(look.other.addr),
        Way::Out => {
            let port = turn.network.ports.get(usize::from(port.0))?;
            port.addresses.iter().copied().find(|address| address.family() == look.family)
        }
    }
}

/// The fields of an IP header of our own that differ from answer to answer.
struct Ip {
    from: Addr,
    protocol: u8,
    /// Bytes behind the header.
    payload: u16,
    tos: u8,
    df: bool,
}

/// Writes an IP header where the packet's was, addressed to its sender, and returns where it ends.
fn put_ip_header(packet: &mut Packet<'_>, look: &Look, ip: Ip) -> Option<usize> {
    let to = sender(look);
    let l3 = usize::from(look.l3);
    let frame = packet.bytes();
    match look.family {
        Family::V4 => {
            let header = frame.get_mut(l3..)?.first_chunk_mut::<20>()?;
            *header = [0; 20];
            header[0] = 0x45;
            header[1] = ip.tos;
            header[2..4].copy_from_slice(&(20 + ip.payload).to_be_bytes());
            header[6] = if ip.df { 0x40 } else { 0 };
            header[8] = TTL;
            header[9] = ip.protocol;
            header[12..16].copy_from_slice(&ip.from.low32().to_be_bytes());
            header[16..20].copy_from_slice(&to.low32().to_be_bytes());
            let sum = finish(0, header);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            Some(l3 + 20)
        }
        Family::V6 => {
            let header = frame.get_mut(l3..)?.first_chunk_mut::<40>()?;
            *header = [0; 40];
            header[0] = 0x60;
            header[4..6].copy_from_slice(&ip.payload.to_be_bytes());
            header[6] = ip.protocol;
            header[7] = TTL;
            header[8..24].copy_from_slice(&ip.from.octets());
            header[24..40].copy_from_slice(&to.octets());
            Some(l3 + 40)
        }
    }
}

/// Addresses the finished answer, by the route to the packet's sender; while that is not known, back where it came from.
fn leave(turn: &Turn<'_>, packet: &mut Packet<'_>, look: &Look, len: usize, reason: Reason) -> Decision {
    packet.frame.len = len as u16;
    let came_by = packet.frame.port;
    let hop = match turn.network.hop_to(sender(look)) {
        HopTo::Ready(id) => turn.network.hop(id),
        HopTo::Unresolved(_) | HopTo::NoRoute => None,
    };
    let port = match hop {
        Some(hop) => {
            super::rewrite::set_macs(packet.bytes(), hop);
            hop.port
        }
        None => {
            let Some(macs) = packet.bytes().first_chunk_mut::<12>() else { return Decision::drop(reason) };
            macs.rotate_left(6);
            came_by
        }
    };
    Decision::of(Verdict::Answer(port, reason))
}
