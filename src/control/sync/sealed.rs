//! The sealed dialect's end of the wire: one pair of sockets for both roles, the key, and who is heard there.

use std::io;
use std::time::Duration;

use tokio::net::UdpSocket;

use super::socket::Place;
use crate::conn::Table;
use crate::sync::batch::Batch;
use crate::sync::peers::Peers;
use crate::sync::seal::{Envelope, Key, Kind, Session};
use crate::sync::wire::SyncRecord;

/// Slots looked at in one step of telling everything, and messages sent in it: what a step of 5 ms may cost. A million
/// connections take half a second to two.
const SLOTS: u32 = 1 << 14;
const MESSAGES: u64 = 64;

/// A link to directors that share our key.
#[derive(Debug)]
pub(super) struct Sealed {
    key: Key,
    syncid: u8,
    maxlen: u16,
    outlet: UdpSocket,
    pub(super) intake: UdpSocket,
    pub(super) peers: Peers,
    bulk: Option<Bulk>,
}

/// Everything is being told.
#[derive(Debug)]
struct Bulk {
    batch: Batch,
    next: u32,
    messages: u64,
}

impl Sealed {
    pub(super) fn open(
        place: &Place,
        key: &Key,
        (syncid, maxlen): (u8, u16),
        session: Session,
        now: Duration,
    ) -> io::Result<Self> {
        let (outlet, intake) = (place.outlet()?, place.intake()?);
        Ok(Self { key: key.clone(), syncid, maxlen, outlet, intake, peers: Peers::new(session, now), bulk: None })
    }

    /// Opens an envelope; `None` if the key does not fit.
    pub(super) fn read<'a>(&self, bytes: &'a [u8]) -> Option<Envelope<'a>> {
        self.key.open(bytes).ok()
    }

    /// Whether it comes from our group of directors.
    pub(super) fn is_for_us(&self, envelope: &Envelope<'_>) -> bool {
        self.syncid == 0 || envelope.syncid == self.syncid
    }

    /// Sends an envelope; says whether the system took it.
    pub(super) fn send(&mut self, kind: Kind, payload: &[u8]) -> bool {
        let (session, sequence) = (self.peers.session(), self.peers.next_sequence());
        let bytes = self.key.seal(&Envelope { kind, syncid: self.syncid, session, sequence, payload });
        self.outlet.try_send(&bytes).is_ok()
    }

    /// Begins to tell everything, if somebody has asked.
    pub(super) fn begin_bulk(&mut self, now: Duration) {
        if self.bulk.is_none() && self.peers.bulk_is_due(now) {
            self.bulk = Some(Bulk { batch: Batch::new(self.syncid, self.maxlen), next: 0, messages: 0 });
        }
    }

    /// Ends it half-way: we are no master any more.
    pub(super) fn abandon_bulk(&mut self) {
        self.bulk = None;
    }

    /// Tells the next part. `record` gives what is in a slot.
    pub(super) fn step_bulk(
        &mut self,
        table: &Table,
        record: impl Fn(crate::conn::table::Slot) -> Option<SyncRecord>,
        now: Duration,
    ) -> u64 {
        let Some(mut bulk) = self.bulk.take() else { return 0 };
        let before = bulk.messages;
        let end = bulk.next.saturating_add(SLOTS).min(table.capacity());
        while bulk.next < end && bulk.messages - before < MESSAGES {
            let found = table.slot(bulk.next).and_then(&record);
            bulk.next += 1;
            if let Some(full) = found.and_then(|record| bulk.batch.push(&record, now)) {
                self.send_bulk(&mut bulk, &full);
            }
        }
        if bulk.next < table.capacity() {
            let sent = bulk.messages - before;
            self.bulk = Some(bulk);
            return sent;
        }
        if let Some(last) = bulk.batch.take() {
            self.send_bulk(&mut bulk, &last);
        }
        let closing = self.peers.bulk_told(bulk.messages, now);
        self.send(Kind::BulkEnd, &closing);
        bulk.messages - before
    }

    /// A part that the system refuses is missed by its number, and asked for again.
    fn send_bulk(&mut self, bulk: &mut Bulk, message: &[u8]) {
        self.send(Kind::Bulk, message);
        bulk.messages += 1;
    }
}
