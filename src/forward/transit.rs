//! Packets that are only passing through.
//!
//! A NAT server of a service for all ports or by mark answers from any port, so that whatever it sends is steered to the
//! workers. What of it belongs to no connection (a server that fetches its updates, say) is routed here as the kernel
//! would, since a worker cannot give it back. The same goes for fragments from a NAT server and for ICMP errors about
//! packets to one: they are steered here before anybody can tell whose they are.

use super::look::Look;
use super::message::Message;
use super::{Decision, Forwarder, Packet, Reason, Verdict, View, answer, established, rewrite};
use crate::service::{Hop, HopTo, Pair};
use crate::wire::checksum::Delta;
use crate::wire::{Fragment, Parsed, parse};

impl Forwarder {
    /// A packet of no connection and to no service, read as if it came from a server: routed if it comes from one that
    /// answers from any port, else the kernel's.
    pub(super) fn pass_on(&self, view: &View<'_>, packet: &mut Packet<'_>, look: &Look) -> Decision {
        let (source, destination) = look.ends();
        if !view.services.is_wide_server(source) {
            return Decision::of(Verdict::Pass);
        }
        let hop = match view.network.hop_to(destination) {
            HopTo::Ready(id) => view.network.hop(id),
            HopTo::Unresolved(next) => return self.wait_for(next),
            HopTo::NoRoute => None,
        };
        let Some(hop) = hop else { return answer::unreachable_host(view, packet, look) };
        if look.ttl <= 1 {
            return answer::ttl_expired(view, packet, look);
        }
        let Some(verdict) = way_out(view, packet, look, hop) else {
            return answer::too_big(view, packet, look, hop.mtu);
        };
        if packet.may_be_unfinished && rewrite::complete_checksum(packet.bytes(), look) {
            self.counters.checksum_completed.add(1);
        }
        send_on(packet, look, hop);
        Decision::of(verdict)
    }

    /// Passes on what is nobody's. The kernel cannot have back what was steered here, so that what is neither for a virtual
    /// address nor for the director itself is routed here, as the kernel would have.
    #[cold]
    #[inline(never)]
    pub(super) fn route(&self, view: &View<'_>, packet: &mut Packet<'_>) -> Decision {
        let Some(parsed) = self.to_be_routed(view, packet) else { return Decision::of(Verdict::Pass) };
        let hop = match view.network.hop_to(parsed.destination) {
            HopTo::Ready(hop) => view.network.hop(hop),
            HopTo::Unresolved(next) => return self.wait_for(next),
            HopTo::NoRoute => None,
        };
        let Some(hop) = hop else { return Decision::of(Verdict::Pass) };
        if parsed.ttl <= 1 {
            return Decision::drop(Reason::TtlExpired);
        }
        let look = Look::of(&parsed, &view.services.vips, &self.shared.table);
        let Some(verdict) = way_out(view, packet, &look, hop) else { return Decision::drop(Reason::TooBig) };
        send_on(packet, &look, hop);
        Decision::of(verdict)
    }

    /// What was taken from the kernel's way because it comes from a NAT server or is about a packet to one.
    fn to_be_routed(&self, view: &View<'_>, packet: &mut Packet<'_>) -> Option<Parsed> {
        let parsed = parse(packet.bytes()).ok()?;
        let about = Message::read(packet.bytes()).map(|message| message.quote.destination);
        let Parsed { source, destination, .. } = parsed;
        let taken = [Some(source), about].into_iter().flatten().any(|address| view.services.is_nat_server(address));
        let own = [source, destination].into_iter().any(|address| view.is_own(address));
        (taken && !own && answer::is_single_host(destination)).then_some(parsed)
    }

    /// Whether a fragment is one that the director puts together: to a virtual address, or from a NAT server.
    pub(super) fn is_ours(view: &View<'_>, parsed: &Parsed) -> bool {
        let Parsed { source, destination, .. } = *parsed;
        debug_assert_ne!(parsed.fragment, Fragment::Whole);
        view.services.vips.may_contain(destination)
            || (view.services.is_nat_server(source)
                && (!view.is_own(destination) || view.services.is_local(destination)))
    }
}

/// How a packet leaves by `hop`: whole, or in pieces if it may. `None`: not at all.
fn way_out(view: &View<'_>, packet: &Packet<'_>, look: &Look, hop: &Hop) -> Option<Verdict> {
    if look.packet_len() <= hop.mtu {
        return Some(Verdict::Transmit(hop.port));
    }
    // The way of no pair: without a tunnel.
    let cut = established::may_be_cut(view, packet, look, &Pair::default(), hop.mtu);
    cut.then_some(Verdict::Cut(hop.port, hop.mtu))
}

/// Decrements the TTL and addresses the frame.
fn send_on(packet: &mut Packet<'_>, look: &Look, hop: &Hop) {
    rewrite::age(packet.bytes(), look, Delta::new());
    packet.frame.len = look.end;
    rewrite::set_macs(packet.bytes(), hop);
}
