//! ICMP errors about connections: who quotes a packet that the director has rewritten must be rewritten too
//! (`ip_vs_core.c: ip_vs_in_icmp`, `ip_vs_out_icmp`; RFC 5508 4.2).
//!
//! An error from the client's side quotes a packet to the client, and goes on to the server by the connection's method.
//! One from the server's side, by the server itself or a router before it, quotes a packet to the server, and goes on to
//! the client as if the virtual server had sent it. In NAT addresses and ports are put right, outside and inside; what
//! checksum the quoted packet had stays, as it was worked out by others. Neither state nor clock of the connection moves.
//!
//! Errors about tunnel packets are [`super::tunnel_error`]'s; echo and the like are the kernel's.

use super::full::FullEnds;
use super::look::{Look, Way};
use super::rewrite::{self, End};
use super::{Connection, Decision, Packet, Reason, Turn, Verdict, established, header_options, lifecycle};
use crate::conn::FlowKey;
use crate::conn::table::Slot;
use crate::service::{HopTo, Method, Pair, PairFlags, PairId, Side};
use crate::wire::checksum::{Delta, finish, fold, pseudo_header, sum};
use crate::wire::{Addr, Endpoint, Family, Parsed, Protocol, TcpFlags, parse};

/// Length of the header that ICMP and ICMPv6 errors have in front of the quote, in bytes.
pub(super) const HEADER: u16 = 8;

/// ICMP types that are errors about a packet (RFC 792), as far as LVS handles them.
const V4_UNREACHABLE: u8 = 3;
const V4_SOURCE_QUENCH: u8 = 4;
const V4_TIME_EXCEEDED: u8 = 11;
/// ICMPv6 types from here on are no errors (RFC 4443 2.1).
const V6_FIRST_QUERY: u8 = 128;

/// An ICMP error, read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    /// The packet that it came in.
    pub(super) outer: Parsed,
    /// Its type and code.
    pub(super) kind: u8,
    pub(super) code: u8,
    /// The second word of its header.
    pub(super) word: u32,
    /// The packet it is about.
    pub(super) quote: Quote,
}

/// A quoted packet, of which more than the first bytes behind the IP header may be missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quote {
    pub(super) source: Addr,
    pub(super) destination: Addr,
    /// Source and destination port; `None` for protocols without ports, and where they are not quoted.
    pub(super) ports: Option<[u16; 2]>,
    pub(super) protocol: u8,
    /// Offsets in the frame.
    pub(super) l3: u16,
    pub(super) l4: u16,
}

impl Quote {
    /// Reads the packet that begins at `l3` in a frame whose packet ends at `end`. Only the first fragment has what it is
    /// looked up by.
    pub(super) fn read(frame: &[u8], l3: u16, end: u16, family: Family) -> Option<Quote> {
        let packet = frame.get(usize::from(l3)..usize::from(end))?;
        let (source, destination, protocol, header_len) = match family {
            Family::V4 => {
                let header = packet.first_chunk::<20>()?;
                let address = |at: usize| {
                    Addr::v4(u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]))
                };
                let later = (header[6] & 0x1f, header[7]) != (0, 0);
                if header[0] >> 4 != 4 || later {
                    return None;
                }
                (address(12), address(16), header[9], u16::from(header[0] & 0x0f) * 4)
            }
            Family::V6 => {
                let (protocol, header_len) = skip_extensions(packet)?;
                let (addresses, _) = packet.get(8..40)?.as_chunks::<16>();
                (Addr::v6(addresses[0]), Addr::v6(addresses[1]), protocol, header_len)
            }
        };
        let at = usize::from(header_len);
        let has_ports = matches!(protocol, Protocol::TCP | Protocol::UDP | Protocol::SCTP);
        let ports = match packet.get(at..at + 4) {
            Some(ports) if has_ports => {
                Some([u16::from_be_bytes([ports[0], ports[1]]), u16::from_be_bytes([ports[2], ports[3]])])
            }
            _ => None,
        };
        (at >= 20 && at <= packet.len()).then_some(Quote {
            source,
            destination,
            ports,
            protocol,
            l3,
            l4: l3 + header_len,
        })
    }

    /// Its two ends.
    pub(super) fn ends(&self) -> Option<[Endpoint; 2]> {
        let [from, to] = self.ports?;
        Some([Endpoint { addr: self.source, port: from }, Endpoint { addr: self.destination, port: to }])
    }
}

/// What follows the headers of a quoted IPv6 packet, and their length. `None`: they are not all there, or it is a later
/// fragment.
fn skip_extensions(packet: &[u8]) -> Option<(u8, u16)> {
    let (mut next, mut at) = (*packet.get(6)?, 40usize);
    if packet[0] >> 4 != 6 {
        return None;
    }
    loop {
        let length = match next {
            // Hop-by-hop options, routing, destination options (RFC 8200 4.3, 4.4, 4.6).
            0 | 43 | 60 => 8 * (1 + usize::from(*packet.get(at + 1)?)),
            // A fragment (RFC 8200 4.5).
            44 if packet.get(at + 2..at + 4)?.iter().zip([0xff, 0xf8]).all(|(byte, mask)| byte & mask == 0) => 8,
            44 => return None,
            _ => return Some((next, u16::try_from(at).ok()?)),
        };
        next = *packet.get(at)?;
        at += length;
    }
}

impl Message {
    /// Reads the error in a frame. `None`: it is none, or nothing that can be looked up.
    pub(super) fn read(frame: &[u8]) -> Option<Message> {
        let outer = parse(frame).ok()?;
        let header = frame.get(usize::from(outer.l4)..usize::from(outer.end))?.first_chunk::<8>()?;
        let (kind, code) = (header[0], header[1]);
        let is_error = match outer.family() {
            Family::V4 => matches!(kind, V4_UNREACHABLE | V4_SOURCE_QUENCH | V4_TIME_EXCEEDED),
            Family::V6 => kind < V6_FIRST_QUERY,
        };
        if !is_error {
            return None;
        }
        let quote = Quote::read(frame, outer.l4 + HEADER, outer.end, outer.family())?;
        let word = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        Some(Message { outer, kind, code, word, quote })
    }

    /// Whether its checksum is right.
    pub(super) fn is_sound(&self, frame: &[u8]) -> bool {
        let Some(message) = frame.get(usize::from(self.outer.l4)..usize::from(self.outer.end)) else { return false };
        fold(self.pseudo_header() + sum(message)) == 0xffff
    }

    fn pseudo_header(&self) -> u64 {
        let Parsed { source, destination, l4, end, .. } = self.outer;
        match self.outer.family() {
            Family::V4 => 0,
            Family::V6 => pseudo_header(source, destination, Protocol::ICMPV6, u32::from(end - l4)),
        }
    }

    /// The message as a packet of the connection that `look` finds.
    pub(super) fn look(&self, turn: &Turn<'_>, way: Way, client: Endpoint, other: Endpoint) -> Look {
        let key = FlowKey::connection(self.quote.protocol, client.addr, client.port);
        let Parsed { l3, l4, end, protocol, ttl, .. } = self.outer;
        let hash = turn.table.hash(&key);
        let family = self.outer.family();
        Look { key, hash, other, l3, l4, end, protocol, flags: TcpFlags(0), ttl, way, family }
    }
}

impl Turn<'_> {
    /// Decides about an ICMP packet.
    #[cold]
    #[inline(never)]
    pub(super) fn message(&self, packet: &mut Packet<'_>) -> Decision {
        let Some(message) = Message::read(packet.bytes()) else { return Decision::of(Verdict::Pass) };
        if let Some(decision) = self.tunnel_error(packet, &message) {
            return decision;
        }
        let Some([from, to]) = message.quote.ends() else { return Decision::of(Verdict::Pass) };
        // Quoted are packets to the client, or from it.
        for (way, client, other) in [(Way::In, to, from), (Way::Out, from, to)] {
            let look = message.look(self, way, client, other);
            if let Some(found) = self.find_lasting(&look) {
                return self.about(packet, &message, &look, found).unwrap_or(Decision::of(Verdict::Pass));
            }
        }
        self.schedule_error(packet, &message, (to, from)).unwrap_or(Decision::of(Verdict::Pass))
    }

    /// The connection that `look` finds, unless its time has run out: then it ends here, as it would with a packet of it.
    pub(super) fn find_lasting(&self, look: &Look) -> Option<Slot> {
        let found = self.table.find(&look.key, look.hash, |entry| established::belongs(self, entry, look))?;
        let entry = self.table.entry(found);
        if entry.is_expired(self.now) {
            lifecycle::end(self.shared, self.lane, found, entry.state_word());
            return None;
        }
        Some(found)
    }

    /// An error about a packet of the connection in `found`; `None` if that has just come to its end.
    pub(super) fn about(
        &self,
        packet: &mut Packet<'_>,
        message: &Message,
        look: &Look,
        found: Slot,
    ) -> Option<Decision> {
        let connection = Connection::at(self, found)?;
        let (id, flags) = (connection.id, connection.pair.flags);
        let pair = match flags.has_any(PairFlags::WIDE.with(PairFlags::FULL)) {
            true => connection.narrow(self),
            false => *connection.pair,
        };
        let full = match flags.has(PairFlags::FULL) {
            true => Some(self.full_ends(look, connection)?),
            false => None,
        };
        Some(self.relay(packet, message, look, (id, &pair), full.as_ref()).for_pair(id))
    }

    /// Sends the error on to the other side of its connection.
    fn relay(
        &self,
        packet: &mut Packet<'_>,
        message: &Message,
        look: &Look,
        (id, pair): (PairId, &Pair),
        full: Option<&FullEnds>,
    ) -> Decision {
        if !message.is_sound(packet.bytes()) || !header_options::is_sound(packet.bytes(), look.l3, look.family) {
            return Decision::drop(Reason::BadChecksum);
        }
        let to = match look.way {
            Way::In => pair.ends[Side::Real as usize],
            Way::Out => full.map_or(message.outer.destination, |ends| ends.client.addr),
        };
        let hop = match self.network.hop_to(to) {
            HopTo::Unresolved(next) => return self.wait_for(next),
            HopTo::Ready(hop) => self.network.hop(hop),
            HopTo::NoRoute => None,
        };
        // No error is sent about an error (RFC 1122 3.2.2, RFC 4443 2.4(e)).
        let Some(hop) = hop else { return Decision::drop(Reason::NoRoute) };
        let limit = self.limit(id, pair, hop);
        let fits = look.packet_len() <= limit;
        // What comes from the server has passed the kernel's router before LVS sees it, which may refuse it.
        let refused = match look.way {
            Way::In => false,
            Way::Out => look.ttl <= 1 || !(fits || established::may_be_cut(self, packet, look, pair, limit)),
        };
        if refused {
            return Decision::drop(if look.ttl <= 1 { Reason::TtlExpired } else { Reason::TooBig });
        }
        self.count(id, pair, look);
        if look.ttl <= 1 {
            return Decision::drop(Reason::TtlExpired);
        }
        if pair.method == Method::Nat {
            translate(packet.bytes(), message, look, pair, full);
        } else {
            rewrite::age(packet.bytes(), look, Delta::new());
        }
        let sent = self.launch(packet, look, (id, pair), hop);
        match sent.verdict() {
            Verdict::Transmit(port) if !fits => Decision::of(Verdict::Cut(port, self.path_mtu(id, pair, hop))),
            _ => sent,
        }
    }
}

/// Puts addresses, ports and checksums right, outside and inside, and decrements the TTL.
fn translate(frame: &mut [u8], message: &Message, look: &Look, pair: &Pair, full: Option<&FullEnds>) {
    let mut outer = message.outer;
    match look.way {
        Way::In => {
            turn(frame, message, look, End::Destination, outer.destination, pair.end(Side::Real));
            outer.destination = pair.ends[Side::Real as usize];
            if let Some(FullEnds { local, .. }) = full {
                turn(frame, message, look, End::Source, outer.source, *local);
                outer.source = local.addr;
            }
        }
        Way::Out => {
            // Not always the server's: a router before it may be the one who speaks.
            turn(frame, message, look, End::Source, outer.source, pair.end(Side::Virtual));
            outer.source = pair.ends[Side::Virtual as usize];
            if let Some(ends) = full {
                turn(frame, message, look, End::Destination, outer.destination, ends.client);
                outer.destination = ends.client.addr;
                ends.renumber(frame, &message.quote);
            }
        }
    }
    rewrite::age(frame, look, Delta::new());

    let (l3, l4) = (usize::from(message.quote.l3), usize::from(message.quote.l4));
    if look.family == Family::V4
        && let Some(header) = frame.get_mut(l3..l4)
    {
        header[10..12].fill(0);
        let sum = finish(0, header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    // Worked out anew: it was right before, and the message is short.
    let pseudo = Message { outer, ..*message }.pseudo_header();
    if let Some(message) = frame.get_mut(usize::from(look.l4)..usize::from(look.end)) {
        message[2..4].fill(0);
        let sum = finish(pseudo, message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Puts one end in the place of another: outside, where `old` stands at `end`, and at the other end inside, since the
/// quoted packet went the other way.
fn turn(frame: &mut [u8], message: &Message, look: &Look, end: End, old: Addr, new: Endpoint) {
    rewrite::write_address(frame, usize::from(look.l3), look.family, end, new.addr);
    rewrite::correct_header(frame, look, Delta::new().replace_addr(old, new.addr));
    let inside = match end {
        End::Source => End::Destination,
        End::Destination => End::Source,
    };
    rewrite::write_address(frame, usize::from(message.quote.l3), look.family, inside, new.addr);
    let at = usize::from(message.quote.l4) + 2 * inside as usize;
    if let Some(port) = frame.get_mut(at..at + 2) {
        port.copy_from_slice(&new.port.to_be_bytes());
    }
}
