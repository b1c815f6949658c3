//! AF_XDP on plain system calls: the rings that the director uses unless told otherwise.
//!
//! Slots lie in a memory file, and a bound socket can be mapped again by whoever holds its descriptor: so another process
//! can go on where this one has stopped, or died ([`Own::attach`]). The kernel works on pinned pages; it does not care
//! whose address space they are in.
//!
//! Read first: Documentation/networking/af_xdp.rst of the kernel; net/xdp/xsk.c.

mod memory;
mod options;
mod ring;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::sockopt;
use rustix::net::xdp::{
    SocketAddrXdp, SocketAddrXdpFlags, SocketAddrXdpWithSharedUmem, XDP_PGOFF_RX_RING, XDP_PGOFF_TX_RING,
    XDP_UMEM_PGOFF_COMPLETION_RING, XDP_UMEM_PGOFF_FILL_RING, XdpOptionsFlags, XdpUmemReg, XdpUmemRegFlags,
};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::rings::{Binding, Descriptor, Geometry, Marks, Memory, Rings};
use crate::io::{BATCH, HEADROOM};
pub(super) use memory::SharedSlots;
pub(super) use options::ask_for_large_bursts;
use ring::{Consumer, Producer};

/// A socket with its rings.
pub struct Own {
    socket: OwnedFd,
    fill: Producer<u64>,
    receive: Consumer<Descriptor>,
    transmit: Producer<Descriptor>,
    completion: Consumer<u64>,
    /// Whether receive processing happens when we ask for packets, and not by itself.
    busy_poll: bool,
}

impl Rings for Own {
    type Memory = SharedSlots;

    fn bind(memory: &SharedSlots, first: Option<&Self>, geometry: Geometry, binding: &Binding<'_>) -> io::Result<Self> {
        let socket = rustix::net::socket_with(AddressFamily::XDP, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        let copy = if binding.zero_copy { SocketAddrXdpFlags::XDP_ZEROCOPY } else { SocketAddrXdpFlags::XDP_COPY };
        if first.is_none() {
            sockopt::set_xdp_umem_reg(&socket, registration(memory, geometry))?;
        }
        sockopt::set_xdp_umem_fill_ring_size(&socket, geometry.ring)?;
        sockopt::set_xdp_umem_completion_ring_size(&socket, geometry.ring)?;
        sockopt::set_xdp_rx_ring_size(&socket, geometry.ring)?;
        sockopt::set_xdp_tx_ring_size(&socket, geometry.ring)?;
        options::ask_for_large_bursts(socket.as_fd());
        if let Some(busy_poll) = binding.busy_poll {
            options::poll_busily(socket.as_fd(), busy_poll)?;
        }
        let rings = Self::map(socket, geometry.ring)?;
        match first {
            None => {
                let flags = copy | SocketAddrXdpFlags::XDP_USE_NEED_WAKEUP;
                rustix::net::bind(&rings.socket, &SocketAddrXdp::new(flags, binding.interface.index, binding.queue))?;
            }
            // How its memory's first socket copies and is woken holds for this one too; the kernel refuses other flags.
            Some(first) => {
                let addr =
                    SocketAddrXdp::new(SocketAddrXdpFlags::XDP_SHARED_UMEM, binding.interface.index, binding.queue);
                rustix::net::bind(&rings.socket, &SocketAddrXdpWithSharedUmem { addr, shared_umem_fd: first.fd() })?;
            }
        }
        Ok(rings)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn marks(&self) -> Marks {
        Marks { fill: self.fill.mark(), transmit: self.transmit.mark() }
    }

    #[inline]
    fn fill(&mut self, addresses: &[u64]) {
        self.fill.put(addresses);
    }

    #[inline]
    fn peek_received(&mut self, into: &mut [Descriptor]) -> usize {
        let count = self.receive.peek(into);
        if count == 0 && self.busy_poll {
            self.process_receive();
            return self.receive.peek(into);
        }
        count
    }

    #[inline]
    fn release_received(&mut self, count: usize) {
        self.receive.release(count);
    }

    #[inline]
    fn send(&mut self, packets: &[Descriptor]) {
        self.transmit.put(packets);
    }

    #[inline]
    fn peek_sent(&mut self, into: &mut [u64]) -> usize {
        self.completion.peek(into)
    }

    #[inline]
    fn release_sent(&mut self, count: usize) {
        self.completion.release(count);
    }

    fn unsent(&mut self) -> u32 {
        self.transmit.waiting()
    }

    fn sends_when_kicked(&self) -> bool {
        self.transmit.needs_wakeup()
    }

    fn kick(&mut self) -> io::Result<()> {
        match rustix::net::send(&self.socket, &[], SendFlags::DONTWAIT) {
            // The kernel has sent a part and asks to be called again, or the interface's queue is full, or it is down: what
            // is left in the ring tells.
            Ok(_) | Err(Errno::AGAIN | Errno::BUSY | Errno::NOBUFS | Errno::NETDOWN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    #[inline]
    fn wake_receiver(&mut self) {
        if self.fill.needs_wakeup() {
            self.process_receive();
        }
    }
}

impl Own {
    /// Maps a socket that another process has bound. Before anything else is done with it, that process must have stopped
    /// using it, and [`catch_up`](Self::catch_up) must have been called.
    pub(super) fn attach(socket: OwnedFd, ring: u32) -> io::Result<Self> {
        Self::map(socket, ring)
    }

    /// Goes on where the other process has stopped.
    pub(super) fn catch_up(&mut self) {
        self.fill.catch_up();
        self.receive.catch_up();
        self.transmit.catch_up();
        self.completion.catch_up();
    }

    /// What lies in rings, and so cannot be where anybody believes it to be: addresses to receive into or received, and
    /// addresses to send or sent.
    pub(super) fn contents(&self) -> (Vec<u64>, Vec<u64>) {
        let received = self.receive.contents().map(|packet| packet.address);
        let unsent = self.transmit.contents().map(|packet| packet.address);
        (self.fill.contents().chain(received).collect(), unsent.chain(self.completion.contents()).collect())
    }

    /// The packets that were taken out last, the last one first.
    pub(super) fn taken(&self) -> impl Iterator<Item = Descriptor> {
        // Those of one batch, and of one that was being taken out.
        self.receive.taken(2 * BATCH as u32)
    }

    /// How many slots are with the kernel, or in rings: to receive into, and to be sent.
    pub(super) fn outstanding(&self) -> (u32, u32) {
        let receiving = self.fill.mark().wrapping_sub(self.receive.mark());
        let transmitting = self.transmit.mark().wrapping_sub(self.completion.mark());
        (receiving, transmitting)
    }

    /// Whether the kernel moves packets without copying them.
    pub(super) fn is_zero_copy(&self) -> bool {
        sockopt::xdp_options(&self.socket).is_ok_and(|options| options.contains(XdpOptionsFlags::XDP_OPTIONS_ZEROCOPY))
    }

    /// The rings of a socket that has them, bound or not.
    fn map(socket: OwnedFd, ring: u32) -> io::Result<Self> {
        let at = sockopt::xdp_mmap_offsets(&socket)?;
        let fd = socket.as_fd();
        Ok(Self {
            fill: Producer::map(fd, XDP_UMEM_PGOFF_FILL_RING, &at.fr, ring)?,
            receive: Consumer::map(fd, XDP_PGOFF_RX_RING, &at.rx, ring)?,
            transmit: Producer::map(fd, XDP_PGOFF_TX_RING, &at.tx, ring)?,
            completion: Consumer::map(fd, XDP_UMEM_PGOFF_COMPLETION_RING, &at.cr, ring)?,
            busy_poll: options::polls_busily(fd),
            socket,
        })
    }

    /// Lets the driver work on received packets, without waiting for any. Best effort: it is asked again and again.
    fn process_receive(&self) {
        let nothing: &mut [u8] = &mut [];
        let _ = rustix::net::recv(&self.socket, nothing, RecvFlags::DONTWAIT);
    }
}

fn registration(memory: &SharedSlots, geometry: Geometry) -> XdpUmemReg {
    XdpUmemReg {
        addr: memory.start().as_ptr().expose_provenance() as u64,
        len: geometry.bytes() as u64,
        chunk_size: geometry.slot,
        headroom: HEADROOM as u32,
        flags: XdpUmemRegFlags::empty(),
        tx_metadata_len: 0,
    }
}
