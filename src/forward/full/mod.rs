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
use super::{Connection, Decision, Packet, Reason, Turn, Verdict};
use crate::conn::FlowKey;
use crate::service::{HopTo, Pair, Side};
use crate::wire::checksum::Delta;
use crate::wire::{Addr, Endpoint};
use hand_on::Handing;
use local::Beside;

/// The words beside a connection that has no local end yet.
pub(super) const NO_WORDS: Addr = Addr { hi: 0, lo: 0 };

/// A packet's connection by full NAT.
struct FullConnection<'a> {
    /// With its own pair.
    half: Connection<'a>,
    client: Endpoint,
    local: Endpoint,
    /// What lies beside its entry.
    beside: Beside,
}

impl Turn<'_> {
    /// Sends on a packet of a connection, from either side.
    #[cold]
    #[inline(never)]
    pub(super) fn forward_full(&self, packet: &mut Packet<'_>, look: &Look, connection: Connection<'_>) -> Decision {
        let beside = Beside::of(self.table, connection.slot);
        // Another worker has made the connection in this moment, and is about to give it its local end.
        let Some(local) = beside.local_end(self.table, connection.slot) else {
            return Decision::drop(Reason::TableBusy).for_pair(connection.id);
        };
        let its = connection.narrow(self);
        let key = connection.entry.key();
        let full = FullConnection { half: connection.by(&its), client: end_of(&key), local, beside };
        match look.way {
            Way::In => self.full_request(packet, look, &full),
            Way::Out => self.full_reply(packet, &Look { key, ..*look }, &full),
        }
    }

    fn full_request(&self, packet: &mut Packet<'_>, look: &Look, full: &FullConnection<'_>) -> Decision {
        let FullConnection { half, client, local, beside } = *full;
        let handing = Handing::of(self, packet, look, full);
        let decision = self.forward(packet, look, half);
        let room = match decision.verdict() {
            Verdict::Transmit(_) => mtu_towards(self, half.pair),
            // It is cut afterwards, however long it is.
            Verdict::Cut(..) => u16::MAX,
            _ => return decision,
        };
        handing.note(self.table, half.slot, beside);
        set_end(packet, look, End::Source, client, local);
        let key = FlowKey::connection(look.protocol, local.addr, local.port);
        let translated = Look { key, other: half.pair.end(Side::Real), ..*look };
        match handing.carry_out(packet, &translated, room) {
            Some(()) => decision,
            None => Decision::drop(Reason::TooBig).for_pair(half.id),
        }
    }

    fn full_reply(&self, packet: &mut Packet<'_>, look: &Look, full: &FullConnection<'_>) -> Decision {
        let FullConnection { half, client, local, .. } = *full;
        self.forward_prepared(packet, look, half, |packet| {
            let key = FlowKey::connection(look.protocol, local.addr, local.port);
            let arrived = Look { key, ..*look };
            self.complete(packet, &arrived);
            hand_on::translate_reply(self, packet, &arrived, full);
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
fn mtu_towards(turn: &Turn<'_>, pair: &Pair) -> u16 {
    match turn.network.hop_to(pair.ends[Side::Real as usize]) {
        HopTo::Ready(id) => turn.network.hop(id).map_or(0, |hop| hop.mtu),
        HopTo::Unresolved(_) | HopTo::NoRoute => 0,
    }
}
