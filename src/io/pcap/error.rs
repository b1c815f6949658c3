//! What can be wrong with a capture file.

use std::io;

/// Why a capture cannot be read on, and where. Everything before it was delivered.
#[derive(Debug, thiserror::Error)]
#[error("packet {packet}, byte {offset}: {fault}")]
pub struct CaptureError {
    /// How far reading had come, in bytes of the (uncompressed) capture.
    pub offset: u64,
    /// The packet that was being read or looked for, counted from 1.
    pub packet: u64,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a capture.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file, or its compressed form, cannot be read.
    #[error("cannot read the capture: {0}")]
    Read(#[from] io::Error),
    /// There is not one byte.
    #[error("the capture is empty")]
    Empty,
    /// It begins like no format known here.
    #[error("this is neither pcap nor pcapng: it begins with {0:02x?}")]
    NotACapture([u8; 4]),
    /// A version of the format that is laid out differently.
    #[error("version {0}.{1} of the format is not known")]
    Version(u16, u16),
    /// It ends where more was announced.
    #[error("the capture ends in the middle of a record")]
    Ends,
    /// A record longer than 256 KiB, the limit of libpcap.
    #[error("a packet of {0} bytes is announced, longer than any capture holds: the file is damaged")]
    RecordLength(u32),
    /// pcapng: a section header with neither byte order's mark.
    #[error("a section's byte-order mark is {0:02x?}: the file is damaged")]
    ByteOrder([u8; 4]),
    /// pcapng: a block length that is no multiple of four or too small for what the block must hold.
    #[error("a block of {0} bytes cannot hold what it should: the file is damaged")]
    BlockLength(u32),
    /// pcapng: the length at a block's end differs from the one at its head.
    #[error("a block begins with length {0} and ends with length {1}: the file is damaged")]
    BlockEnds(u32, u32),
    /// pcapng: a packet of an interface that the section does not describe.
    #[error("the packet names interface {0}, which its section does not describe")]
    NoInterface(u32),
    /// pcapng: more interfaces than are worth remembering.
    #[error("a section describes more than {0} interfaces: the file is damaged")]
    Interfaces(usize),
}
