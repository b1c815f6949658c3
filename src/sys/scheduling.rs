//! Which thread goes first.

#![expect(unsafe_code, reason = "sched_setscheduler has no safe wrapper")]

use std::io;

/// Puts the calling thread before all threads that are not real-time ones: it runs as soon as it has something to do.
/// Needs CAP_SYS_NICE.
pub fn go_first() -> io::Result<()> {
    set(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, 1)
}

/// Puts the calling thread among the others again.
pub fn go_along() -> io::Result<()> {
    set(libc::SCHED_OTHER, 0)
}

fn set(policy: i32, priority: i32) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: the structure lives through the call; 0 names the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
