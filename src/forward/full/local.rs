//! Local ends: who has which, how they are found free, and when they are free again.
//!
//! There is no list of free ports. A local end is taken by inserting its entry, which the table refuses if another
//! connection to the same server's port has it; it is free once the sweep finds that its connection is gone. So nothing
//! can leak, several workers need not agree, and all of it outlives the process with the table. Where to look next is a
//! counter for each pair that only goes on: ports come around as late as possible, when the server has long forgotten
//! their last connection. A worker gives up after [`ATTEMPTS`]; the next connection goes on from there.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::conn::state::State;
use crate::conn::table::{Entry, Fate, Insert, Listed, Record, Slot};
use crate::conn::{FlowKey, Table};
use crate::forward::lifecycle::{FULL, LOCAL_END};
use crate::forward::look::{Look, Way};
use crate::forward::{Connection, Reason, Turn};
use crate::service::{Pair, PairFlags, PairId, Service, Side};
use crate::time::Ticks;
use crate::wire::Endpoint;

/// How many local ends are tried for one connection: some ten microseconds' worth.
const ATTEMPTS: u32 = 512;

/// A local end does not time out by itself.
const FOR_EVER: Ticks = Ticks(u32::MAX);

/// Bits of the lower word beside a connection, above the slot of the local end.
const SHIFT_AT: u32 = 32;
const NOTES_AT: u32 = 40;

/// What is kept beside a connection.
///
/// The lower word is `{slot of the local end + 1 u32, length of the header handed on u8, notes u8}`, the upper one
/// `{client's first number u32, server's first number u32}`, lowest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Beside {
    /// Slot number + 1 of the local end; 0 while there is none.
    pub(super) local: u32,
    /// By how many bytes the client's stream is longer at the server.
    pub(super) shift: u8,
    /// What is known: bits of [`notes`].
    pub(super) notes: u8,
    /// The number of the client's first byte.
    pub(super) client_first: u32,
    /// The number of the server's first byte.
    pub(super) server_first: u32,
}

/// Bits of [`Beside::notes`].
pub(super) mod notes {
    /// The client's SYN was seen.
    pub(in crate::forward::full) const ASKED: u8 = 1;
    /// The server's SYN was seen.
    pub(in crate::forward::full) const ANSWERED: u8 = 2;
    /// The server has acknowledged the header in front of the stream.
    pub(in crate::forward::full) const HEARD: u8 = 4;
}

impl Beside {
    pub(super) fn of(table: &Table, slot: Slot) -> Self {
        Self::from_words(table.helper_words(slot))
    }

    fn from_words([hi, lo]: [u64; 2]) -> Self {
        Self {
            local: lo as u32,
            shift: (lo >> SHIFT_AT) as u8,
            notes: (lo >> NOTES_AT) as u8,
            client_first: hi as u32,
            server_first: (hi >> 32) as u32,
        }
    }

    fn to_words(self) -> [u64; 2] {
        let lo = u64::from(self.local) | u64::from(self.shift) << SHIFT_AT | u64::from(self.notes) << NOTES_AT;
        [u64::from(self.client_first) | u64::from(self.server_first) << 32, lo]
    }

    pub(super) fn knows(self, note: u8) -> bool {
        self.notes & note != 0
    }

    /// Writes it down if it is not what is there already. Packets of both directions at once may each write what the other
    /// has not seen yet; what is lost so comes again, for each note is told by more than one packet.
    pub(super) fn keep(self, table: &Table, slot: Slot, before: Beside) {
        if self != before {
            table.set_helper_words(slot, self.to_words());
        }
    }

    /// The local end of the connection in `slot`, if both know each other.
    pub(super) fn local_end(self, table: &Table, slot: Slot) -> Option<Endpoint> {
        let other = table.slot(self.local.checked_sub(1)?)?;
        let (connection, local) = (table.entry(slot), table.entry(other));
        let word = local.state_word();
        let theirs = word.is_live() && word.flags() & LOCAL_END != 0 && local.hop() == slot.number();
        (theirs && of_one_pair(connection, local)).then(|| super::end_of(&local.key()))
    }
}

fn of_one_pair(a: &Entry, b: &Entry) -> bool {
    a.pair() == b.pair() && a.generation() == b.generation()
}

/// The connection that a local end belongs to, if both know each other.
fn connection_of(table: &Table, local: &Entry) -> Option<Slot> {
    let slot = table.slot(local.hop())?;
    let connection = table.entry(slot);
    let word = connection.state_word();
    let known = word.is_live() && word.flags() & FULL != 0 && of_one_pair(connection, local);
    let named = || Beside::of(table, slot).local.checked_sub(1) == Some(table.slot_of(local).number());
    (known && named()).then_some(slot)
}

/// What the sweeper does with a local end: it ends once its connection has.
pub fn fate(table: &Table, local: &Entry) -> Fate {
    // One whose connection is just being made is not known to it yet; the connection's pair is the same by then.
    let young = |slot: Slot| table.entry(slot).state_word().flags() & FULL != 0 && Beside::of(table, slot).local == 0;
    let making = table.slot(local.hop()).is_some_and(|slot| table.entry(slot).state_word().is_live() && young(slot));
    if making || connection_of(table, local).is_some() { Fate::Keep } else { Fate::Kill }
}

/// Where the search for a local end of this pair begins: pairs begin far from each other, so that two services on one
/// server seldom meet.
pub fn first_end(pair: usize) -> AtomicU32 {
    AtomicU32::new((pair as u32).wrapping_mul(0x9e37_79b9))
}

/// Full NAT's part of a listed entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalEnd {
    /// The entry is a local end, and no connection of its own.
    Itself,
    /// The entry is a connection that servers see as coming from here.
    Of(Endpoint),
}

impl LocalEnd {
    /// What full NAT has to do with an entry, if anything.
    pub fn of(table: &Table, listed: &Listed) -> Option<Self> {
        let flags = listed.record.flags;
        if flags & LOCAL_END != 0 {
            return Some(Self::Itself);
        }
        if flags & FULL == 0 {
            return None;
        }
        Beside::of(table, listed.slot).local_end(table, listed.slot).map(Self::Of)
    }
}

impl<'a> Turn<'a> {
    /// The connection that a packet `found` by itself or by its local end. `None` if the packet came from the wrong side, or
    /// the connection has ended.
    pub(in crate::forward) fn full_connection<'b>(&self, look: &Look, found: Connection<'b>) -> Option<Connection<'b>>
    where
        'a: 'b,
    {
        let by_local_end = found.word.flags() & LOCAL_END != 0;
        let slot = match (by_local_end, look.way) {
            (true, Way::Out) => connection_of(self.table, found.entry)?,
            (false, Way::In) => found.slot,
            _ => return None,
        };
        let entry = self.table.entry(slot);
        Some(Connection { slot, entry, word: entry.state_word(), ..found })
    }

    /// Gives the connection that was just entered as `made` its local end, if its pair is one of full NAT.
    pub(in crate::forward) fn take_local(
        &self,
        service: &Service,
        pair: &Pair,
        made: &Record,
        look: &Look,
        slot: Slot,
    ) -> Result<(), Reason> {
        if !pair.flags.has(PairFlags::FULL) {
            return Ok(());
        }
        let full = service.full.as_ref().ok_or(Reason::NoLocalEnd)?;
        let cursor = self.shared.local_ends.get(made.pair as usize).ok_or(Reason::NoLocalEnd)?;
        let real = Endpoint { addr: pair.ends[Side::Real as usize], port: made.rport };
        let record = Record {
            flags: LOCAL_END,
            state: State::Established,
            timeout: FOR_EVER,
            control: None,
            hop: slot.number(),
            vip: None,
            ..*made
        };
        let mut refusal = Reason::NoLocalEnd;
        for _ in 0..ATTEMPTS.min(full.room()) {
            let Some(local) = full.local(cursor.fetch_add(1, Ordering::Relaxed)) else { break };
            let key = FlowKey::connection(look.protocol, local.addr, local.port);
            let taken = |entry: &Entry| is_towards(self, entry, real);
            match self.table.insert_or_find(&key, self.table.hash(&key), taken, &record) {
                Insert::Inserted(local) => {
                    Beside { local: local.number() + 1, ..Beside::default() }.keep(self.table, slot, Beside::default());
                    return Ok(());
                }
                Insert::Found(_) => {}
                // Another end has other places in the table.
                Insert::Full => refusal = Reason::TableFull,
                Insert::Busy => refusal = Reason::TableBusy,
            }
        }
        Err(refusal)
    }
}

/// Whether the entry is a local end towards this server's port, by whatever service.
fn is_towards(turn: &Turn<'_>, entry: &Entry, real: Endpoint) -> bool {
    let pair = turn.services.pair(PairId(entry.pair())).filter(|pair| pair.generation == entry.generation());
    let towards = |pair: &Pair| Endpoint { addr: pair.ends[Side::Real as usize], port: entry.rport() };
    entry.state_word().flags() & LOCAL_END != 0 && pair.is_some_and(|pair| towards(pair) == real)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_keep_all_of_it(
            local in any::<u32>(), shift in any::<u8>(), notes in any::<u8>(),
            client_first in any::<u32>(), server_first in any::<u32>(),
        ) {
            let beside = Beside { local, shift, notes, client_first, server_first };
            prop_assert_eq!(Beside::from_words(beside.to_words()), beside);
        }
    }

    #[test]
    fn nothing_is_known_of_no_words() {
        let crate::wire::Addr { hi, lo } = super::super::NO_WORDS;
        assert_eq!(Beside::from_words([hi, lo]), Beside::default());
    }
}
