//! Client affinity: a template remembers which server a client's connections go to (`ip_vs_core.c:
//! ip_vs_sched_persist`).

use super::calls::CallName;
use super::lifecycle::SPENT;
use super::look::Look;
use super::{Packet, Turn};
use crate::conn::state::State;
use crate::conn::table::{Entry, Insert, Record, Slot};
use crate::conn::{FlowHash, FlowKey};
use crate::service::{Engine, PairFlags, PairId, Persistence, Server, Service, Side};
use crate::time::Ticks;
use crate::wire::{Addr, Protocol, sip};

/// A template, taken hold of by counting a new connection among its children.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) slot: Slot,
    pub(super) pair: PairId,
}

/// Whom a template is for, and what it is found by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    key: FlowKey,
    hash: FlowHash,
    call: Option<CallName>,
    timeout: Ticks,
}

impl Turn<'_> {
    /// Whom the template is for that a packet's client needs; `None` if the service tells calls apart, and the packet is of
    /// none.
    pub(super) fn client_of(
        &self,
        service: &Service,
        with: Persistence,
        packet: &mut Packet<'_>,
        look: &Look,
    ) -> Option<Client> {
        let (protocol, address) = (service.key.protocol, with.mask.of(look.key.client));
        let call = match service.engine {
            None => None,
            Some(Engine::Sip) => {
                let id = call_id(packet, look)?;
                let name = CallName::of(id);
                self.shared.calls.keep(name, id);
                Some(name)
            }
        };
        // One template for all protocols of a mark, one for all ports of a service.
        let key = call.map_or_else(|| FlowKey::template(protocol, address), |name| name.key(protocol, address));
        Some(Client { key, hash: self.table.hash(&key), call, timeout: with.timeout })
    }

    /// The client's template, one of its children more; `None` if it has none that is still good.
    pub(super) fn hold_template(&self, service: &Service, client: &Client) -> Option<Held> {
        let table = self.table;
        let slot = table.find(&client.key, client.hash, |entry| is_template_of(self, service, client, entry))?;
        let entry = table.entry(slot);
        let expired = entry.is_expired(self.now) && entry.children() == 0;
        let pair_id = PairId(entry.pair());
        let good = self.services.pair(pair_id).is_some_and(|pair| {
            let drained = self.options.expire_quiescent_template && pair.flags.has(PairFlags::DRAINED);
            // A template leads by the method it was made for; after a change of method a new one is made.
            let former = self.services.former.iter().any(|(former, _)| *former == pair_id);
            !drained && !former && !pair.flags.has(PairFlags::REMOVED)
        });
        if expired || !good {
            spend(entry);
            return None;
        }
        self.hold(slot).then_some(Held { slot, pair: pair_id })
    }

    /// Remembers that the client goes to `server`. `None` if the table has no room: the connection is then
    /// opened without affinity.
    pub(super) fn enter_template(&self, service: &Service, client: &Client, server: &Server) -> Option<Held> {
        let table = self.table;
        let generation = self.services.pair(server.pair)?.generation;
        let any_port = service.is_for_other_ports();
        let new = Record {
            pair: server.pair.0,
            generation,
            state: State::Template,
            flags: 0,
            timeout: client.timeout,
            last_seen: self.now,
            vport: if any_port { 0 } else { service.key.virtual_.port },
            rport: if any_port { 0 } else { server.real.port },
            control: None,
            hop: 0,
            epoch: 0,
            vip: client.call.map(CallName::beside),
        };
        let same = |entry: &_| is_template_of(self, service, client, entry);
        let slot = match table.insert_or_find(&client.key, client.hash, same, &new) {
            Insert::Inserted(slot) => {
                self.shared.loads.add_template(self.lane, server.pair, 1);
                slot
            }
            Insert::Found(slot) => slot,
            Insert::Full | Insert::Busy => return None,
        };
        // Another worker may have been faster: then its choice holds.
        let pair = PairId(table.entry(slot).pair());
        self.hold(slot).then_some(Held { slot, pair })
    }

    /// Gives up a hold that no connection came of.
    pub(super) fn release_template(&self, held: Held) {
        self.table.entry(held.slot).remove_child();
    }

    /// Counts a child before the state is looked at once more: either the sweeper sees the child, or we see that the
    /// template has ended.
    fn hold(&self, slot: Slot) -> bool {
        let entry = self.table.entry(slot);
        entry.add_child();
        if !matches!(entry.state_word().state(), State::Template | State::TemplateAssured) {
            entry.remove_child();
            return false;
        }
        entry.touch(self.now);
        true
    }
}

/// The Call-ID that a datagram carries.
fn call_id<'a>(packet: &'a mut Packet<'_>, look: &Look) -> Option<&'a [u8]> {
    const UDP_HEADER: usize = 8;
    let range = usize::from(look.l4) + UDP_HEADER..usize::from(look.end);
    let message = packet.bytes().get(range).filter(|_| look.protocol == Protocol::UDP)?;
    sip::call_id(message)
}

/// Whether the entry, which has the client's key, is a template of this service that may still be used.
fn is_template_of(turn: &Turn<'_>, service: &Service, client: &Client, entry: &Entry) -> bool {
    let beside = |name: CallName| {
        let [hi, lo] = turn.table.helper_words(turn.table.slot_of(entry));
        name.beside() == Addr { hi, lo }
    };
    let Some(pair) = turn.services.pairs.get(entry.pair() as usize) else { return false };
    pair.generation == entry.generation()
        && pair.end(Side::Virtual) == service.key.virtual_
        && entry.state_word().flags() & SPENT == 0
        && client.call.is_none_or(beside)
}

/// A template that leads nowhere is never found again; it ends once its connections have.
pub(super) fn spend(entry: &Entry) {
    let word = entry.state_word();
    // Lost to another worker, the change was made all the same, or will be by the next packet.
    let _ = entry.change_state(word, word.state(), word.flags() | SPENT);
}
