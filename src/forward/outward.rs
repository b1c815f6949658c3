//! What a NAT server sends from the port of its service without a connection: it may begin one, where a persistence engine
//! knows whose it is (`ip_vs_core.c: __ip_vs_rs_conn_out`, `ip_vs_new_conn_out`), or be told that there is none.
//!
//! A proxy of SIP calls its clients as well as they call it. It has to do so from the virtual address, and the answers have
//! to come back to the server that the call belongs to: so the datagram enters the call's template, and a connection that
//! belongs to it.

use super::look::Look;
use super::open::Choice;
use super::persistence::{Client, Held, spend};
use super::{Decision, Packet, Turn, answer};
use crate::service::{Server, Service};
use crate::wire::{Protocol, SctpEvent};

impl Turn<'_> {
    /// Decides about a packet of no connection from the port of a NAT server to the client that `look` has; `None` if it is
    /// nobody's.
    #[cold]
    #[inline(never)]
    pub(super) fn stray_of_server(&self, packet: &mut Packet<'_>, look: &Look) -> Option<Decision> {
        if let Some(decision) = self.uncovered(packet, look) {
            return Some(decision);
        }
        let (service, server) = self.services.served_from(look.protocol, look.other)?;
        if let Some(decision) = self.begun_by(packet, look, (service, server)) {
            return Some(decision);
        }
        // Who has given up himself is not told (`ip_vs_core.c: ip_vs_out_hook`).
        let gives_up = look.flags.rst() || packet.sctp_event(look) == Some(SctpEvent::Abort);
        (self.options.nat_icmp_send && !gives_up).then(|| answer::not_connected(self, packet, look))
    }

    /// Opens a connection for a datagram that a server begins with. `None`: it is of no call, or what the client is to see of
    /// the server is not known, as with a mark or with all ports.
    fn begun_by(
        &self,
        packet: &mut Packet<'_>,
        look: &Look,
        (service, server): (&Service, &Server),
    ) -> Option<Decision> {
        if service.engine.is_none() || service.key.protocol != Protocol::UDP || service.key.virtual_.port == 0 {
            return None;
        }
        let held = match service.persistence {
            None => None,
            Some(with) => {
                let client = self.client_of(service, with, packet, look)?;
                self.hold_for(service, &client, server)
            }
        };
        Some(self.begin(packet, look, service, Choice { server: *server, held }))
    }

    /// The call's template, which leads to this server from now on.
    fn hold_for(&self, service: &Service, client: &Client, server: &Server) -> Option<Held> {
        if let Some(held) = self.hold_template(service, client) {
            if held.pair == server.pair {
                return Some(held);
            }
            self.release_template(held);
            spend(self.table.entry(held.slot));
        }
        self.enter_template(service, client, server)
    }
}
