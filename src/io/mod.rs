//! The seam between engine and wire.
//!
//! [`PacketIo`] is all that a worker knows of the outside. Behind it stand AF_XDP sockets ([`xdp`]), rings in memory
//! ([`mem`]) and capture files ([`pcap`]); the worker's code is the same on all three.
//!
//! A [`Frame`] is a token for one buffer. It can be neither copied nor cloned: it comes out of `receive` or `allocate`
//! and must go back by `transmit` or `recycle`. Frames are named by index, never by pointer.

pub mod mem;
pub mod options;
pub mod pcap;
pub mod pool;
pub mod xdp;

use std::time::Duration;

use arrayvec::ArrayVec;

/// Frames handled at once: enough to overlap their cache misses, few enough to stay in the first-level cache.
pub const BATCH: usize = 64;

/// Bytes kept free in front of a received frame for tunnel headers (IPv6 40 + UDP 8 + GUE 4, and a VLAN tag to spare).
pub const HEADROOM: usize = 64;

/// A place frames come in and go out: index into the ports that this process attached to, the same for all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u8);

/// A buffer in the hands of a worker, and where in it the packet lies.
#[derive(Debug)]
#[must_use = "a dropped frame leaks a buffer"]
pub struct Frame {
    /// Which slot of the port's memory.
    pub(crate) index: u32,
    /// Where in the slot the Ethernet header begins.
    pub(crate) offset: u16,
    /// Bytes from there on, without FCS.
    pub(crate) len: u16,
    /// Where it came in.
    pub(crate) port: PortId,
}

impl Frame {
    /// Length in bytes, without FCS.
    #[inline(always)]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether it holds no byte at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where in its slot the Ethernet header begins.
    #[inline(always)]
    pub fn offset(&self) -> usize {
        usize::from(self.offset)
    }

    /// Says where in its slot the packet lies from now on.
    #[inline(always)]
    pub fn set_place(&mut self, offset: u16, len: u16) {
        (self.offset, self.len) = (offset, len);
    }

    /// The port it was received on.
    #[inline(always)]
    pub fn port(&self) -> PortId {
        self.port
    }
}

/// Up to [`BATCH`] frames.
pub type Batch = ArrayVec<Frame, BATCH>;

/// What a port can do, as found when it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortInfo {
    /// The interface's name, or the file's.
    pub name: String,
    /// Whether frames may come from a local stack with unfinished checksums (veth and other software devices). Ports
    /// of real hardware spare the workers the test.
    pub partial_checksums: bool,
    /// Longest frame it can send, in bytes without FCS.
    pub max_frame: usize,
    /// How it is attached, for people: `native, zero-copy, 4 queues`.
    pub mode: String,
}

/// One worker's access to all ports.
///
/// Conservation: every frame given out by [`receive`](Self::receive) or [`allocate`](Self::allocate) comes back through
/// [`transmit`](Self::transmit) or [`recycle`](Self::recycle), exactly once. `in_hand` counts those still out.
pub trait PacketIo {
    /// The ports, by [`PortId`].
    fn ports(&self) -> &[PortInfo];

    /// Adds received frames to `into` until it is full or nothing is waiting, taking the ports in turn.
    fn receive(&mut self, into: &mut Batch);

    /// A free buffer for a packet of our own making, empty, with [`HEADROOM`] in front; `None` if all are in use.
    fn allocate(&mut self) -> Option<Frame>;

    /// The whole slot of a frame: headroom, data and tailroom. The data is at [`Frame::offset`].
    fn slot_mut(&mut self, frame: &Frame) -> &mut [u8];

    /// Sends what fits into the transmit ring of `port`; what does not fit stays in `frames`, in order.
    fn transmit(&mut self, port: PortId, frames: &mut Batch);

    /// Gives the kernel a copy of a packet that is its own, as if the packet had just arrived. `false`: there is no way
    /// to the kernel, or no room on it. The frame stays with the worker.
    fn pass(&mut self, frame: &Frame) -> bool;

    /// Takes back frames that go nowhere, and empties `frames`.
    fn recycle(&mut self, frames: &mut Batch);

    /// Makes sure that the kernel knows of everything transmitted, and collects what it has sent.
    fn flush(&mut self);

    /// Sleeps until a frame arrives or `at_most` has passed.
    fn wait(&mut self, at_most: Duration);

    /// Sleeps for that long, whatever arrives.
    fn doze(&mut self, moment: Duration);

    /// Frames given out and not yet back: 0 between turns unless the worker holds some back.
    fn in_hand(&self) -> usize;
}
