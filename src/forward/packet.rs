//! A frame in the hands of the packet path.

use super::look::Look;
use crate::io::{Frame, PacketIo};
use crate::wire::{Protocol, SctpEvent};

/// A frame with its bytes.
pub(super) struct Packet<'a> {
    pub(super) slot: &'a mut [u8],
    pub(super) frame: &'a mut Frame,
    /// Whether its port takes frames from a local stack.
    pub(super) may_be_unfinished: bool,
    /// Length of the longest piece it was put together from, in bytes of IP; 0 if it came whole.
    pub(super) longest_piece: u16,
}

impl<'a> Packet<'a> {
    /// The packet in a frame of `io`.
    #[inline(always)]
    pub(super) fn of<I: PacketIo>(io: &'a mut I, frame: &'a mut Frame) -> Self {
        let checked = io.ports().get(usize::from(frame.port.0)).is_some_and(|port| port.partial_checksums);
        Self { slot: io.slot_mut(frame), frame, may_be_unfinished: checked, longest_piece: 0 }
    }

    /// The frame's bytes, from the Ethernet header to the end of the slot.
    #[inline(always)]
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        let offset = usize::from(self.frame.offset);
        self.slot.get_mut(offset..).unwrap_or(&mut [])
    }

    /// The frame's bytes, and no more.
    pub(super) fn whole(&self) -> &[u8] {
        let offset = usize::from(self.frame.offset);
        self.slot.get(offset..offset + self.frame.len()).unwrap_or(&[])
    }

    /// What an SCTP packet is; `None` if it has no chunk, or is none.
    pub(super) fn sctp_event(&mut self, look: &Look) -> Option<SctpEvent> {
        let packet = self.bytes().get(usize::from(look.l4)..usize::from(look.end))?;
        (look.protocol == Protocol::SCTP).then(|| SctpEvent::of(packet)).flatten()
    }
}
