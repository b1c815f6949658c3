//! Where a packet of a known connection goes next.

use std::hint::select_unpredictable as select;

use super::look::{Look, Way};
use super::{Connection, Turn};
use crate::service::{Hop, HopId, HopTo, NextHop, Side};

/// The way to the packet's next hop.
pub(super) enum Onward<'a> {
    Hop(&'a Hop),
    Wait(NextHop),
    NoRoute,
}

/// The hop that the pair (to the server) or the entry (back to the client) remembers, if it is still good: an entry's is
/// as long as no route or neighbour has changed.
#[inline(always)]
pub(super) fn known_hop<'a>(turn: &Turn<'a>, connection: Connection<'_>, look: &Look) -> Option<&'a Hop> {
    let fresh = connection.entry.epoch() == turn.network.epoch;
    let to_client = select(fresh, connection.entry.hop(), HopId::NONE.0);
    let id = select(look.way == Way::In, connection.pair.hop.0, to_client);
    turn.network.hop(HopId(id))
}

/// The neighbour that this packet would have to wait for, if any.
pub(super) fn missing_neighbour(turn: &Turn<'_>, connection: Connection<'_>, look: &Look) -> Option<NextHop> {
    match known_hop(turn, connection, look) {
        Some(_) => None,
        None => match find_hop(turn, connection, look) {
            Onward::Wait(next) => Some(next),
            Onward::Hop(_) | Onward::NoRoute => None,
        },
    }
}

/// Looks the hop up by route and neighbour, and has the entry remember the one back to the client.
#[cold]
#[inline(never)]
pub(super) fn find_hop<'a>(turn: &Turn<'a>, connection: Connection<'_>, look: &Look) -> Onward<'a> {
    let to = match look.way {
        Way::In => connection.pair.ends[Side::Real as usize],
        Way::Out => look.key.client,
    };
    match turn.network.hop_to(to) {
        HopTo::Ready(id) => {
            if look.way == Way::Out {
                connection.entry.set_hop(id.0, turn.network.epoch);
            }
            turn.network.hop(id).map_or(Onward::NoRoute, Onward::Hop)
        }
        HopTo::Unresolved(next) => Onward::Wait(next),
        HopTo::NoRoute => Onward::NoRoute,
    }
}
