//! The connection that a packet belongs to.

use super::{Turn, wide};
use crate::conn::table::{Entry, Slot, StateWord};
use crate::service::{Pair, PairId};

/// A connection as a packet finds it.
#[derive(Clone, Copy)]
pub(super) struct Connection<'a> {
    pub(super) slot: Slot,
    /// What is in the slot.
    pub(super) entry: &'a Entry,
    /// State and flags, which the packet may change.
    pub(super) word: StateWord,
    pub(super) id: PairId,
    /// The pair of this id; of a wide one, as it is for this connection once [`Connection::narrow`] has made it.
    pub(super) pair: &'a Pair,
}

impl<'a> Connection<'a> {
    /// What is in a slot of the table now; `None` if its pair is known no more.
    #[inline(always)]
    pub(super) fn at(turn: &Turn<'a>, slot: Slot) -> Option<Self> {
        let entry = turn.table.entry(slot);
        let id = PairId(entry.pair());
        let pair = turn.services.pair(id)?;
        Some(Self { slot, entry, word: entry.state_word(), id, pair })
    }

    /// Service and server, with their number.
    #[inline(always)]
    pub(super) fn numbered(self) -> (PairId, &'a Pair) {
        (self.id, self.pair)
    }

    /// Its own pair, where that of its id leaves ends open.
    pub(super) fn narrow(self, turn: &Turn<'_>) -> Pair {
        wide::pair_of(turn, self.pair, self.entry)
    }

    /// The same connection with another pair.
    pub(super) fn by<'b>(self, pair: &'b Pair) -> Connection<'b>
    where
        'a: 'b,
    {
        Connection { pair, ..self }
    }

    /// Whether its time has run out.
    #[inline(always)]
    pub(super) fn is_expired(self, turn: &Turn<'_>) -> bool {
        self.entry.is_expired(turn.now)
    }
}
