//! Connections that look alike to their server: from one client port, to two services that lead to one server port.
//!
//! A reply does not tell which of them it is of. It is of the latest, as in the kernel, where a new connection stands first
//! in its bucket (`ip_vs_conn.c: ip_vs_conn_hash`, `ip_vs_conn_out_get`); an older one is eclipsed until that has ended.

use super::established::ends_agree;
use super::lifecycle::ECLIPSED;
use super::look::{Look, Way};
use super::{Decision, Packet, Turn};
use crate::conn::table::{Entry, Slot};
use crate::service::{Pair, Side};
use crate::wire::Endpoint;

/// How often to try again when an older connection changes in that moment.
const ATTEMPTS: usize = 4;

impl Turn<'_> {
    /// Eclipses the older connections that look to the server like the new one in `slot`, which the packet of `look` opened.
    #[cold]
    #[inline(never)]
    pub(super) fn eclipse_older(&self, look: &Look, pair: &Pair, slot: Slot) {
        let new = self.table.entry(slot);
        let server = Endpoint { port: new.rport(), ..pair.end(Side::Real) };
        let reply = Look { other: server, way: Way::Out, ..*look };
        for _ in 0..ATTEMPTS {
            let older =
                |entry: &Entry| !std::ptr::eq(entry, new) && !is_eclipsed(entry) && ends_agree(self, entry, &reply);
            let Some(older) = self.table.find(&look.key, look.hash, older) else { return };
            set_eclipsed(self.table.entry(older), true);
        }
    }

    /// A reply that no connection but an eclipsed one waits for: what stood before it has ended.
    pub(super) fn uncovered(&self, packet: &mut Packet<'_>, look: &Look) -> Option<Decision> {
        let found = self.table.find(&look.key, look.hash, |entry| ends_agree(self, entry, look))?;
        set_eclipsed(self.table.entry(found), false);
        Some(self.established(packet, look, found))
    }
}

/// Whether replies that could be this connection's are a later one's.
#[inline(always)]
pub(super) fn is_eclipsed(entry: &Entry) -> bool {
    entry.state_word().flags() & ECLIPSED != 0
}

/// Who loses a race against a packet of the connection leaves it as it was.
fn set_eclipsed(entry: &Entry, eclipsed: bool) {
    let word = entry.state_word();
    if word.is_live() {
        let flags = if eclipsed { word.flags() | ECLIPSED } else { word.flags() & !ECLIPSED };
        let _ = entry.change_state(word, word.state(), flags);
    }
}
