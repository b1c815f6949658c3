//! Socket options that have no name in a safe library yet.

#![expect(unsafe_code, reason = "socket options by number")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::io::options::BusyPoll;

/// `XDP_MAX_TX_SKB_BUDGET` of `<linux/if_xdp.h>`, since Linux 6.17.
const MAX_TX_SKB_BUDGET: libc::c_int = 9;

/// Frames that one system call may send, in copy mode.
const BURST: i32 = 256;

/// Packets that one call may let the driver process (`SO_BUSY_POLL_BUDGET`); more than 64 takes CAP_NET_ADMIN.
const BUDGET: i32 = 64;

/// Lets one system call send 256 frames where the kernel has the option, instead of 32. Without, there are more calls, so a
/// refusal does not matter.
pub(crate) fn ask_for_large_bursts(socket: BorrowedFd<'_>) {
    let _ = set(socket, libc::SOL_XDP, MAX_TX_SKB_BUDGET, BURST);
}

/// Makes receive processing happen in this socket's system calls, on the worker's core, as far as the driver can
/// (Documentation/networking/napi.rst).
pub(super) fn poll_busily(socket: BorrowedFd<'_>, wanted: BusyPoll) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_PREFER_BUSY_POLL, 1)?;
    set(socket, libc::SOL_SOCKET, libc::SO_BUSY_POLL, wanted.microseconds.into())?;
    set(socket, libc::SOL_SOCKET, libc::SO_BUSY_POLL_BUDGET, BUDGET)
}

/// Whether that was asked for on this socket.
pub(super) fn polls_busily(socket: BorrowedFd<'_>) -> bool {
    get(socket, libc::SOL_SOCKET, libc::SO_PREFER_BUSY_POLL).is_ok_and(|value| value != 0)
}

fn set(socket: BorrowedFd<'_>, level: libc::c_int, option: libc::c_int, value: i32) -> io::Result<()> {
    let length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the option's value is an int that lives through the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), length) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn get(socket: BorrowedFd<'_>, level: libc::c_int, option: libc::c_int) -> io::Result<i32> {
    let mut value = 0_i32;
    let mut length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the value is an int and the length says so; both live through the call.
    let result =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, (&raw mut value).cast(), &raw mut length) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
}
