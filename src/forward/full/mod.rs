//! Full NAT: the client's end is rewritten as well, so that a server sees the director as its client and needs no route
//! back through it. Beyond LVS; asked for as in DPVS (`FNAT`).
//!
//! ```text
//! client C ──▶ VIP V        entry {C}: the connection, with its state, time and counts
//!     ▲                        │  ▲    beside it: the slot of the local end, what is handed on
//!     │                        ▼  │
//!     └──── director L ──▶ server R   entry {L}: the local end, found by what the server sends to L
//! ```
//!
//! A connection is two entries of the table. The *connection* is the one of any method, and takes the same way through
//! this module's neighbours: to them, full NAT is NAT. The *local end* has the director's address and port in place of
//! the client's, so that a server's reply finds it by the very lookup that finds connections; all that it knows is whose
//! it is. Each names the slot of the other, and neither is believed unless both agree (`local`).
//!
//! A request becomes the NAT's, then its source becomes the local end (`hand_on` may add to it). A reply's destination
//! becomes the client, then it is NAT's. Pairs carry [`PairFlags::FULL`](crate::service::PairFlags::FULL), so that no
//! connection of another method comes by here.

mod ends;
mod hand_on;
mod local;

pub(super) use ends::FullEnds;
pub use local::{LocalEnd, fate, first_end};

use super::look::{Look, Way};
use super::rewrite::{self, End};
use super::{Decision, Forwarder, Packet, Reason, Verdict, View, wide};
use crate::conn::FlowKey;
use crate::conn::table::{Slot, StateWord};
use crate::service::{HopTo, Pair, PairId, Side};
use crate::time::Tick;
use crate::wire::checksum::Delta;
use crate::wire::{Addr, Endpoint};
use hand_on::Handing;
use local::Beside;

/// The words beside a connection that has no local end yet.
pub(super) const NO_WORDS: Addr = Addr { hi: 0, lo: 0 };

/// A packet's connection, with what lies beside it.
struct Connection<'a> {
    slot: Slot,
    id: PairId,
    /// As it is for this connection.
    pair: &'a Pair,
    client: Endpoint,
    local: Endpoint,
}

impl Forwarder {
    /// Sends on a packet of the connection in `slot`, from either side.
    #[cold]
    #[inline(never)]
    pub(super) fn forward_full(
        &self,
        view: &View<'_>,
        packet: &mut Packet<'_>,
        look: &Look,
        (slot, word): (Slot, StateWord),
        (id, pair): (PairId, &Pair),
        now: Tick,
    ) -> Decision {
        let table = &self.shared.table;
        let beside = Beside::of(table, slot);
        // Another worker has made the connection in this moment, and is about to give it its local end.
        let Some(local) = beside.local_end(table, slot) else {
            return Decision::drop(Reason::TableBusy).for_pair(id);
        };
        let entry = table.entry(slot);
        let its = wide::pair_of(view, pair, entry);
        let key = entry.key();
        let connection = Connection { slot, id, pair: &its, client: end_of(&key), local };
        match look.way {
            Way::In => self.full_request(view, packet, look, &connection, beside, word, now),
            Way::Out => self.full_reply(view, packet, &Look { key, ..*look }, &connection, beside, word, now),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one packet; called in one place")]
    fn full_request(
        &self,
        view: &View<'_>,
        packet: &mut Packet<'_>,
        look: &Look,
        connection: &Connection<'_>,
        beside: Beside,
        word: StateWord,
        now: Tick,
    ) -> Decision {
        let Connection { slot, id, pair, client, local } = *connection;
        let entry = self.shared.table.entry(slot);
        let handing = Handing::of(view, packet, look, connection, beside);
        let decision = self.forward(view, packet, look, (id, pair), (entry, word), now);
        let room = match decision.verdict() {
            Verdict::Transmit(_) => mtu_towards(view, pair),
            // It is cut afterwards, however long it is.
            Verdict::Cut(..) => u16::MAX,
            _ => return decision,
        };
        handing.note(&self.shared.table, slot, beside);
        set_end(packet, look, End::Source, client, local);
        let key = FlowKey::connection(look.protocol, local.addr, local.port);
        let translated = Look { key, other: pair.end(Side::Real), ..*look };
        match handing.carry_out(packet, &translated, room) {
            Some(()) => decision,
            None => Decision::drop(Reason::TooBig).for_pair(id),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one packet; called in one place")]
    fn full_reply(
        &self,
        view: &View<'_>,
        packet: &mut Packet<'_>,
        look: &Look,
        connection: &Connection<'_>,
        beside: Beside,
        word: StateWord,
        now: Tick,
    ) -> Decision {
        let Connection { slot, id, pair, client, local } = *connection;
        let entry = self.shared.table.entry(slot);
        self.forward_prepared(view, packet, look, (id, pair), (entry, word), now, |packet| {
            let key = FlowKey::connection(look.protocol, local.addr, local.port);
            let arrived = Look { key, ..*look };
            if std::mem::take(&mut packet.may_be_unfinished) && rewrite::complete_checksum(packet.bytes(), &arrived) {
                self.counters.checksum_completed.add(1);
            }
            hand_on::translate_reply(view, &self.shared.table, packet, &arrived, connection, beside);
            set_end(packet, look, End::Destination, local, client);
        })
    }
}

fn end_of(key: &FlowKey) -> Endpoint {
    Endpoint { addr: key.client, port: key.port() }
}

/// Replaces one end of the packet, and corrects the checksums.
fn set_end(packet: &mut Packet<'_>, look: &Look, end: End, old: Endpoint, new: Endpoint) {
    let address = Delta::new().replace_addr(old.addr, new.addr);
    rewrite::set_end(packet.bytes(), look, end, new, address.replace(old.port, new.port));
    rewrite::correct_header(packet.bytes(), look, address);
}

/// What fits the way to the pair's server, in bytes of IP.
fn mtu_towards(view: &View<'_>, pair: &Pair) -> u16 {
    match view.network.hop_to(pair.ends[Side::Real as usize]) {
        HopTo::Ready(id) => view.network.hop(id).map_or(0, |hop| hop.mtu),
        HopTo::Unresolved(_) | HopTo::NoRoute => 0,
    }
}
