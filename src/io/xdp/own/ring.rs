//! One of the four rings that a socket shares with the kernel.
//!
//! A ring is an array and two counters that only grow (and wrap): what was put in, and what was taken out. Each side writes
//! one of them, after it is done with the entries, and reads the other's before it touches them. Each keeps a copy of the
//! other's counter and looks again only when the copy says that nothing is left: the counters lie on lines of their own,
//! and a line that both sides touch for each packet costs both of them more than the packet's own work.

#![expect(unsafe_code, reason = "the rings are memory shared with the kernel")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use memmap2::{MmapOptions, MmapRaw};
use rustix::net::xdp::XdpRingOffset;

/// Entries of rings: plain numbers, for which any bytes will do.
///
/// # Safety
///
/// Implemented only by types that are valid for any bytes, have no padding and hold no pointer.
pub(super) unsafe trait Entry: Copy {}
// SAFETY: an integer.
unsafe impl Entry for u64 {}
// SAFETY: `repr(C)`, 8 + 4 + 4 bytes, all integers.
unsafe impl Entry for crate::io::xdp::rings::Descriptor {}

/// A mapped ring.
struct Ring<T> {
    /// Keeps the pages mapped that the pointers below lead to.
    _pages: MmapRaw,
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    entries: NonNull<T>,
    /// Number of entries less one.
    mask: u32,
}

// SAFETY: the pointers lead into `_pages`, which the value owns; one thread at a time uses them.
unsafe impl<T: Entry> Send for Ring<T> {}

impl<T: Entry> Ring<T> {
    /// Maps a ring of `size` entries of this socket. `page_offset` says which, `at` where its parts are.
    fn map(socket: BorrowedFd<'_>, page_offset: u64, at: &XdpRingOffset, size: u32) -> io::Result<Self> {
        let place = |offset: u64| usize::try_from(offset).map_err(io::Error::other);
        let (producer, consumer, entries) = (place(at.producer)?, place(at.consumer)?, place(at.desc)?);
        // Kernels before 5.4 have no flags and no way to be woken; they are refused when the socket is bound.
        let flags = place(at.flags.ok_or(io::ErrorKind::Unsupported)?)?;
        let bytes = entries + size as usize * size_of::<T>();
        let pages = MmapOptions::new().offset(page_offset).len(bytes).populate().map_raw(socket.as_raw_fd())?;
        let last = bytes - size_of::<AtomicU32>();
        let aligned = [producer, consumer, flags].iter().all(|offset| offset % align_of::<AtomicU32>() == 0);
        if !aligned || producer.max(consumer).max(flags) > last || entries % align_of::<T>() != 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let start = NonNull::new(pages.as_mut_ptr()).expect("the kernel maps nothing at address 0");
        // SAFETY: just checked: each of the four lies within the mapping, and is aligned as the mapping's start is to a page.
        let (producer, consumer, flags, entries) = unsafe {
            (start.add(producer).cast(), start.add(consumer).cast(), start.add(flags).cast(), start.add(entries).cast())
        };
        Ok(Self { _pages: pages, producer, consumer, flags, entries, mask: size - 1 })
    }

    fn size(&self) -> u32 {
        self.mask + 1
    }

    fn producer(&self) -> &AtomicU32 {
        // SAFETY: inside `_pages`, which lives as long as `self`; aligned; an atomic, valid for any bytes.
        unsafe { self.producer.as_ref() }
    }

    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { self.consumer.as_ref() }
    }

    fn needs_wakeup(&self) -> bool {
        // SAFETY: as above.
        unsafe { self.flags.as_ref() }.load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }

    #[inline(always)]
    fn entry(&self, index: u32) -> NonNull<T> {
        // SAFETY: masked, the index is below the number of entries, all of which lie within `_pages`.
        unsafe { self.entries.add((index & self.mask) as usize) }
    }
}

/// A ring that we put into: fill or transmit.
pub(super) struct Producer<T> {
    ring: Ring<T>,
    /// Our counter: where the next entry goes.
    next: u32,
}

impl<T: Entry> Producer<T> {
    /// Maps it, and goes on where whoever had it before has stopped.
    pub(super) fn map(socket: BorrowedFd<'_>, page: u64, at: &XdpRingOffset, size: u32) -> io::Result<Self> {
        let ring = Ring::map(socket, page, at, size)?;
        let next = ring.producer().load(Ordering::Relaxed);
        Ok(Self { ring, next })
    }

    /// Goes on where whoever has had it since it was mapped has stopped.
    pub(super) fn catch_up(&mut self) {
        self.next = self.ring.producer().load(Ordering::Acquire);
    }

    /// Adds entries, for which there must be room.
    #[inline]
    pub(super) fn put(&mut self, entries: &[T]) {
        for &entry in entries {
            // SAFETY: the place is within the ring (see `entry`). The kernel does not read it before the counter says so.
            unsafe { self.ring.entry(self.next).write(entry) };
            self.next = self.next.wrapping_add(1);
        }
        self.ring.producer().store(self.next, Ordering::Release);
    }

    /// Entries ever put in.
    pub(super) fn mark(&self) -> u32 {
        self.next
    }

    /// Entries that the kernel has not yet taken out.
    pub(super) fn waiting(&self) -> u32 {
        self.next.wrapping_sub(self.ring.consumer().load(Ordering::Acquire))
    }

    /// Whether the kernel has to be told of new entries by a system call.
    pub(super) fn needs_wakeup(&self) -> bool {
        self.ring.needs_wakeup()
    }

    /// What waits in the ring. For taking over: whoever uses the ring must have stopped.
    pub(super) fn contents(&self) -> impl Iterator<Item = T> {
        // SAFETY: the places are within the ring, and were written before the counter was.
        (0..self.waiting().min(self.ring.size()))
            .map(|back| unsafe { self.ring.entry(self.next.wrapping_sub(back + 1)).read() })
    }
}

/// A ring that we take from: receive or completion.
pub(super) struct Consumer<T> {
    ring: Ring<T>,
    /// Our counter: the first entry not taken yet.
    next: u32,
    /// The kernel's counter, as it was seen last.
    seen: u32,
}

impl<T: Entry> Consumer<T> {
    /// Maps it, and goes on where whoever had it before has stopped.
    pub(super) fn map(socket: BorrowedFd<'_>, page: u64, at: &XdpRingOffset, size: u32) -> io::Result<Self> {
        let ring = Ring::map(socket, page, at, size)?;
        let next = ring.consumer().load(Ordering::Relaxed);
        Ok(Self { ring, next, seen: next })
    }

    /// Goes on where whoever has had it since it was mapped has stopped.
    pub(super) fn catch_up(&mut self) {
        self.next = self.ring.consumer().load(Ordering::Acquire);
        self.seen = self.next;
    }

    /// Copies the first entries and says how many. They stay until [`release`](Self::release).
    #[inline]
    pub(super) fn peek(&mut self, into: &mut [T]) -> usize {
        if self.seen == self.next {
            self.seen = self.ring.producer().load(Ordering::Acquire);
        }
        let there = self.seen.wrapping_sub(self.next).min(self.ring.size()) as usize;
        let count = there.min(into.len());
        for (at, entry) in into[..count].iter_mut().enumerate() {
            // SAFETY: the place is within the ring (see `entry`), and the kernel has filled it before it moved its counter.
            *entry = unsafe { self.ring.entry(self.next.wrapping_add(at as u32)).read() };
        }
        count
    }

    /// Takes out the first `count` entries, which were peeked at.
    #[inline]
    pub(super) fn release(&mut self, count: usize) {
        // At most what `peek` has returned, hence at most the ring's size.
        self.next = self.next.wrapping_add(count as u32);
        self.ring.consumer().store(self.next, Ordering::Release);
    }

    /// Entries ever taken out.
    pub(super) fn mark(&self) -> u32 {
        self.next
    }

    /// The last `count` entries that were taken out, as far as the kernel has not put others in their places.
    pub(super) fn taken(&self, count: u32) -> impl Iterator<Item = T> {
        let there = self.ring.producer().load(Ordering::Acquire).wrapping_sub(self.next).min(self.ring.size());
        // SAFETY: the places are within the ring, and any bytes are an entry.
        (1..=count.min(self.ring.size() - there))
            .map(|back| unsafe { self.ring.entry(self.next.wrapping_sub(back)).read() })
    }

    /// What waits in the ring.
    pub(super) fn contents(&self) -> impl Iterator<Item = T> {
        let there = self.ring.producer().load(Ordering::Acquire).wrapping_sub(self.next).min(self.ring.size());
        // SAFETY: the places are within the ring, and the kernel has filled them before it moved its counter.
        (0..there).map(|at| unsafe { self.ring.entry(self.next.wrapping_add(at)).read() })
    }
}
