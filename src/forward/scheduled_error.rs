//! ICMP errors about packets of no known connection, from the clients' side: by choice they are scheduled as packets of their
//! client would be (`net.ipv4.vs.schedule_icmp`; `ip_vs_core.c: ip_vs_try_to_schedule`).
//!
//! Where several directors stand beside each other, an error may come to one that does not know its connection. If all
//! schedule alike (`mh`, `sh`), it reaches the right server all the same.

use super::look::{Look, Way};
use super::message::Message;
use super::open::{FTP_DATA, may_connect};
use super::{Decision, Packet, Reason, Turn};
use crate::conn::table::Slot;
use crate::service::{Asked, Service};
use crate::time::Ticks;
use crate::wire::Endpoint;

/// How long a connection lasts of which no packet has come yet (`ip_vs_conn.c: ip_vs_conn_new`).
const NEW_LASTS: Ticks = Ticks::from_secs(3);

impl Turn<'_> {
    /// Sends an error about a packet from `virtual_` to `client` where a packet of the client would go. `None`: it is nobody's.
    pub(super) fn schedule_error(
        &self,
        packet: &mut Packet<'_>,
        message: &Message,
        (client, virtual_): (Endpoint, Endpoint),
    ) -> Option<Decision> {
        if !self.options.schedule_icmp || !message.is_sound(packet.bytes()) {
            return None;
        }
        let look = message.look(self, Way::In, client, virtual_);
        let quoted = Look { protocol: message.quote.protocol, ..look };
        match self.open_for_error(packet, &quoted)? {
            Ok(slot) => self.about(packet, message, &look, slot),
            Err(decision) => Some(decision),
        }
    }

    /// Opens the connection that a packet of the client which `look` has would open. Unless more is heard of it, it ends soon.
    fn open_for_error(&self, packet: &mut Packet<'_>, look: &Look) -> Option<Result<Slot, Decision>> {
        let asked =
            Asked { port: packet.frame.port, protocol: look.protocol, source: look.client(), destination: look.other };
        let to_it = |service: &&Service| {
            let beside = service.key.mark().is_none() && look.other.port != service.key.virtual_.port;
            !service.one_packet && (!beside || service.persistence.is_some())
        };
        let service = self.services.service_of(&asked).filter(to_it).filter(|_| look.key.port() != FTP_DATA)?;
        if !may_connect(self, look.key.client) {
            return Some(Err(Decision::drop(Reason::BadSource)));
        }
        if self.shared.defence.drops_packet() {
            return Some(Err(Decision::drop(Reason::Defence)));
        }
        if !self.admits(service) {
            return Some(Err(Decision::drop(Reason::Limit)));
        }
        let client = match service.persistence {
            None => None,
            // The error has no call.
            Some(_) if service.engine.is_some() => return Some(Err(Decision::drop(Reason::NoCallId))),
            Some(with) => self.client_of(service, with, packet, look),
        };
        // No error is sent about an error.
        let choice = self.choose(service, client, look).ok_or(Decision::drop(Reason::NoServer));
        let slot = choice.and_then(|choice| self.admit(look, service, choice));
        if let Ok(slot) = slot {
            self.table.entry(slot).set_timeout(NEW_LASTS);
        }
        Some(slot)
    }
}
