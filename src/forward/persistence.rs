//! Client affinity: a template remembers which server a client's connections go to (`ip_vs_core.c:
//! ip_vs_sched_persist`).

use super::lifecycle::SPENT;
use super::look::Look;
use super::{Forwarder, View};
use crate::conn::state::State;
use crate::conn::table::{Entry, Insert, Record, Slot};
use crate::conn::{FlowHash, FlowKey};
use crate::service::{PairFlags, PairId, Persistence, Server, Service, Side};
use crate::time::Tick;

/// A template, taken hold of by counting a new connection among its children.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) slot: Slot,
    pub(super) pair: PairId,
}

impl Forwarder {
    /// The template of the packet's client, one of its children more; `None` if it has none that is still good.
    pub(super) fn hold_template(
        &self,
        view: &View<'_>,
        service: &Service,
        persistence: Persistence,
        look: &Look,
        now: Tick,
    ) -> Option<Held> {
        let table = &self.shared.table;
        let (key, hash) = self.template_key(service, persistence, look);
        let slot = table.find(&key, hash, |entry| is_template_of(view, service, entry))?;
        let entry = table.entry(slot);
        let expired = entry.is_expired(now) && entry.children() == 0;
        let pair_id = PairId(entry.pair());
        let good = view.services.pair(pair_id).is_some_and(|pair| {
            let drained = view.options.expire_quiescent_template && pair.flags.has(PairFlags::DRAINED);
            // A template leads by the method it was made for; after a change of method a new one is made.
            let former = view.services.former.iter().any(|(former, _)| *former == pair_id);
            !drained && !former && !pair.flags.has(PairFlags::REMOVED)
        });
        if expired || !good {
            spend(entry);
            return None;
        }
        self.hold(slot, now).then_some(Held { slot, pair: pair_id })
    }

    /// Remembers that the packet's client goes to `server`. `None` if the table has no room: the connection is then
    /// opened without affinity.
    pub(super) fn enter_template(
        &self,
        view: &View<'_>,
        service: &Service,
        persistence: Persistence,
        server: &Server,
        look: &Look,
        now: Tick,
    ) -> Option<Held> {
        let table = &self.shared.table;
        let generation = view.services.pair(server.pair)?.generation;
        let (key, hash) = self.template_key(service, persistence, look);
        let any_port = service.is_for_other_ports();
        let new = Record {
            pair: server.pair.0,
            generation,
            state: State::Template,
            flags: 0,
            timeout: persistence.timeout,
            last_seen: now,
            vport: if any_port { 0 } else { service.key.virtual_.port },
            rport: if any_port { 0 } else { server.real.port },
            control: None,
            hop: 0,
            epoch: 0,
            vip: None,
        };
        let slot = match table.insert_or_find(&key, hash, |entry| is_template_of(view, service, entry), &new) {
            Insert::Inserted(slot) => {
                self.shared.loads.add_template(self.lane, server.pair, 1);
                slot
            }
            Insert::Found(slot) => slot,
            Insert::Full | Insert::Busy => return None,
        };
        // Another worker may have been faster: then its choice holds.
        let pair = PairId(table.entry(slot).pair());
        self.hold(slot, now).then_some(Held { slot, pair })
    }

    /// Gives up a hold that no connection came of.
    pub(super) fn release_template(&self, held: Held) {
        self.shared.table.entry(held.slot).remove_child();
    }

    /// One template for all protocols of a mark, one for all ports of a service.
    fn template_key(&self, service: &Service, persistence: Persistence, look: &Look) -> (FlowKey, FlowHash) {
        let key = FlowKey::template(service.key.protocol, persistence.mask.of(look.key.client));
        (key, self.shared.table.hash(&key))
    }

    /// Counts a child before the state is looked at once more: either the sweeper sees the child, or we see that the
    /// template has ended.
    fn hold(&self, slot: Slot, now: Tick) -> bool {
        let entry = self.shared.table.entry(slot);
        entry.add_child();
        if !matches!(entry.state_word().state(), State::Template | State::TemplateAssured) {
            entry.remove_child();
            return false;
        }
        entry.touch(now);
        true
    }
}

/// Whether the entry is a template of this service that may still be used.
fn is_template_of(view: &View<'_>, service: &Service, entry: &Entry) -> bool {
    let Some(pair) = view.services.pairs.get(entry.pair() as usize) else { return false };
    pair.generation == entry.generation()
        && pair.end(Side::Virtual) == service.key.virtual_
        && entry.state_word().flags() & SPENT == 0
}

/// A template that leads nowhere is never found again; it ends once its connections have.
fn spend(entry: &Entry) {
    let word = entry.state_word();
    // Lost to another worker, the change was made all the same, or will be by the next packet.
    let _ = entry.change_state(word, word.state(), word.flags() | SPENT);
}
