//! Descriptors that a process was started with.

#![expect(unsafe_code, reason = "a number from the command line becomes a descriptor")]

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// Takes over descriptor `number`, which whoever started this process has left open for it. Our own children do not get
/// it. Only once in the life of a process, before it has opened anything.
pub fn take(number: RawFd) -> io::Result<OwnedFd> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if number <= 2 || TAKEN.swap(true, Ordering::Relaxed) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: not one of the standard descriptors, and not -1; used for one call, which fails if it is not open.
    let flags = fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) })?;
    if flags.contains(FdFlags::CLOEXEC) {
        // Somebody in this process has opened it.
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: it is open, was so when this process began (all that the process opens itself is close-on-exec), and this
    // is the only place that takes one, which it does once.
    let file = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl_setfd(&file, FdFlags::CLOEXEC)?;
    Ok(file)
}
