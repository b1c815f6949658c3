//! Options of the IPv4 header, as a router follows them (RFC 791 3.1, RFC 1812 5.2.4 and 5.3.13; `ip_options.c:
//! ip_options_compile`).
//!
//! A record-route option takes the router's address, a timestamp option its time. [`check`] says beforehand whether a
//! packet may go on; [`fill`] writes, and is to be called once the packet leaves.

use super::checksum::finish;

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const RECORD_ROUTE: u8 = 7;
const TIMESTAMP: u8 = 68;
const LOOSE_SOURCE_ROUTE: u8 = 131;
const STRICT_SOURCE_ROUTE: u8 = 137;

/// Low bits of the fourth byte of a timestamp option: what it gathers.
const TIMES_ONLY: u8 = 0;
const ADDRESSES_AND_TIMES: u8 = 1;
const TIMES_OF_NAMED: u8 = 3;
/// The bit that marks a timestamp which is not milliseconds since midnight UT (RFC 791 3.1).
const NOT_UNIVERSAL: u32 = 1 << 31;

/// Why a packet goes no further because of its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It wants to be routed by its source; the director does not do that.
    SourceRoute,
    /// The byte at this offset in the IP header cannot be.
    Malformed(u8),
}

/// Looks through the options of an IPv4 header.
pub fn check(header: &[u8]) -> Result<(), Refusal> {
    walk(header, |kind, at, option| match kind {
        LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE => Err(Refusal::SourceRoute),
        RECORD_ROUTE => free_entry(option, 3, 4, 4).map(|_| ()).map_err(|fault| Refusal::Malformed(at + fault)),
        TIMESTAMP => stamp_entry(option).map(|_| ()).map_err(|fault| Refusal::Malformed(at + fault)),
        _ => Ok(()),
    })
}

/// Writes `address` and the time into the options that ask for them, and brings the header's checksum up to date.
/// `milliseconds` counts from any moment; `is_own` tells the director's addresses.
pub fn fill(header: &mut [u8], address: u32, milliseconds: u32, is_own: impl Fn(u32) -> bool) {
    let mut at = 20;
    while let Some((kind, length)) = option_at(header, at) {
        let Some(option) = header.get_mut(at..at + length) else { break };
        match kind {
            RECORD_ROUTE => record(option, address),
            TIMESTAMP => stamp(option, address, milliseconds, &is_own),
            _ => {}
        }
        at += length;
    }
    if let Some(sum) = header.get_mut(10..12) {
        sum.fill(0);
        let sum = finish(0, header).to_be_bytes();
        header[10..12].copy_from_slice(&sum);
    }
}

/// Kind and length of the option that begins at `at`; `None` at the end of options, and where they make no sense.
fn option_at(header: &[u8], at: usize) -> Option<(u8, usize)> {
    match *header.get(at)? {
        END => None,
        NO_OPERATION => Some((NO_OPERATION, 1)),
        kind => Some((kind, usize::from(*header.get(at + 1)?))).filter(|(_, length)| *length >= 2),
    }
}

fn walk(header: &[u8], mut each: impl FnMut(u8, u8, &[u8]) -> Result<(), Refusal>) -> Result<(), Refusal> {
    let mut at = 20;
    while let Some(&kind) = header.get(at) {
        if kind == END {
            break;
        }
        // A header has at most 60 bytes.
        let malformed = Refusal::Malformed(at as u8);
        let (kind, length) = option_at(header, at).ok_or(malformed)?;
        let option = header.get(at..at + length).ok_or(malformed)?;
        each(kind, at as u8, option)?;
        at += length;
    }
    Ok(())
}

/// The offset of the next free entry of `size` bytes in an option, `None` if all are taken. `Err` is the offset of the
/// byte that is wrong: the length, or the pointer, which counts from 1 and is at least `first`.
fn free_entry(option: &[u8], least: usize, first: u8, size: usize) -> Result<Option<usize>, u8> {
    if option.len() < least {
        return Err(1);
    }
    let pointer = option[2];
    let at = usize::from(pointer).wrapping_sub(1);
    match pointer {
        _ if pointer < first => Err(2),
        _ if usize::from(pointer) > option.len() => Ok(None),
        _ if at + size > option.len() => Err(2),
        _ => Ok(Some(at)),
    }
}

fn record(option: &mut [u8], address: u32) {
    if let Ok(Some(at)) = free_entry(option, 3, 4, 4) {
        option[at..at + 4].copy_from_slice(&address.to_be_bytes());
        option[2] += 4;
    }
}

/// As [`free_entry`], for a timestamp option.
fn stamp_entry(option: &[u8]) -> Result<Option<usize>, u8> {
    let size = match option.get(3).ok_or(1)? & 0x0f {
        TIMES_ONLY => 4,
        ADDRESSES_AND_TIMES | TIMES_OF_NAMED => 8,
        // Not known, and let through as by the kernel.
        _ => return Ok(None),
    };
    let entry = free_entry(option, 4, 5, size)?;
    if entry.is_none() && counts_misses(option) && option[3] >> 4 == 15 { Err(3) } else { Ok(entry) }
}

/// Whether the option counts, in four bits, the routers that found no room in it.
fn counts_misses(option: &[u8]) -> bool {
    matches!(option[3] & 0x0f, TIMES_ONLY | ADDRESSES_AND_TIMES)
}

fn stamp(option: &mut [u8], address: u32, milliseconds: u32, is_own: impl Fn(u32) -> bool) {
    let Ok(entry) = stamp_entry(option) else { return };
    let time = (milliseconds | NOT_UNIVERSAL).to_be_bytes();
    let wants = option[3] & 0x0f;
    let Some(at) = entry else {
        option[3] += if counts_misses(option) { 0x10 } else { 0 };
        return;
    };
    if wants == TIMES_ONLY {
        option[at..at + 4].copy_from_slice(&time);
        option[2] += 4;
        return;
    }
    if wants == TIMES_OF_NAMED {
        let named = u32::from_be_bytes([option[at], option[at + 1], option[at + 2], option[at + 3]]);
        if !is_own(named) {
            return;
        }
    } else {
        option[at..at + 4].copy_from_slice(&address.to_be_bytes());
    }
    option[at + 4..at + 8].copy_from_slice(&time);
    option[2] += 8;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWN: u32 = 0xc000_020a;
    const NOT_UT: [u8; 4] = [0x80, 0, 0, 5];

    fn header(options: &[u8]) -> Vec<u8> {
        let mut header = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        header.extend(options);
        header
    }

    fn filled(options: &[u8]) -> Vec<u8> {
        let mut header = header(options);
        fill(&mut header, OWN, 5, |address| address == OWN);
        assert_eq!(finish(0, &header), 0, "the checksum follows");
        header.split_off(20)
    }

    #[test]
    fn a_route_is_recorded_while_there_is_room() {
        assert_eq!(filled(&[7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]), [7, 11, 8, 192, 0, 2, 10, 0, 0, 0, 0, 0]);
        assert_eq!(filled(&[1, 7, 7, 4, 0, 0, 0, 0]), [1, 7, 7, 8, 192, 0, 2, 10], "behind padding");
        assert_eq!(filled(&[7, 7, 8, 1, 2, 3, 4, 0]), [7, 7, 8, 1, 2, 3, 4, 0], "full");
    }

    #[test]
    fn times_are_stamped_as_asked() {
        let times = |pointer, flags, entry: [u8; 8]| [&[68, 12, pointer, flags], &entry[..]].concat();
        let [a, b, c, d] = NOT_UT;
        assert_eq!(filled(&times(5, 0, [0; 8])), times(9, 0, [a, b, c, d, 0, 0, 0, 0]));
        assert_eq!(filled(&times(5, 1, [0; 8])), times(13, 1, [192, 0, 2, 10, a, b, c, d]));
        assert_eq!(filled(&times(5, 3, [192, 0, 2, 10, 0, 0, 0, 0])), times(13, 3, [192, 0, 2, 10, a, b, c, d]));
        let named_another = times(5, 3, [10, 0, 0, 9, 0, 0, 0, 0]);
        assert_eq!(filled(&named_another), named_another);
        assert_eq!(filled(&times(13, 0x20, [9; 8])), times(13, 0x30, [9; 8]), "one more had no room");
    }

    #[test]
    fn options_that_cannot_be_followed_are_refused() {
        let cases: [(&[u8], Result<(), Refusal>); 13] = [
            (&[1, 1, 1, 0], Ok(())),
            (&[0, 131, 131, 131], Ok(())),
            (&[0x82, 4, 0, 0], Ok(())),
            (&[7, 7, 4, 0, 0, 0, 0, 0], Ok(())),
            (&[68, 4, 5, 0xf7], Ok(())),
            (&[131, 3, 4, 0], Err(Refusal::SourceRoute)),
            (&[1, 137, 3, 4], Err(Refusal::SourceRoute)),
            (&[7, 2, 1, 1], Err(Refusal::Malformed(21))),
            (&[1, 7, 7, 3, 0, 0, 0, 0], Err(Refusal::Malformed(23))),
            (&[7, 6, 4, 0, 0, 0, 0, 0], Err(Refusal::Malformed(22))),
            (&[7, 9, 4, 0], Err(Refusal::Malformed(20))),
            (&[68, 4, 5, 0xf0], Err(Refusal::Malformed(23))),
            (&[0x82, 1, 0, 0], Err(Refusal::Malformed(20))),
        ];
        for (options, expected) in cases {
            assert_eq!(check(&header(options)), expected, "{options:?}");
        }
    }

    proptest! {
        #[test]
        fn any_options_are_followed_without_harm(options in prop::collection::vec(any::<u8>(), 0..40), own in any::<bool>()) {
            let mut header = header(&options);
            let _ = check(&header);
            fill(&mut header, OWN, 5, |_| own);
            prop_assert_eq!(finish(0, &header), 0);
        }
    }
}
