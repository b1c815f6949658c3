//! What a packet does to its connection: the state it leads to, and the clock.

use std::hint::select_unpredictable as select;

use super::lifecycle::{self, NO_OUTPUT};
use super::look::{Look, Way};
use super::{Connection, Packet, Turn};
use crate::conn::sctp_next;
use crate::conn::state::{Seen, State, TcpEvent, tcp_next, tcp_next_secure};
use crate::wire::Protocol;

/// Whether the packet leaves state and flags of its connection as they are, and those of its template: of TCP a segment
/// that neither opens nor ends, of UDP any.
#[inline(always)]
pub(super) fn is_steady(Connection { entry, word, .. }: Connection<'_>, look: &Look) -> bool {
    let back = look.way == Way::Out;
    let tcp = word.is_in(State::Established) & look.flags.is_plain() & !(back & (word.flags() & NO_OUTPUT != 0));
    let udp = word.is_in(State::Udp) & !(back & entry.control().is_some());
    tcp | udp
}

/// Has the connection take note of a steady packet.
#[inline(always)]
pub(super) fn meet(turn: &Turn<'_>, Connection { entry, word, .. }: Connection<'_>, look: &Look) {
    entry.count_request(look.way == Way::In);
    if entry.last_seen() != turn.now {
        entry.touch(turn.now);
        // The first packet of a tick also picks up a timeout that was set since.
        entry.set_timeout(turn.options.timeouts.of(word.state()));
    }
}

impl Turn<'_> {
    /// Moves the connection's state and its clock.
    #[inline(always)]
    pub(super) fn advance(&self, packet: &mut Packet<'_>, connection: Connection<'_>, look: &Look) {
        let Connection { entry, word, .. } = connection;
        let state = word.state();
        let (next, next_flags) = match look.protocol {
            Protocol::TCP => self.next_tcp(state, word.flags(), look),
            Protocol::SCTP => next_sctp(packet, state, word.flags(), look),
            _ => (state, word.flags()),
        };
        if next != state || next_flags != word.flags() {
            entry.touch(self.now);
            entry.count_request(look.way == Way::In);
            lifecycle::change_state(self.shared, self.lane, self.options, entry, word, next, next_flags);
        } else {
            meet(self, connection, look);
        }
        if look.way == Way::Out && look.protocol == Protocol::UDP && entry.control().is_some() {
            lifecycle::assure(self.shared, entry);
        }
    }

    /// State and flags after a TCP segment.
    #[inline(always)]
    fn next_tcp(&self, state: State, have: u8, look: &Look) -> (State, u8) {
        let event = TcpEvent::of(look.flags);
        let (seen, now_flags) = seen(have, look);
        if event == TcpEvent::Flagless && !self.options.flagless_segment_closes {
            return (state, now_flags);
        }
        // Once established, both tables are one.
        if state != State::Established && self.shared.defence.secure_tcp() {
            return (tcp_next_secure(state, event, seen), now_flags);
        }
        (tcp_next(state, event, seen), now_flags)
    }
}

/// Which of a protocol's tables holds, and the flags of the connection from now on.
#[inline(always)]
fn seen(have: u8, look: &Look) -> (Seen, u8) {
    let back = look.way == Way::Out;
    let input = select(have & NO_OUTPUT != 0, Seen::InputOnly, Seen::Input);
    // The first packet seen from the server shows that the other direction can be followed after all.
    (select(back, Seen::Output, input), select(back, have & !NO_OUTPUT, have))
}

/// State and flags after an SCTP packet.
#[cold]
#[inline(never)]
fn next_sctp(packet: &mut Packet<'_>, state: State, have: u8, look: &Look) -> (State, u8) {
    let (seen, now_flags) = seen(have, look);
    match packet.sctp_event(look) {
        Some(event) => (sctp_next(state, event, seen), now_flags),
        None => (state, have),
    }
}
