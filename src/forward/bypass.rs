//! Past all servers: what a service by mark has nobody for goes on to the address that it was sent to, as it is
//! (`ip_vs_core.c: ip_vs_leave`, `ip_vs_xmit.c: ip_vs_bypass_xmit`; `net.ipv4.vs.cache_bypass`).
//!
//! Such services stand before transparent caches: where no cache is left, the origin answers. Its connections are entered
//! all the same, so that they stay what they are when a cache returns. They belong to a pair without a server, whose real
//! end is each connection's own virtual one ([`PairFlags::BYPASS`](crate::service::PairFlags::BYPASS)), and count for
//! nobody.

use super::look::Look;
use super::open::Choice;
use super::{Decision, Packet, Turn, answer};
use crate::service::Service;

impl Turn<'_> {
    /// Lets a packet past that would open a connection. `None`: the service refuses it, or the packet is for the director
    /// itself or for no single host.
    #[cold]
    pub(super) fn bypass(&self, packet: &mut Packet<'_>, look: &Look, service: &Service) -> Option<Decision> {
        let server = service.bypass?;
        let to = look.other.addr;
        (answer::is_single_host(to) && !self.is_own(to))
            .then(|| self.begin(packet, look, service, Choice { server, held: None }))
    }
}
