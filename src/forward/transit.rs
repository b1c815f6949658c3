//! Packets that are only passing through.
//!
//! A NAT server of a service for all ports or by mark answers from any port, so that whatever it sends is steered to the
//! workers. What of it belongs to no connection (a server that fetches its updates, say) is routed here as the kernel
//! would, since a worker cannot give it back.

use super::look::Look;
use super::{Decision, Forwarder, Packet, Verdict, View, answer, rewrite};
use crate::service::HopTo;
use crate::wire::checksum::Delta;

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
        if look.packet_len() > hop.mtu {
            return answer::too_big(view, packet, look, hop.mtu);
        }
        if packet.may_be_unfinished && rewrite::complete_checksum(packet.bytes(), look) {
            self.counters.checksum_completed.add(1);
        }
        rewrite::age(packet.bytes(), look, Delta::new());
        packet.frame.len = look.end;
        rewrite::set_macs(packet.bytes(), hop);
        Decision::of(Verdict::Transmit(hop.port))
    }
}
