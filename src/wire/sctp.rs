//! SCTP packets (RFC 9260 3): the kind of the first chunk, and the CRC32c over the whole.

use super::crc32c::crc32c;

/// Length of the common header: ports, verification tag, checksum.
const HEADER: usize = 12;
/// Where the checksum stands in it.
const CHECKSUM: std::ops::Range<usize> = 8..12;

/// What a packet is to the state table of LVS: its first chunk, as `ip_vs_proto_sctp.c: sctp_events` sorts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SctpEvent {
    /// DATA, and all that is not named below: SACK, HEARTBEAT, ECNE, CWR, unknown chunks.
    Data,
    /// INIT.
    Init,
    /// INIT ACK.
    InitAck,
    /// COOKIE ECHO, unless an ABORT follows it.
    CookieEcho,
    /// COOKIE ACK, unless an ABORT follows it.
    CookieAck,
    /// SHUTDOWN.
    Shutdown,
    /// SHUTDOWN ACK.
    ShutdownAck,
    /// SHUTDOWN COMPLETE.
    ShutdownComplete,
    /// ERROR.
    Error,
    /// ABORT.
    Abort,
}

impl SctpEvent {
    /// Judges a packet, from its common header on; `None` if it has no chunk.
    pub fn of(packet: &[u8]) -> Option<SctpEvent> {
        let (event, length) = chunk(packet, HEADER)?;
        if !matches!(event, SctpEvent::CookieEcho | SctpEvent::CookieAck) || length < 4 {
            return Some(event);
        }
        // Chunks are padded to whole words (RFC 9260 3.2).
        let behind = chunk(packet, HEADER + usize::from(length).next_multiple_of(4));
        Some(behind.map(|(event, _)| event).filter(|&event| event == SctpEvent::Abort).unwrap_or(event))
    }
}

/// The chunk whose header begins at `at`, and its length as it says itself.
fn chunk(packet: &[u8], at: usize) -> Option<(SctpEvent, u16)> {
    let [kind, _, high, low] = *packet.get(at..)?.first_chunk::<4>()?;
    let event = match kind {
        1 => SctpEvent::Init,
        2 => SctpEvent::InitAck,
        6 => SctpEvent::Abort,
        7 => SctpEvent::Shutdown,
        8 => SctpEvent::ShutdownAck,
        9 => SctpEvent::Error,
        10 => SctpEvent::CookieEcho,
        11 => SctpEvent::CookieAck,
        14 => SctpEvent::ShutdownComplete,
        _ => SctpEvent::Data,
    };
    Some((event, u16::from_be_bytes([high, low])))
}

/// Works the checksum out anew, over a packet from its common header on (RFC 9260 6.8, appendix A).
pub fn put_checksum(packet: &mut [u8]) {
    if packet.len() < HEADER {
        return;
    }
    packet[CHECKSUM].fill(0);
    // The CRC's bytes stand lowest first, unlike everything else on the wire.
    let sum = crc32c(packet).to_le_bytes();
    packet[CHECKSUM].copy_from_slice(&sum);
}

/// Works the checksum out if the sender left it to hardware, which on Linux is said by a field of 0 (`net/sctp/output.c:
/// sctp_packet_pack`). Returns whether it did.
pub fn complete_checksum(packet: &mut [u8]) -> bool {
    if packet.get(CHECKSUM) != Some(&[0; 4]) {
        return false;
    }
    put_checksum(packet);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet with these chunks, each a kind and the length it claims.
    fn packet(chunks: &[(u8, u16)]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        for &(kind, length) in chunks {
            bytes.extend_from_slice(&[kind, 0]);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.resize(bytes.len() + usize::from(length).saturating_sub(4).next_multiple_of(4), 0xaa);
        }
        bytes
    }

    #[test]
    fn a_packet_is_its_first_chunk() {
        use SctpEvent::*;
        for (chunks, expected) in [
            (&[(0, 20)][..], Some(Data)),
            (&[(1, 20)], Some(Init)),
            (&[(2, 20)], Some(InitAck)),
            (&[(3, 16)], Some(Data)),
            (&[(4, 8)], Some(Data)),
            (&[(5, 8)], Some(Data)),
            (&[(6, 4)], Some(Abort)),
            (&[(7, 8)], Some(Shutdown)),
            (&[(8, 4)], Some(ShutdownAck)),
            (&[(9, 4)], Some(Error)),
            (&[(10, 9)], Some(CookieEcho)),
            (&[(11, 4)], Some(CookieAck)),
            (&[(12, 8)], Some(Data)),
            (&[(13, 4)], Some(Data)),
            (&[(14, 4)], Some(ShutdownComplete)),
            (&[(192, 4)], Some(Data)),
            (&[(10, 9), (0, 20)], Some(CookieEcho)),
            (&[(10, 9), (6, 4)], Some(Abort)),
            (&[(11, 4), (6, 4)], Some(Abort)),
            (&[(0, 20), (6, 4)], Some(Data)),
            (&[(10, 0), (6, 4)], Some(CookieEcho)),
            (&[], None),
        ] {
            assert_eq!(SctpEvent::of(&packet(chunks)), expected, "{chunks:?}");
        }
        assert_eq!(SctpEvent::of(&packet(&[(6, 4)])[..15]), None, "half a chunk header");
        assert_eq!(SctpEvent::of(&[]), None);
    }

    #[test]
    fn a_checksum_is_completed_only_where_there_is_none() {
        let mut bytes = packet(&[(1, 20)]);
        assert!(complete_checksum(&mut bytes));
        let done = bytes.clone();
        assert_ne!(done[CHECKSUM], [0; 4]);
        assert!(!complete_checksum(&mut bytes));
        bytes[8] ^= 1;
        put_checksum(&mut bytes);
        assert_eq!(bytes, done);
        put_checksum(&mut [1; 11]);
        assert!(!complete_checksum(&mut [0; 11]));
    }
}
