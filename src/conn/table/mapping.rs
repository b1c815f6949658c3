//! The memory file that the table lives in, and the typed view of it.

#![expect(unsafe_code, reason = "maps a file and views its bytes as atomics")]

use std::ffi::c_void;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{NonNull, null_mut};

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

use super::TableError;
use super::entry::{Entry, VipCell};
use super::layout::{BatchCounter, Geometry, Header};
use super::primitive::AtomicU64;

/// The huge pages of x86-64; elsewhere a wrong guess costs only the huge pages.
const HUGE_PAGE: usize = 2 << 20;

/// The pages a table lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residence {
    /// Whole in memory, in huge pages but for what is left over at the end.
    HugePages,
    /// Whole in memory, in small pages: the kernel would not make huge ones. Slower from about 100 000 connections on.
    SmallPages,
    /// Pages come as they are touched.
    OnDemand,
}

impl fmt::Display for Residence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HugePages => "in huge pages",
            Self::SmallPages => "in small pages",
            Self::OnDemand => "in pages that come as they are touched",
        })
    }
}

/// A mapped table file. All of it is atomics, so that sharing it with any thread or process is sound.
#[derive(Debug)]
pub(super) struct Mapping {
    file: OwnedFd,
    /// Keeps the pages mapped that the pointers below lead to.
    region: Region,
    geometry: Geometry,
    residence: Residence,
    header: NonNull<Header>,
    counters: NonNull<[BatchCounter]>,
    index: NonNull<[AtomicU64]>,
    entries: NonNull<[Entry]>,
    vips: NonNull<[VipCell]>,
}

// SAFETY: the pointers lead into `region`, which the value owns, and to atomics only.
unsafe impl Send for Mapping {}
// SAFETY: as above; atomics may be used from several threads.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// A new file, all zeros, sealed against resizing (a file cut short under a mapping kills its readers).
    pub(super) fn create(geometry: Geometry) -> Result<Self, TableError> {
        let bytes = geometry.bytes();
        let failed = |step| move |error: rustix::io::Errno| TableError::System { step, bytes, source: error.into() };
        let file = rustix::fs::memfd_create("ringmaster-connections", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
            .map_err(failed("create a memory file"))?;
        rustix::fs::ftruncate(&file, bytes as u64).map_err(failed("size a memory file"))?;
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)
            .map_err(failed("seal a memory file"))?;
        let region = Region::map(&file, bytes)?;
        let residence = region.fill(geometry.vips_offset());
        Ok(Self::view(file, region, geometry, residence))
    }

    /// A file that another process made.
    pub(super) fn attach(file: OwnedFd) -> Result<Self, TableError> {
        let seals = rustix::fs::fcntl_get_seals(&file).map_err(|_| TableError::NotATable)?;
        if !seals.contains(SealFlags::SHRINK) {
            return Err(TableError::Unsealed);
        }
        let stat = rustix::fs::fstat(&file).map_err(|_| TableError::NotATable)?;
        let length = u64::try_from(stat.st_size).map_err(|_| TableError::NotATable)?;
        let bytes = usize::try_from(length).map_err(|_| TableError::NotATable)?;
        if bytes < size_of::<Header>() {
            return Err(TableError::NotATable);
        }
        let region = Region::map(&file, bytes)?;
        // SAFETY: the region is at least a header long and page-aligned, and a header is atomics, for which any bytes do.
        let geometry = unsafe { region.start.cast::<Header>().as_ref() }.geometry(length)?;
        Ok(Self::view(file, region, geometry, Residence::OnDemand))
    }

    /// The typed view. `region` is `geometry.bytes()` long.
    fn view(file: OwnedFd, region: Region, geometry: Geometry, residence: Residence) -> Self {
        assert_eq!(region.bytes, geometry.bytes(), "checked against the header, or made so");
        let header = region.start.cast();
        let counters = region.slice(geometry.counters_offset(), geometry.workers());
        let index = region.slice(geometry.index_offset(), geometry.groups());
        let entries = region.slice(geometry.entries_offset(), geometry.slots());
        let vips = region.slice(geometry.vips_offset(), geometry.slots());
        Self { file, region, geometry, residence, header, counters, index, entries, vips }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Brings the pages that a new table would have in memory into this process's page table.
    pub(super) fn touch(&self) {
        // Only a matter of speed; older kernels lack it.
        let _ = self.region.advise(libc::MADV_POPULATE_WRITE, self.geometry.vips_offset());
    }

    pub(super) fn geometry(&self) -> Geometry {
        self.geometry
    }

    pub(super) fn residence(&self) -> Residence {
        self.residence
    }

    #[inline(always)]
    pub(super) fn header(&self) -> &Header {
        // SAFETY: inside `region`, which lives as long as `self`; aligned; atomics, valid for any bytes.
        unsafe { self.header.as_ref() }
    }

    /// The workers' batch counters.
    #[inline(always)]
    pub(super) fn counters(&self) -> &[BatchCounter] {
        // SAFETY: inside `region`, which lives as long as `self`; aligned; atomics, valid for any bytes.
        unsafe { self.counters.as_ref() }
    }

    /// The index words, one a group.
    #[inline(always)]
    pub(super) fn index(&self) -> &[AtomicU64] {
        // SAFETY: inside `region`, which lives as long as `self`; aligned; atomics, valid for any bytes.
        unsafe { self.index.as_ref() }
    }

    /// The entries, by slot number.
    #[inline(always)]
    pub(super) fn entries(&self) -> &[Entry] {
        // SAFETY: inside `region`, which lives as long as `self`; aligned; atomics, valid for any bytes.
        unsafe { self.entries.as_ref() }
    }

    /// The addresses of connections that have one of their own, by slot number.
    #[inline(always)]
    pub(super) fn vips(&self) -> &[VipCell] {
        // SAFETY: inside `region`, which lives as long as `self`; aligned; atomics, valid for any bytes.
        unsafe { self.vips.as_ref() }
    }
}

/// A file mapped at a multiple of the huge page size (without which the kernel makes none), within a reservation of
/// address space that is given back as one piece.
#[derive(Debug)]
struct Region {
    start: NonNull<c_void>,
    bytes: usize,
    reservation: NonNull<c_void>,
    reserved: usize,
}

impl Region {
    fn map(file: &OwnedFd, bytes: usize) -> Result<Self, TableError> {
        let failed = |error: rustix::io::Errno| TableError::System { step: "map", bytes, source: error.into() };
        let reserved = bytes + HUGE_PAGE;
        // SAFETY: the kernel chooses an unused range; the mapping is private, inaccessible and ours.
        let reservation = unsafe {
            rustix::mm::mmap_anonymous(
                null_mut(),
                reserved,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        };
        let reservation = NonNull::new(reservation.map_err(failed)?).expect("the kernel maps nothing at address 0");
        let gap = reservation.addr().get().next_multiple_of(HUGE_PAGE) - reservation.addr().get();
        // SAFETY: the gap is less than a huge page, by which the reservation is longer than the file.
        let start = unsafe { reservation.byte_add(gap) };
        let region = Self { start, bytes, reservation, reserved };
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the fixed range [start, start + bytes) lies in the reservation made above, which nobody else knows.
        unsafe { rustix::mm::mmap(start.as_ptr(), bytes, access, MapFlags::SHARED | MapFlags::FIXED, file, 0) }
            .map_err(failed)?;
        Ok(region)
    }

    /// Brings the first `bytes` into memory, in huge pages if the kernel will: a packet should never wait for a page.
    fn fill(&self, bytes: usize) -> Residence {
        // Only a hint for pages that come later; the other two do the work, and older kernels lack the last.
        let _ = self.advise(libc::MADV_HUGEPAGE, bytes);
        let filled = self.advise(libc::MADV_POPULATE_WRITE, bytes).is_ok();
        let huge = bytes >= HUGE_PAGE && self.advise(libc::MADV_COLLAPSE, bytes).is_ok();
        match (filled, huge) {
            (true, true) => Residence::HugePages,
            (true, false) => Residence::SmallPages,
            (false, _) => Residence::OnDemand,
        }
    }

    fn advise(&self, advice: i32, bytes: usize) -> io::Result<()> {
        // SAFETY: the range is within this mapping (of `self.bytes`, which `bytes` is kept to); the advices used change where its pages are, never what they hold.
        match unsafe { libc::madvise(self.start.as_ptr(), bytes.min(self.bytes), advice) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// `count` values at an offset.
    fn slice<T>(&self, offset: usize, count: u32) -> NonNull<[T]> {
        let end = offset + count as usize * size_of::<T>();
        assert!(
            end <= self.bytes && offset.is_multiple_of(align_of::<T>()),
            "the geometry's offsets are inside the file"
        );
        // SAFETY: just checked to be inside the region.
        NonNull::slice_from_raw_parts(unsafe { self.start.byte_add(offset) }.cast(), count as usize)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: made by `map`, and nothing borrows from it any more. A failure would leave address space unused.
        let _ = unsafe { rustix::mm::munmap(self.reservation.as_ptr(), self.reserved) };
    }
}
