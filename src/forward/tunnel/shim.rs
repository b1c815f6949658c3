//! What stands between the outer IP header and the packet: GRE (RFC 2784 2), or UDP and GUE
//! (draft-ietf-intarea-gue-09 3).
//!
//! Checksums cover the packet, so this comes last but for the outer header, which they do not.

use super::{Ends, inner_protocol};
use crate::forward::look::Look;
use crate::service::GueChecksum;
use crate::wire::checksum::{finish, pseudo_header};
use crate::wire::{Family, Protocol};

/// Bit 0 of a GRE header: a checksum and a reserved word follow.
const CHECKSUM_PRESENT: u8 = 0x80;

/// Writes a GRE header at the start of `payload`, which is what the outer header is to be followed by.
pub(super) fn gre(payload: &mut [u8], inner: Family, checksum: bool) {
    let ethertype: [u8; 2] = match inner {
        Family::V4 => [0x08, 0x00],
        Family::V6 => [0x86, 0xdd],
    };
    payload[..2].copy_from_slice(&[if checksum { CHECKSUM_PRESENT } else { 0 }, 0]);
    payload[2..4].copy_from_slice(&ethertype);
    if checksum {
        payload[4..8].fill(0);
        let sum = finish(0, payload);
        payload[4..6].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Writes a UDP and a GUE header at the start of `payload`; `ports` are source and destination.
pub(super) fn gue(payload: &mut [u8], look: &Look, ports: [u16; 2], checksum: GueChecksum, ends: Ends) {
    // What was decided to fit a link's MTU fits 16 bits.
    let length = payload.len() as u16;
    payload[..2].copy_from_slice(&ports[0].to_be_bytes());
    payload[2..4].copy_from_slice(&ports[1].to_be_bytes());
    payload[4..6].copy_from_slice(&length.to_be_bytes());
    payload[6..8].fill(0);
    // Variant 0, a data message, no options; then the protocol, and no flags.
    payload[8..12].copy_from_slice(&[0, inner_protocol(look.family), 0, 0]);
    if checksum != GueChecksum::Off {
        let pseudo = pseudo_header(ends.source, ends.destination, Protocol::UDP, u32::from(length));
        let sum = match finish(pseudo, payload) {
            // 0 would mean that there is no checksum.
            0 => 0xffff,
            sum => sum,
        };
        payload[6..8].copy_from_slice(&sum.to_be_bytes());
    }
}
