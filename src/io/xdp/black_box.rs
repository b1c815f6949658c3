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

/// Reads them, the latest first, before anybody goes on with the rings. What cannot be told any more is left out, and so is
/// what had not quite left its ring: it will be received.
pub fn in_hand(ports: &[PortSetup], frames: usize, left: &Descriptors) -> io::Result<Vec<Vec<u8>>> {
    let geometry = open::geometry(ports, frames).map_err(io::Error::other)?;
    let ledger = Ledger::attach(left.ledger.try_clone()?, geometry, &open::numbered_places(ports))?;
    let rings = left.sockets.iter().map(|socket| Own::attach(socket.try_clone()?, geometry.ring));
    let rings: Vec<Own> = rings.collect::<io::Result<_>>()?;
    let slot = |address| slot_of(address, geometry).filter(|&slot| ledger.holder(slot) == Some(Holder::Hand));
    let mut missed: BTreeSet<u32> =
        rings.iter().flat_map(Own::taken).filter_map(|packet| slot(packet.address)).collect();
    for address in rings.iter().flat_map(|rings| rings.contents().0) {
        slot_of(address, geometry).map(|slot| missed.remove(&slot));
    }
    let mut found = Vec::new();
    for packet in rings.iter().flat_map(Own::taken) {
        if slot(packet.address).is_some_and(|slot| missed.remove(&slot)) && packet.length <= geometry.slot {
            let mut bytes = vec![0; packet.length as usize];
            let read = rustix::io::pread(left.slots.as_fd(), &mut bytes[..], packet.address)?;
            bytes.truncate(read);
            found.push(bytes);
        }
    }
    Ok(found)
}
