//! Changing a TCP segment beyond its ports: numbers in its header, and bytes of its payload.

use crate::forward::Packet;
use crate::forward::look::Look;
use crate::wire::checksum::{Delta, finish, pseudo_header};
use crate::wire::{Family, Protocol};

/// Where things stand in the TCP header (RFC 9293 3.1).
pub(super) const SEQUENCE: usize = 4;
pub(super) const ACKNOWLEDGMENT: usize = 8;
const DATA_OFFSET: usize = 12;
const CHECKSUM: usize = 16;
/// Length of the header without options.
const OPTIONS: usize = 20;

/// Option kinds (RFC 9293 3.2, RFC 2018 3).
const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const SACK: u8 = 5;

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

/// Where the numbers of selective acknowledgments stand in the header: two for each of at most four blocks.
pub(super) fn sack_numbers(packet: &mut Packet<'_>, look: &Look) -> arrayvec::ArrayVec<usize, 8> {
    let mut found = arrayvec::ArrayVec::new();
    let Some(end) = payload_at(packet, look) else { return found };
    let Some(header) = segment(packet, look).and_then(|segment| segment.get(..end)) else { return found };
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
        if kind == SACK {
            found.extend((at + 2..at + length - 3).step_by(4).take(found.remaining_capacity()));
        }
        at += length;
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
pub(super) fn splice(packet: &mut Packet<'_>, look: &Look, place: std::ops::Range<usize>, with: &[u8]) -> Option<Look> {
    let payload_at = usize::from(look.l4) + payload_at(packet, look)?;
    let (from, to) = (payload_at + place.start, payload_at + place.end);
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
    let segment = segment(packet, &look)?;
    segment[CHECKSUM..CHECKSUM + 2].fill(0);
    let sum = finish(pseudo(&look), segment);
    segment[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
    packet.frame.len = look.end;
    Some(look)
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
