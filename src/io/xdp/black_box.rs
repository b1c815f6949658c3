//! The packets that a worker had in hand when it died: one of them may be what killed it.
//!
//! They still lie in their slots, perhaps half rewritten. The receive rings still say how long each was, as long as the
//! kernel has not come round to those entries.

use std::collections::BTreeSet;

use super::attach::Mapped;
use super::ledger::Holder;
use super::own::Own;
use super::pool::slot_of;
use super::rings::{Descriptor, Memory};

impl Mapped {
    /// Reads them, the latest first, before anybody goes on with the rings. What cannot be told any more is left out, and so
    /// is what had not quite left its ring: it will be received.
    pub fn in_hand(&mut self) -> Vec<Vec<u8>> {
        self.rings.iter_mut().for_each(Own::catch_up);
        let slot =
            |address| slot_of(address, self.geometry).filter(|&slot| self.ledger.holder(slot) == Some(Holder::Hand));
        let taken = || self.rings.iter().flat_map(Own::taken);
        let mut missed: BTreeSet<u32> = taken().filter_map(|packet| slot(packet.address)).collect();
        for address in self.rings.iter().flat_map(|rings| rings.contents().0) {
            slot_of(address, self.geometry).map(|slot| missed.remove(&slot));
        }
        let lost = taken().filter(|packet| slot(packet.address).is_some_and(|slot| missed.remove(&slot)));
        lost.filter_map(|packet| self.read(packet)).collect()
    }

    fn read(&self, packet: Descriptor) -> Option<Vec<u8>> {
        let file = self.slots.file().filter(|_| packet.length <= self.geometry.slot)?;
        let mut bytes = vec![0; packet.length as usize];
        let read = rustix::io::pread(file, &mut bytes[..], packet.address).ok()?;
        bytes.truncate(read);
        Some(bytes)
    }
}
