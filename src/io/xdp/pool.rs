//! The buffers of one worker: one UMEM, and who holds each of its slots.
//!
//! A slot of 2048 or 4096 bytes:
//!
//! ```text
//! 0        64                  320                                              end
//! | ours   | XDP headroom, 256 | packet (where the kernel puts it, our "home")   |
//! ```
//!
//! All 320 bytes in front are free for the tunnel headers of a packet in hand; [`HEADROOM`] of them
//! are promised. Promises: a slot has one holder at a time, and memory is only lent out for slots in hand. What a ring
//! says is checked against that, so that a broken descriptor costs a buffer and not the soundness of the process.

#![expect(unsafe_code, reason = "the UMEM is memory shared with the kernel")]

use std::num::NonZeroU32;
use std::{ptr, slice};

use xsk_rs::config::{FrameSize, QueueSize, UmemConfig};
use xsk_rs::umem::frame::FrameDesc;
use xsk_rs::umem::{Umem, UmemCreateError};

use crate::io::{Frame, HEADROOM, PortId};

/// Where a packet lies in its slot when nothing was put in front of it or taken away.
pub(super) const HOME: u16 = HEADROOM as u16 + 256;

/// Who holds a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// The free list.
    Free,
    /// The kernel, to put a received frame in.
    Receive,
    /// The kernel, to send it.
    Transmit,
    /// The worker.
    Hand,
}

/// How many slots are where. Together they are always all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// In the free list.
    pub free: usize,
    /// With the kernel, waiting for frames to arrive (or holding them until they are read).
    pub receive: usize,
    /// With the kernel, being sent.
    pub transmit: usize,
    /// With the worker.
    pub in_hand: usize,
}

impl Census {
    /// All slots.
    pub fn total(&self) -> usize {
        self.free + self.receive + self.transmit + self.in_hand
    }
}

/// One UMEM and its slots.
pub(super) struct Pool {
    umem: Umem,
    /// Each slot's descriptor, pointing to [`HOME`].
    home: Vec<FrameDesc>,
    holders: Vec<Holder>,
    /// Last in, first out: the slot used last is the one most likely in the cache. Batches come in back to front, so that
    /// they go out in their order. That was measured to spare the sending side time; the likely reason is that the kernel
    /// keeps a record of each slot (`pool->heads` of net/xdp/xsk_buff_pool.c) and then meets them one after the other.
    free: Vec<u32>,
    in_hand: usize,
    /// Address of the first slot, exposed.
    base: usize,
    slot: usize,
}

impl Pool {
    /// Makes `slots` slots of `slot` bytes for rings of `ring` entries.
    ///
    /// # Panics
    ///
    /// If `slot` is not 2048 or 4096 or `ring` not a power of two.
    pub(super) fn new(slots: NonZeroU32, slot: u32, ring: u32) -> Result<Self, UmemCreateError> {
        let ring = QueueSize::new(ring).expect("rings are powers of two");
        let config = UmemConfig::builder()
            .frame_headroom(HEADROOM as u32)
            .frame_size(FrameSize::new(slot).expect("2048 or more"))
            .fill_queue_size(ring)
            .comp_queue_size(ring)
            .build()
            .expect("a power of two that leaves room for packets");
        let (umem, home) = Umem::new(config, slots, false)?;
        // SAFETY: the default descriptor has address 0, which lies in the UMEM, and length 0, so nothing is accessed.
        let base = unsafe { umem.data_mut(&mut FrameDesc::default()).contents_mut().as_mut_ptr().expose_provenance() };
        let slots = slots.get();
        let holders = vec![Holder::Free; home.len()];
        Ok(Self { umem, home, holders, free: (0..slots).rev().collect(), in_hand: 0, base, slot: slot as usize })
    }

    /// The UMEM, for sockets to share.
    pub(super) fn umem(&self) -> &Umem {
        &self.umem
    }

    /// Bytes a packet may have at [`HOME`].
    pub(super) fn room(&self) -> usize {
        self.slot - usize::from(HOME)
    }

    /// Slots in hand.
    pub(super) fn in_hand(&self) -> usize {
        self.in_hand
    }

    /// Counts the slots by holder.
    pub(super) fn census(&self) -> Census {
        self.holders.iter().fold(Census::default(), |mut census, holder| {
            match holder {
                Holder::Free => census.free += 1,
                Holder::Receive => census.receive += 1,
                Holder::Transmit => census.transmit += 1,
                Holder::Hand => census.in_hand += 1,
            }
            census
        })
    }

    /// A free slot, in hand from now on.
    pub(super) fn allocate(&mut self) -> Option<Frame> {
        let index = self.free.pop()?;
        self.pass(index, Holder::Free, Holder::Hand);
        Some(Frame { index, offset: HOME, len: 0, port: PortId::default() })
    }

    /// Takes back a frame in hand.
    pub(super) fn recycle(&mut self, frame: &Frame) {
        self.pass(frame.index, Holder::Hand, Holder::Free);
        self.free.push(frame.index);
    }

    /// The memory of a slot in hand.
    pub(super) fn slot_mut(&mut self, frame: &Frame) -> &mut [u8] {
        let at = frame.index as usize;
        assert_eq!(self.holders[at], Holder::Hand, "only frames in hand may be touched");
        let start = ptr::with_exposed_provenance_mut(self.base + at * self.slot);
        // SAFETY: the slot lies in the UMEM, since `holders` has as many entries as the UMEM has slots; the UMEM lives as
        // long as `self`, and its memory was exposed in `new`. Nobody else accesses the slot: the kernel does not hold it,
        // and in this process all access goes through `&mut self`.
        unsafe { slice::from_raw_parts_mut(start, self.slot) }
    }

    /// Moves up to `descriptors.len()` free slots into descriptors for a fill ring; says how many.
    pub(super) fn give_to_receive(&mut self, descriptors: &mut [FrameDesc]) -> usize {
        let mut given = 0;
        for descriptor in descriptors {
            let Some(index) = self.free.pop() else { break };
            self.pass(index, Holder::Free, Holder::Receive);
            *descriptor = self.home[index as usize];
            given += 1;
        }
        given
    }

    /// The frame of a descriptor that came out of a receive ring, in hand from now on; `None` if it cannot be true.
    pub(super) fn take_received(&mut self, descriptor: &FrameDesc, port: PortId) -> Option<Frame> {
        let index = self.held(descriptor, Holder::Receive)?;
        let (offset, len) = (descriptor.addr() % self.slot, descriptor.lengths().data());
        self.pass(index, Holder::Receive, Holder::Hand);
        // The slot is at most 4096 bytes long, so both fit.
        let frame = Frame { index, offset: offset as u16, len: len.min(self.slot) as u16, port };
        if offset + len > self.slot || descriptor.has_more_frames() {
            self.recycle(&frame);
            return None;
        }
        Some(frame)
    }

    /// Makes a frame in hand the kernel's to send, and describes it. Returns `None`, and takes the frame back, if the
    /// kernel would refuse it: shorter than an Ethernet header or longer than a slot.
    pub(super) fn give_to_transmit(&mut self, frame: &Frame) -> Option<FrameDesc> {
        let (home, len) = (usize::from(HOME), frame.len());
        let start = usize::from(frame.offset);
        if len < ETHERNET_HEADER || len > self.room() || start + len > self.slot {
            self.recycle(frame);
            return None;
        }
        if frame.offset != HOME {
            // A descriptor can only be made for HOME, so a packet that begins elsewhere is moved there.
            self.slot_mut(frame).copy_within(start..start + len, home);
        }
        self.pass(frame.index, Holder::Hand, Holder::Transmit);
        let mut descriptor = self.home[frame.index as usize];
        // SAFETY: the descriptor is one of this UMEM's own, and no kernel ring has the slot yet. Only the length is set.
        unsafe { self.umem.data_mut(&mut descriptor).cursor().set_pos(len) };
        Some(descriptor)
    }

    /// Frees the slot of a descriptor that came out of a completion ring; false if it cannot be true.
    pub(super) fn take_transmitted(&mut self, descriptor: &FrameDesc) -> bool {
        let Some(index) = self.held(descriptor, Holder::Transmit) else { return false };
        self.pass(index, Holder::Transmit, Holder::Free);
        self.free.push(index);
        true
    }

    /// The slot that a descriptor points into, if it exists and `holder` has it.
    fn held(&self, descriptor: &FrameDesc, holder: Holder) -> Option<u32> {
        let index = descriptor.addr() / self.slot;
        (self.holders.get(index) == Some(&holder)).then_some(index as u32)
    }

    fn pass(&mut self, index: u32, from: Holder, to: Holder) {
        let holder = &mut self.holders[index as usize];
        assert_eq!(*holder, from, "a frame has one holder at a time");
        *holder = to;
        self.in_hand += usize::from(to == Holder::Hand);
        self.in_hand -= usize::from(from == Holder::Hand);
    }
}

/// The least that the kernel sends (`ETH_HLEN` of `<linux/if_ether.h>`).
const ETHERNET_HEADER: usize = 14;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::capabilities;

    fn pool() -> Option<Pool> {
        if !capabilities::missing().is_empty() {
            println!("skipped: an AF_XDP socket needs {}", capabilities::missing().join(", "));
            return None;
        }
        Some(Pool::new(NonZeroU32::new(4).unwrap(), 2048, 64).unwrap())
    }

    #[test]
    fn a_descriptor_that_cannot_be_true_is_refused_and_disturbs_nothing() {
        let Some(mut pool) = pool() else { return };
        let of_slot_0 = FrameDesc::default();
        let held = pool.allocate().unwrap();
        assert_eq!(held.index, 0);
        let before = pool.census();
        assert!(pool.take_received(&of_slot_0, PortId(0)).is_none(), "in hand, so it cannot have been received");
        assert!(!pool.take_transmitted(&of_slot_0), "in hand, so it cannot have been sent");
        assert_eq!(pool.census(), before);

        pool.recycle(&held);
        assert_eq!(pool.give_to_receive(&mut [FrameDesc::default()]), 1);
        let received = pool.take_received(&of_slot_0, PortId(3)).unwrap();
        assert_eq!((received.index, received.offset(), received.port()), (0, 0, PortId(3)));
        assert!(pool.take_received(&of_slot_0, PortId(3)).is_none(), "received twice");
        pool.recycle(&received);
        assert_eq!(pool.census(), Census { free: 4, ..Census::default() });
    }

    #[test]
    fn slots_do_not_overlap_and_go_round_last_in_first_out() {
        let Some(mut pool) = pool() else { return };
        let frames: Vec<_> = std::iter::from_fn(|| pool.allocate()).collect();
        assert_eq!((frames.len(), pool.in_hand()), (4, 4));
        for (frame, value) in frames.iter().zip(1..) {
            assert_eq!((frame.offset(), pool.slot_mut(frame).len()), (320, 2048));
            pool.slot_mut(frame).fill(value);
        }
        for (frame, value) in frames.iter().zip(1..) {
            assert!(pool.slot_mut(frame).iter().all(|&byte| byte == value));
        }
        for frame in &frames {
            pool.recycle(frame);
        }
        assert_eq!(pool.allocate().map(|frame| frame.index), frames.last().map(|frame| frame.index));
    }

    #[test]
    #[should_panic(expected = "only frames in hand may be touched")]
    fn memory_that_the_kernel_may_write_is_not_lent_out() {
        let frame = Frame { index: 0, offset: HOME, len: 0, port: PortId(0) };
        let mut pool = pool().expect("only frames in hand may be touched");
        pool.slot_mut(&frame);
    }
}
