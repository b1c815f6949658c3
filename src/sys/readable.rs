//! Waiting on the control thread until there is something to read from a file descriptor that the runtime has no type for
//! (netlink, inotify).

#![expect(unsafe_code, reason = "the runtime must be promised that a descriptor stays the same")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A descriptor that does not wait by itself.
#[derive(Debug)]
pub struct Readable(AsyncFd<OwnedFd>);

impl Readable {
    /// Must be called inside the runtime.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        // SAFETY: an OwnedFd is open for as long as it lives, is the same number all the time, and cannot be exchanged
        // inside the AsyncFd, which is not given away.
        let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
        Ok(Self(registered?))
    }

    /// Waits until there is something, and lets `drain` read until there is nothing more. May be dropped while waiting.
    pub async fn drained<T>(&self, drain: impl FnOnce(BorrowedFd<'_>) -> T) -> io::Result<T> {
        let mut guard = self.0.readable().await?;
        let outcome = drain(guard.get_inner().as_fd());
        guard.clear_ready();
        Ok(outcome)
    }
}
