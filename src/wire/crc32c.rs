//! CRC32c (Castagnoli), the checksum of SCTP (RFC 9260 appendix A).

/// The polynomial 0x1edc6f41, lowest bit first.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// `TABLES[0][b]` is what a byte `b` does to the sum; `TABLES[n][b]` is the same byte with `n` more behind it. So eight
/// bytes take eight lookups that do not wait for each other.
static TABLES: [[u32; 256]; 8] = {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = sum >> 1 ^ if sum & 1 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        tables[0][byte] = sum;
        byte += 1;
    }
    let mut at = 256;
    while at < 8 * 256 {
        let before = tables[at / 256 - 1][at % 256];
        tables[at / 256][at % 256] = before >> 8 ^ tables[0][(before & 0xff) as usize];
        at += 1;
    }
    tables
};

/// The CRC32c of `bytes`.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    let (chunks, rest) = bytes.as_chunks::<8>();
    let whole = chunks.iter().fold(u32::MAX, |sum, chunk| {
        let mixed = u64::from_le_bytes(*chunk) ^ u64::from(sum);
        mixed
            .to_le_bytes()
            .iter()
            .zip(TABLES.iter().rev())
            .fold(0, |sum, (&byte, table)| sum ^ table[usize::from(byte)])
    });
    !rest.iter().fold(whole, |sum, &byte| sum >> 8 ^ TABLES[0][usize::from(sum as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bit by bit, as an oracle.
    fn plain(bytes: &[u8]) -> u32 {
        let step = |sum: u32, _| sum >> 1 ^ if sum & 1 == 1 { POLYNOMIAL } else { 0 };
        !bytes.iter().fold(u32::MAX, |sum, &byte| (0..8).fold(sum ^ u32::from(byte), step))
    }

    #[test]
    fn known_values() {
        // RFC 3720 B.4, and the customary check value.
        let ascending: Vec<u8> = (0..32).collect();
        for (bytes, sum) in [
            (&b""[..], 0),
            (b"123456789", 0xe306_9283),
            (&[0; 32], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&ascending, 0x46dd_794e),
        ] {
            assert_eq!(crc32c(bytes), sum);
        }
    }

    proptest! {
        #[test]
        fn eight_bytes_at_a_time_are_as_one_bit_at_a_time(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(crc32c(&bytes), plain(&bytes));
        }
    }
}
