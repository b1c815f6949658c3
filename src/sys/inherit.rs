//! Descriptors that a process was started with.

#![expect(unsafe_code, reason = "a number from the command line becomes a descriptor")]

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// What this process was started with: the right to take it over, which there is once.
#[derive(Debug)]
pub struct Inherited(());

impl Inherited {
    /// To be called once in the life of a process, before it has opened anything that it means to pass on.
    pub fn claim() -> io::Result<Self> {
        static CLAIMED: AtomicBool = AtomicBool::new(false);
        if CLAIMED.swap(true, Ordering::Relaxed) { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(Self(())) }
    }

    /// Takes over descriptor `number`, which whoever started this process has left open for it. Our own children do not get
    /// it. None of the standard ones, and none twice.
    pub fn take(&mut self, number: RawFd) -> io::Result<OwnedFd> {
        if number <= 2 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: not one of the standard descriptors, and not -1; used for one call, which fails if it is not open.
        let flags = fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) })?;
        if flags.contains(FdFlags::CLOEXEC) {
            // Somebody in this process has opened it, or has it from here.
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: it is open, was so when this process began (all that the process opens itself is close-on-exec), and this
        // is the only place that takes one: `self` is the only value of its kind, and what it has given is close-on-exec.
        let file = unsafe { OwnedFd::from_raw_fd(number) };
        fcntl_setfd(&file, FdFlags::CLOEXEC)?;
        Ok(file)
    }
}
