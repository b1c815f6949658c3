//! Packets that leave in pieces: those too long for their way, and those that came in pieces.
//!
//! A datagram that came in pieces leaves in the very same ones if they fit, else in pieces as long as the longest that
//! came, or as fits (`ip_output.c: ip_do_fragment`, `ip6_output.c: ip6_fragment`): what a sender cut small it had reason to.

use std::ops::Range;

use super::outbox::Outbox;
use crate::forward::{Counters, Reason, Span, Verdict};
use crate::io::{PacketIo, PortId};
use crate::wire::fragment::Cutter;
use crate::wire::{Family, parse};

/// The smallest MTU of IPv6 (RFC 8200 5): its pieces need not be shorter.
const LEAST_V6: u16 = 1280;

/// A packet that is to leave in pieces, and how.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    /// The frame, rewritten.
    pub(super) frame: &'a [u8],
    /// The pieces that it came in; none if it came whole.
    pub(super) came_as: &'a [Span],
    /// The longest of these, in bytes of IP.
    pub(super) longest: u16,
    /// The longest that fits the way, likewise.
    pub(super) mtu: u16,
    /// The identification of IPv6 pieces.
    pub(super) id: u32,
}

impl Parts<'_> {
    /// Sends the pieces by `port`, or (`None`) to the kernel.
    pub(super) fn send<I: PacketIo>(&self, io: &mut I, outbox: &mut Outbox, counters: &Counters, port: Option<PortId>) {
        let sent = self.each(|write| {
            let mut frame = io.allocate()?;
            let offset = frame.offset();
            let length = io.slot_mut(&frame).get_mut(offset..).and_then(write);
            let Some(length) = length else {
                outbox.discard(io, frame);
                return None;
            };
            // A frame fits its slot, and a slot 16 bits.
            frame.set_place(offset as u16, length as u16);
            match port {
                Some(port) => outbox.send(io, counters, port, frame),
                None => outbox.pass(io, counters, frame),
            }
            Some(())
        });
        if sent.is_none() {
            counters.count(Verdict::Drop(Reason::NoBuffer));
        }
    }

    /// Calls `send` with the writer of each piece, in order, until one cannot be had.
    fn each(&self, mut send: impl FnMut(&dyn Fn(&mut [u8]) -> Option<usize>) -> Option<()>) -> Option<()> {
        let parsed = parse(self.frame).ok()?;
        let frame = self.frame.get(..usize::from(parsed.end))?;
        if self.came_as.len() == 1 && parsed.packet_len() <= self.mtu {
            // It was an atomic fragment, and is an ordinary packet now.
            return send(&|out| {
                out.get_mut(..frame.len())?.copy_from_slice(frame);
                Some(frame.len())
            });
        }
        let mut cutter = Cutter::new(frame, &parsed, self.id)?;
        let most = match parsed.family() {
            _ if self.came_as.is_empty() => self.mtu,
            Family::V4 => self.longest.min(self.mtu),
            Family::V6 => self.longest.max(LEAST_V6).min(self.mtu),
        };
        let room = cutter.room(most);
        let as_they_came = self.as_they_came(cutter.len(), room);
        if as_they_came.is_none() && !self.came_as.is_empty() {
            cutter = cutter.keeping_dont_fragment();
        }
        let (mut start, mut number) = (0, 0);
        while start < cutter.len() {
            let part = match as_they_came {
                Some(extra) => self.came(number, extra),
                None => cutter.next(start, room),
            };
            (start, number) = (part.end, number + 1);
            send(&|out| cutter.write(part.clone(), out))?;
        }
        Some(())
    }

    /// Whether the pieces that came fit as they are, with a tunnel header in the first: how long that is.
    fn as_they_came(&self, length: usize, room: usize) -> Option<usize> {
        let (first, others) = self.came_as.split_first()?;
        let (last, _) = self.came_as.split_last()?;
        let extra = length.checked_sub(last.end as usize)?;
        let fits = |span: &Span| (span.end - span.start) as usize <= room;
        let first_ends = first.end as usize + extra;
        let first_fits = first_ends <= room && first_ends.is_multiple_of(8);
        (first_fits && others.iter().all(fits)).then_some(extra)
    }

    fn came(&self, number: usize, extra: usize) -> Range<usize> {
        let Span { start, end } = self.came_as[number];
        let start = if number == 0 { 0 } else { start as usize + extra };
        start..end as usize + extra
    }
}
