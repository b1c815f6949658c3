//! What ICMP errors about connections by full NAT need: both ends that the pair does not know.

use super::hand_on;
use super::local::Beside;
use crate::forward::look::Look;
use crate::forward::message::Quote;
use crate::forward::{Connection, Turn};
use crate::wire::{Endpoint, Protocol};

/// The ends of a connection that full NAT puts in each other's place.
pub(in crate::forward) struct FullEnds {
    pub(in crate::forward) client: Endpoint,
    pub(in crate::forward) local: Endpoint,
    beside: Beside,
}

impl Turn<'_> {
    /// Those of the connection that an error was found to be about.
    pub(in crate::forward) fn full_ends(&self, look: &Look, found: Connection<'_>) -> Option<FullEnds> {
        let connection = self.full_connection(look, found).filter(|connection| !connection.is_expired(self))?;
        let beside = Beside::of(self.table, connection.slot);
        let local = beside.local_end(self.table, connection.slot)?;
        Some(FullEnds { client: super::end_of(&connection.entry.key()), local, beside })
    }
}

impl FullEnds {
    /// Gives the quoted segment, which was on its way to the server, the client's number: clients do not believe errors
    /// about what they never sent (RFC 5927 4.1).
    pub(in crate::forward) fn renumber(&self, frame: &mut [u8], quote: &Quote) {
        let at = usize::from(quote.l4) + 4;
        let place = frame.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>());
        if let (Protocol::TCP, Some(number)) = (quote.protocol, place) {
            *number = hand_on::to_client(u32::from_be_bytes(*number), self.beside).to_be_bytes();
        }
    }
}
