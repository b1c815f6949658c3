//! Sync messages of LVS, as they come: versions 1 and 0 (`ip_vs_sync.c: ip_vs_process_message`).
//!
//! A message is judged as the kernel judges it. What is wrong with its frame (sizes, versions) ends it: the records before
//! still count, those behind cannot be found. What is wrong with a record alone drops that record.

use super::wire::{ENGINE_DATA, ENGINE_NAME, Flags, HEADER, RECORD_V4, RECORD_V6, SyncRecord, TYPE_V6, VERSION};
use crate::service::Engine;
use crate::wire::sip::CallId;
use crate::wire::{Addr, Endpoint, Family};

/// Bytes before the first record of version 0.
const HEADER_V0: usize = 4;
/// Bytes of a record of version 0, which knows IPv4 only.
const RECORD_V0: usize = 24;
/// Bytes of the sequence numbers: two times initial, delta and previous delta.
const SEQUENCES: usize = 24;
/// The longest name of a persistence engine (`IP_VS_PENAME_MAXLEN`).
const LONGEST_ENGINE_NAME: usize = 16;

/// Why a message, or the rest of it, was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Shorter than a header.
    #[error("shorter than a header")]
    Header,
    /// The size it claims is not its own.
    #[error("of another size than it says")]
    Size,
    /// It ends inside a record.
    #[error("ends inside a record")]
    Truncated,
    /// A record of a type or version that is not known, so that its length means nothing.
    #[error("holds a record of an unknown kind")]
    Kind,
    /// Options that do not fit into their record, or contradict each other.
    #[error("holds broken options")]
    Options,
}

/// A message whose header is sound.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Whose message it is.
    pub syncid: u8,
    records: Records<'a>,
}

impl<'a> Incoming<'a> {
    /// Reads the header.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let Some(&[first, syncid, size_high, size_low]) = bytes.first_chunk() else { return Err(Malformed::Header) };
        if usize::from(u16::from_be_bytes([size_high, size_low])) != bytes.len() {
            return Err(Malformed::Size);
        }
        let is_v1 = first == 0 && bytes.get(5..HEADER) == Some(&[VERSION, 0, 0]);
        let (left, rest, version) = match is_v1 {
            true => (bytes[4], &bytes[HEADER..], 1),
            false => (first, &bytes[HEADER_V0..], 0),
        };
        Ok(Self { syncid, records: Records { left, rest, version } })
    }

    /// What it tells. `Ok(None)` is a record that asks for something which must be understood and is not.
    pub fn records(self) -> impl Iterator<Item = Result<Option<SyncRecord>, Malformed>> + 'a {
        self.records
    }
}

#[derive(Clone, Copy, Debug)]
struct Records<'a> {
    left: u8,
    rest: &'a [u8],
    version: u8,
}

impl Iterator for Records<'_> {
    type Item = Result<Option<SyncRecord>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let read = if self.version == 1 { self.version_1() } else { self.version_0().map(Some) };
        if read.is_err() {
            self.left = 0;
        }
        Some(read)
    }
}

impl Records<'_> {
    fn version_1(&mut self) -> Result<Option<SyncRecord>, Malformed> {
        // The kernel asks for the shorter form here, whatever the type.
        let header: &[u8; RECORD_V4] = self.rest.first_chunk().ok_or(Malformed::Truncated)?;
        let size = u16::from_be_bytes([header[2], header[3]]);
        let (version, length) = (size >> 12, usize::from(size & 0x0fff));
        let bytes = self.rest.get(..length).ok_or(Malformed::Truncated)?;
        if version != 0 {
            return Err(Malformed::Kind);
        }
        let (family, fixed) = match header[0] {
            kind if kind & TYPE_V6 != 0 => (Family::V6, RECORD_V6),
            0 => (Family::V4, RECORD_V4),
            _ => return Err(Malformed::Kind),
        };
        let options = bytes.get(fixed..).ok_or(Malformed::Truncated)?;
        let options = read_options(options)?;
        let mut record = record(bytes, family);
        // The padding behind the last record may be missing.
        self.rest = self.rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        let is_template = record.flags.any(Flags::TEMPLATE);
        if is_template && options.by_engine() {
            // Another engine's template, or one that cannot be, would be mistaken for that of all a client's connections.
            let Some(call) = options.call() else { return Ok(None) };
            record.call = Some(call);
        }
        Ok(options.understood.then_some(record))
    }

    /// Sequence numbers follow a record whose flags say so.
    fn version_0(&mut self) -> Result<SyncRecord, Malformed> {
        let bytes: &[u8; RECORD_V0] = self.rest.first_chunk().ok_or(Malformed::Truncated)?;
        let flags = Flags(u32::from(half(bytes, 20)));
        let length = RECORD_V0 + if flags.any(Flags::SEQUENCES) { SEQUENCES } else { 0 };
        self.rest = self.rest.get(length..).ok_or(Malformed::Truncated)?;
        let end = |address, port| Endpoint { addr: Addr::v4(word(bytes, address)), port: half(bytes, port) };
        Ok(SyncRecord {
            protocol: bytes[1],
            flags,
            state: half(bytes, 22),
            fwmark: 0,
            timeout: 0,
            client: end(8, 2),
            virtual_: end(12, 4),
            real: end(16, 6),
            call: None,
        })
    }
}

/// The fixed part of a record, which is as long as its family asks for.
fn record(bytes: &[u8], family: Family) -> SyncRecord {
    let end = |nth: usize| {
        let addr = match family {
            Family::V4 => Addr::v4(word(bytes, 24 + nth * 4)),
            Family::V6 => {
                let at = 24 + nth * 16;
                Addr::v6(bytes[at..at + 16].try_into().expect("sixteen bytes"))
            }
        };
        Endpoint { addr, port: half(bytes, 10 + nth * 2) }
    };
    SyncRecord {
        protocol: bytes[1],
        flags: Flags(word(bytes, 4)),
        state: half(bytes, 8),
        fwmark: word(bytes, 16),
        timeout: word(bytes, 20),
        client: end(0),
        virtual_: end(1),
        real: end(2),
        call: None,
    }
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// What the options of a record come to.
#[derive(Default)]
struct Options<'a> {
    /// None of them had to be understood and was not.
    understood: bool,
    /// What a persistence engine tells clients apart by.
    engine_data: &'a [u8],
    engine_name: &'a [u8],
}

impl Options<'_> {
    fn by_engine(&self) -> bool {
        !self.engine_data.is_empty() || !self.engine_name.is_empty()
    }

    fn call(&self) -> Option<CallId> {
        let by_call = self.engine_name == Engine::Sip.name().as_bytes();
        by_call.then(|| CallId::new(self.engine_data)).flatten()
    }
}

/// `type u8 | length u8 | data`, one after the other. Bit 0x40 of the type: may be ignored where it is not known.
fn read_options(mut rest: &[u8]) -> Result<Options<'_>, Malformed> {
    const IGNORABLE: u8 = 0x40;
    let mut seen = [false; 4];
    let mut options = Options { understood: true, ..Options::default() };
    while let [kind, after @ ..] = rest {
        let (&length, data) = after.split_first().ok_or(Malformed::Options)?;
        let length = usize::from(length);
        if length == 0 || length > data.len() {
            return Err(Malformed::Options);
        }
        let known = kind & !IGNORABLE;
        let fits = match known {
            1 => length == SEQUENCES,
            ENGINE_DATA => {
                options.engine_data = &data[..length];
                true
            }
            ENGINE_NAME => {
                options.engine_name = &data[..length];
                length <= LONGEST_ENGINE_NAME
            }
            _ => {
                options.understood &= kind & IGNORABLE != 0;
                true
            }
        };
        let repeated =
            seen.get_mut(usize::from(known)).filter(|_| known != 0).is_some_and(|seen| std::mem::replace(seen, true));
        if !fits || repeated {
            return Err(Malformed::Options);
        }
        rest = &data[length..];
    }
    Ok(options)
}

#[cfg(test)]
mod tests;
