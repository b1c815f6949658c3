//! Going on with the rings of a process that has stopped, or died.
//!
//! Sockets, rings and packets stay as they are as long as anybody holds their descriptors; packets meanwhile wait in the
//! receive rings. The successor maps everything again, perhaps long before, and then finds the owner of each slot:
//!
//! 1. What was announced for a ring that has not moved since never went in: free.
//! 2. What lies in a ring is the ring's, whatever the ledger says.
//! 3. What was in hand is lost with the hands: free.
//! 4. What was given to the kernel and is in no ring is still the kernel's, and will come back by one.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use super::ledger::{Holder, Ledger};
use super::own::{Own, SharedSlots};
use super::pool::{Pool, slot_of};
use super::rings::{Geometry, Marks, Rings};
use super::socket::Socket;
use super::{PortSetup, SetupError, open};
use crate::io::PortId;

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

/// What another process has opened, mapped here as well. Nothing is touched while that process still uses it.
pub struct Mapped {
    places: Vec<(PortId, u32)>,
    pub(super) geometry: Geometry,
    pub(super) ledger: Ledger,
    pub(super) slots: SharedSlots,
    pub(super) rings: Vec<Own>,
}

impl Mapped {
    /// Maps what was opened for the same ports and as many frames.
    pub fn map(ports: &[PortSetup], frames: usize, descriptors: Descriptors) -> Result<Self, SetupError> {
        let geometry = open::geometry(ports, frames)?;
        let mapped = || {
            let places: Vec<_> = open::places(ports).collect();
            if places.len() != descriptors.sockets.len() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let ledger = Ledger::attach(descriptors.ledger, geometry, &open::numbered_places(ports))?;
            let slots = SharedSlots::attach(descriptors.slots, geometry)?;
            let rings = descriptors.sockets.into_iter().map(|socket| Own::attach(socket, geometry.ring));
            Ok(Self { places, geometry, ledger, slots, rings: rings.collect::<io::Result<_>>()? })
        };
        mapped().map_err(|source| SetupError::NotTakenOver { source })
    }

    /// Finds the owner of each slot. The other process must have stopped.
    pub(super) fn take(mut self) -> Result<(Pool<SharedSlots>, Vec<Socket<Own>>), SetupError> {
        self.rings.iter_mut().for_each(Own::catch_up);
        let Self { places, geometry, ledger, slots, rings } = self;
        let contents: Vec<_> = rings.iter().map(|rings| rings.contents()).collect();
        let marks: Vec<_> = rings.iter().map(Rings::marks).collect();
        let settled = settle(&ledger, geometry, &marks, &contents);
        let bounded = || rings.iter().map(Own::outstanding).try_for_each(|outstanding| bounded(outstanding, geometry));
        settled.and_then(|()| bounded()).map_err(|source| SetupError::NotTakenOver { source })?;
        let pool = Pool::with(slots, ledger, geometry);
        let sockets = rings.into_iter().zip(places).zip(0..).map(|((rings, place), number)| {
            let outstanding = rings.outstanding();
            Socket::new(rings, number, place, geometry.ring, outstanding)
        });
        Ok((pool, sockets.collect()))
    }
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapped").field("places", &self.places).finish_non_exhaustive()
    }
}

/// Writes into the ledger who holds each slot, now that nobody has any in hand.
fn settle(ledger: &Ledger, geometry: Geometry, marks: &[Marks], contents: &[(Vec<u64>, Vec<u64>)]) -> io::Result<()> {
    for slot in ledger.stranded(marks)?.into_iter().flat_map(|announced| announced.slots) {
        ledger.set(valid(slot, geometry)?, Holder::Free);
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

/// No ring can have more on its way than it has room for; counters that say so were written by somebody else than a worker.
fn bounded((receiving, transmitting): (u32, u32), geometry: Geometry) -> io::Result<()> {
    if receiving.max(transmitting) <= geometry.ring { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

fn valid(slot: u32, geometry: Geometry) -> io::Result<u32> {
    if slot < geometry.slots { Ok(slot) } else { Err(io::ErrorKind::InvalidData.into()) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, BorrowedFd};
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;

    use super::*;
    use crate::io::Batch;
    use crate::io::xdp::Faults;
    use crate::io::xdp::black_box::lost;
    use crate::io::xdp::rings::{Binding, Descriptor, Memory};
    use crate::io::xdp::socket::Scratch;

    const GEOMETRY: Geometry = Geometry { slots: 256, slot: 2048, ring: 64 };
    const PLACES: &[(u32, u32)] = &[(1, 0)];

    /// A socket as the kernel keeps it: it lives on when its user dies.
    #[derive(Default)]
    struct Kernel {
        marks: Marks,
        fill: Vec<u64>,
        received: Vec<Descriptor>,
        /// What was taken out of `received`, the last one last.
        taken: Vec<Descriptor>,
        transmit: Vec<Descriptor>,
        completed: Vec<u64>,
        /// Taken from the fill ring, and not yet received into.
        receiving: Vec<u64>,
        /// Taken from the transmit ring, and not yet completed.
        sending: Vec<u64>,
        /// How many packets have come, and how many have gone.
        come: usize,
        gone: usize,
    }

    impl Kernel {
        /// Moves up to `count` slots along, by each of its ways.
        fn work(&mut self, count: usize) {
            let take = |from: &mut Vec<u64>| from.drain(..count.min(from.len())).collect::<Vec<_>>();
            let received = take(&mut self.receiving);
            self.come += received.len();
            let packet = |address| Descriptor { address: address + 320, length: 60, options: 0 };
            self.received.extend(received.into_iter().map(packet));
            self.receiving.extend(take(&mut self.fill));
            self.completed.extend(take(&mut self.sending));
            let sent = self.transmit.drain(..count.min(self.transmit.len()));
            self.gone += sent.len();
            self.sending.extend(sent.map(|packet| packet.address));
        }

        fn contents(&self) -> (Vec<u64>, Vec<u64>) {
            let of = |packets: &[Descriptor]| packets.iter().map(|packet| packet.address).collect::<Vec<_>>();
            ([self.fill.clone(), of(&self.received)].concat(), [self.completed.clone(), of(&self.transmit)].concat())
        }

        fn outstanding(&self) -> (u32, u32) {
            let (receiving, transmitting) = self.contents();
            let count = |ring: Vec<u64>, held: &[u64]| (ring.len() + held.len()) as u32;
            (count(receiving, &self.receiving), count(transmitting, &self.sending))
        }
    }

    /// A user's view of it. Each call may be the last: just before it, or just after.
    struct Mortal {
        kernel: Arc<Mutex<Kernel>>,
        life: u32,
        fd: OwnedFd,
    }

    struct Death;

    impl Mortal {
        fn call<T>(&mut self, what: impl FnOnce(&mut Kernel) -> T) -> T {
            self.age();
            let result = what(&mut self.kernel.lock().unwrap());
            self.age();
            result
        }

        fn age(&mut self) {
            self.life = self.life.checked_sub(1).unwrap_or_else(|| resume_unwind(Box::new(Death)));
        }
    }

    impl Rings for Mortal {
        type Memory = SharedSlots;

        fn bind(_: &SharedSlots, _: Option<&Self>, _: Geometry, _: &Binding<'_>) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn fd(&self) -> BorrowedFd<'_> {
            self.fd.as_fd()
        }

        fn marks(&self) -> Marks {
            self.kernel.lock().unwrap().marks
        }

        fn fill(&mut self, addresses: &[u64]) {
            self.call(|kernel| {
                kernel.fill.extend(addresses);
                kernel.marks.fill = kernel.marks.fill.wrapping_add(addresses.len() as u32);
            });
        }

        fn peek_received(&mut self, into: &mut [Descriptor]) -> usize {
            self.call(|kernel| {
                let count = into.len().min(kernel.received.len());
                into[..count].copy_from_slice(&kernel.received[..count]);
                count
            })
        }

        fn release_received(&mut self, count: usize) {
            self.call(|kernel| kernel.taken.extend(kernel.received.drain(..count)));
        }

        fn send(&mut self, packets: &[Descriptor]) {
            self.call(|kernel| {
                kernel.transmit.extend(packets);
                kernel.marks.transmit = kernel.marks.transmit.wrapping_add(packets.len() as u32);
            });
        }

        fn peek_sent(&mut self, into: &mut [u64]) -> usize {
            self.call(|kernel| {
                let count = into.len().min(kernel.completed.len());
                into[..count].copy_from_slice(&kernel.completed[..count]);
                count
            })
        }

        fn release_sent(&mut self, count: usize) {
            self.call(|kernel| drop(kernel.completed.drain(..count)));
        }

        fn unsent(&mut self) -> u32 {
            self.kernel.lock().unwrap().transmit.len() as u32
        }

        fn sends_when_kicked(&self) -> bool {
            true
        }

        fn kick(&mut self) -> io::Result<()> {
            self.call(|kernel| kernel.work(32));
            Ok(())
        }

        fn wake_receiver(&mut self) {}
    }

    /// Receives, sends what came, and so on, until its life ends.
    fn live(pool: &mut Pool<SharedSlots>, socket: &mut Socket<Mortal>, kernel: &Mutex<Kernel>, pace: &[usize]) {
        let (mut batch, mut faults, mut scratch) = (Batch::new(), Faults::default(), Scratch::default());
        for &count in pace.iter().cycle() {
            kernel.lock().unwrap().work(count);
            socket.refill(pool, &mut scratch);
            socket.receive(pool, &mut scratch, &mut batch, &mut faults);
            socket.transmit(pool, &mut scratch, &mut batch, &mut faults);
            socket.kick(pool, &mut scratch, &mut faults);
            assert_eq!(faults, Faults::default());
        }
    }

    proptest! {
        /// Whatever is in the files that a process has left: it is refused, or the slots are told apart.
        #[test]
        fn no_scribbles_break_the_one_who_finds_them(
            scribbles in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..80),
            receiving in prop::collection::vec(prop_oneof![0_u64..600_000, any::<u64>()], 0..64),
            transmitting in prop::collection::vec(0_u64..600_000, 0..64),
            outstanding in (0_u32..100, prop_oneof![0_u32..100, any::<u32>()]),
        ) {
            let (slots, ledger) = (SharedSlots::create(GEOMETRY).unwrap(), Ledger::create(GEOMETRY, PLACES).unwrap());
            let length = rustix::fs::fstat(ledger.file()).unwrap().st_size as usize;
            for (at, byte) in scribbles {
                rustix::io::pwrite(ledger.file(), &[byte], at.index(length) as u64).unwrap();
            }
            let Ok(ledger) = Ledger::attach(ledger.file().try_clone_to_owned().unwrap(), GEOMETRY, PLACES) else {
                return Ok(());
            };
            let contents = [(receiving, transmitting)];
            let settled = settle(&ledger, GEOMETRY, &[Marks::default()], &contents);
            if settled.and_then(|()| bounded(outstanding, GEOMETRY)).is_err() {
                return Ok(());
            }
            let fd = slots.file().unwrap().try_clone_to_owned().unwrap();
            let mut pool = Pool::with(slots, ledger, GEOMETRY);
            prop_assert_eq!((pool.census().total(), pool.census().in_hand), (256, 0));
            let rings = Mortal { kernel: Default::default(), life: 100, fd };
            let mut socket = Socket::new(rings, 0, (PortId(0), 0), GEOMETRY.ring, outstanding);
            let _ = socket.wants_slots();
            let kernel = Arc::clone(&socket.rings().kernel);
            let work = || live(&mut pool, &mut socket, &kernel, &[7]);
            prop_assert!(catch_unwind(AssertUnwindSafe(work)).unwrap_err().is::<Death>(), "nothing else ends it");
        }

        /// However often and wherever a worker dies, the next one finds the owner of every slot, and knows of every packet that
        /// will neither be received nor sent any more.
        #[test]
        fn no_death_loses_a_slot(
            lives in prop::collection::vec(0_u32..80, 1..12),
            pace in prop::collection::vec(0_usize..70, 1..6),
            start in prop::sample::select(vec![0, u32::MAX - 100]),
        ) {
            let kernel = Arc::new(Mutex::new(Kernel::default()));
            kernel.lock().unwrap().marks = Marks { fill: start, transmit: start };
            let (slots, ledger) = (SharedSlots::create(GEOMETRY).unwrap(), Ledger::create(GEOMETRY, PLACES).unwrap());
            let mut told = 0;
            for life in lives {
                let pages = SharedSlots::attach(slots.file().unwrap().try_clone_to_owned().unwrap(), GEOMETRY).unwrap();
                let marked = Ledger::attach(ledger.file().try_clone_to_owned().unwrap(), GEOMETRY, PLACES).unwrap();
                let (marks, contents, outstanding) = {
                    let kernel = kernel.lock().unwrap();
                    let latest: Vec<_> = kernel.taken.iter().rev().copied().collect();
                    told += lost(&marked, GEOMETRY, &[kernel.marks], &kernel.contents().0, &latest).len();
                    let waiting = kernel.received.len() + kernel.transmit.len();
                    prop_assert_eq!(kernel.come, kernel.gone + waiting + told, "none is lost that nobody knows of");
                    (kernel.marks, kernel.contents(), kernel.outstanding())
                };
                settle(&marked, GEOMETRY, &[marks], &[contents]).unwrap();
                let mut pool = Pool::with(pages, marked, GEOMETRY);

                let census = pool.census();
                prop_assert_eq!((census.receive, census.transmit), (outstanding.0 as usize, outstanding.1 as usize));
                prop_assert_eq!((census.total(), census.in_hand), (256, 0), "the rest is free");

                let fd = slots.file().unwrap().try_clone_to_owned().unwrap();
                let rings = Mortal { kernel: Arc::clone(&kernel), life, fd };
                let mut socket = Socket::new(rings, 0, (PortId(0), 0), GEOMETRY.ring, outstanding);
                let end = catch_unwind(AssertUnwindSafe(|| live(&mut pool, &mut socket, &kernel, &pace)));
                prop_assert!(end.unwrap_err().is::<Death>(), "nothing else ends it");
            }
        }
    }
}
