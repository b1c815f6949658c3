//! FTP through NAT (`ip_vs_ftp.c`).
//!
//! A control connection is read along. When the server says that it listens (227, 229), its address in the reply becomes
//! the virtual one, and a connection from any port of this client to that port is awaited; when the client says so (PORT,
//! EPRT), one from the server's data port. A reply that became longer or shorter moves the server's sequence numbers for
//! the rest of the connection ([`shift`]).
//!
//! Awaited are only connections between the two that talk: who names a third address is not helped (RFC 2577 3).
//!
//! Pairs of such services carry [`PairFlags::FTP`], so that nobody else comes by here.

mod data;
mod shift;

use super::look::{Look, Way};
use super::segment::{self, ACKNOWLEDGMENT, SEQUENCE};
use super::{Decision, Forwarder, Packet, Reason, View, onward, rewrite, wide};
use crate::conn::table::{Entry, Slot, StateWord};
use crate::service::{Pair, PairFlags, PairId, Side};
use crate::time::Tick;
use crate::wire::ftp::{self, Passive};
use shift::Shift;

/// A packet of a control connection, and what it belongs to.
struct Control<'a> {
    slot: Slot,
    id: PairId,
    /// As it is for this connection.
    pair: &'a Pair,
    now: Tick,
}

impl Forwarder {
    /// Sends on a packet of a control or data connection.
    #[cold]
    #[inline(never)]
    pub(super) fn forward_ftp(
        &self,
        view: &View<'_>,
        packet: &mut Packet<'_>,
        look: &Look,
        (slot, word): (Slot, StateWord),
        (id, pair): (PairId, &Pair),
        now: Tick,
    ) -> Decision {
        let entry = self.shared.table.entry(slot);
        let its = wide::pair_of(view, pair, entry);
        if entry.vport() != pair.ports[Side::Virtual as usize] {
            self.keep_control(entry, now);
            return self.forward(view, packet, look, (id, &its), (entry, word), now);
        }
        // What waits comes by again, and must not have been changed by then.
        if let Some(next) = onward::missing_neighbour(view, &its, entry, look) {
            return self.wait_for(next).for_pair(id);
        }
        if packet.may_be_unfinished && rewrite::complete_checksum(packet.bytes(), look) {
            self.counters.checksum_completed.add(1);
        }
        let control = Control { slot, id, pair: &its, now };
        match self.talk(view, packet, look, &control) {
            Some(look) => self.forward(view, packet, &look, (id, &its), (entry, word), now),
            None => Decision::drop(Reason::Malformed).for_pair(id),
        }
    }

    /// Reads along and translates; returns the packet's look from now on. `None`: what it says cannot be believed.
    fn talk(&self, view: &View<'_>, packet: &mut Packet<'_>, look: &Look, control: &Control<'_>) -> Option<Look> {
        let empty = segment::payload(packet, look)?.is_empty();
        // The kernel verifies what its helper reads, too: a new checksum would make wrong bytes right.
        if !empty && !segment::is_sound(packet, look) {
            return None;
        }
        let shift = Shift::from_word(self.shared.table.helper_word(control.slot));
        match look.way {
            Way::In => {
                self.translate_request(packet, look, shift);
                if let Some((addr, port)) = ftp::active(segment::payload(packet, look)?)
                    && addr == look.key.client
                {
                    self.await_server(view, control, look, port);
                }
                Some(*look)
            }
            Way::Out => self.translate_reply(view, packet, look, control, shift),
        }
    }

    /// A client's acknowledgments, in the server's numbers.
    fn translate_request(&self, packet: &mut Packet<'_>, look: &Look, shift: Shift) {
        if shift.is_none() || !look.flags.ack() {
            return;
        }
        let sacks = segment::sack_numbers(packet, look);
        for at in std::iter::once(ACKNOWLEDGMENT).chain(sacks) {
            if let Some(number) = segment::number(packet, look, at) {
                // The place was just read.
                let _ = segment::set_number(packet, look, at, shift.to_server(number));
            }
        }
    }

    /// A server's reply, in the client's numbers, and with the virtual address in it.
    fn translate_reply(
        &self,
        view: &View<'_>,
        packet: &mut Packet<'_>,
        look: &Look,
        control: &Control<'_>,
        shift: Shift,
    ) -> Option<Look> {
        let sequence = segment::number(packet, look, SEQUENCE)?;
        if !shift.is_none() {
            segment::set_number(packet, look, SEQUENCE, shift.to_client(sequence))?;
        }
        let Some(passive) = Passive::find(segment::payload(packet, look)?) else { return Some(*look) };
        let [virtual_, real] = [Side::Virtual, Side::Real].map(|side| control.pair.ends[side as usize]);
        let its_own = passive.addr.is_none_or(|addr| addr == real || addr == virtual_);
        let Some(text) = passive.renamed(virtual_, passive.port).filter(|_| its_own) else { return Some(*look) };
        if !self.await_client(view, control, look, passive.port) {
            return Some(*look);
        }
        let place = passive.place();
        let longer = i8::try_from(text.len()).ok()?.checked_sub(i8::try_from(place.len()).ok()?)?;
        let Some(spliced) = segment::splice(packet, look, place, &text) else { return Some(*look) };
        let line = sequence.wrapping_add(u32::try_from(passive.line).ok()?);
        self.shared.table.set_helper_word(control.slot, shift.changed(line, longer).to_word());
        Some(spliced)
    }

    /// A control connection lasts as long as its data connections are heard of.
    fn keep_control(&self, data: &Entry, now: Tick) {
        let Some(slot) = data.control() else { return };
        let control = self.shared.table.entry(slot);
        let same = control.pair() == data.pair()
            && control.generation() == data.generation()
            && control.key().client == data.key().client;
        if same && control.state_word().is_live() {
            control.touch(now);
        }
    }
}

/// Whether the pair's services speak FTP.
pub(super) fn is_helped(pair: &Pair) -> bool {
    pair.flags.has(PairFlags::FTP)
}
