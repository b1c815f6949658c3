//! What the beginning, the changes and the end of a connection mean to others: loads, templates, timeouts.
//!
//! Workers and the sweeper come through here, so that each count is kept in one place.

use super::{Shared, full};
use crate::conn::table::{Entry, Fate, Listed, Slot, StateWord};
use crate::conn::{State, Table};
use crate::service::{Options, PairFlags, PairId, Server, Services};
use crate::time::{Tick, Ticks};

/// Entry flag: the server's direction has not been seen, so the client's alone moves the state (DR, TUN).
pub const NO_OUTPUT: u8 = 1;
/// Entry flag of a template: it is not to be found any more, and ends once its connections have.
pub const SPENT: u8 = 2;
/// Entry flag of a dead entry: it was already taken out of the counts.
pub const SETTLED: u8 = 4;

/// Entry flag of a connection by full NAT: its local end is an entry of its own ([`super::full`]).
pub const FULL: u8 = 16;
/// Entry flag of that other entry, which is no connection by itself.
pub const LOCAL_END: u8 = 32;
/// Entry flag: a later connection looks like this one to the server, and replies are the later one's (`eclipse.rs`).
pub const ECLIPSED: u8 = 64;

/// The kernel's steps for a template that outlives its timeout (`ip_vs_conn.c: ip_vs_conn_expire`).
const TEMPLATE_EXTENSION: Ticks = Ticks::from_secs(60);

/// Counts a connection that was just entered, in its first state.
pub(super) fn begin(shared: &Shared, lane: usize, server: &Server, state: State) {
    let look = || shared.loads.is_full(server.pair, server.thresholds);
    // Before as well, because a template leads here past the scheduler.
    look();
    let active = i32::from(state.is_active());
    shared.loads.add(lane, server.pair, active, 1 - active);
    look();
}

/// Counts a connection that was entered as another director told of it. Limits of its server have no say in that; they
/// are looked at when the next one is to be opened.
pub fn adopt(shared: &Shared, lane: usize, pair: PairId, state: State) {
    if is_template(state) {
        return shared.loads.add_template(lane, pair, 1);
    }
    let active = i32::from(state.is_active());
    shared.loads.add(lane, pair, active, 1 - active);
}

/// Moves a connection to another state: loads and timeout follow. Another worker may have been faster; then its packet
/// came first, and this one changes nothing.
#[cold]
#[inline(never)]
pub fn change_state(
    shared: &Shared,
    lane: usize,
    options: &Options,
    entry: &Entry,
    seen: StateWord,
    next: State,
    next_flags: u8,
) {
    if entry.change_state(seen, next, next_flags).is_err() {
        return;
    }
    entry.set_timeout(options.timeouts.of(next));
    let change = i32::from(next.is_active()) - i32::from(seen.state().is_active());
    if change != 0 {
        shared.loads.add(lane, PairId(entry.pair()), change, -change);
    }
    if next.is_established() {
        assure(shared, entry);
    }
    shared.changes.push(entry, seen.state(), next);
}

/// Marks the template behind a connection: a real exchange came of it.
#[cold]
pub(super) fn assure(shared: &Shared, entry: &Entry) {
    let Some(template) = template_of(shared, entry) else { return };
    let word = template.state_word();
    if word.state() == State::Template {
        // Losing this race means that somebody else assured it, or that it ended.
        let _ = template.change_state(word, State::TemplateAssured, word.flags());
    }
}

/// Ends a connection that a packet has made obsolete. The sweeper frees the slot.
pub fn end(shared: &Shared, lane: usize, slot: Slot, seen: StateWord) {
    if shared.table.kill(slot, seen, seen.flags() | SETTLED) {
        settle(shared, lane, seen.state(), shared.table.entry(slot));
    }
}

/// Takes an entry that the sweeper found dead out of the counts it was in, unless that was done when it was ended.
pub fn ended(shared: &Shared, lane: usize, entry: &Entry) {
    let word = entry.state_word();
    if word.flags() & SETTLED == 0 {
        settle(shared, lane, word.ended_in(), entry);
    }
}

/// Takes over a connection of a director before this one: it counts, in `lane`, and asks for its way anew, since hops were
/// numbered otherwise. Nobody else may be using the table.
pub fn resume(shared: &Shared, lane: usize, connection: Listed) {
    let Listed { record, slot, .. } = connection;
    // What a local end has in the place of a hop is the slot of its connection.
    if record.flags & LOCAL_END != 0 {
        return;
    }
    adopt(shared, lane, PairId(record.pair), record.state);
    if !is_template(record.state) {
        shared.table.entry(slot).set_hop(0, 0);
    }
}

fn settle(shared: &Shared, lane: usize, state: State, entry: &Entry) {
    if entry.state_word().flags() & LOCAL_END != 0 {
        return;
    }
    if is_template(state) {
        shared.loads.add_template(lane, PairId(entry.pair()), -1);
        return;
    }
    let active = i32::from(state.is_active());
    shared.loads.add(lane, PairId(entry.pair()), -active, active - 1);
    if let Some(template) = template_of(shared, entry) {
        template.remove_child();
    }
}

fn is_template(state: State) -> bool {
    matches!(state, State::Template | State::TemplateAssured)
}

/// The template behind a connection. A template can end in the very moment a connection takes hold of it; then its slot
/// may by now be another's, which is told by the key and the pair.
fn template_of<'a>(shared: &'a Shared, entry: &Entry) -> Option<&'a Entry> {
    let template = shared.table.entry(entry.control()?);
    let same = template.pair() == entry.pair() && template.generation() == entry.generation();
    (same && template.key().is_template()).then_some(template)
}

/// What the sweeper does with an entry: connections and templates end when their time has run out, or when their
/// server is gone and the options say so; a local end ends after its connection.
pub fn fate(table: &Table, services: &Services, options: &Options, entry: &Entry, now: Tick) -> Fate {
    if entry.state_word().flags() & LOCAL_END != 0 {
        return full::fate(table, entry);
    }
    let expired = entry.is_expired(now);
    let pair = services.pair(PairId(entry.pair())).filter(|pair| pair.generation == entry.generation());
    let orphaned = pair.is_none_or(|pair| options.expire_nodest_conn && pair.flags.has(PairFlags::REMOVED));
    if !expired && !orphaned {
        return Fate::Keep;
    }
    if entry.key().is_template() && entry.children() != 0 {
        if expired {
            prolong(options, entry, now);
        }
        return Fate::Keep;
    }
    Fate::Kill
}

/// A template that still has connections goes on.
fn prolong(options: &Options, entry: &Entry, now: Tick) {
    if entry.state_word().flags() & SPENT != 0 {
        return;
    }
    if !options.template_keeps_timeout {
        entry.set_timeout(TEMPLATE_EXTENSION);
    }
    entry.touch(now);
}
