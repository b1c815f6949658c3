//! Another program in this process: the same id, the same children, and those descriptors that are to stay.

#![expect(unsafe_code, reason = "execv(3) has no wrapper that leaves everything as it is when it fails")]

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;

use rustix::io::{FdFlags, fcntl_setfd};

/// Puts a program into the place of the one that runs here, with these arguments (the first is its name) and these
/// descriptors, by the numbers that they have. Signals that are blocked stay so, and wait. Returns only if it fails; all is
/// as before then. To be called by a process of one thread: others end without notice.
pub fn exec(program: BorrowedFd<'_>, arguments: &[OsString], kept: &[BorrowedFd<'_>]) -> io::Error {
    let failed = keep_open(kept, true).and_then(|()| become_program(program, arguments));
    // What cannot be set back was never set.
    let _ = keep_open(kept, false);
    failed.err().unwrap_or_else(|| io::ErrorKind::Other.into())
}

fn keep_open(kept: &[BorrowedFd<'_>], open: bool) -> io::Result<()> {
    let flags = if open { FdFlags::empty() } else { FdFlags::CLOEXEC };
    kept.iter().try_for_each(|file| Ok(fcntl_setfd(file, flags)?))
}

/// By way of `/proc`, where a file has a name whatever has become of its own.
fn become_program(program: BorrowedFd<'_>, arguments: &[OsString]) -> io::Result<()> {
    let path = CString::new(format!("/proc/self/fd/{}", program.as_raw_fd()))?;
    let words = arguments.iter().cloned().map(|word| CString::new(word.into_vec()));
    let words = words.collect::<Result<Vec<_>, _>>()?;
    let pointers: Vec<_> = words.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect();
    // SAFETY: a string, and a list of strings with a null at its end; all of them live through the call.
    unsafe { libc::execv(path.as_ptr(), pointers.as_ptr()) };
    Err(io::Error::last_os_error())
}
