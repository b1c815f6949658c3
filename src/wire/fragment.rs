//! Fragments: reading the headers of one, and cutting a packet into several (RFC 791 3.2, RFC 8200 4.5).
//!
//! A datagram's *data* is what its pieces share out: for IPv4 all behind the header, for IPv6 all behind the headers
//! that every piece repeats. Offsets in it count from its first byte.

use std::ops::Range;

use super::checksum::finish;
use super::{Family, Parsed};

/// IPv6 headers that may stand before the fragment header.
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const DESTINATION_OPTIONS: u8 = 60;
/// The IPv6 fragment header.
const FRAGMENT: u8 = 44;
/// Length of the IPv6 fragment header in bytes.
const FRAGMENT_HEADER: usize = 8;
/// Lengths of the data of all pieces but the last are multiples of this.
const UNIT: usize = 8;

/// IPv4 flag bits, in byte 6 of the header.
const DONT_FRAGMENT: u8 = 0x40;
const MORE_FRAGMENTS: u8 = 0x20;

/// What the headers of one fragment say. Offsets named "in the frame" count from the Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The identification that its datagram's pieces share.
    pub id: u32,
    /// Where its data lie in the datagram's.
    pub start: u32,
    /// Whether others follow it.
    pub more: bool,
    /// IPv4's DF bit.
    pub dont_fragment: bool,
    /// In the frame: just past the headers that every piece repeats.
    pub head: u16,
    /// In the frame: where its data begin.
    pub data: u16,
    /// In the frame: the byte in the repeated headers that says what follows them.
    pub next_at: u16,
    /// What that byte says in the datagram put together.
    pub next: u8,
}

impl Piece {
    /// Reads the fragment in `frame`, of which `parsed` was made. `None`: it is whole after all.
    pub fn of(frame: &[u8], parsed: &Parsed) -> Option<Piece> {
        let l3 = usize::from(parsed.l3);
        match parsed.family() {
            Family::V4 => {
                let header = frame.get(l3..)?.first_chunk::<20>()?;
                let bits = u16::from_be_bytes([header[6], header[7]]);
                Some(Piece {
                    id: u32::from(u16::from_be_bytes([header[4], header[5]])),
                    start: u32::from(bits & 0x1fff) * 8,
                    more: header[6] & MORE_FRAGMENTS != 0,
                    dont_fragment: header[6] & DONT_FRAGMENT != 0,
                    head: parsed.l4,
                    data: parsed.l4,
                    next_at: parsed.l3 + 9,
                    next: header[9],
                })
            }
            Family::V6 => {
                let repeated = Repeated::of(frame, l3)?;
                let header = frame.get(repeated.end..)?.first_chunk::<FRAGMENT_HEADER>()?;
                if frame.get(repeated.next_at) != Some(&FRAGMENT) {
                    return None;
                }
                let bits = u16::from_be_bytes([header[2], header[3]]);
                Some(Piece {
                    id: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
                    start: u32::from(bits & !7),
                    more: bits & 1 != 0,
                    dont_fragment: false,
                    head: repeated.end as u16,
                    data: (repeated.end + FRAGMENT_HEADER) as u16,
                    next_at: repeated.next_at as u16,
                    next: header[0],
                })
            }
        }
    }
}

/// The part of an IPv6 packet that stands before the data in every piece.
struct Repeated {
    /// Just past it, in the frame.
    end: usize,
    /// Where it says what follows.
    next_at: usize,
}

impl Repeated {
    /// As the kernel finds it (`ip6_output.c: ip6_find_1stfragopt`): destination options belong to it only before a
    /// routing header.
    fn of(frame: &[u8], l3: usize) -> Option<Repeated> {
        let (mut next_at, mut end, mut routed) = (l3 + 6, l3 + 40, false);
        // Each round moves at least 8 bytes on.
        loop {
            match *frame.get(next_at)? {
                HOP_BY_HOP => {}
                ROUTING => routed = true,
                DESTINATION_OPTIONS if !routed => {}
                _ => return Some(Repeated { end, next_at }),
            }
            next_at = end;
            end += 8 * (1 + usize::from(*frame.get(end + 1)?));
        }
    }
}

/// A packet that is to leave in pieces.
#[derive(Clone, Copy, Debug)]
pub struct Cutter<'a> {
    frame: &'a [u8],
    family: Family,
    l3: usize,
    head: usize,
    next_at: usize,
    id: u32,
    dont_fragment: bool,
}

impl<'a> Cutter<'a> {
    /// Cuts the packet in `frame`, which ends where its packet ends and of which `parsed` was made. IPv6 pieces get `id`;
    /// IPv4 ones keep that of the packet, and lose its DF bit.
    pub fn new(frame: &'a [u8], parsed: &Parsed, id: u32) -> Option<Self> {
        let (l3, family) = (usize::from(parsed.l3), parsed.family());
        let (head, next_at) = match family {
            Family::V4 => (l3 + usize::from(frame.get(l3)? & 0x0f) * 4, l3 + 9),
            Family::V6 => Repeated::of(frame, l3).map(|repeated| (repeated.end, repeated.next_at))?,
        };
        (head <= frame.len()).then_some(Self { frame, family, l3, head, next_at, id, dont_fragment: false })
    }

    /// The pieces have the packet's DF bit (IPv4).
    pub fn keeping_dont_fragment(self) -> Self {
        let flags = self.frame.get(self.l3 + 6).copied().unwrap_or_default();
        Self { dont_fragment: self.family == Family::V4 && flags & DONT_FRAGMENT != 0, ..self }
    }

    /// Length of the data to be shared out.
    pub fn len(&self) -> usize {
        self.frame.len() - self.head
    }

    /// Whether there is nothing to share out.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most data that a piece of `mtu` bytes can hold.
    pub fn room(&self, mtu: u16) -> usize {
        usize::from(mtu).saturating_sub(self.head - self.l3 + self.extra())
    }

    /// What a piece's headers are longer by than the packet's.
    fn extra(&self) -> usize {
        if self.family == Family::V6 { FRAGMENT_HEADER } else { 0 }
    }

    /// The piece of up to `room` bytes that begins at `start`.
    pub fn next(&self, start: usize, room: usize) -> Range<usize> {
        let left = self.len() - start;
        let length = if left <= room { left } else { (room / UNIT * UNIT).max(UNIT).min(left) };
        start..start + length
    }

    /// Writes the frame that holds this part of the data, and returns its length. `None`: `out` is too short.
    pub fn write(&self, part: Range<usize>, out: &mut [u8]) -> Option<usize> {
        let data = self.frame.get(self.head + part.start..self.head + part.end)?;
        let data_at = self.head + self.extra();
        let length = data_at + data.len();
        let out = out.get_mut(..length)?;
        out[..self.head].copy_from_slice(&self.frame[..self.head]);
        out[data_at..].copy_from_slice(data);
        let more = part.end < self.len();
        // An offset has 13 bits, which is what data below 64 KiB need.
        let offset = part.start as u16;
        match self.family {
            Family::V4 => self.finish_v4(offset, more, &mut out[self.l3..]),
            Family::V6 => {
                let [high, low] = ((length - self.l3 - 40) as u16).to_be_bytes();
                let next = std::mem::replace(&mut out[self.next_at], FRAGMENT);
                out[self.l3 + 4..self.l3 + 6].copy_from_slice(&[high, low]);
                let header = &mut out[self.head..data_at];
                header[..2].copy_from_slice(&[next, 0]);
                header[2..4].copy_from_slice(&(offset | u16::from(more)).to_be_bytes());
                header[4..].copy_from_slice(&self.id.to_be_bytes());
            }
        }
        Some(length)
    }

    fn finish_v4(&self, offset: u16, more: bool, packet: &mut [u8]) {
        let length = (packet.len() as u16).to_be_bytes();
        let (header, _) = packet.split_at_mut(self.head - self.l3);
        if offset != 0 {
            blank_options(&mut header[20..]);
        }
        header[2..4].copy_from_slice(&length);
        header[6..8].copy_from_slice(&(offset / 8).to_be_bytes());
        header[6] |= if more { MORE_FRAGMENTS } else { 0 } | if self.dont_fragment { DONT_FRAGMENT } else { 0 };
        header[10..12].fill(0);
        let sum = finish(0, header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Options that are not to be copied into every piece become padding in the later ones (RFC 791 3.1, `ip_options.c:
/// ip_options_fragment`).
fn blank_options(options: &mut [u8]) {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const COPIED: u8 = 0x80;
    let mut at = 0;
    while let Some(&kind) = options.get(at) {
        let length = match (kind, options.get(at + 1)) {
            (END, _) => return,
            (NO_OPERATION, _) => 1,
            (_, Some(&length)) if length >= 2 => usize::from(length),
            _ => return,
        };
        let Some(option) = options.get_mut(at..at + length) else { return };
        if kind & COPIED == 0 {
            option.fill(NO_OPERATION);
        }
        at += length;
    }
}

#[cfg(test)]
mod tests;
