//! Going on with the rings of a process that has stopped, or died.
//!
//! Sockets, rings and packets stay as they are as long as anybody holds their descriptors; packets meanwhile wait in the
//! receive rings. The successor maps everything again and finds the owner of each slot:
//!
//! 1. What was announced for a ring that has not moved since never went in: free.
//! 2. What lies in a ring is the ring's, whatever the ledger says.
//! 3. What was in hand is lost with the hands: free.
//! 4. What was given to the kernel and is in no ring is still the kernel's, and will come back by one.

use std::io;
use std::os::fd::OwnedFd;

use super::ledger::{Holder, Into, Ledger};
use super::own::{Own, SharedSlots};
use super::pool::{Pool, slot_of};
use super::rings::{Geometry, Rings};
use super::socket::Socket;
use super::{PortSetup, SetupError, open};

/// What must stay open for another process to go on, each a descriptor of its own.
#[derive(Debug)]
pub struct Descriptors {
    /// The file of the slots.
    pub slots: OwnedFd,
    /// The file that says who holds them.
    pub ledger: OwnedFd,
    /// The sockets, by port and then by queue.
    pub sockets: Vec<OwnedFd>,
}

/// Takes over what was opened for the same ports and as many frames.
pub(super) fn attach(
    ports: &[PortSetup],
    frames: usize,
    descriptors: Descriptors,
) -> Result<(Pool<SharedSlots>, Vec<Socket<Own>>), SetupError> {
    let geometry = open::geometry(ports, frames)?;
    recover(ports, geometry, descriptors).map_err(|source| SetupError::NotTakenOver { source })
}

fn recover(
    ports: &[PortSetup],
    geometry: Geometry,
    descriptors: Descriptors,
) -> io::Result<(Pool<SharedSlots>, Vec<Socket<Own>>)> {
    let places: Vec<_> = open::places(ports).collect();
    if places.len() != descriptors.sockets.len() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let ledger = Ledger::attach(descriptors.ledger, geometry, &open::numbered_places(ports))?;
    let slots = SharedSlots::attach(descriptors.slots, geometry)?;
    let rings: Vec<Own> =
        descriptors.sockets.into_iter().map(|socket| Own::attach(socket, geometry.ring)).collect::<io::Result<_>>()?;

    let contents: Vec<_> = rings.iter().map(|rings| rings.contents()).collect();
    let marks: Vec<_> = rings.iter().map(Rings::marks).collect();
    settle(&ledger, geometry, &marks, &contents)?;

    let pool = Pool::with(slots, ledger, geometry);
    let sockets = rings.into_iter().zip(places).zip(0..).map(|((rings, (port, queue)), number)| {
        let outstanding = rings.outstanding();
        Socket::new(rings, number, (port, queue), geometry.ring, outstanding)
    });
    Ok((pool, sockets.collect()))
}

/// Writes into the ledger who holds each slot, now that nobody has any in hand.
pub(super) fn settle(
    ledger: &Ledger,
    geometry: Geometry,
    marks: &[super::rings::Marks],
    contents: &[(Vec<u64>, Vec<u64>)],
) -> io::Result<()> {
    if let Some(announced) = ledger.announced() {
        let marks = marks.get(announced.socket as usize).ok_or(io::ErrorKind::InvalidData)?;
        let mark = if announced.ring == Into::Fill { marks.fill } else { marks.transmit };
        if mark == announced.mark {
            for slot in announced.slots {
                ledger.set(valid(slot, geometry)?, Holder::Free);
            }
        }
    }
    for slot in 0..geometry.slots {
        if ledger.holder(slot) == Some(Holder::Hand) {
            ledger.set(slot, Holder::Free);
        }
    }
    for (receiving, transmitting) in contents {
        for (addresses, holder) in [(receiving, Holder::Receive), (transmitting, Holder::Transmit)] {
            for &address in addresses {
                ledger.set(slot_of(address, geometry).ok_or(io::ErrorKind::InvalidData)?, holder);
            }
        }
    }
    Ok(())
}

fn valid(slot: u32, geometry: Geometry) -> io::Result<u32> {
    if slot < geometry.slots { Ok(slot) } else { Err(io::ErrorKind::InvalidData.into()) }
}
