//! Who holds each slot, in memory that outlives the process.
//!
//! A process that dies leaves slots everywhere: in rings, with the kernel, in its hands. The next one must find all of them
//! again, and must take none that the kernel still works on. Rings tell a part of it; this file tells the rest:
//!
//! - one byte a slot says who has it. It is changed *before* a slot goes into a ring, and before it comes out of one, so
//!   that a slot of the kernel's is never taken for a free one;
//! - one announcement says which slots are about to go into which ring, and at which mark. It is made before their bytes
//!   are changed. If the ring still stands at that mark, they never went in, and are free.
//!
//! Whatever is in a ring is where the ring says. What is in none and was given to the kernel comes back by a ring.
//!
//! Only the worker writes here, in plain stores; a successor reads after the worker has ended. Nothing is torn by a death:
//! an announcement counts only once its length is written, which is taken back before the next one begins.

#![expect(unsafe_code, reason = "views the bytes of a shared file as atomics")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use memmap2::MmapRaw;

use super::rings::{Geometry, Marks};
use crate::io::BATCH;
use crate::sys::memfd;

/// Spells `RMLEDGER`, in a little-endian dump.
const MAGIC: [u32; 2] = [0x454c_4d52, 0x5245_4744];
/// The layout of [`Page`]; another one is another number.
const LAYOUT: u32 = 1;

/// Who holds a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Holder {
    /// The free list.
    Free = 0,
    /// The kernel, to put a received frame in.
    Receive = 1,
    /// The kernel, to send it.
    Transmit = 2,
    /// The worker.
    Hand = 3,
}

/// How many slots are where. Together they are always all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// In the free list.
    pub free: usize,
    /// With the kernel, waiting for frames to arrive (or holding them until they are read).
    pub receive: usize,
    /// With the kernel, being sent.
    pub transmit: usize,
    /// With the worker.
    pub in_hand: usize,
}

impl Census {
    /// All slots.
    pub fn total(&self) -> usize {
        self.free + self.receive + self.transmit + self.in_hand
    }
}

/// The two rings that slots go into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Inlet {
    Fill = 0,
    Transmit = 1,
}

/// Slots that were about to go into a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Announcement {
    /// Position of the socket among those of the worker.
    pub(super) socket: u32,
    pub(super) ring: Inlet,
    /// Where the ring stood before.
    pub(super) mark: u32,
    pub(super) slots: Vec<u32>,
}

/// The head of the file. One byte a slot follows it.
#[repr(C)]
struct Page {
    magic: [AtomicU32; 2],
    layout: AtomicU32,
    slots: AtomicU32,
    slot: AtomicU32,
    ring: AtomicU32,
    places: AtomicU32,
    announced: AnnouncedPart,
}

#[repr(C)]
struct AnnouncedPart {
    /// 0: nothing.
    count: AtomicU32,
    socket: AtomicU32,
    ring: AtomicU32,
    mark: AtomicU32,
    slots: [AtomicU32; BATCH],
}

/// The file, mapped.
#[derive(Debug)]
pub(super) struct Ledger {
    file: OwnedFd,
    /// Keeps the bytes mapped that the pointers below lead to.
    bytes: MmapRaw,
    page: NonNull<Page>,
    holders: NonNull<[AtomicU8]>,
}

// SAFETY: the pointers lead into `bytes`, which the value owns, and to atomics only.
unsafe impl Send for Ledger {}

impl Ledger {
    /// A new one, in which every slot is free, for sockets at these places: (interface index, queue).
    pub(super) fn create(geometry: Geometry, places: &[(u32, u32)]) -> io::Result<Self> {
        let (file, bytes) = memfd::create("ringmaster-frames", Self::length(geometry.slots as usize))?;
        let ledger = Self::view(file, bytes, geometry.slots as usize);
        for (place, value) in ledger.page().identity().into_iter().zip(identity(geometry, places)) {
            place.store(value, Ordering::Relaxed);
        }
        Ok(ledger)
    }

    /// One that another process made for the same geometry and places; an error of kind `InvalidData` says that it is none.
    pub(super) fn attach(file: OwnedFd, geometry: Geometry, places: &[(u32, u32)]) -> io::Result<Self> {
        let bytes = memfd::map(&file, Self::length(geometry.slots as usize))?;
        let ledger = Self::view(file, bytes, geometry.slots as usize);
        let found = ledger.page().identity().map(|place| place.load(Ordering::Relaxed));
        if found == identity(geometry, places) { Ok(ledger) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// In bytes, for so many slots.
    fn length(slots: usize) -> usize {
        size_of::<Page>() + slots
    }

    /// `bytes` are as many as `Self::length` says.
    fn view(file: OwnedFd, bytes: MmapRaw, slots: usize) -> Self {
        assert_eq!(bytes.len(), Self::length(slots), "made or mapped so");
        let start = NonNull::new(bytes.as_mut_ptr()).expect("the kernel maps nothing at address 0");
        // SAFETY: the head is shorter than the mapping.
        let first = unsafe { start.add(size_of::<Page>()) };
        let holders = NonNull::slice_from_raw_parts(first.cast(), slots);
        Self { file, bytes, page: start.cast(), holders }
    }

    /// Its file, for the next process.
    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    fn page(&self) -> &Page {
        // SAFETY: inside `bytes`, which lives as long as `self`; aligned to a page; atomics, valid for any bytes.
        unsafe { self.page.as_ref() }
    }

    #[inline(always)]
    fn holders(&self) -> &[AtomicU8] {
        // SAFETY: inside `bytes`, which lives as long as `self`; atomics, valid for any bytes.
        unsafe { self.holders.as_ref() }
    }

    /// Who holds a slot, if there is such a slot.
    #[inline(always)]
    pub(super) fn holder(&self, slot: u32) -> Option<Holder> {
        let byte = self.holders().get(slot as usize)?.load(Ordering::Relaxed);
        Some(match byte {
            0 => Holder::Free,
            1 => Holder::Receive,
            2 => Holder::Transmit,
            _ => Holder::Hand,
        })
    }

    /// Counts the slots by holder.
    pub(super) fn census(&self) -> Census {
        let holders = (0..self.holders().len() as u32).filter_map(|slot| self.holder(slot));
        holders.fold(Census::default(), |mut census, holder| {
            match holder {
                Holder::Free => census.free += 1,
                Holder::Receive => census.receive += 1,
                Holder::Transmit => census.transmit += 1,
                Holder::Hand => census.in_hand += 1,
            }
            census
        })
    }

    /// Another view of the same file, for another thread to read.
    pub(super) fn again(&self) -> io::Result<Self> {
        let file = self.file.try_clone()?;
        let bytes = memfd::map(&file, self.bytes.len())?;
        Ok(Self::view(file, bytes, self.holders.len()))
    }

    /// Says who holds a slot from now on.
    ///
    /// # Panics
    ///
    /// If there is no such slot.
    #[inline(always)]
    pub(super) fn set(&self, slot: u32, holder: Holder) {
        // Release: never seen before what was announced.
        self.holders()[slot as usize].store(holder as u8, Ordering::Release);
    }

    /// Says that these slots, at most a batch, are about to go into a ring that stands at `mark`.
    pub(super) fn announce(&self, socket: u32, ring: Inlet, mark: u32, slots: impl Iterator<Item = u32>) {
        let place = &self.page().announced;
        place.count.store(0, Ordering::Relaxed);
        // Each store below is a release, so that none is seen before the length was taken back.
        place.socket.store(socket, Ordering::Release);
        place.ring.store(ring as u32, Ordering::Release);
        place.mark.store(mark, Ordering::Release);
        let mut count = 0;
        for (place, slot) in place.slots.iter().zip(slots) {
            place.store(slot, Ordering::Release);
            count += 1;
        }
        place.count.store(count, Ordering::Release);
    }

    /// What was announced last.
    pub(super) fn announced(&self) -> Option<Announcement> {
        let place = &self.page().announced;
        let count = place.count.load(Ordering::Acquire) as usize;
        let slots = place.slots.iter().take(count).map(|slot| slot.load(Ordering::Relaxed)).collect();
        let ring = if place.ring.load(Ordering::Relaxed) == 0 { Inlet::Fill } else { Inlet::Transmit };
        let (socket, mark) = (place.socket.load(Ordering::Relaxed), place.mark.load(Ordering::Relaxed));
        (count > 0).then_some(Announcement { socket, ring, mark, slots })
    }

    /// What was announced last and never went in, since its ring still stands at that mark. `marks` are those of all sockets;
    /// an error of kind `InvalidData` says that it is none of them.
    pub(super) fn stranded(&self, marks: &[Marks]) -> io::Result<Option<Announcement>> {
        let Some(announced) = self.announced() else { return Ok(None) };
        let marks = marks.get(announced.socket as usize).ok_or(io::ErrorKind::InvalidData)?;
        let mark = if announced.ring == Inlet::Fill { marks.fill } else { marks.transmit };
        Ok((mark == announced.mark).then_some(announced))
    }
}

impl Page {
    fn identity(&self) -> [&AtomicU32; 7] {
        let Self { magic: [first, second], layout, slots, slot, ring, places, .. } = self;
        [first, second, layout, slots, slot, ring, places]
    }
}

fn identity(geometry: Geometry, places: &[(u32, u32)]) -> [u32; 7] {
    [MAGIC[0], MAGIC[1], LAYOUT, geometry.slots, geometry.slot, geometry.ring, digest(places)]
}

/// FNV-1a, to notice places that have changed. Nobody means harm here.
fn digest(places: &[(u32, u32)]) -> u32 {
    let bytes = places.iter().flat_map(|(interface, queue)| [interface.to_le_bytes(), queue.to_le_bytes()]).flatten();
    bytes.fold(0x811c_9dc5, |digest, byte| (digest ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GEOMETRY: Geometry = Geometry { slots: 8, slot: 2048, ring: 64 };
    const PLACES: &[(u32, u32)] = &[(2, 0), (3, 0)];

    #[test]
    fn another_process_reads_what_was_written() {
        let ledger = Ledger::create(GEOMETRY, PLACES).unwrap();
        ledger.set(3, Holder::Transmit);
        ledger.announce(1, Inlet::Transmit, u32::MAX, [3, 5].into_iter());
        let file = || ledger.file().try_clone_to_owned().unwrap();
        let other = Ledger::attach(file(), GEOMETRY, PLACES).unwrap();
        let holders: Vec<_> = (0..9).map(|slot| other.holder(slot)).collect();
        let expected = [0, 0, 0, 2, 0, 0, 0, 0].map(|n| Some(if n == 0 { Holder::Free } else { Holder::Transmit }));
        assert_eq!(holders[..8], expected);
        assert_eq!(holders[8], None);
        let announced = Announcement { socket: 1, ring: Inlet::Transmit, mark: u32::MAX, slots: vec![3, 5] };
        assert_eq!(other.announced(), Some(announced));

        ledger.announce(0, Inlet::Fill, 7, std::iter::empty());
        assert_eq!(other.announced(), None, "nothing is no announcement");
    }

    #[test]
    fn what_was_made_for_something_else_is_refused() {
        let ledger = Ledger::create(GEOMETRY, PLACES).unwrap();
        let attach = |geometry, places| Ledger::attach(ledger.file().try_clone_to_owned().unwrap(), geometry, places);
        assert!(attach(GEOMETRY, PLACES).is_ok());
        let others = [
            (Geometry { slots: 9, ..GEOMETRY }, PLACES),
            (Geometry { slot: 4096, ..GEOMETRY }, PLACES),
            (Geometry { ring: 128, ..GEOMETRY }, PLACES),
            (GEOMETRY, &PLACES[..1]),
            (GEOMETRY, &[(2, 0), (2, 1)]),
        ];
        for (geometry, places) in others {
            assert_eq!(attach(geometry, places).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
        ledger.page().layout.store(LAYOUT + 1, Ordering::Relaxed);
        assert!(attach(GEOMETRY, PLACES).is_err(), "another layout");
    }
}
