//! What a record does to the table (`ip_vs_sync.c: ip_vs_proc_conn`).

use super::ledger::{Note, Word};
use super::states;
use super::wire::{Flags, SyncRecord};
use super::{Ledger, Names};
use crate::conn::table::{Entry, Insert, Record, Slot};
use crate::conn::{FlowKey, State};
use crate::forward::calls::CallName;
use crate::forward::{Shared, lifecycle, wide};
use crate::service::{HopId, Method, Options, Pair, PairFlags, PairId, Services};
use crate::time::{Tick, Ticks};
use crate::wire::sip::CallId;
use crate::wire::{Addr, Endpoint};

/// How long a template lasts if the message does not say (`ip_vs_proc_conn`).
const TEMPLATE_LASTS: Ticks = Ticks::from_secs(180);
/// The longest timeout of LVS: 31 days.
const LONGEST: u32 = 31 * 86400;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new entry was made of it.
    Created,
    /// An entry follows it now.
    Updated,
    /// An entry was ended by it.
    Deleted,
    /// It is about something that has passed, or that is known better here.
    Stale,
    /// No service here has such a real server.
    UnknownServer,
    /// It makes no sense, or asks for what is not done here: another protocol, an unknown state, a connection without a
    /// client port, families mixed.
    Refused,
    /// The table has no room.
    NoRoom,
}

/// How records come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// As it happens.
    Live,
    /// As part of everything that a peer knows: what we know from packets of our own is newer.
    Bulk,
}

/// Turns records into entries. Lives on the sweeper's thread, which alone may do so beside the workers.
#[derive(Debug)]
pub struct Receiver<'a> {
    /// Table and loads.
    pub shared: &'a Shared,
    /// The thread's lane in the loads.
    pub lane: usize,
    /// The plan that pairs are looked up in.
    pub services: &'a Services,
    /// Its pairs by name.
    pub names: &'a Names,
    /// Timeouts.
    pub options: &'a Options,
    /// What is known to be known.
    pub ledger: &'a mut Ledger,
    /// The present.
    pub now: Tick,
}

/// A record in our own terms.
struct Told<'a> {
    key: FlowKey,
    id: PairId,
    pair: &'a Pair,
    call: Option<CallName>,
    virtual_: Endpoint,
    state: State,
    lasts: Ticks,
}

impl Told<'_> {
    /// What the entry has to keep beside it: its address, which a mark's pair does not say, or the name of its call.
    fn beside(&self) -> Option<Addr> {
        match self.key.is_template() {
            true => self.call.map(CallName::beside),
            false => self.pair.service_key().mark().map(|_| self.virtual_.addr),
        }
    }
}

impl<'a> Receiver<'a> {
    /// Enters a connection or template, or changes the entry that it has.
    pub fn apply(&mut self, record: &SyncRecord, delivery: Delivery) -> Outcome {
        let told = match self.understand(record) {
            Ok(told) => told,
            Err(outcome) => return outcome,
        };
        let Some(slot) = self.find(&told) else { return self.create(record, &told) };
        let table = &self.shared.table;
        let entry = table.entry(slot);
        if delivery == Delivery::Bulk && self.is_ours(slot, entry) {
            return Outcome::Stale;
        }
        if PairId(entry.pair()) == told.id {
            return self.update(slot, &told);
        }
        // To another server: the connection was replaced, unless this is only the end of the one before it.
        if record.flags.any(Flags::INACTIVE) && !told.key.is_template() {
            return Outcome::Stale;
        }
        lifecycle::end(self.shared, self.lane, slot, entry.state_word());
        self.create(record, &told)
    }

    /// Ends the entry that a peer has ended, unless packets have come for it here.
    pub fn delete(&mut self, record: &SyncRecord) -> Outcome {
        let told = match self.understand(record) {
            Ok(told) => told,
            Err(outcome) => return outcome,
        };
        let Some(slot) = self.find(&told) else { return Outcome::Stale };
        let entry = self.shared.table.entry(slot);
        if self.is_ours(slot, entry) || PairId(entry.pair()) != told.id {
            return Outcome::Stale;
        }
        self.ledger.write(slot, Note::default());
        lifecycle::end(self.shared, self.lane, slot, entry.state_word());
        Outcome::Deleted
    }

    fn understand(&self, record: &SyncRecord) -> Result<Told<'a>, Outcome> {
        let SyncRecord { protocol, flags, client, virtual_, real, .. } = *record;
        let is_template = flags.any(Flags::TEMPLATE);
        let state = match is_template {
            true => Some(states::template_from_wire(record.state)),
            false => states::from_wire(protocol, record.state),
        };
        let family = client.addr.family();
        let strange = flags.any(Flags::NO_CLIENT_PORT.with(Flags::ONE_PACKET))
            || flags.any(Flags::SEQUENCES)
            || virtual_.addr.family() != family
            || real.addr.family() != family
            || (client.port == 0) != is_template;
        let Some(state) = state.filter(|_| !strange) else { return Err(Outcome::Refused) };
        let services = self.services;
        let id = self.names.find(services, record).ok_or(Outcome::UnknownServer)?;
        let pair = services.pair(id).ok_or(Outcome::UnknownServer)?;
        // Its local end is one of the other director's addresses.
        if pair.flags.has(PairFlags::FULL) && !is_template {
            return Err(Outcome::Refused);
        }
        let lasts = match record.timeout {
            0 if is_template => TEMPLATE_LASTS,
            0 => self.options.timeouts.of(state),
            seconds => Ticks::from_secs(seconds.min(LONGEST)),
        };
        let call = record.call.filter(|_| is_template).map(|id| self.keep(&id));
        let key = match (is_template, call) {
            (true, Some(name)) => name.key(protocol, client.addr),
            (true, None) => FlowKey::template(protocol, client.addr),
            (false, _) => FlowKey::connection(protocol, client.addr, client.port),
        };
        Ok(Told { key, id, pair, call, virtual_, state, lasts })
    }

    /// Keeps the text of a call.
    fn keep(&self, id: &CallId) -> CallName {
        let name = CallName::of(id.as_bytes());
        self.shared.calls.keep(name, id.as_bytes());
        name
    }

    /// The entry of the same client at the same virtual end, whatever its server.
    fn find(&self, told: &Told<'_>) -> Option<Slot> {
        let hash = self.shared.table.hash(&told.key);
        self.shared.table.find(&told.key, hash, |entry| self.is_same(told, entry))
    }

    fn is_same(&self, told: &Told<'_>, entry: &Entry) -> bool {
        let pair = self.services.pair(PairId(entry.pair())).filter(|pair| pair.generation == entry.generation());
        let of_service = pair.filter(|pair| pair.service_key() == told.pair.service_key());
        let is_spent = entry.state_word().flags() & lifecycle::SPENT != 0;
        match of_service {
            Some(_) if told.key.is_template() => {
                let its_own = |name: CallName| self.shared.table.vip(entry) == name.beside();
                !is_spent && told.call.is_none_or(its_own)
            }
            Some(pair) => wide::virtual_end(&self.shared.table, pair, entry) == told.virtual_,
            None => false,
        }
    }

    /// Whether packets of our own have been the last to move it.
    fn is_ours(&self, slot: Slot, entry: &Entry) -> bool {
        let note = self.ledger.note(slot);
        note.word != Word::Theirs || !note.is_about(entry.state_word()) || entry.last_seen() != note.seen
    }

    fn create(&mut self, record: &SyncRecord, told: &Told<'_>) -> Outcome {
        let new = Record {
            pair: told.id.0,
            generation: told.pair.generation,
            state: told.state,
            // A connection goes by its server's method here, whatever it did there (`ip_vs_conn.c: ip_vs_bind_dest`).
            flags: if told.key.is_template() || told.pair.method == Method::Nat { 0 } else { lifecycle::NO_OUTPUT },
            timeout: told.lasts,
            last_seen: self.now,
            vport: record.virtual_.port,
            rport: record.real.port,
            control: None,
            hop: if told.key.is_template() { 0 } else { HopId::NONE.0 },
            epoch: 0,
            vip: told.beside(),
        };
        let table = &self.shared.table;
        let hash = table.hash(&told.key);
        match table.insert_or_find(&told.key, hash, |entry| self.is_same(told, entry), &new) {
            Insert::Inserted(slot) => {
                lifecycle::adopt(self.shared, self.lane, told.id, told.state);
                let helped = told.pair.flags.has(PairFlags::FTP) || self.options.reset_expired;
                if helped && new.vip.is_none() {
                    table.set_helper_word(slot, 0);
                }
                self.sign(slot);
                Outcome::Created
            }
            // A worker had a packet of it in this very moment.
            Insert::Found(_) => Outcome::Stale,
            Insert::Full | Insert::Busy => Outcome::NoRoom,
        }
    }

    fn update(&mut self, slot: Slot, told: &Told<'_>) -> Outcome {
        let entry = self.shared.table.entry(slot);
        let word = entry.state_word();
        // First of all, so that it is not seen expired between two of the steps below.
        entry.touch(self.now);
        if word.state() != told.state {
            lifecycle::change_state(self.shared, self.lane, self.options, entry, word, told.state, word.flags());
        }
        entry.set_timeout(told.lasts);
        self.sign(slot);
        Outcome::Updated
    }

    fn sign(&mut self, slot: Slot) {
        let state = self.shared.table.entry(slot).state_word();
        self.ledger.write(slot, Note::new(state, self.now, Word::Theirs));
    }
}

#[cfg(test)]
mod tests;
