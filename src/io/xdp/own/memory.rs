//! Slots in a memory file: the mapping goes with the process, the file and what the kernel does in it stay as long as
//! anybody holds its descriptor.

#![expect(unsafe_code, reason = "promises that the mapping is what the port takes it for")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use memmap2::MmapRaw;

use crate::io::xdp::rings::{Geometry, Memory};
use crate::sys::memfd;

/// All slots of one worker.
#[derive(Debug)]
pub struct SharedSlots {
    file: OwnedFd,
    pages: MmapRaw,
}

impl SharedSlots {
    /// Maps the file that another process made.
    pub(crate) fn attach(file: OwnedFd, geometry: Geometry) -> io::Result<Self> {
        let pages = memfd::map(&file, geometry.bytes())?;
        Ok(Self { file, pages })
    }
}

// SAFETY: the pages are mapped, readable and writable, until the value is dropped; the mapping does not move with it, has
// the length of the geometry, and nothing else in this process maps the file.
unsafe impl Memory for SharedSlots {
    fn create(geometry: Geometry) -> io::Result<Self> {
        let (file, pages) = memfd::create("ringmaster-packets", geometry.bytes())?;
        Ok(Self { file, pages })
    }

    fn start(&self) -> NonNull<u8> {
        NonNull::new(self.pages.as_mut_ptr()).expect("the kernel maps nothing at address 0")
    }

    fn file(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }
}
