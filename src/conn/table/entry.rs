//! One entry: a connection or a persistence template in one cache line of atomics.
//!
//! The key, the pair and the fields beside them are written by the insert alone and are constant as long as the entry
//! lives. The state word changes by compare-and-swap. The rest are hints of their own, each a relaxed load or store.

use super::layout::Slot;
use super::primitive::{AtomicU16, AtomicU32, AtomicU64, Ordering, fence};
use crate::conn::{FlowKey, State};
use crate::time::{Tick, Ticks};
use crate::wire::Addr;

/// An entry's contents as plain values: what an insert writes and what a listing reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Id of the (service, real server) pair.
    pub pair: u32,
    /// The pair's generation: an id may be given out again, a generation is not.
    pub generation: u32,
    /// The state of the connection; a live one.
    pub state: State,
    /// The caller's own bits, but for the highest.
    pub flags: u8,
    /// How long the entry lasts without a packet.
    pub timeout: Ticks,
    /// When its last packet came.
    pub last_seen: Tick,
    /// The port that the client sees, for services on any port.
    pub vport: u16,
    /// The port of the real server, for services on any port.
    pub rport: u16,
    /// The persistence template that this connection belongs to.
    pub control: Option<Slot>,
    /// Id of the next hop towards the client. A template keeps its count of connections here, and is made with 0.
    pub hop: u32,
    /// The epoch of the network in which `hop` was found out.
    pub epoch: u32,
    /// The address that the client sees, where the pair does not say it: for services on any address. Or two words that a
    /// helper keeps beside the entry from its beginning.
    pub vip: Option<Addr>,
}

/// The one bit of [`Record::flags`] that is the table's own: the entry has an address of its own in `vip`.
const HAS_VIP: u8 = 0x80;

/// Where the table keeps [`Record::vip`], one a slot. They lie apart from the entries, in pages that are not touched
/// before the first of them is written.
#[derive(Debug)]
#[cfg_attr(feature = "loom", derive(Default))]
#[repr(C)]
pub(super) struct VipCell {
    hi: AtomicU64,
    lo: AtomicU64,
}

impl VipCell {
    /// The address; 0 where none was ever written.
    pub(super) fn load(&self) -> Addr {
        Addr { hi: self.hi.load(Ordering::Relaxed), lo: self.lo.load(Ordering::Relaxed) }
    }

    /// Both halves, for another use than an address.
    pub(super) fn words(&self) -> [u64; 2] {
        // Acquire: who sees the lower word sees the upper one that was written before it.
        let lo = self.lo.load(Ordering::Acquire);
        [self.hi.load(Ordering::Relaxed), lo]
    }

    pub(super) fn set_words(&self, [hi, lo]: [u64; 2]) {
        self.hi.store(hi, Ordering::Relaxed);
        self.lo.store(lo, Ordering::Release);
    }

    /// The lower half alone.
    pub(super) fn word(&self) -> &AtomicU64 {
        &self.lo
    }

    fn store(&self, vip: Addr) {
        self.hi.store(vip.hi, Ordering::Relaxed);
        self.lo.store(vip.lo, Ordering::Relaxed);
    }
}

/// The state word of an entry at one moment. Every change moves its sequence on, so a change that was decided on an
/// older word fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateWord(u64);

impl StateWord {
    const LISTED: u64 = 1 << 56;

    /// `{sequence u32, state u8, flags u8, state before death u8, listed u8}`, lowest first.
    const fn new(sequence: u32, state: State, flags: u8, before: u8) -> Self {
        Self(sequence as u64 | (state as u64) << 32 | (flags as u64) << 40 | (before as u64) << 48)
    }

    /// The state.
    #[inline(always)]
    pub const fn state(self) -> State {
        State::from_byte((self.0 >> 32) as u8)
    }

    /// Whether it is this state; cheaper than to ask which it is.
    #[inline(always)]
    pub const fn is_in(self, state: State) -> bool {
        (self.0 >> 32) as u8 == state as u8
    }

    /// The caller's own bits.
    #[inline(always)]
    pub const fn flags(self) -> u8 {
        (self.0 >> 40) as u8
    }

    /// Of a dead entry: the state in which it was ended. `Free` otherwise.
    pub const fn ended_in(self) -> State {
        State::from_byte((self.0 >> 48) as u8)
    }

    /// Whether the entry is a connection or template in being: neither free, nor filling, nor dead. Those three are told
    /// by the byte alone.
    #[inline(always)]
    pub const fn is_live(self) -> bool {
        let byte = (self.0 >> 32) as u8;
        byte.wrapping_sub(State::Free as u8 + 1) < State::Dead as u8 - 1
    }

    /// Whether the entry has ended (or carries a state byte that this build does not know).
    pub(super) const fn is_dead(self) -> bool {
        matches!(self.state(), State::Dead)
    }

    /// Whether a sweep has taken note of this dead entry.
    pub(super) const fn is_listed(self) -> bool {
        self.0 & Self::LISTED != 0
    }

    const fn listed(self) -> Self {
        Self(self.0 | Self::LISTED)
    }

    /// Counts the changes of the slot's state word, over all entries it has held.
    pub const fn sequence(self) -> u32 {
        self.0 as u32
    }

    /// The word after this one. Sequences are odd exactly while an entry is not to be believed (filling, dead).
    const fn next(self, state: State, flags: u8, before: u8) -> Self {
        let odd = matches!(state, State::Filling | State::Dead) as u32;
        let step = if (self.sequence() & 1) == odd { 2 } else { 1 };
        Self::new(self.sequence().wrapping_add(step), state, flags, before)
    }

    /// The word after this one when the connection's state changes.
    const fn changed(self, state: State, flags: u8) -> Self {
        self.next(state, flags, State::Free as u8)
    }
}

/// The longest timeout that is kept: 48 days.
const LONGEST: u32 = (1 << 28) - 1;

const EPOCH_BITS: u32 = 28;
/// The last epoch that [`Entry::set_hop`] can note; 1 comes after it.
pub const LAST_EPOCH: u32 = (1 << EPOCH_BITS) - 1;

/// Counted no further: defences ask whether a connection has had more than eight (`ip_vs_conn.c: todrop_entry`).
const MOST_REQUESTS: u32 = 9;

/// One slot of the table. The order and widths of its fields are the file's format.
#[derive(Debug)]
#[cfg_attr(feature = "loom", derive(Default))]
#[repr(C, align(64))]
pub struct Entry {
    /// [`FlowKey::head`]; 0 in a slot that holds nothing.
    head: AtomicU64,
    client_hi: AtomicU64,
    client_lo: AtomicU64,
    /// A [`StateWord`].
    state: AtomicU64,
    pair: AtomicU32,
    generation: AtomicU32,
    last_seen: AtomicU32,
    /// In ticks.
    timeout: AtomicU32,
    vport: AtomicU16,
    rport: AtomicU16,
    /// Slot number + 1 of the controlling template; 0 for none.
    control: AtomicU32,
    /// Of a connection, the next hop towards the client; of a template, the count of its connections.
    hop: AtomicU32,
    /// The lowest [`EPOCH_BITS`] the epoch of the hop, above them a count of requests.
    epoch: AtomicU32,
}

impl Entry {
    /// Whether this is the entry of `key`. Only the insert writes the key, so a live entry's is whole.
    #[inline(always)]
    pub fn has_key(&self, key: &FlowKey) -> bool {
        self.head.load(Ordering::Relaxed) == key.head
            && self.client_lo.load(Ordering::Relaxed) == key.client.lo
            && self.client_hi.load(Ordering::Relaxed) == key.client.hi
    }

    /// The key.
    pub fn key(&self) -> FlowKey {
        FlowKey {
            head: self.head.load(Ordering::Relaxed),
            client: Addr { hi: self.client_hi.load(Ordering::Relaxed), lo: self.client_lo.load(Ordering::Relaxed) },
        }
    }

    /// The state word: state and flags, and the ticket for [`Entry::change_state`] and [`super::Table::kill`].
    #[inline(always)]
    pub fn state_word(&self) -> StateWord {
        // Acquire: who sees a live state sees the fields that were written before it.
        StateWord(self.state.load(Ordering::Acquire))
    }

    /// The state.
    #[inline(always)]
    pub fn state(&self) -> State {
        self.state_word().state()
    }

    /// Changes state and flags of the live entry that was seen as `seen`; else says what it is now.
    ///
    /// `state` is a live one: entries end by [`super::Table::kill`].
    #[inline]
    pub fn change_state(&self, seen: StateWord, state: State, flags: u8) -> Result<(), StateWord> {
        let new = seen.changed(state, flags);
        debug_assert!(seen.is_live() && new.is_live(), "{seen:?} to {new:?} is not a change of a live entry");
        self.exchange(seen, new)
    }

    /// Id of the (service, real server) pair.
    #[inline(always)]
    pub fn pair(&self) -> u32 {
        self.pair.load(Ordering::Relaxed)
    }

    /// The pair's generation.
    #[inline(always)]
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed)
    }

    /// When the last packet came.
    #[inline(always)]
    pub fn last_seen(&self) -> Tick {
        Tick(self.last_seen.load(Ordering::Relaxed))
    }

    /// Notes a packet. Writes only when the tick is another, so that a connection met by two workers does not make its
    /// line travel with each packet.
    #[inline(always)]
    pub fn touch(&self, now: Tick) {
        store_if_different(&self.last_seen, now.0);
    }

    /// How long the entry lasts without a packet.
    #[inline(always)]
    pub fn timeout(&self) -> Ticks {
        Ticks(self.timeout.load(Ordering::Relaxed))
    }

    /// Sets how long the entry lasts without a packet: at most 48 days.
    #[inline]
    pub fn set_timeout(&self, timeout: Ticks) {
        store_if_different(&self.timeout, timeout.0.min(LONGEST));
    }

    /// How many packets came from the client, as far as nine.
    pub fn requests(&self) -> u32 {
        (self.epoch.load(Ordering::Relaxed) >> EPOCH_BITS).min(MOST_REQUESTS)
    }

    /// Counts a packet, if it is one from the client: without a branch on that, which would be mispredicted for every
    /// second packet. A connection that has had more than a few is left alone.
    ///
    /// No locked instruction, so of two workers' counts one may be lost, which is only ever a measure. With it an epoch may
    /// come back that another worker has just replaced: the hop beside it is then looked up once more.
    #[inline(always)]
    pub fn count_request(&self, is_request: bool) {
        let counted = self.epoch.load(Ordering::Acquire);
        if counted >> EPOCH_BITS < MOST_REQUESTS {
            // Release, for the hop's sake: see `set_hop`.
            self.epoch.store(counted + (u32::from(is_request) << EPOCH_BITS), Ordering::Release);
        }
    }

    /// Whether the entry's time has run out.
    #[inline(always)]
    pub fn is_expired(&self, now: Tick) -> bool {
        now.since(self.last_seen()) > self.timeout()
    }

    /// The port that the client sees.
    #[inline(always)]
    pub fn vport(&self) -> u16 {
        self.vport.load(Ordering::Relaxed)
    }

    /// The port of the real server.
    #[inline(always)]
    pub fn rport(&self) -> u16 {
        self.rport.load(Ordering::Relaxed)
    }

    /// The persistence template that this connection belongs to. It was alive when the connection was made and should be
    /// kept as long as it counts children; who follows the slot still checks that it is that template.
    pub fn control(&self) -> Option<Slot> {
        self.control.load(Ordering::Relaxed).checked_sub(1).map(Slot::new)
    }

    /// Id of the next hop towards the client; good as long as [`Entry::epoch`] is the network's.
    #[inline(always)]
    pub fn hop(&self) -> u32 {
        self.hop.load(Ordering::Relaxed)
    }

    /// The epoch of the network in which the hop was found out.
    #[inline(always)]
    pub fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Acquire) & LAST_EPOCH
    }

    /// Remembers the next hop and the epoch it was found out in. Workers of one epoch find the same hop, so it does not
    /// matter who writes; the epoch comes last, so that it never vouches for an older hop.
    pub fn set_hop(&self, hop: u32, epoch: u32) {
        let requests = self.epoch.load(Ordering::Relaxed) & !LAST_EPOCH;
        self.hop.store(hop, Ordering::Relaxed);
        self.epoch.store(requests | (epoch & LAST_EPOCH), Ordering::Release);
    }

    /// Of a template: how many connections it controls.
    pub fn children(&self) -> u32 {
        self.hop.load(Ordering::Relaxed)
    }

    /// Of a template: counts one connection more.
    pub fn add_child(&self) {
        self.hop.fetch_add(1, Ordering::Relaxed);
    }

    /// Of a template: counts one connection less. Never below 0: a template may have ended before its last connection.
    pub fn remove_child(&self) {
        let mut count = self.children();
        while count > 0 {
            match self.hop.compare_exchange(count, count - 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => count = now,
            }
        }
    }

    /// The contents, which belong together only if the state word is the same before and after.
    pub(super) fn record(&self, word: StateWord, vip: &VipCell) -> Record {
        Record {
            pair: self.pair(),
            generation: self.generation(),
            state: word.state(),
            flags: word.flags() & !HAS_VIP,
            timeout: self.timeout(),
            last_seen: self.last_seen(),
            vport: self.vport(),
            rport: self.rport(),
            control: self.control(),
            hop: self.hop(),
            epoch: self.epoch(),
            vip: (word.flags() & HAS_VIP != 0).then(|| vip.load()),
        }
    }

    /// Fills a slot that the caller has claimed, and publishes it.
    pub(super) fn fill(&self, key: &FlowKey, record: &Record, vip: &VipCell) {
        let filling = StateWord(self.state.load(Ordering::Relaxed)).next(State::Filling, 0, 0);
        self.state.store(filling.0, Ordering::Relaxed);
        // Whoever sees one of the stores below sees that the slot is being filled.
        fence(Ordering::Release);
        self.client_hi.store(key.client.hi, Ordering::Relaxed);
        self.client_lo.store(key.client.lo, Ordering::Relaxed);
        self.head.store(key.head, Ordering::Relaxed);
        self.pair.store(record.pair, Ordering::Relaxed);
        self.generation.store(record.generation, Ordering::Relaxed);
        self.last_seen.store(record.last_seen.0, Ordering::Relaxed);
        self.timeout.store(record.timeout.0.min(LONGEST), Ordering::Relaxed);
        self.vport.store(record.vport, Ordering::Relaxed);
        self.rport.store(record.rport, Ordering::Relaxed);
        self.control.store(record.control.map_or(0, |slot| slot.number() + 1), Ordering::Relaxed);
        self.hop.store(record.hop, Ordering::Relaxed);
        self.epoch.store(record.epoch & LAST_EPOCH, Ordering::Relaxed);
        let mut flags = record.flags & !HAS_VIP;
        if let Some(own) = record.vip {
            vip.store(own);
            flags |= HAS_VIP;
        }
        let live = filling.changed(record.state, flags);
        debug_assert!(live.is_live(), "{:?} is not a state to begin with", record.state);
        self.state.store(live.0, Ordering::Release);
    }

    /// From live to dead; the one who succeeds owes the slot its dying tag.
    pub(super) fn die(&self, seen: StateWord, flags: u8) -> bool {
        seen.is_live() && self.exchange(seen, seen.next(State::Dead, flags, seen.state() as u8)).is_ok()
    }

    /// Marks a dead entry as known to the sweep, the only one that still writes it.
    pub(super) fn mark_listed(&self, seen: StateWord) {
        self.state.store(seen.listed().0, Ordering::Relaxed);
    }

    /// Empties the entry. Nobody may be looking at it any more.
    pub(super) fn clear(&self) {
        self.head.store(0, Ordering::Relaxed);
        self.client_hi.store(0, Ordering::Relaxed);
        self.client_lo.store(0, Ordering::Relaxed);
        let free = StateWord(self.state.load(Ordering::Relaxed)).changed(State::Free, 0);
        self.state.store(free.0, Ordering::Release);
    }

    /// Whether the slot holds nothing at all.
    #[cfg(test)]
    pub(super) fn is_blank(&self) -> bool {
        self.head.load(Ordering::Relaxed) == 0 && self.state() == State::Free
    }

    /// Cuts the bond of a connection to its template, for the repair.
    pub(super) fn drop_control(&self) {
        self.control.store(0, Ordering::Relaxed);
    }

    /// Forgets a template's count, for the repair.
    pub(super) fn forget_children(&self) {
        self.hop.store(0, Ordering::Relaxed);
    }

    fn exchange(&self, seen: StateWord, new: StateWord) -> Result<(), StateWord> {
        self.state.compare_exchange(seen.0, new.0, Ordering::AcqRel, Ordering::Acquire).map(drop).map_err(StateWord)
    }
}

#[inline(always)]
fn store_if_different(word: &AtomicU32, value: u32) {
    if word.load(Ordering::Relaxed) != value {
        word.store(value, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Damage that no code of ours does.
    impl Entry {
        pub(in crate::conn::table) fn overwrite_state(&self, byte: u8) {
            self.state.store(u64::from(byte) << 32, Ordering::Relaxed);
        }

        pub(in crate::conn::table) fn clear_key(&self) {
            self.head.store(0, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_state_word_is_live_exactly_in_the_live_states() {
        for byte in 0..=255u8 {
            let word = StateWord(u64::from(byte) << 32 | 7);
            assert_eq!(word.is_live(), !matches!(byte, 0 | 254 | 255), "{byte}");
        }
    }

    #[test]
    fn every_step_of_a_life_moves_the_sequence_on() {
        let free = StateWord::new(u32::MAX - 5, State::Free, 0, 0);
        assert_eq!(free.sequence() & 1, 0);
        let filling = free.next(State::Filling, 0, 0);
        let live = filling.changed(State::SynRecv, 3);
        let later = live.changed(State::Established, 4);
        let dead = later.next(State::Dead, later.flags(), later.state() as u8);
        let again = dead.listed().changed(State::Free, 0);
        let sequences = [free, filling, live, later, dead, again].map(StateWord::sequence);
        assert_eq!(sequences, [u32::MAX - 5, u32::MAX - 4, u32::MAX - 3, u32::MAX - 1, u32::MAX, 0]);
        assert_eq!(
            (dead.flags(), dead.ended_in(), dead.listed().ended_in()),
            (4, State::Established, State::Established)
        );
        assert!(dead.listed().is_listed() && !again.is_listed());
        assert_eq!(again.ended_in(), State::Free);
    }
}
