//! Which entries peers are told of, and when.
//!
//! The kernel decides at each packet (`ip_vs_sync_conn_needed`). Our workers have no time for that, and entries no room
//! for a count of packets: the sender is shown entries, by the sweep as it comes round and by a queue of slots whose state
//! has changed, and compares them with the [`Ledger`]. What comes of it:
//!
//! - A connection is told of once it is established (the kernel: with its third packet, if there is one), and again at
//!   each change of state. One that is over before it was told of is not worth the message.
//! - UDP has no states: it is told of when it is met again with a packet since, so that single questions stay untold.
//! - As long as packets come it is told of again, each [`Pace::refresh`] or half its timeout if that is sooner, so that
//!   peers' entries do not end before ours, and losses heal.
//! - A template is told of when it is met, and when it has been used again.

use super::Ledger;
use super::ledger::{Note, Word};
use super::states;
use super::wire::{Flags, SyncRecord};
use crate::conn::State;
use crate::conn::table::{Entry, Slot};
use crate::forward::lifecycle::{NO_OUTPUT, SPENT};
use crate::service::{Method, PairFlags, PairId, Services, Side};
use crate::time::{TICKS_PER_SECOND, Tick, Ticks};
use crate::wire::Endpoint;

/// No refresh comes sooner after the last one (`ip_vs_sync_conn_needed`: ten seconds).
const SOONEST: Ticks = Ticks::from_secs(10);

/// How often the same is told again (`net.ipv4.vs.sync_refresh_period`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The time between two messages about a connection that goes on in the same state.
    pub refresh: Ticks,
}

impl Default for Pace {
    fn default() -> Self {
        Self { refresh: Ticks::from_secs(60) }
    }
}

impl Pace {
    /// For an entry that lasts `timeout` without a packet.
    fn of(self, timeout: Ticks) -> Ticks {
        self.refresh.min(Ticks(timeout.0 / 2).max(SOONEST))
    }
}

/// Decides about entries; see the module documentation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sender {
    /// How often.
    pub pace: Pace,
    /// Of persistent services only the templates are told (`net.ipv4.vs.sync_persist_mode`).
    pub templates_only: bool,
}

impl Sender {
    /// Judges an entry that is live; the record to send, if its peers are to be told, is noted as told.
    pub fn observe(&self, ledger: &mut Ledger, services: &Services, slot: Slot, entry: &Entry) -> Option<SyncRecord> {
        let state = entry.state_word();
        let (note, seen) = (ledger.note(slot), entry.last_seen());
        let known = note.is_about(state);
        let due = if known { self.is_due_again(note, state.state(), entry) } else { is_news(note, state.state()) };
        if !due {
            if !known {
                ledger.write(slot, Note::new(state, seen, Word::Unsaid));
            }
            return None;
        }
        let record = self.record(services, entry, entry.timeout())?;
        ledger.write(slot, Note::new(state, seen, Word::Ours));
        Some(record)
    }

    /// The same state as before: whether enough has happened.
    fn is_due_again(&self, note: Note, state: State, entry: &Entry) -> bool {
        let since = entry.last_seen().since(note.seen);
        match note.word {
            _ if since == Ticks(0) => false,
            Word::Unsaid => state == State::Udp,
            Word::Ours | Word::Theirs => states::is_told(state) && since >= self.pace.of(entry.timeout()),
        }
    }

    /// An entry with the life that is left to it at `now`, for who asks for everything.
    pub fn snapshot(&self, services: &Services, entry: &Entry, now: Tick) -> Option<SyncRecord> {
        let left = entry.timeout().0.saturating_sub(now.since(entry.last_seen()).0);
        let told = left != 0 && states::is_told(entry.state()) && !states::is_over(entry.state());
        told.then(|| self.record(services, entry, Ticks(left))).flatten()
    }

    /// An entry that has ended before its time, though peers know of it: what they should forget.
    pub fn ended(
        &self,
        ledger: &mut Ledger,
        services: &Services,
        slot: Slot,
        entry: &Entry,
        now: Tick,
    ) -> Option<SyncRecord> {
        let note = ledger.note(slot);
        ledger.write(slot, Note::default());
        let untimely = note.word == Word::Ours && !entry.is_expired(now);
        let mut record = untimely.then(|| self.record(services, entry, Ticks(0))).flatten()?;
        record.state = states::to_wire(entry.state_word().ended_in())?;
        Some(record)
    }

    /// The entry as a record; `None` if it is not for others: its server is gone, its template spent, or its two sides are
    /// of different families, which records cannot tell.
    fn record(&self, services: &Services, entry: &Entry, lasts: Ticks) -> Option<SyncRecord> {
        let word = entry.state_word();
        let pair = services.pair(PairId(entry.pair())).filter(|pair| pair.generation == entry.generation())?;
        let key = entry.key();
        let end = |side, port| Endpoint { port, ..pair.end(side) };
        let (virtual_, real) = (end(Side::Virtual, entry.vport()), end(Side::Real, entry.rport()));
        let one_family = key.client.family() == virtual_.addr.family() && key.client.family() == real.addr.family();
        let covered = self.templates_only && !key.is_template() && entry.control().is_some();
        if pair.flags.has(PairFlags::REMOVED) || word.flags() & SPENT != 0 || !one_family || covered {
            return None;
        }
        let state = if word.is_live() { word.state() } else { word.ended_in() };
        let method = match pair.method {
            Method::Nat => Flags(0),
            Method::Dr => Flags::DIRECT,
            Method::Tun => Flags::TUNNEL,
        };
        let flags = method
            .with_if(word.flags() & NO_OUTPUT != 0, Flags::NO_OUTPUT)
            .with_if(!state.is_active(), Flags::INACTIVE)
            .with_if(key.is_template(), Flags::TEMPLATE.with_if(pair.method != Method::Nat, Flags::NO_OUTPUT));
        Some(SyncRecord {
            protocol: key.protocol(),
            flags,
            state: states::to_wire(state)?,
            fwmark: 0,
            timeout: lasts.0.div_ceil(TICKS_PER_SECOND),
            client: Endpoint { addr: key.client, port: key.port() },
            virtual_,
            real,
        })
    }
}

/// Whether a state that was not seen before is to be told.
fn is_news(note: Note, state: State) -> bool {
    match state {
        State::Udp => false,
        over if states::is_over(over) => note.word != Word::Unsaid,
        other => states::is_told(other),
    }
}

#[cfg(test)]
mod tests;
