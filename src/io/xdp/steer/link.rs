//! Attaching by a link of our own: the loading library's lets nobody else hold its descriptor.

#![expect(unsafe_code, reason = "bpf(2) has no safe wrapper for links")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::AttachMode;

/// `BPF_LINK_CREATE` of `enum bpf_cmd` (<linux/bpf.h>).
const LINK_CREATE: libc::c_int = 28;
/// `BPF_XDP` of `enum bpf_attach_type`.
const ATTACH_XDP: u32 = 37;
/// `XDP_FLAGS_SKB_MODE` and `XDP_FLAGS_DRV_MODE` of <linux/if_link.h>.
const SKB_MODE: u32 = 1 << 1;
const DRIVER_MODE: u32 = 1 << 2;

/// The part of `union bpf_attr` that the command reads for XDP.
#[repr(C)]
struct Attributes {
    program: RawFd,
    interface: u32,
    attach_type: u32,
    flags: u32,
}

/// Attaches a program to an interface for as long as anybody holds the result. Kernels have such links since 5.9.
pub(super) fn attach(program: BorrowedFd<'_>, interface: u32, mode: AttachMode) -> io::Result<OwnedFd> {
    let flags = match mode {
        AttachMode::Native => DRIVER_MODE,
        AttachMode::Generic => SKB_MODE,
    };
    let attributes = Attributes { program: program.as_raw_fd(), interface, attach_type: ATTACH_XDP, flags };
    // SAFETY: the kernel reads as many bytes as it is told there are, which live through the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, LINK_CREATE, &raw const attributes, size_of::<Attributes>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor (an int, whatever the call's type), and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(result as RawFd) })
}
