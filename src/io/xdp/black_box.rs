//! The packets that died with a worker, since it had them in hand or was about to send them: one of them may be what killed it.
//!
//! They still lie in their slots, perhaps half rewritten. The receive rings still say how long each was, as long as the
//! kernel has not come round to those entries.

use std::collections::BTreeSet;

use super::attach::Mapped;
use super::ledger::{Holder, Inlet, Ledger};
use super::own::Own;
use super::pool::slot_of;
use super::rings::{Descriptor, Geometry, Marks, Memory, Rings};

impl Mapped {
    /// Reads them, the latest first, before anybody goes on with the rings. What cannot be told any more is left out, and so
    /// is what had not quite left its ring: it will be received.
    pub fn in_hand(&mut self) -> Vec<Vec<u8>> {
        self.rings.iter_mut().for_each(Own::catch_up);
        let marks: Vec<_> = self.rings.iter().map(Rings::marks).collect();
        let receiving: Vec<_> = self.rings.iter().flat_map(|rings| rings.contents().0).collect();
        let taken: Vec<_> = self.rings.iter().flat_map(Own::taken).collect();
        let lost = lost(&self.ledger, self.geometry, &marks, &receiving, &taken);
        lost.into_iter().filter_map(|packet| self.read(packet)).collect()
    }

    fn read(&self, packet: Descriptor) -> Option<Vec<u8>> {
        let file = self.slots.file().filter(|_| packet.length <= self.geometry.slot)?;
        let mut bytes = vec![0; packet.length as usize];
        let read = rustix::io::pread(file, &mut bytes[..], packet.address).ok()?;
        bytes.truncate(read);
        Some(bytes)
    }
}

/// Of the packets that were `taken` out of receive rings, the latest first, those that nobody will receive or send: they were in
/// hand, or on their way into a transmit ring that they never went into. `receiving` are the addresses in fill and receive
/// rings.
pub(super) fn lost(
    ledger: &Ledger,
    geometry: Geometry,
    marks: &[Marks],
    receiving: &[u64],
    taken: &[Descriptor],
) -> Vec<Descriptor> {
    let stranded = ledger.stranded(marks).ok().flatten().filter(|announced| announced.ring == Inlet::Transmit);
    let stranded = stranded.map_or(Vec::new(), |announced| announced.slots);
    let is_lost = |slot: &u32| match ledger.holder(*slot) {
        Some(Holder::Hand) => true,
        Some(Holder::Transmit) => stranded.contains(slot),
        Some(Holder::Free | Holder::Receive) | None => false,
    };
    let slot = |address| slot_of(address, geometry);
    let mut missed: BTreeSet<u32> = taken.iter().filter_map(|packet| slot(packet.address)).filter(is_lost).collect();
    for &address in receiving {
        slot(address).map(|slot| missed.remove(&slot));
    }
    taken.iter().copied().filter(|packet| slot(packet.address).is_some_and(|slot| missed.remove(&slot))).collect()
}
