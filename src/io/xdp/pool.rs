//! The buffers of one worker: its memory, and who holds each of its slots.
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

#![expect(unsafe_code, reason = "the slots are memory shared with the kernel")]

use std::io;
use std::slice;

use super::ledger::{Census, Holder, Inlet, Ledger};
use super::rings::{Descriptor, Geometry, Memory};
use crate::io::{BATCH, Frame, HEADROOM, PortId};

/// Where a packet lies in its slot when nothing was put in front of it or taken away.
pub(super) const HOME: u16 = HEADROOM as u16 + 256;

/// The slots of a worker.
pub(super) struct Pool<M> {
    memory: M,
    ledger: Ledger,
    geometry: Geometry,
    /// Last in, first out: the slot used last is the one most likely in the cache. Batches come in back to front, so that
    /// they go out in their order. That was measured to spare the sending side time; the likely reason is that the kernel
    /// keeps a record of each slot (`pool->heads` of net/xdp/xsk_buff_pool.c) and then meets them one after the other.
    free: Vec<u32>,
    in_hand: usize,
}

impl<M: Memory> Pool<M> {
    /// Makes the slots, all of them free, for sockets at these places: (interface index, queue).
    pub(super) fn create(geometry: Geometry, places: &[(u32, u32)]) -> io::Result<Self> {
        Ok(Self::with(M::create(geometry)?, Ledger::create(geometry, places)?, geometry))
    }

    /// Takes slots over, with those free that the ledger says so of.
    pub(super) fn with(memory: M, ledger: Ledger, geometry: Geometry) -> Self {
        let free = (0..geometry.slots).rev().filter(|&slot| ledger.holder(slot) == Some(Holder::Free)).collect();
        Self { memory, ledger, geometry, free, in_hand: 0 }
    }

    /// The memory, for sockets to share.
    pub(super) fn memory(&self) -> &M {
        &self.memory
    }

    /// Who holds what.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Bytes a packet may have at [`HOME`].
    pub(super) fn room(&self) -> usize {
        self.geometry.slot as usize - usize::from(HOME)
    }

    /// Slots in hand.
    pub(super) fn in_hand(&self) -> usize {
        self.in_hand
    }

    /// Counts the slots by holder.
    pub(super) fn census(&self) -> Census {
        self.ledger.census()
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
        assert_eq!(self.ledger.holder(frame.index), Some(Holder::Hand), "only frames in hand may be touched");
        let slot = self.geometry.slot as usize;
        // SAFETY: the ledger knows as many slots as the memory has, so this one begins within it.
        let start = unsafe { self.memory.start().add(frame.index as usize * slot) };
        // SAFETY: the slot lies in the memory, which lives as long as `self`. Nobody else accesses it: the kernel does not
        // hold it, and in this process all access goes through `&mut self`.
        unsafe { slice::from_raw_parts_mut(start.as_ptr(), slot) }
    }

    /// Moves free slots, at most `addresses.len()` and a batch, into a fill ring that stands at `mark`; says how many, and
    /// writes down their addresses.
    pub(super) fn give_to_receive(&mut self, socket: u32, mark: u32, addresses: &mut [u64]) -> usize {
        let count = addresses.len().min(self.free.len()).min(BATCH);
        let given = self.free.len() - count..;
        self.ledger.announce(socket, Inlet::Fill, mark, self.free[given.clone()].iter().copied());
        for (address, index) in addresses.iter_mut().zip(self.free[given].iter().rev()) {
            self.ledger.set(*index, Holder::Receive);
            *address = u64::from(*index) * u64::from(self.geometry.slot);
        }
        self.free.truncate(self.free.len() - count);
        count
    }

    /// The frame of a descriptor that came out of a receive ring, in hand from now on; `None` if it cannot be true.
    pub(super) fn take_received(&mut self, descriptor: &Descriptor, port: PortId) -> Option<Frame> {
        let index = self.held(descriptor.address, Holder::Receive)?;
        let slot = self.geometry.slot;
        // Below the slot's size.
        let offset = (descriptor.address & u64::from(slot - 1)) as u32;
        self.pass(index, Holder::Receive, Holder::Hand);
        // The slot is at most 4096 bytes long, so both fit.
        let frame = Frame { index, offset: offset as u16, len: descriptor.length.min(slot) as u16, port };
        if descriptor.length > slot - offset || descriptor.continues() {
            self.recycle(&frame);
            return None;
        }
        Some(frame)
    }

    /// Makes frames in hand, at most a batch, the kernel's to send by a ring that stands at `mark`; says how many, and
    /// describes them. Takes back, and does not describe, what the kernel would refuse: shorter than an Ethernet header or
    /// longer than a slot.
    pub(super) fn give_to_transmit(
        &mut self,
        socket: u32,
        mark: u32,
        frames: impl Iterator<Item = Frame>,
        packets: &mut [Descriptor; BATCH],
    ) -> usize {
        let mut given = 0;
        let mut indices = [0; BATCH];
        for frame in frames.take(BATCH) {
            let (start, length) = (usize::from(frame.offset), frame.len());
            if length < ETHERNET_HEADER || length > self.room() || start + length > self.geometry.slot as usize {
                self.recycle(&frame);
                continue;
            }
            let address = u64::from(frame.index) * u64::from(self.geometry.slot) + u64::from(frame.offset);
            packets[given] = Descriptor { address, length: u32::from(frame.len), options: 0 };
            indices[given] = frame.index;
            given += 1;
        }
        self.ledger.announce(socket, Inlet::Transmit, mark, indices[..given].iter().copied());
        for &index in &indices[..given] {
            self.pass(index, Holder::Hand, Holder::Transmit);
        }
        given
    }

    /// Frees the slot of an address that came out of a completion ring; false if it cannot be true.
    pub(super) fn take_transmitted(&mut self, address: u64) -> bool {
        let Some(index) = self.held(address, Holder::Transmit) else { return false };
        self.pass(index, Holder::Transmit, Holder::Free);
        self.free.push(index);
        true
    }

    /// The slot that an address lies in, if it exists and `holder` has it.
    fn held(&self, address: u64, holder: Holder) -> Option<u32> {
        let index = slot_of(address, self.geometry)?;
        (self.ledger.holder(index) == Some(holder)).then_some(index)
    }

    fn pass(&mut self, index: u32, from: Holder, to: Holder) {
        assert_eq!(self.ledger.holder(index), Some(from), "a frame has one holder at a time");
        self.ledger.set(index, to);
        self.in_hand += usize::from(to == Holder::Hand);
        self.in_hand -= usize::from(from == Holder::Hand);
    }
}

/// The slot that an address lies in.
pub(super) fn slot_of(address: u64, geometry: Geometry) -> Option<u32> {
    // A slot's size is a power of two.
    u32::try_from(address >> geometry.slot.trailing_zeros()).ok().filter(|&slot| slot < geometry.slots)
}

/// The least that the kernel sends (`ETH_HLEN` of `<linux/if_ether.h>`).
const ETHERNET_HEADER: usize = 14;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::xdp::own::SharedSlots;

    fn pool() -> Pool<SharedSlots> {
        Pool::create(Geometry { slots: 4, slot: 2048, ring: 64 }, &[(1, 0)]).unwrap()
    }

    fn packet(address: u64, length: u32) -> Descriptor {
        Descriptor { address, length, options: 0 }
    }

    #[test]
    fn a_descriptor_that_cannot_be_true_is_refused_and_disturbs_nothing() {
        let mut pool = pool();
        let held = pool.allocate().unwrap();
        assert_eq!(held.index, 0);
        let before = pool.census();
        let nonsense = [packet(320, 60), packet(2048, 60), packet(4 * 2048, 60), packet(u64::MAX, u32::MAX)];
        for packet in nonsense {
            assert!(pool.take_received(&packet, PortId(0)).is_none(), "{packet:?} is not the kernel's to receive");
            assert!(!pool.take_transmitted(packet.address), "{packet:?} is not being sent");
        }
        assert_eq!(pool.census(), before);

        pool.recycle(&held);
        let mut addresses = [u64::MAX; 3];
        assert_eq!(pool.give_to_receive(0, 0, &mut addresses), 3);
        assert_eq!(addresses, [0, 2048, 4096]);
        let received = pool.take_received(&packet(2048 + 320, 60), PortId(3)).unwrap();
        assert_eq!((received.index, received.offset(), received.len(), received.port()), (1, 320, 60, PortId(3)));
        assert!(pool.take_received(&packet(2048 + 320, 60), PortId(3)).is_none(), "received twice");
        pool.recycle(&received);

        let too_long = packet(320, 2048 - 320 + 1);
        assert!(pool.take_received(&too_long, PortId(0)).is_none(), "runs over the slot's end");
        let in_pieces = Descriptor { options: libc::XDP_PKT_CONTD, ..packet(4096 + 320, 60) };
        assert!(pool.take_received(&in_pieces, PortId(0)).is_none(), "part of a longer frame");
        assert_eq!(pool.census(), Census { free: 4, ..Census::default() }, "their slots are not lost");
    }

    #[test]
    fn what_the_kernel_would_refuse_is_taken_back() {
        let cases = [
            (HOME, 60, true),
            (HOME, 14, true),
            (HOME, 13, false),
            (HOME - 64, 1728, true),
            (HOME - 64, 1729, false),
            (2048 - 60, 60, true),
            (2048 - 59, 60, false),
        ];
        for (offset, length, taken) in cases {
            let mut pool = pool();
            let mut frame = pool.allocate().unwrap();
            frame.set_place(offset, length);
            let mut packets = [Descriptor::default(); BATCH];
            let given = pool.give_to_transmit(0, 0, std::iter::once(frame), &mut packets);
            assert_eq!(given == 1, taken, "{length} bytes at {offset}");
            if taken {
                assert_eq!(packets[0], packet(offset.into(), length.into()));
                assert!(pool.take_transmitted(packets[0].address));
            }
            assert_eq!(pool.census(), Census { free: 4, ..Census::default() });
        }
    }

    #[test]
    fn slots_do_not_overlap_and_go_round_last_in_first_out() {
        let mut pool = pool();
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
        pool().slot_mut(&frame);
    }
}
