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
use crate::conn::table::{Entry, Slot};
use crate::conn::{State, Table};
use crate::forward::calls::Calls;
use crate::forward::lifecycle::{NO_OUTPUT, SPENT};
use crate::forward::wide;
use crate::service::{Method, Pair, PairFlags, PairId, Services, Side};
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

/// Where entries are found, and what their pairs are.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The table.
    pub table: &'a Table,
    /// The plan.
    pub services: &'a Services,
    /// The text of Call-IDs.
    pub calls: &'a Calls,
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
    /// Judges a live entry; the record to send, if its peers are to be told, is noted as told.
    pub fn observe(&self, ledger: &mut Ledger, facts: Facts<'_>, slot: Slot) -> Option<SyncRecord> {
        let entry = facts.table.entry(slot);
        let state = entry.state_word();
        let (note, seen) = (ledger.note(slot), entry.last_seen());
        let known = note.is_about(state);
        let due = if known { self.is_due_again(note, state.state(), entry) } else { is_news(note, state.state()) };
        let record = due.then(|| self.record(facts, slot, entry.timeout())).flatten();
        if record.is_some() || !known {
            let word = if record.is_some() { Word::Ours } else { Word::Unsaid };
            ledger.write(slot, Note::new(state, seen, word));
        }
        record
    }

    /// The same state as before: whether enough has happened.
    fn is_due_again(&self, note: Note, state: State, entry: &Entry) -> bool {
        let since = entry.last_seen().since(note.seen);
        match note.word {
            _ if since == Ticks(0) => false,
            // A call's text may have come meanwhile.
            Word::Unsaid => matches!(state, State::Udp | State::Template | State::TemplateAssured),
            Word::Ours | Word::Theirs => states::is_told(state) && since >= self.pace.of(entry.timeout()),
        }
    }

    /// An entry with the life that is left to it at `now`, for who asks for everything.
    pub fn snapshot(&self, facts: Facts<'_>, slot: Slot, now: Tick) -> Option<SyncRecord> {
        let entry = facts.table.entry(slot);
        let left = entry.timeout().0.saturating_sub(now.since(entry.last_seen()).0);
        let told = left != 0 && states::is_told(entry.state()) && !states::is_over(entry.state());
        told.then(|| self.record(facts, slot, Ticks(left))).flatten()
    }

    /// An entry that has ended. The record of what peers should forget, if it ended before its time and they know of it.
    pub fn ended(&self, ledger: &mut Ledger, facts: Facts<'_>, slot: Slot, now: Tick) -> Option<SyncRecord> {
        let note = ledger.note(slot);
        ledger.write(slot, Note::default());
        let untimely = note.word == Word::Ours && !facts.table.entry(slot).is_expired(now);
        untimely.then(|| self.record(facts, slot, Ticks(0))).flatten()
    }

    /// An entry, live or just ended, as a record. `None` if it is not for others: its server is gone (unless it has ended), its template spent,
    /// its client's port not known yet, its sequence numbers moved by what only this director has seen, its local
    /// end this director's own (full NAT), its two sides of different families, which records cannot tell, or the text of its
    /// call is not known at the moment.
    fn record(&self, facts: Facts<'_>, slot: Slot, lasts: Ticks) -> Option<SyncRecord> {
        let entry = facts.table.entry(slot);
        let (word, key) = (entry.state_word(), entry.key());
        let id = PairId(entry.pair());
        let pair = facts.services.pair(id).filter(|pair| pair.generation == entry.generation())?;
        let is_template = key.is_template();
        let virtual_ = match is_template {
            true => Endpoint { port: entry.vport(), ..pair.end(Side::Virtual) },
            false => wide::virtual_end(facts.table, pair, entry),
        };
        let real = Endpoint { port: entry.rport(), ..pair.end(Side::Real) };
        let family = key.client.family();
        // Of a removed server there is nothing more to tell but that its connections have ended.
        let has_server = if word.is_live() { pair.counts() } else { !pair.flags.has(PairFlags::BYPASS) };
        let told = has_server
            && word.flags() & SPENT == 0
            && (is_template || key.port() != 0)
            && !(pair.flags.has(PairFlags::FTP) && facts.table.helper_word(slot) != 0)
            && (is_template || !pair.flags.has(PairFlags::FULL))
            && !(self.templates_only && !is_template && entry.control().is_some())
            && [virtual_, real].iter().all(|end| end.addr.family() == family);
        let call = key.is_call().then(|| facts.calls.text(facts.table.vip(entry)));
        if call == Some(None) {
            return None;
        }
        let state = if word.is_live() { word.state() } else { word.ended_in() };
        told.then_some(SyncRecord {
            protocol: key.protocol(),
            flags: flags(pair, state, word.flags(), is_template),
            state: states::to_wire(state)?,
            fwmark: pair.service_key().mark().unwrap_or(0),
            timeout: lasts.0.div_ceil(TICKS_PER_SECOND),
            client: Endpoint { addr: key.client, port: key.port() },
            virtual_,
            real,
            call: call.flatten(),
        })
    }
}

/// What the kernel would have written into the connection's flags.
fn flags(pair: &Pair, state: State, own: u8, is_template: bool) -> Flags {
    let method = match pair.method {
        Method::Nat | Method::Full => Flags(0),
        Method::Dr => Flags::DIRECT,
        Method::Tun(_) => Flags::TUNNEL,
    };
    let one_way = own & NO_OUTPUT != 0 || (is_template && pair.method != Method::Nat);
    method
        .with_if(one_way, Flags::NO_OUTPUT)
        .with_if(!state.is_active(), Flags::INACTIVE)
        .with_if(is_template, Flags::TEMPLATE)
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
