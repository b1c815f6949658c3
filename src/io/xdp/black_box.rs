//! The packets that a worker had in hand when it died: one of them may be what killed it.
//!
//! They still lie in their slots, perhaps half rewritten. The receive rings still say how long each was, as long as the
//! kernel has not come round to those entries.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;

use super::attach::Descriptors;
use super::ledger::{Holder, Ledger};
use super::own::Own;
use super::pool::slot_of;
use super::{PortSetup, open};

/// Reads them, the latest first, before anybody goes on with the rings. What cannot be told any more is left out.
pub fn in_hand(ports: &[PortSetup], frames: usize, left: &Descriptors) -> io::Result<Vec<Vec<u8>>> {
    let geometry = open::geometry(ports, frames).map_err(io::Error::other)?;
    let ledger = Ledger::attach(left.ledger.try_clone()?, geometry, &open::numbered_places(ports))?;
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    for socket in &left.sockets {
        for packet in Own::attach(socket.try_clone()?, geometry.ring)?.taken() {
            let slot = slot_of(packet.address, geometry).filter(|&slot| ledger.holder(slot) == Some(Holder::Hand));
            if slot.is_some_and(|slot| seen.insert(slot)) && packet.length <= geometry.slot {
                let mut bytes = vec![0; packet.length as usize];
                let read = rustix::io::pread(left.slots.as_fd(), &mut bytes[..], packet.address)?;
                bytes.truncate(read);
                found.push(bytes);
            }
        }
    }
    Ok(found)
}
