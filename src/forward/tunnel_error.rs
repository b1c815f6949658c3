//! ICMP errors about the director's own tunnel packets: a router on the way to a server, or the server itself, speaks to
//! the director, and the client is to hear of it (`ip_vs_core.c: ip_vs_in_icmp`, where it looks for IPIP).
//!
//! "Fragmentation needed" also teaches what size fits the way to that server ([`super::path_mtu`]). The kernel knows
//! errors about IPv4 headers only; here those about IPv6 headers count as well.

use super::look::{Look, Way};
use super::message::{Message, Quote};
use super::{Decision, Packet, Reason, Turn, Verdict, answer};
use crate::conn::FlowKey;
use crate::service::{HopTo, Method, Pair, PairId, Side, Tunnel};
use crate::wire::{Family, Protocol, TcpFlags};

impl Turn<'_> {
    /// Handles the error, if it is about a tunnel packet of ours.
    pub(super) fn tunnel_error(&self, packet: &mut Packet<'_>, message: &Message) -> Option<Decision> {
        if !self.is_own(message.outer.destination) {
            return None;
        }
        let (tunnel, inner_l3, inner_family) = tunnelled(packet.bytes(), &message.quote)?;
        let inner = Quote::read(packet.bytes(), inner_l3, message.outer.end, inner_family)?;
        let [client, virtual_] = inner.ends()?;
        let key = FlowKey::connection(inner.protocol, client.addr, client.port);
        let look = Look {
            key,
            hash: self.table.hash(&key),
            other: virtual_,
            l3: message.outer.l3,
            l4: message.outer.l3 + (inner.l4 - inner.l3),
            end: message.outer.l3 + (message.outer.end - inner.l3),
            protocol: inner.protocol,
            flags: TcpFlags(0),
            ttl: 0,
            way: Way::In,
            family: inner_family,
        };
        let found = self.find_lasting(&look)?;
        let id = PairId(self.table.entry(found).pair());
        let pair = self.services.pair(id)?;
        if !is_kind(pair.method, tunnel) || pair.ends[Side::Real as usize] != message.quote.destination {
            return None;
        }
        if !message.is_sound(packet.bytes()) {
            return Some(Decision::drop(Reason::BadChecksum).for_pair(id));
        }
        Some(self.tell_client(packet, message, &look, inner.l3, (id, pair)).for_pair(id))
    }

    fn tell_client(
        &self,
        packet: &mut Packet<'_>,
        message: &Message,
        look: &Look,
        inner_l3: u16,
        (id, pair): (PairId, &Pair),
    ) -> Decision {
        // Nothing is touched before there is a way to the client.
        if let HopTo::Unresolved(next) = self.network.hop_to(look.key.client) {
            return self.wait_for(next);
        }
        let mut error = answer::Error::relayed(message.outer.family(), message.kind, message.code);
        if answer::is_too_big(message.outer.family(), message.kind, message.code) {
            let size = self.learn(message, (id, pair));
            if look.family == Family::V4 && may_be_cut(packet.bytes(), inner_l3) {
                // The client does not want to know; its packets are cut from now on.
                return Decision::drop(Reason::TunnelError);
            }
            error.word = u32::from(size.saturating_sub(u16::from(pair.overhead)));
        }
        // The quoted packet takes the place of the one that came.
        let frame = packet.bytes();
        let (from, to) = (usize::from(inner_l3), usize::from(look.l3));
        frame.copy_within(from..usize::from(message.outer.end), to);
        if let Some(ethertype) = frame.get_mut(to - 2..to) {
            ethertype.copy_from_slice(match look.family {
                Family::V4 => &[0x08, 0x00],
                Family::V6 => &[0x86, 0xdd],
            });
        }
        packet.frame.len = look.end;
        let decision = answer::relayed(self, packet, look, error);
        // To the kernel, the packet it takes the quote from counts as one from the server.
        self.count(id, pair, &Look { way: Way::Out, ..*look });
        if let Verdict::Answer(..) = decision.verdict() {
            self.count_answer(id, packet, look);
        }
        decision
    }

    /// Learns the size that fits, and returns the one the client is to be told, tunnel header included.
    fn learn(&self, message: &Message, (id, pair): (PairId, &Pair)) -> u16 {
        let server = pair.ends[Side::Real as usize];
        let first = match self.network.hop_to(server) {
            HopTo::Ready(hop) => self.network.hop(hop).map_or(u16::MAX, |hop| hop.mtu),
            HopTo::Unresolved(_) | HopTo::NoRoute => u16::MAX,
        };
        let before = self.shared.path_mtus.of(id, first, self.now);
        let told = match message.outer.family() {
            Family::V4 => message.word & 0xffff,
            Family::V6 => message.word,
        };
        self.shared.path_mtus.learn(self.services, server, told, before, self.now);
        if self.options.tunnel_error_tells_new_mtu { self.shared.path_mtus.of(id, first, self.now) } else { before }
    }
}

/// The kind of tunnel that a quoted packet was in, and where in the frame the packet within begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ipip,
    Gre,
    /// To this port.
    Gue(u16),
}

fn tunnelled(frame: &[u8], quote: &Quote) -> Option<(Kind, u16, Family)> {
    let header = frame.get(usize::from(quote.l4)..)?;
    match quote.protocol {
        Protocol::IPIP => Some((Kind::Ipip, quote.l4, Family::V4)),
        Protocol::IPV6 => Some((Kind::Ipip, quote.l4, Family::V6)),
        Protocol::GRE => {
            let header = header.first_chunk::<4>()?;
            let family = match [header[2], header[3]] {
                [0x08, 0x00] => Family::V4,
                [0x86, 0xdd] => Family::V6,
                _ => return None,
            };
            // A checksum takes four bytes more (RFC 2784 2.1).
            Some((Kind::Gre, quote.l4 + if header[0] & 0x80 == 0 { 4 } else { 8 }, family))
        }
        Protocol::UDP => {
            let [_, port] = quote.ports?;
            // Behind the UDP header: variant 0, a data message without options.
            let gue = header.get(8..12)?;
            let family = match (gue[0], gue[1]) {
                (0, Protocol::IPIP) => Family::V4,
                (0, Protocol::IPV6) => Family::V6,
                _ => return None,
            };
            Some((Kind::Gue(port), quote.l4 + 12, family))
        }
        _ => None,
    }
}

fn is_kind(method: Method, kind: Kind) -> bool {
    match method {
        Method::Tun(Tunnel::Ipip) => kind == Kind::Ipip,
        Method::Tun(Tunnel::Gre { .. }) => kind == Kind::Gre,
        Method::Tun(Tunnel::Gue { port, .. }) => kind == Kind::Gue(port),
        Method::Nat | Method::Dr | Method::Full => false,
    }
}

/// Whether the IPv4 packet at `l3` has no DF bit.
fn may_be_cut(frame: &[u8], l3: u16) -> bool {
    frame.get(usize::from(l3) + 6).is_none_or(|bits| bits & 0x40 == 0)
}
