//! AF_XDP by the crate `xsk_rs`, over libxdp: the second opinion. Tests hold it against [`Own`](super::Own), and an operator
//! may choose it; it can neither be handed to another process nor poll busily.
//!
//! libxdp's own XDP program, which takes every frame, is never loaded.

#![expect(unsafe_code, reason = "the rings are shared with the kernel")]

use std::io;
use std::num::NonZeroU32;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::Arc;

use xsk_rs::config::{BindFlags, FrameSize, LibxdpFlags, QueueSize, SocketConfig, UmemConfig};
use xsk_rs::socket::{RxQueue, Socket, TxQueue};
use xsk_rs::umem::frame::FrameDesc;
use xsk_rs::umem::{CompQueue, FillQueue, Umem};

use super::error::cause;
use super::own::ask_for_large_bursts;
use super::pool::slot_of;
use super::rings::{Binding, Descriptor, Geometry, Marks, Memory, Rings};
use crate::io::{BATCH, HEADROOM};

/// Slots in anonymous memory.
pub struct AnonymousSlots {
    umem: Umem,
    /// Each slot's descriptor, pointing to the place where the kernel puts packets.
    home: Arc<[FrameDesc]>,
    start: NonNull<u8>,
}

// SAFETY: the pointer leads into the memory of `umem`, which may itself be sent.
unsafe impl Send for AnonymousSlots {}

// SAFETY: the UMEM maps as many bytes as it is asked for, readable and writable, until its last clone is dropped; the mapping
// does not move. Sockets hold clones, and reach slots only while they send them: see `XskRs::describe`.
unsafe impl Memory for AnonymousSlots {
    fn create(geometry: Geometry) -> io::Result<Self> {
        let ring = queue_size(geometry)?;
        let config = UmemConfig::builder()
            .frame_headroom(HEADROOM as u32)
            .frame_size(FrameSize::new(geometry.slot).map_err(io::Error::other)?)
            .fill_queue_size(ring)
            .comp_queue_size(ring)
            .build()
            .map_err(io::Error::other)?;
        let slots = NonZeroU32::new(geometry.slots).ok_or(io::ErrorKind::InvalidInput)?;
        let (umem, home) = Umem::new(config, slots, false).map_err(cause)?;
        // SAFETY: the default descriptor has address 0, which lies in the UMEM, and length 0, so nothing is accessed.
        let first = unsafe { umem.data_mut(&mut FrameDesc::default()).contents_mut().as_mut_ptr().expose_provenance() };
        let start = NonNull::new(std::ptr::with_exposed_provenance_mut(first)).expect("mapped memory");
        Ok(Self { umem, home: home.into(), start })
    }

    fn start(&self) -> NonNull<u8> {
        self.start
    }

    fn file(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// A socket with its rings.
pub struct XskRs {
    umem: Umem,
    home: Arc<[FrameDesc]>,
    start: NonNull<u8>,
    geometry: Geometry,
    receive: RxQueue,
    fill: FillQueue,
    transmit: TxQueue,
    completion: CompQueue,
    marks: Marks,
    /// On their way between the port and the rings.
    descriptors: Box<[FrameDesc; BATCH]>,
}

// SAFETY: the pointer leads into the memory of `umem`; all else may be sent.
unsafe impl Send for XskRs {}

impl Rings for XskRs {
    type Memory = AnonymousSlots;

    fn bind(
        memory: &AnonymousSlots,
        _first: Option<&Self>,
        geometry: Geometry,
        binding: &Binding<'_>,
    ) -> io::Result<Self> {
        let interface = binding.interface.name.parse().map_err(io::Error::other)?;
        let size = queue_size(geometry)?;
        let copy = if binding.zero_copy { BindFlags::XDP_ZEROCOPY } else { BindFlags::XDP_COPY };
        let config = SocketConfig::builder()
            .rx_queue_size(size)
            .tx_queue_size(size)
            .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD) // it would take every frame of the queue
            .bind_flags(copy | BindFlags::XDP_USE_NEED_WAKEUP)
            .build();
        // SAFETY: what must not happen is that one UMEM's rings are used by two sockets at once; each pair of port and
        // queue is bound once a memory, and its rings live and die with this value.
        let bound = unsafe { Socket::new(config, &memory.umem, &interface, binding.queue) };
        let (transmit, receive, rings) = bound.map_err(cause)?;
        let (fill, completion) = rings.ok_or(io::ErrorKind::AddrInUse)?;
        let rings = Self {
            umem: memory.umem.clone(),
            home: Arc::clone(&memory.home),
            start: memory.start,
            geometry,
            receive,
            fill,
            transmit,
            completion,
            marks: Marks::default(),
            descriptors: Box::new([FrameDesc::default(); BATCH]),
        };
        ask_for_large_bursts(rings.fd());
        Ok(rings)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor stays open as long as the rings, which are borrowed with `self`.
        unsafe { BorrowedFd::borrow_raw(self.receive.fd().as_raw_fd()) }
    }

    fn marks(&self) -> Marks {
        self.marks
    }

    fn fill(&mut self, addresses: &[u64]) {
        for (descriptor, &address) in self.descriptors.iter_mut().zip(addresses) {
            *descriptor =
                self.home[slot_of(address, self.geometry).expect("the pool gives out its own slots") as usize];
        }
        // SAFETY: the caller has marked these slots of this UMEM as the kernel's; nobody touches them until they are
        // received. The caller keeps count, so the ring has room.
        unsafe { self.fill.produce(&self.descriptors[..addresses.len()]) };
        self.marks.fill = self.marks.fill.wrapping_add(addresses.len() as u32);
    }

    /// The library has no look without taking: `release_received` has nothing left to do.
    fn peek_received(&mut self, into: &mut [Descriptor]) -> usize {
        let room = into.len().min(BATCH);
        // SAFETY: the UMEM is the one this socket was made with; whoever takes the packets judges what the descriptors say.
        let count = unsafe { self.receive.consume(&mut self.descriptors[..room]) };
        for (packet, descriptor) in into.iter_mut().zip(&self.descriptors[..count]) {
            *packet = Descriptor {
                address: descriptor.addr() as u64,
                length: descriptor.lengths().data() as u32, // a u32 in the ring, too
                options: if descriptor.has_more_frames() { libc::XDP_PKT_CONTD } else { 0 },
            };
        }
        count
    }

    fn release_received(&mut self, _count: usize) {}

    fn send(&mut self, packets: &[Descriptor]) {
        for (at, packet) in packets.iter().enumerate() {
            self.descriptors[at] = self.describe(packet);
        }
        // SAFETY: the caller has marked these slots of this UMEM as the kernel's; nobody touches them until they are
        // completed. The caller keeps count, so the ring has room.
        unsafe { self.transmit.produce(&self.descriptors[..packets.len()]) };
        self.marks.transmit = self.marks.transmit.wrapping_add(packets.len() as u32);
    }

    fn peek_sent(&mut self, into: &mut [u64]) -> usize {
        let room = into.len().min(BATCH);
        // SAFETY: the UMEM is the one this socket was made with; whoever takes the slots judges what the addresses say.
        let count = unsafe { self.completion.consume(&mut self.descriptors[..room]) };
        for (address, descriptor) in into.iter_mut().zip(&self.descriptors[..count]) {
            *address = descriptor.addr() as u64;
        }
        count
    }

    fn release_sent(&mut self, _count: usize) {}

    fn unsent(&mut self) -> u32 {
        self.geometry.ring - self.transmit.nb_free_exact()
    }

    fn sends_when_kicked(&self) -> bool {
        self.transmit.needs_wakeup()
    }

    fn kick(&mut self) -> io::Result<()> {
        self.transmit.wakeup()
    }

    fn wake_receiver(&mut self) {
        if self.fill.needs_wakeup() {
            // Best effort, and it will be tried again.
            let _ = self.fill.wakeup(self.receive.fd_mut(), 0);
        }
    }
}

impl XskRs {
    /// The library's descriptor of a packet. It can only be made for the place where the kernel puts packets, so a packet that begins elsewhere is moved
    /// there.
    fn describe(&self, packet: &Descriptor) -> FrameDesc {
        let slot = slot_of(packet.address, self.geometry).expect("the pool gives out its own slots");
        let mut descriptor = self.home[slot as usize];
        // What the pool gives out fits into a slot from HOME on, and address and length fit any pointer.
        let (from, length) = (packet.address as usize, packet.length as usize);
        if from != descriptor.addr() {
            // SAFETY: both places lie in one slot of the UMEM (the pool has checked the length against it), which the worker
            // has given up and no ring has yet: nobody else touches it.
            unsafe { self.start.add(from).copy_to(self.start.add(descriptor.addr()), length) };
        }
        // SAFETY: the descriptor is one of this UMEM's own, and no ring has the slot yet. Only the length is set.
        unsafe { self.umem.data_mut(&mut descriptor).cursor().set_pos(length) };
        descriptor
    }
}

fn queue_size(geometry: Geometry) -> io::Result<QueueSize> {
    QueueSize::new(geometry.ring).map_err(io::Error::other)
}
