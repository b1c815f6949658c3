//! One AF_XDP socket: one queue of one port.
//!
//! Promises: never more slots with the kernel than its rings have entries, in either direction, so that no ring can
//! overflow; every slot that goes into a ring comes from the [`Pool`], which checks what comes out; and the pool's ledger
//! is told before a slot goes into a ring or comes out of it, so that a death between any two steps loses none.

#![expect(unsafe_code, reason = "ppoll on descriptors that are borrowed for one call")]

use std::io;
use std::os::fd::BorrowedFd;

use super::Faults;
use super::pool::Pool;
use super::rings::{Descriptor, Rings};
use crate::io::{BATCH, Batch, PortId};

/// Room for what one batch brings into rings or out of them.
pub(super) struct Scratch {
    packets: [Descriptor; BATCH],
    addresses: [u64; BATCH],
}

impl Default for Scratch {
    fn default() -> Self {
        Self { packets: [Descriptor::default(); BATCH], addresses: [0; BATCH] }
    }
}

/// A bound socket, and how much it has under way.
pub(super) struct Socket<R> {
    pub(super) port: PortId,
    pub(super) queue: u32,
    rings: R,
    /// Position among the worker's sockets.
    number: u32,
    /// Entries of each ring.
    ring: u32,
    /// Slots given to the fill ring and not yet received.
    receiving: u32,
    /// Slots given to the transmit ring and not yet completed.
    transmitting: u32,
}

impl<R: Rings> Socket<R> {
    /// The `number`th socket of a worker, with slots under way: (to receive into, to be sent).
    pub(super) fn new(
        rings: R,
        number: u32,
        (port, queue): (PortId, u32),
        ring: u32,
        (receiving, transmitting): (u32, u32),
    ) -> Self {
        Self { port, queue, rings, number, ring, receiving, transmitting }
    }

    /// Its rings.
    pub(super) fn rings(&self) -> &R {
        &self.rings
    }

    /// Its file descriptor.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.rings.fd()
    }

    /// Gives the kernel free slots to receive into, as many as it has room for.
    pub(super) fn refill(&mut self, pool: &mut Pool<R::Memory>, scratch: &mut Scratch) {
        let addresses = &mut scratch.addresses;
        while self.receiving < self.ring {
            let room = ((self.ring - self.receiving) as usize).min(BATCH);
            let given = pool.give_to_receive(self.number, self.rings.marks().fill, &mut addresses[..room]);
            if given == 0 {
                break;
            }
            self.rings.fill(&addresses[..given]);
            self.receiving += given as u32; // a batch at most
        }
        self.rings.wake_receiver();
    }

    /// Whether a whole batch of slots could be given to the kernel.
    pub(super) fn wants_slots(&self) -> bool {
        self.ring - self.receiving >= BATCH as u32
    }

    /// Adds received frames to `into` until it is full or none is waiting.
    pub(super) fn receive(
        &mut self,
        pool: &mut Pool<R::Memory>,
        scratch: &mut Scratch,
        into: &mut Batch,
        faults: &mut Faults,
    ) {
        let packets = &mut scratch.packets;
        let received = self.rings.peek_received(&mut packets[..into.remaining_capacity()]);
        if received == 0 {
            return;
        }
        for packet in &packets[..received] {
            match pool.take_received(packet, self.port) {
                Some(frame) => into.push(frame),
                None => faults.receive += 1,
            }
        }
        self.rings.release_received(received);
        self.receiving = self.receiving.saturating_sub(received as u32);
    }

    /// Puts into the transmit ring what it has room for; the rest stays in `frames`.
    pub(super) fn transmit(
        &mut self,
        pool: &mut Pool<R::Memory>,
        scratch: &mut Scratch,
        frames: &mut Batch,
        faults: &mut Faults,
    ) {
        if self.transmit_room() < frames.len() {
            self.kick(pool, scratch, faults);
        }
        let fitting = self.transmit_room().min(frames.len());
        let packets = &mut scratch.packets;
        let given = pool.give_to_transmit(self.number, self.rings.marks().transmit, frames.drain(..fitting), packets);
        self.rings.send(&packets[..given]);
        faults.unsendable += (fitting - given) as u64;
        self.transmitting += given as u32; // a batch at most
    }

    /// Takes back the slots of frames that have been sent, the first of them last: see the pool's free list.
    fn complete(&mut self, pool: &mut Pool<R::Memory>, scratch: &mut Scratch, faults: &mut Faults) {
        let addresses = &mut scratch.addresses;
        while self.transmitting > 0 {
            let completed = self.rings.peek_sent(addresses);
            if completed == 0 {
                break;
            }
            for &address in addresses[..completed].iter().rev() {
                faults.completion += u64::from(!pool.take_transmitted(address));
            }
            self.rings.release_sent(completed);
            self.transmitting = self.transmitting.saturating_sub(completed as u32);
            if completed < BATCH {
                break;
            }
        }
    }

    /// Tells the kernel to send, until it has taken everything or takes no more: one call sends 32 frames unless it
    /// could be asked for more.
    pub(super) fn kick(&mut self, pool: &mut Pool<R::Memory>, scratch: &mut Scratch, faults: &mut Faults) {
        let mut unsent = self.unsent();
        while unsent > 0 && self.rings.sends_when_kicked() {
            faults.kick += u64::from(self.rings.kick().is_err());
            let left = self.unsent();
            if left == unsent {
                break;
            }
            unsent = left;
        }
        self.complete(pool, scratch, faults);
    }

    /// Frames that the kernel has not yet taken from the transmit ring.
    pub(super) fn unsent(&mut self) -> u32 {
        if self.transmitting == 0 { 0 } else { self.rings.unsent() }
    }

    fn transmit_room(&self) -> usize {
        (self.ring - self.transmitting) as usize
    }
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
