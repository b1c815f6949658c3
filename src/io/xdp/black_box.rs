//! The packets that a worker had in hand when it died: one of them may be what killed it.
//!
//! They still lie in their slots, perhaps half rewritten. The receive rings still say how long each was, as long as the
//! kernel has not come round to those entries.

use std::collections::BTreeSet;

use super::attach::Mapped;
use super::ledger::Holder;
use super::pool::slot_of;
use super::rings::Memory;

impl Mapped {
    /// Reads them, the latest first, before anybody goes on with the rings. What cannot be told any more is left out.
    pub fn in_hand(&mut self) -> Vec<Vec<u8>> {
        let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
        self.rings.iter_mut().for_each(super::Own::catch_up);
        for packet in self.rings.iter().flat_map(super::Own::taken) {
            let slot = slot_of(packet.address, self.geometry);
            let held = slot.filter(|&slot| self.ledger.holder(slot) == Some(Holder::Hand));
            if held.is_some_and(|slot| seen.insert(slot)) && packet.length <= self.geometry.slot {
                let mut bytes = vec![0; packet.length as usize];
                if let Some(file) = self.slots.file()
                    && let Ok(read) = rustix::io::pread(file, &mut bytes[..], packet.address)
                {
                    bytes.truncate(read);
                    found.push(bytes);
                }
            }
        }
        found
    }
}
