//! One-packet scheduling: a datagram is sent to a server and forgotten (`ip_vs_core.c: ip_vs_schedule`, flag
//! `IP_VS_CONN_F_ONE_PACKET`).
//!
//! Nothing is entered into the table, so that replies are translated for nobody: NAT servers are reached, but answer from
//! their own address. A persistence engine has them translated all the same, see [`super::outward`].

use super::look::{Look, Way};
use super::{Decision, Packet, Reason, Turn, wide};
use crate::service::{HopTo, Server, Service, Side};

impl Turn<'_> {
    /// Sends one datagram to `server`, or from it. It counts as a connection of one packet.
    pub(super) fn send_once(
        &self,
        packet: &mut Packet<'_>,
        look: &Look,
        service: &Service,
        server: &Server,
    ) -> Decision {
        let Some(pair) = self.services.pair(server.pair) else { return Decision::drop(Reason::ServerRemoved) };
        let (its, to) = match look.way {
            Way::In => {
                let its = pair.of_connection(look.other, wide::real_port(service, server, look.other.port));
                (its, its.ends[Side::Real as usize])
            }
            Way::Out => (*pair, look.key.client),
        };
        let hop = match self.network.hop_to(to) {
            HopTo::Ready(id) => self.network.hop(id),
            HopTo::Unresolved(next) => return self.wait_for(next).for_pair(server.pair),
            HopTo::NoRoute => None,
        };
        self.count_connection(server.pair, pair);
        self.dispatch(packet, look, (server.pair, &its), hop, |_| ())
    }
}
