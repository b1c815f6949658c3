//! What a port needs of AF_XDP, whoever drives it: memory for the slots, and a socket with its four rings.
//!
//! Two implementations: [`Own`](super::Own), on the system calls, and [`XskRs`](super::XskRs), on `xsk_rs` and libxdp. All
//! that is policy (who holds a slot, how many may be with the kernel, when to kick) lies above, in `pool.rs` and `socket.rs`,
//! and is the same for both.

#![expect(unsafe_code, reason = "declares what memory has to be")]

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

use crate::io::options::BusyPoll;
use crate::sys::interface::Interface;

/// An entry of receive and transmit rings (`struct xdp_desc` of `<linux/if_xdp.h>`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// Where the packet begins, in bytes from the start of the memory.
    pub address: u64,
    /// Its length in bytes.
    pub length: u32,
    /// `XDP_PKT_CONTD` and others.
    pub options: u32,
}

impl Descriptor {
    /// Whether the packet goes on in the next descriptor (`XDP_PKT_CONTD`).
    pub fn continues(&self) -> bool {
        self.options & libc::XDP_PKT_CONTD != 0
    }
}

/// How a worker's memory is cut, and how long its rings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// How many slots.
    pub slots: u32,
    /// Bytes of each: 2048 or 4096.
    pub slot: u32,
    /// Entries of each ring; a power of two.
    pub ring: u32,
}

impl Geometry {
    /// Bytes of all slots together.
    pub fn bytes(self) -> usize {
        self.slots as usize * self.slot as usize
    }
}

/// How a socket is bound to its queue.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// The interface.
    pub interface: &'a Interface,
    /// Which of its queues.
    pub queue: u32,
    /// `XDP_ZEROCOPY`, or else `XDP_COPY`.
    pub zero_copy: bool,
    /// Whether the worker drives the interface's receive processing itself.
    pub busy_poll: Option<BusyPoll>,
}

/// The slots of one worker.
///
/// # Safety
///
/// What [`start`](Self::start) points to are the `Geometry::bytes` that the memory was made with, readable and writable as
/// long as the value lives, wherever it is moved; this process reaches them by no other way.
pub unsafe trait Memory: Sized + Send {
    /// Makes zeroed memory.
    fn create(geometry: Geometry) -> io::Result<Self>;

    /// The first slot.
    fn start(&self) -> NonNull<u8>;

    /// The file that it lies in, for another process to map, if it lies in one.
    fn file(&self) -> Option<BorrowedFd<'_>>;
}

/// A bound socket and its rings. All counts are at most a ring's length; the caller keeps count and overfills none.
pub trait Rings: Sized + Send {
    /// What its slots lie in.
    type Memory: Memory;

    /// Binds a socket to a queue. `first` is the first socket on the same memory, if this is not it.
    fn bind(memory: &Self::Memory, first: Option<&Self>, geometry: Geometry, binding: &Binding<'_>)
    -> io::Result<Self>;

    /// The socket.
    fn fd(&self) -> BorrowedFd<'_>;

    /// Indices at which the fill and the transmit ring go on. They count up and wrap.
    fn marks(&self) -> Marks;

    /// Gives slots to the kernel to receive into.
    fn fill(&mut self, addresses: &[u64]);

    /// Reads received packets. They stay in the ring until [`release_received`](Self::release_received).
    fn peek_received(&mut self, into: &mut [Descriptor]) -> usize;

    /// Takes the first `count` received packets out of the ring.
    fn release_received(&mut self, count: usize);

    /// Gives packets to the kernel to send.
    fn send(&mut self, packets: &[Descriptor]);

    /// Reads the addresses of packets that were sent. They stay in the ring until [`release_sent`](Self::release_sent).
    fn peek_sent(&mut self, into: &mut [u64]) -> usize;

    /// Takes the first `count` addresses out of the ring.
    fn release_sent(&mut self, count: usize);

    /// Packets that the kernel has not yet taken from the transmit ring.
    fn unsent(&mut self) -> u32;

    /// Whether the kernel sends only when it is told to.
    fn sends_when_kicked(&self) -> bool;

    /// Tells it to.
    fn kick(&mut self) -> io::Result<()>;

    /// Tells a driver that ran out of free slots that there are some again, if it waits to be told.
    fn wake_receiver(&mut self);
}

/// See [`Rings::marks`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Slots ever given to the fill ring.
    pub fill: u32,
    /// Packets ever given to the transmit ring.
    pub transmit: u32,
}
