//! Datagrams cut and put together by plain byte work of the tests' own.

#![allow(dead_code, unreachable_pub, reason = "each test target uses its part")]

const ETHERNET: usize = 14;

/// Whether an untagged frame holds IPv6.
fn is_v6(frame: &[u8]) -> bool {
    frame[12..14] == [0x86, 0xdd]
}

/// Where the data of an untagged packet without IPv6 extension headers begin.
fn data_at(frame: &[u8]) -> usize {
    ETHERNET + if is_v6(frame) { 40 } else { usize::from(frame[ETHERNET] & 15) * 4 }
}

/// The parts of the whole untagged packet in `frame`, cut before these offsets of its data (multiples of 8).
pub fn cut(frame: &[u8], id: u16, before: &[usize]) -> Vec<Vec<u8>> {
    let data = &frame[data_at(frame)..];
    let mut bounds = vec![0];
    bounds.extend(before);
    bounds.push(data.len());
    let parts = bounds.windows(2);
    parts.map(|part| piece(frame, id, part[0], &data[part[0]..part[1]], part[1] < data.len())).collect()
}

/// One fragment with the headers of `frame`.
pub fn piece(frame: &[u8], id: u16, start: usize, data: &[u8], more: bool) -> Vec<u8> {
    let mut out = frame[..data_at(frame)].to_vec();
    if is_v6(frame) {
        out[18..20].copy_from_slice(&((data.len() + 8) as u16).to_be_bytes());
        let next = std::mem::replace(&mut out[20], 44);
        out.extend([next, 0]);
        out.extend((start as u16 | u16::from(more)).to_be_bytes());
        out.extend([0, 0]);
        out.extend(id.to_be_bytes());
    } else {
        let (length, bits) = ((out.len() - ETHERNET + data.len()) as u16, (start / 8) as u16);
        out[16..18].copy_from_slice(&length.to_be_bytes());
        out[18..20].copy_from_slice(&id.to_be_bytes());
        out[20..22].copy_from_slice(&(bits | if more { 0x2000 } else { 0 }).to_be_bytes());
        fix_header(&mut out);
    }
    out.extend(data);
    out
}

/// Puts an IPv4 header's checksum right.
pub fn fix_header(frame: &mut [u8]) {
    let end = data_at(frame);
    frame[24..26].fill(0);
    let sum = !ones(&frame[ETHERNET..end]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
}

/// The ones-complement sum of big-endian words.
pub fn ones(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

/// Offset, "more" and data of an untagged fragment.
pub fn read(frame: &[u8]) -> (usize, bool, &[u8]) {
    if is_v6(frame) {
        assert_eq!(frame[20], 44, "a fragment header");
        let bits = u16::from_be_bytes([frame[56], frame[57]]);
        let end = 54 + usize::from(u16::from_be_bytes([frame[18], frame[19]]));
        assert_eq!(end, frame.len());
        return (usize::from(bits & !7), bits & 1 != 0, &frame[62..]);
    }
    let bits = u16::from_be_bytes([frame[20], frame[21]]);
    assert_eq!(usize::from(u16::from_be_bytes([frame[16], frame[17]])) + ETHERNET, frame.len());
    assert_eq!(ones(&frame[ETHERNET..data_at(frame)]), 0xffff, "header checksum");
    (usize::from(bits & 0x1fff) * 8, bits & 0x2000 != 0, &frame[data_at(frame)..])
}

/// The packet that these fragments are of, in order and without a gap.
pub fn join(pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut whole = pieces[0][..data_at(&pieces[0])].to_vec();
    let head = whole.len();
    for (at, piece) in pieces.iter().enumerate() {
        let (start, more, data) = read(piece);
        assert_eq!((start, more), (whole.len() - head, at + 1 < pieces.len()), "piece {at}");
        whole.extend(data);
    }
    if is_v6(&whole) {
        whole[20] = pieces[0][54];
        let length = (whole.len() - 54) as u16;
        whole[18..20].copy_from_slice(&length.to_be_bytes());
    } else {
        let length = (whole.len() - ETHERNET) as u16;
        whole[16..18].copy_from_slice(&length.to_be_bytes());
        whole[20..22].fill(0);
        fix_header(&mut whole);
    }
    whole
}
