//! The way back to the kernel: what is the kernel's goes into one end of a veth pair, and comes out of the other as
//! an ordinary arriving packet.
//!
//! The steering program is not on that other end, so nothing goes round in circles. The port has memory of its own, and
//! frames are copied into it: the workers' UMEM could not be shared with a device that only copies, where their own do
//! not, and what is given back is rare.

use std::io;

use super::{Descriptors, Mapped, PortSetup, SetupError, XdpIo};
use crate::io::options::{RingOptions, Transfer};
use crate::io::xdp::own::Own;
use crate::io::xdp::steer::AttachMode;
use crate::io::{BATCH, Batch, PacketIo, PortId};
use crate::sys::interface::Interface;
use crate::wire::{Family, Mac, parse};

/// Frames that may be on their way: each kick empties the ring, unless the kernel is short of memory.
const FRAMES: usize = 4 * BATCH;

/// Bytes of an Ethernet header.
const LINK: usize = 14;

/// One worker's way to the kernel.
#[derive(Debug)]
pub struct KernelPort {
    io: XdpIo<Own>,
    /// Destination and source of every frame.
    macs: [u8; 12],
    /// Whether anything was given since the last flush.
    behind: bool,
}

impl KernelPort {
    /// Opens it on a queue of `ours`, the workers' end of a pair; the kernel's has the address `kernel`.
    pub fn open(ours: &Interface, queue: u32, kernel: Mac) -> Result<Self, SetupError> {
        let options = RingOptions { frames: FRAMES, transfer: Transfer::Copy, busy_poll: None };
        Ok(Self::over(XdpIo::open(&[setup(ours, queue)], &options)?, ours, kernel))
    }

    /// Maps the one that another process has opened for the same queue.
    pub fn map(ours: &Interface, queue: u32, kept: Descriptors) -> Result<Mapped, SetupError> {
        Mapped::map(&[setup(ours, queue)], FRAMES, kept)
    }

    /// Goes on with it, once the other process has stopped using it.
    pub fn go_on(mapped: Mapped, ours: &Interface, queue: u32, kernel: Mac) -> Result<Self, SetupError> {
        Ok(Self::over(XdpIo::go_on(mapped, &[setup(ours, queue)])?, ours, kernel))
    }

    fn over(io: XdpIo<Own>, ours: &Interface, kernel: Mac) -> Self {
        let mut macs = [0; 12];
        macs[..6].copy_from_slice(&kernel.0);
        macs[6..].copy_from_slice(&ours.mac.0);
        Self { io, macs, behind: false }
    }

    /// New descriptors of everything that another process needs in order to go on.
    pub fn descriptors(&self) -> io::Result<Descriptors> {
        self.io.descriptors()
    }

    /// Sends the IP packet of a frame, addressed to the kernel and without VLAN tags: the kernel's end is in no VLAN.
    /// `false`: it is none, or there is no room.
    pub(super) fn give(&mut self, frame: &[u8]) -> bool {
        let Some(packet) = ip_packet(frame) else { return false };
        let Some(mut copy) = self.io.allocate() else { return false };
        let (at, len) = (copy.offset(), LINK + packet.bytes.len());
        let room = self.io.slot_mut(&copy).get_mut(at..at + len);
        let fits = room.map(|room| packet.write(&self.macs, room)).is_some();
        if fits {
            // A slot fits 16 bits.
            copy.set_place(at as u16, len as u16);
        }
        let mut batch = Batch::new();
        batch.push(copy);
        if fits {
            self.io.transmit(PortId(0), &mut batch);
        }
        let sent = batch.is_empty();
        self.io.recycle(&mut batch);
        self.behind |= sent;
        sent
    }

    /// Makes sure that the kernel knows of everything given.
    pub(super) fn flush(&mut self) {
        if self.behind {
            self.io.flush();
            self.behind = false;
        }
    }
}

fn setup(ours: &Interface, queue: u32) -> PortSetup {
    PortSetup { interface: ours.clone(), queues: vec![queue], attached: AttachMode::Generic }
}

/// An IP packet within a frame.
struct IpPacket<'a> {
    ether_type: [u8; 2],
    bytes: &'a [u8],
}

impl IpPacket<'_> {
    /// Makes a frame of it, in a place of just its length.
    fn write(&self, macs: &[u8; 12], frame: &mut [u8]) {
        frame[..12].copy_from_slice(macs);
        frame[12..LINK].copy_from_slice(&self.ether_type);
        frame[LINK..].copy_from_slice(self.bytes);
    }
}

/// The IP packet of a frame, without what is around it. One that is broken is left to the kernel as well.
fn ip_packet(frame: &[u8]) -> Option<IpPacket<'_>> {
    let parsed = parse(frame).ok()?;
    let ether_type = match parsed.family() {
        Family::V4 => [0x08, 0x00],
        Family::V6 => [0x86, 0xdd],
    };
    Some(IpPacket { ether_type, bytes: frame.get(usize::from(parsed.l3)..usize::from(parsed.end))? })
}
