//! Changing a TCP segment beyond its ports: numbers in its header, and bytes of its payload.

use std::ops::Range;

use super::Packet;
use super::look::Look;
use crate::wire::checksum::{Delta, finish, pseudo_header};
use crate::wire::{Family, Protocol};

/// Where things stand in the TCP header (RFC 9293 3.1).
pub(super) const SEQUENCE: usize = 4;
pub(super) const ACKNOWLEDGMENT: usize = 8;
const DATA_OFFSET: usize = 12;
const FLAGS: usize = 13;
const CHECKSUM: usize = 16;
/// Length of the header without options.
const OPTIONS: usize = 20;
/// The longest header that there is.
const LONGEST_HEADER: usize = 60;

/// Option kinds (RFC 9293 3.2, RFC 2018 3).
const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const MSS: u8 = 2;
const SACK: u8 = 5;

/// Whether `a` comes after `b`, in numbers that wrap (RFC 9293 3.4).
pub(super) const fn is_after(a: u32, b: u32) -> bool {
    b.wrapping_sub(a) as i32 > i32::MIN && (b.wrapping_sub(a) as i32) < 0
}

/// The segment from its header on.
fn segment<'a>(packet: &'a mut Packet<'_>, look: &Look) -> Option<&'a mut [u8]> {
    packet.bytes().get_mut(usize::from(look.l4)..usize::from(look.end))
}

/// Where the payload begins, from the start of the header.
pub(super) fn payload_at(packet: &mut Packet<'_>, look: &Look) -> Option<usize> {
    let segment = segment(packet, look)?;
    let at = usize::from(*segment.get(DATA_OFFSET)? >> 4) * 4;
    (OPTIONS..=segment.len()).contains(&at).then_some(at)
}

/// The payload.
pub(super) fn payload<'a>(packet: &'a mut Packet<'_>, look: &Look) -> Option<&'a mut [u8]> {
    let at = payload_at(packet, look)?;
    segment(packet, look)?.get_mut(at..)
}

/// A number of 32 bits in the header.
pub(super) fn number(packet: &mut Packet<'_>, look: &Look, at: usize) -> Option<u32> {
    segment(packet, look)?.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// Sets a number of 32 bits in the header, and corrects the checksum by the difference.
pub(super) fn set_number(packet: &mut Packet<'_>, look: &Look, at: usize, new: u32) -> Option<()> {
    let segment = segment(packet, look)?;
    let place = segment.get_mut(at..)?.first_chunk_mut::<4>()?;
    let old = std::mem::replace(place, new.to_be_bytes());
    let word = |bytes: [u8; 4], half: usize| {
        let word = u16::from_be_bytes([bytes[half], bytes[half + 1]]);
        // At an odd place the bytes of a word stand in two words of the sum, in the other order (RFC 1071 2(B)).
        if at.is_multiple_of(2) { word } else { word.swap_bytes() }
    };
    let edit = [0, 2]
        .into_iter()
        .fold(Delta::new(), |edit, half| edit.replace(word(old, half), word(new.to_be_bytes(), half)));
    let field = segment.get_mut(CHECKSUM..)?.first_chunk_mut::<2>()?;
    *field = edit.apply(u16::from_be_bytes(*field)).to_be_bytes();
    Some(())
}

/// The options: where each stands in the header, and its kind.
fn options(packet: &mut Packet<'_>, look: &Look) -> arrayvec::IntoIter<(usize, u8), 40> {
    let mut found = arrayvec::ArrayVec::new();
    let end = payload_at(packet, look).unwrap_or_default();
    let header = segment(packet, look).and_then(|segment| segment.get(..end)).unwrap_or_default();
    let mut at = OPTIONS;
    while let Some(&kind) = header.get(at) {
        let length = match (kind, header.get(at + 1)) {
            (END_OF_OPTIONS, _) | (_, None) => break,
            (NO_OPERATION, _) => 1,
            (_, Some(&length)) => usize::from(length),
        };
        if length == 0 || at + length > header.len() {
            break;
        }
        if kind != NO_OPERATION && found.try_push((at, kind)).is_err() {
            break;
        }
        at += length;
    }
    found.into_iter()
}

/// Where the numbers of selective acknowledgments stand in the header: two for each of at most four blocks.
pub(super) fn sack_numbers(packet: &mut Packet<'_>, look: &Look) -> arrayvec::ArrayVec<usize, 8> {
    let mut found = arrayvec::ArrayVec::new();
    for (at, _) in options(packet, look).filter(|&(_, kind)| kind == SACK) {
        let Some(length) = segment(packet, look).and_then(|segment| segment.get(at + 1).copied()) else { break };
        let last = (at + usize::from(length)).saturating_sub(3);
        found.extend((at + 2..last).step_by(4).take(found.remaining_capacity()));
    }
    found
}

/// Whether the segment's checksum is right.
pub(super) fn is_sound(packet: &mut Packet<'_>, look: &Look) -> bool {
    let pseudo = pseudo(look);
    segment(packet, look).is_some_and(|segment| finish(pseudo, segment) == 0)
}

fn pseudo(look: &Look) -> u64 {
    let (source, destination) = look.ends();
    pseudo_header(source, destination, Protocol::TCP, u32::from(look.end - look.l4))
}

/// Replaces bytes of the payload by others, as many or not, and sets lengths and checksums. Returns the packet's new
/// look; `None` if there is no room for it, and then nothing has changed.
pub(super) fn splice(packet: &mut Packet<'_>, look: &Look, place: Range<usize>, with: &[u8]) -> Option<Look> {
    let payload_at = payload_at(packet, look)?;
    replace(packet, look, payload_at + place.start..payload_at + place.end, with)
}

/// Puts an option in front of the others, and sets lengths and checksums. Its length is a multiple of four. `None` if
/// header or buffer have no room for it, and then nothing has changed.
pub(super) fn insert_option(packet: &mut Packet<'_>, look: &Look, option: &[u8]) -> Option<Look> {
    let header = payload_at(packet, look)?;
    if header + option.len() > LONGEST_HEADER {
        return None;
    }
    let look = replace(packet, look, OPTIONS..OPTIONS, option)?;
    let words = u8::try_from(option.len() / 4).ok()? << 4;
    let segment = segment(packet, &look)?;
    segment[DATA_OFFSET] += words;
    renew_checksum(segment, &look);
    Some(look)
}

/// Replaces bytes of the segment, counted from its start.
fn replace(packet: &mut Packet<'_>, look: &Look, place: Range<usize>, with: &[u8]) -> Option<Look> {
    let (from, to) = (usize::from(look.l4) + place.start, usize::from(look.l4) + place.end);
    let old_end = usize::from(look.end);
    let tail_at = from + with.len();
    let end = tail_at + old_end.checked_sub(to)?;
    let look = Look { end: u16::try_from(end).ok()?, ..*look };
    let frame = packet.bytes();
    if end > frame.len() || to < from {
        return None;
    }
    frame.copy_within(to..old_end, tail_at);
    frame[from..tail_at].copy_from_slice(with);
    set_length(frame, &look);
    renew_checksum(segment(packet, &look)?, &look);
    packet.frame.len = look.end;
    Some(look)
}

/// Works the checksum out over the whole segment.
fn renew_checksum(segment: &mut [u8], look: &Look) {
    segment[CHECKSUM..CHECKSUM + 2].fill(0);
    let sum = finish(pseudo(look), segment);
    segment[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Takes bits out of the flags; the checksum is the caller's to renew.
pub(super) fn clear_flags(packet: &mut Packet<'_>, look: &Look, flags: u8) -> Option<()> {
    *segment(packet, look)?.get_mut(FLAGS)? &= !flags;
    Some(())
}

/// Lowers the maximum segment size that a SYN announces, if it does (RFC 9293 3.7.1), and corrects the checksum.
pub(super) fn lower_mss(packet: &mut Packet<'_>, look: &Look, by: u16) -> Option<()> {
    let (at, _) = options(packet, look).find(|&(_, kind)| kind == MSS)?;
    let segment = segment(packet, look)?;
    let place = segment.get_mut(at + 2..)?.first_chunk_mut::<2>()?;
    let mss = u16::from_be_bytes(*place).saturating_sub(by);
    *place = mss.to_be_bytes();
    renew_checksum(segment, look);
    Some(())
}

/// Writes the packet's length into its IP header.
fn set_length(frame: &mut [u8], look: &Look) {
    let l3 = usize::from(look.l3);
    match look.family {
        Family::V4 => {
            let Some(header) = frame.get_mut(l3..).and_then(|rest| rest.first_chunk_mut::<20>()) else { return };
            let old = u16::from_be_bytes([header[2], header[3]]);
            let edit = Delta::new().replace(old, look.packet_len());
            let sum = edit.apply(u16::from_be_bytes([header[10], header[11]]));
            header[2..4].copy_from_slice(&look.packet_len().to_be_bytes());
            header[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        Family::V6 => {
            if let Some(field) = frame.get_mut(l3 + 4..l3 + 6) {
                field.copy_from_slice(&(look.packet_len() - 40).to_be_bytes());
            }
        }
    }
}
