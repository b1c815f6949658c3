//! The bytes of a capture, unpacked if need be, with a count of how many went by.

use std::io::{self, BufReader, Chain, Cursor, Read};

use flate2::read::MultiGzDecoder;

use super::Fault;

/// First bytes of a gzip member (RFC 1952 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A stream of bytes that knows its position.
pub(super) struct Input {
    source: Box<dyn Read + Send>,
    offset: u64,
}

impl Input {
    /// Looks at the first two bytes and unpacks what is gzip.
    pub(super) fn new(source: impl Read + Send + 'static) -> Result<Self, Fault> {
        let mut source = BufReader::new(source);
        let mut head = [0; GZIP.len()];
        let had = read_up_to(&mut source, &mut head)?;
        let whole: Chain<_, _> = Cursor::new(head).take(had as u64).chain(source);
        let source: Box<dyn Read + Send> =
            if head == GZIP { Box::new(BufReader::new(MultiGzDecoder::new(whole))) } else { Box::new(whole) };
        Ok(Self { source, offset: 0 })
    }

    /// Bytes read so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Fills the slice; running out is an error.
    pub(super) fn fill(&mut self, into: &mut [u8]) -> Result<(), Fault> {
        if self.fill_or_end(into)? || into.is_empty() { Ok(()) } else { Err(Fault::Ends) }
    }

    /// Fills the slice and answers true, or answers false at a clean end, where not one byte is left.
    pub(super) fn fill_or_end(&mut self, into: &mut [u8]) -> Result<bool, Fault> {
        let had = read_up_to(&mut self.source, into)?;
        self.offset += had as u64;
        match had {
            0 => Ok(false),
            _ if had == into.len() => Ok(true),
            _ => Err(Fault::Ends),
        }
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Passes over `count` bytes.
    pub(super) fn skip(&mut self, count: u64) -> Result<(), Fault> {
        let skipped = io::copy(&mut self.source.by_ref().take(count), &mut io::sink())?;
        self.offset += skipped;
        if skipped == count { Ok(()) } else { Err(Fault::Ends) }
    }
}

/// Fills the slice as far as the source goes, and says how far that was.
fn read_up_to(source: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut had = 0;
    while had < into.len() {
        match source.read(&mut into[had..]) {
            Ok(0) => break,
            Ok(more) => had += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(had)
}

/// The byte order that a file (or a section of it) is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Big,
    Little,
}

impl Order {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Order::Big => u16::from_be_bytes(bytes),
            Order::Little => u16::from_le_bytes(bytes),
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Order::Big => u32::from_be_bytes(bytes),
            Order::Little => u32::from_le_bytes(bytes),
        }
    }

    pub(super) fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Order::Big => u64::from_be_bytes(bytes),
            Order::Little => u64::from_le_bytes(bytes),
        }
    }
}
