//! Telling a server who its client is: by a TCP option in front of the others, or by a header in front of the stream.
//!
//! The option goes into the SYN and into all that the client sends before it has heard more from the server than its
//! SYN: servers read it when the handshake ends. Where it does not fit it is left out.
//!
//! The header must not be left out. It goes in front of whatever the client sends from the first byte of its stream on,
//! the bare acknowledgment that ends the handshake included, since some servers speak first but read the header before.
//! It does so again and again until the server has acknowledged it, so that a loss makes good for itself: what the client
//! sends again carries it again, and a server that missed the acknowledgment repeats its SYN. If both do not fit, the
//! header goes alone, and the client sends its bytes again. Everything behind the header is moved by its length: numbers
//! of the client on their way to the server, and what the server acknowledges on its way back.
//!
//! So that both fit as a rule, the server's SYN announces that much less room.

use arrayvec::ArrayVec;

use super::FullConnection;
use super::local::{Beside, notes};
use crate::conn::Table;
use crate::conn::table::Slot;
use crate::forward::look::Look;
use crate::forward::segment::{self, ACKNOWLEDGMENT, SEQUENCE, is_after};
use crate::forward::{Packet, Turn};
use crate::service::{HandOn, Side};
use crate::wire::handed_on::{self, LONGEST_PROXY};
use crate::wire::{Protocol, TcpFlags};

/// What is to be done to a request once it is translated.
pub(super) struct Handing {
    job: Job,
    /// What is known from now on.
    after: Beside,
}

enum Job {
    Nothing,
    Option(ArrayVec<u8, 20>),
    Header(ArrayVec<u8, LONGEST_PROXY>),
    Move(u32),
}

impl Handing {
    /// What the connection's next request needs; changes nothing.
    pub(super) fn of(turn: &Turn<'_>, packet: &mut Packet<'_>, look: &Look, full: &FullConnection<'_>) -> Self {
        let beside = full.beside;
        let nothing = Self { job: Job::Nothing, after: beside };
        if look.protocol != Protocol::TCP || look.flags.rst() && !beside.knows(notes::ASKED) {
            return nothing;
        }
        let how = hand_on(turn, full);
        let Some(sequence) = segment::number(packet, look, SEQUENCE) else { return nothing };
        if look.flags.syn() {
            return Self::of_syn(how, sequence, full);
        }
        match how {
            HandOn::Toa if is_first(packet, look, beside) => {
                Self { job: Job::Option(handed_on::toa(full.client)), after: beside }
            }
            _ => Self { job: stream_job(how, sequence, look, full), after: beside },
        }
    }

    fn of_syn(how: HandOn, sequence: u32, full: &FullConnection<'_>) -> Self {
        let beside = full.beside;
        let job = match how {
            HandOn::Toa => Job::Option(handed_on::toa(full.client)),
            HandOn::Nothing | HandOn::Proxy(_) => Job::Nothing,
        };
        let header = how.header(full.client, full.half.pair.end(Side::Virtual));
        let after = Beside {
            client_first: sequence.wrapping_add(1),
            // At most 107.
            shift: header.map_or(0, |header| header.len() as u8),
            notes: beside.notes | notes::ASKED,
            ..beside
        };
        Self { job, after }
    }

    /// Writes down what is known from now on.
    pub(super) fn note(&self, table: &Table, slot: Slot, before: Beside) {
        self.after.keep(table, slot, before);
    }

    /// Does it to the translated packet; `room` is what fits its way, in bytes of IP. `None`: the packet cannot leave.
    pub(super) fn carry_out(self, packet: &mut Packet<'_>, look: &Look, room: u16) -> Option<()> {
        match self.job {
            Job::Nothing => {}
            Job::Option(option) => {
                if fits(look, option.len(), room) {
                    // A header without room for it goes without it.
                    let _ = segment::insert_option(packet, look, &option);
                }
            }
            Job::Header(header) => {
                let mut replaced = 0;
                if !fits(look, header.len(), room) {
                    replaced = segment::payload(packet, look)?.len();
                    segment::clear_flags(packet, look, TcpFlags::FIN)?;
                }
                segment::splice(packet, look, 0..replaced, &header)?;
            }
            Job::Move(by) => {
                let sequence = segment::number(packet, look, SEQUENCE)?;
                segment::set_number(packet, look, SEQUENCE, sequence.wrapping_add(by))?;
            }
        }
        Some(())
    }
}

fn fits(look: &Look, longer: usize, room: u16) -> bool {
    usize::from(look.packet_len()) + longer <= usize::from(room)
}

/// How the connection's service tells servers of clients.
fn hand_on(turn: &Turn<'_>, full: &FullConnection<'_>) -> HandOn {
    let service = turn.services.list.get(full.half.pair.service as usize);
    service.and_then(|service| service.full.as_ref()).map_or(HandOn::Nothing, |full| full.hand_on)
}

/// Whether the segment is one of the first: the client has heard nothing but the server's SYN.
fn is_first(packet: &mut Packet<'_>, look: &Look, beside: Beside) -> bool {
    let heard = segment::number(packet, look, ACKNOWLEDGMENT);
    let ordinary = look.flags.ack() && !look.flags.rst() && !look.flags.fin();
    ordinary && beside.knows(notes::ANSWERED) && heard == Some(beside.server_first)
}

/// What a segment of the stream needs where a header stands in front of it.
fn stream_job(how: HandOn, sequence: u32, look: &Look, full: &FullConnection<'_>) -> Job {
    let beside = full.beside;
    if beside.shift == 0 || !beside.knows(notes::ASKED) {
        return Job::Nothing;
    }
    if beside.knows(notes::HEARD) || is_after(sequence, beside.client_first) {
        return Job::Move(u32::from(beside.shift));
    }
    let begins = sequence == beside.client_first && look.flags.ack() && !look.flags.rst();
    let header = || how.header(full.client, full.half.pair.end(Side::Virtual));
    match header().filter(|header| begins && header.len() == usize::from(beside.shift)) {
        Some(header) => Job::Header(header),
        None => Job::Nothing,
    }
}

/// Puts right what a reply says of numbers, before it is translated, and learns from it.
pub(super) fn translate_reply(turn: &Turn<'_>, packet: &mut Packet<'_>, look: &Look, full: &FullConnection<'_>) {
    if look.protocol != Protocol::TCP {
        return;
    }
    let beside = full.beside;
    let mut after = beside;
    if look.flags.syn()
        && let Some(sequence) = segment::number(packet, look, SEQUENCE)
    {
        after.server_first = sequence.wrapping_add(1);
        after.notes |= notes::ANSWERED;
        let longer = match hand_on(turn, full) {
            HandOn::Toa => handed_on::toa_length(look.family),
            HandOn::Nothing | HandOn::Proxy(_) => beside.shift,
        };
        if longer != 0 {
            // A SYN that announces nothing leaves the client at 536 bytes, and room enough.
            let _ = segment::lower_mss(packet, look, u16::from(longer));
        }
    }
    if beside.shift != 0 && beside.knows(notes::ASKED) && look.flags.ack() {
        if let Some(number) = segment::number(packet, look, ACKNOWLEDGMENT)
            && has_heard(number, beside)
        {
            after.notes |= notes::HEARD;
        }
        for at in std::iter::once(ACKNOWLEDGMENT).chain(segment::sack_numbers(packet, look)) {
            if let Some(number) = segment::number(packet, look, at) {
                // The place was just read.
                let _ = segment::set_number(packet, look, at, to_client(number, beside));
            }
        }
    }
    after.keep(turn.table, full.half.slot, beside);
}

/// Whether a server that acknowledges `number` has the whole header.
fn has_heard(number: u32, beside: Beside) -> bool {
    let end = beside.client_first.wrapping_add(u32::from(beside.shift));
    number == end || is_after(number, end)
}

/// What the server calls `number`, in the client's numbers. Inside the header it is the client's first byte.
pub(super) fn to_client(number: u32, beside: Beside) -> u32 {
    if beside.shift == 0 {
        number
    } else if has_heard(number, beside) {
        number.wrapping_sub(u32::from(beside.shift))
    } else if is_after(number, beside.client_first) {
        beside.client_first
    } else {
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_behind_the_header_move_wherever_they_wrap() {
        for first in [1000_u32, u32::MAX - 20, u32::MAX - 27, 0] {
            let beside = Beside { shift: 28, client_first: first, ..Beside::default() };
            for (server, client, heard) in
                [(0, 0, false), (1, 0, false), (27, 0, false), (28, 0, true), (29, 1, true), (5028, 5000, true)]
            {
                let number = first.wrapping_add(server);
                assert_eq!(to_client(number, beside), first.wrapping_add(client), "{server} from {first}");
                assert_eq!(has_heard(number, beside), heard, "{server} from {first}");
            }
            let syn = first.wrapping_sub(1);
            assert_eq!(to_client(syn, beside), syn, "before the stream nothing moves");
        }
    }
}
