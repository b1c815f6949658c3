//! FTP through NAT (`ip_vs_ftp.c`).
//!
//! A control connection is read along. When the server says that it listens (227, 229), its address in the reply becomes
//! the virtual one, and a connection from any port of this client to that port is awaited; when the client says so (PORT,
//! EPRT), one from the server's data port. A reply that became longer or shorter moves the server's sequence numbers for
//! the rest of the connection ([`shift`]).
//!
//! Awaited are only connections between the two that talk: who names a third address is not helped (RFC 2577 3).
//!
//! Pairs of such services carry [`PairFlags::FTP`](crate::service::PairFlags::FTP), so that nobody else comes by here.

mod data;
mod shift;

use super::look::{Look, Way};
use super::segment::{self, ACKNOWLEDGMENT, SEQUENCE};
use super::{Connection, Decision, Packet, Reason, Turn, onward};
use crate::conn::table::Entry;
use crate::service::Side;
use crate::wire::ftp::{self, Passive};
use shift::Shift;

impl Turn<'_> {
    /// Sends on a packet of a control or data connection.
    #[cold]
    #[inline(never)]
    pub(super) fn forward_ftp(&self, packet: &mut Packet<'_>, look: &Look, connection: Connection<'_>) -> Decision {
        let its = connection.narrow(self);
        let its_own = connection.by(&its);
        if connection.entry.vport() != connection.pair.ports[Side::Virtual as usize] {
            self.keep_control(connection.entry);
            return self.forward(packet, look, its_own);
        }
        // What waits comes by again, and must not have been changed by then.
        if let Some(next) = onward::missing_neighbour(self, its_own, look) {
            return self.wait_for(next).for_pair(connection.id);
        }
        self.complete(packet, look);
        match self.talk(packet, look, its_own) {
            Some(look) => self.forward(packet, &look, its_own),
            None => Decision::drop(Reason::Malformed).for_pair(connection.id),
        }
    }

    /// Reads along and translates; returns the packet's look from now on. `None`: what it says cannot be believed.
    fn talk(&self, packet: &mut Packet<'_>, look: &Look, control: Connection<'_>) -> Option<Look> {
        let empty = segment::payload(packet, look)?.is_empty();
        // The kernel verifies what its helper reads, too: a new checksum would make wrong bytes right.
        if !empty && !segment::is_sound(packet, look) {
            return None;
        }
        let shift = Shift::from_word(self.table.helper_word(control.slot));
        match look.way {
            Way::In => {
                self.translate_request(packet, look, shift);
                if let Some((addr, port)) = ftp::active(segment::payload(packet, look)?)
                    && addr == look.key.client
                {
                    self.await_server(control, look, port);
                }
                Some(*look)
            }
            Way::Out => self.translate_reply(packet, look, control, shift),
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
        packet: &mut Packet<'_>,
        look: &Look,
        control: Connection<'_>,
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
        if !self.await_client(control, look, passive.port) {
            return Some(*look);
        }
        let place = passive.place();
        let longer = i8::try_from(text.len()).ok()?.checked_sub(i8::try_from(place.len()).ok()?)?;
        let Some(spliced) = segment::splice(packet, look, place, &text) else { return Some(*look) };
        let line = sequence.wrapping_add(u32::try_from(passive.line).ok()?);
        self.table.set_helper_word(control.slot, shift.changed(line, longer).to_word());
        Some(spliced)
    }

    /// A control connection lasts as long as its data connections are heard of.
    fn keep_control(&self, data: &Entry) {
        let Some(slot) = data.control() else { return };
        let control = self.table.entry(slot);
        let same = control.pair() == data.pair()
            && control.generation() == data.generation()
            && control.key().client == data.key().client;
        if same && control.state_word().is_live() {
            control.touch(self.now);
        }
    }
}
