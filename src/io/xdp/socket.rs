//! One AF_XDP socket: one queue of one port, with its four rings.
//!
//! Promises: never more slots with the kernel than its rings have entries, in either direction, so that no ring can
//! overflow; and every slot that goes into a ring comes from the [`Pool`], which checks what comes out.

#![expect(unsafe_code, reason = "the rings are shared with the kernel")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use xsk_rs::config::{BindFlags, Interface, LibxdpFlags, QueueSize, SocketConfig};
use xsk_rs::socket::{RxQueue, Socket as XskSocket, SocketCreateError, TxQueue};
use xsk_rs::umem::frame::FrameDesc;
use xsk_rs::umem::{CompQueue, FillQueue};

use super::Faults;
use super::pool::Pool;
use crate::io::{BATCH, Batch, PortId};

/// Room for the descriptors of one batch, on their way between pool and ring.
pub(super) type Descriptors = [FrameDesc; BATCH];

/// A bound socket and its rings.
pub(super) struct Socket {
    pub(super) port: PortId,
    pub(super) queue: u32,
    receive: RxQueue,
    fill: FillQueue,
    transmit: TxQueue,
    completion: CompQueue,
    ring: u32,
    /// Slots given to the fill ring and not yet received.
    receiving: u32,
    /// Slots given to the transmit ring and not yet completed.
    transmitting: u32,
}

impl Socket {
    /// Binds a socket to a queue. `pool` was made for rings of `ring` entries; the first socket of a pool decides whether
    /// all of them copy (`XDP_COPY`) or not (`XDP_ZEROCOPY`).
    pub(super) fn bind(
        pool: &Pool,
        interface: &Interface,
        (port, queue): (PortId, u32),
        ring: u32,
        zero_copy: bool,
    ) -> Result<Self, SocketCreateError> {
        let size = QueueSize::new(ring).expect("rings are powers of two");
        let copy = if zero_copy { BindFlags::XDP_ZEROCOPY } else { BindFlags::XDP_COPY };
        let config = SocketConfig::builder()
            .rx_queue_size(size)
            .tx_queue_size(size)
            .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD) // it would take every frame of the queue
            .bind_flags(copy | BindFlags::XDP_USE_NEED_WAKEUP)
            .build();
        // SAFETY: what must not happen is that one UMEM's rings are used by two sockets at once; each pair of port and
        // queue is bound once a pool, and its rings live and die with this value.
        let (transmit, receive, rings) = unsafe { XskSocket::new(config, pool.umem(), interface, queue)? };
        let (fill, completion) = rings.expect("each queue of each port is bound once a pool");
        ask_for_large_bursts(receive.fd().as_raw_fd());
        Ok(Self { port, queue, receive, fill, transmit, completion, ring, receiving: 0, transmitting: 0 })
    }

    /// Its file descriptor.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor stays open as long as the rings, which are borrowed with `self`.
        unsafe { BorrowedFd::borrow_raw(self.receive.fd().as_raw_fd()) }
    }

    /// Gives the kernel free slots to receive into, as many as it has room for.
    pub(super) fn refill(&mut self, pool: &mut Pool, descriptors: &mut Descriptors) {
        while self.receiving < self.ring {
            let room = (self.ring - self.receiving) as usize;
            let given = pool.give_to_receive(&mut descriptors[..room.min(BATCH)]);
            if given == 0 {
                break;
            }
            // SAFETY: the pool has marked these slots of its UMEM as the kernel's; nobody touches them until they are
            // received. The ring has room: it never holds more than `receiving`.
            unsafe { self.fill.produce(&descriptors[..given]) };
            self.receiving += given as u32;
        }
        if self.fill.needs_wakeup() {
            // Best effort, and it will be tried again: the driver has run dry and waits to be told of new slots.
            let _ = self.fill.wakeup(self.receive.fd_mut(), 0);
        }
    }

    /// Whether a whole batch of slots could be given to the kernel.
    pub(super) fn wants_slots(&self) -> bool {
        self.ring - self.receiving >= BATCH as u32
    }

    /// Adds received frames to `into` until it is full or none is waiting.
    pub(super) fn receive(
        &mut self,
        pool: &mut Pool,
        descriptors: &mut Descriptors,
        into: &mut Batch,
        faults: &mut Faults,
    ) {
        let room = into.remaining_capacity();
        // SAFETY: the pool's UMEM is the one this socket was made with, and it judges what the descriptors say.
        let received = unsafe { self.receive.consume(&mut descriptors[..room]) };
        self.receiving = self.receiving.saturating_sub(received as u32);
        for descriptor in &descriptors[..received] {
            match pool.take_received(descriptor, self.port) {
                Some(frame) => into.push(frame),
                None => faults.receive += 1,
            }
        }
    }

    /// Puts into the transmit ring what it has room for; the rest stays in `frames`.
    pub(super) fn transmit(
        &mut self,
        pool: &mut Pool,
        descriptors: &mut Descriptors,
        frames: &mut Batch,
        faults: &mut Faults,
    ) {
        if self.transmit_room() < frames.len() {
            self.kick(pool, descriptors, faults);
        }
        let fitting = self.transmit_room().min(frames.len());
        let mut given = 0;
        for frame in frames.drain(..fitting) {
            match pool.give_to_transmit(&frame) {
                Some(descriptor) => {
                    descriptors[given] = descriptor;
                    given += 1;
                }
                None => faults.unsendable += 1,
            }
        }
        // SAFETY: the pool has marked these slots of its UMEM as the kernel's; nobody touches them until they are
        // completed. The ring has room: it never holds more than `transmitting`.
        unsafe { self.transmit.produce(&descriptors[..given]) };
        self.transmitting += given as u32;
    }

    /// Takes back the slots of frames that have been sent, the first of them last: see the pool's free list.
    pub(super) fn complete(&mut self, pool: &mut Pool, descriptors: &mut Descriptors, faults: &mut Faults) {
        while self.transmitting > 0 {
            // SAFETY: the pool's UMEM is the one this socket was made with, and it judges what the descriptors say.
            let completed = unsafe { self.completion.consume(descriptors) };
            for descriptor in descriptors[..completed].iter().rev() {
                faults.completion += u64::from(!pool.take_transmitted(descriptor));
            }
            self.transmitting = self.transmitting.saturating_sub(completed as u32);
            if completed < BATCH {
                break;
            }
        }
    }

    /// Tells the kernel to send, until it has taken everything or takes no more: one call sends 32 frames unless it
    /// could be asked for more.
    pub(super) fn kick(&mut self, pool: &mut Pool, descriptors: &mut Descriptors, faults: &mut Faults) {
        let mut unsent = self.unsent();
        while unsent > 0 && self.transmit.needs_wakeup() {
            faults.kick += u64::from(self.transmit.wakeup().is_err());
            self.complete(pool, descriptors, faults);
            let left = self.unsent();
            if left == unsent {
                break;
            }
            unsent = left;
        }
        self.complete(pool, descriptors, faults);
    }

    /// Frames that the kernel has not yet taken from the transmit ring.
    pub(super) fn unsent(&mut self) -> u32 {
        if self.transmitting == 0 { 0 } else { self.ring - self.transmit.nb_free_exact() }
    }

    fn transmit_room(&self) -> usize {
        (self.ring - self.transmitting) as usize
    }
}

/// Lets one system call send 256 frames where the kernel has the option (6.17), instead of 32. [`Socket::kick`] does
/// without, at the price of more calls, so a refusal does not matter.
fn ask_for_large_bursts(socket: RawFd) {
    const XDP_MAX_TX_SKB_BUDGET: libc::c_int = 9;
    let budget: u32 = 256;
    let length = size_of_val(&budget) as libc::socklen_t;
    // SAFETY: the option's value is a u32 that lives through the call.
    unsafe { libc::setsockopt(socket, libc::SOL_XDP, XDP_MAX_TX_SKB_BUDGET, (&raw const budget).cast(), length) };
}

/// Sleeps until one of `sockets` can be read or `at_most` has passed.
pub(super) fn poll(sockets: &mut [libc::pollfd], at_most: std::time::Duration) -> io::Result<()> {
    let timeout = libc::timespec {
        tv_sec: at_most.as_secs().min(i32::MAX as u64) as libc::time_t,
        tv_nsec: at_most.subsec_nanos().into(),
    };
    // SAFETY: the array and the time-out live through the call, and the length is the array's.
    let ready = unsafe { libc::ppoll(sockets.as_mut_ptr(), sockets.len() as libc::nfds_t, &timeout, std::ptr::null()) };
    if ready < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
