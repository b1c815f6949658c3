//! Where a packet of a known connection goes next.

use std::hint::select_unpredictable as select;

use super::View;
use super::look::{Look, Way};
use crate::conn::table::Entry;
use crate::service::{Hop, HopId, HopTo, NextHop, Pair, Side};

/// The way to the packet's next hop.
pub(super) enum Onward<'a> {
    Hop(&'a Hop),
    Wait(NextHop),
    NoRoute,
}

/// The hop that the pair (to the server) or the entry (back to the client) remembers, if it is still good: an entry's is
/// as long as no route or neighbour has changed.
#[inline(always)]
pub(super) fn known_hop<'a>(view: &View<'a>, pair: &Pair, entry: &Entry, look: &Look) -> Option<&'a Hop> {
    let fresh = entry.epoch() == view.network.epoch;
    let to_client = select(fresh, entry.hop(), HopId::NONE.0);
    let id = select(look.way == Way::In, pair.hop.0, to_client);
    view.network.hop(HopId(id))
}

/// The neighbour that this packet would have to wait for, if any.
pub(super) fn missing_neighbour(view: &View<'_>, pair: &Pair, entry: &Entry, look: &Look) -> Option<NextHop> {
    match known_hop(view, pair, entry, look) {
        Some(_) => None,
        None => match find_hop(view, pair, entry, look) {
            Onward::Wait(next) => Some(next),
            Onward::Hop(_) | Onward::NoRoute => None,
        },
    }
}

/// Looks the hop up by route and neighbour, and has the entry remember the one back to the client.
#[cold]
#[inline(never)]
pub(super) fn find_hop<'a>(view: &View<'a>, pair: &Pair, entry: &Entry, look: &Look) -> Onward<'a> {
    let to = match look.way {
        Way::In => pair.ends[Side::Real as usize],
        Way::Out => look.key.client,
    };
    match view.network.hop_to(to) {
        HopTo::Ready(id) => {
            if look.way == Way::Out {
                entry.set_hop(id.0, view.network.epoch);
            }
            view.network.hop(id).map_or(Onward::NoRoute, Onward::Hop)
        }
        HopTo::Unresolved(next) => Onward::Wait(next),
        HopTo::NoRoute => Onward::NoRoute,
    }
}
