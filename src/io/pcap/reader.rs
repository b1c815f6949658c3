//! One reader for all capture formats.

use std::io::Read;
use std::time::Duration;

use super::classic::Classic;
use super::input::Input;
use super::link::{self, SPARE};
use super::ng::Sections;
use super::{CaptureError, Fault, LinkType, Refusal, Resolution};

/// Captured bytes of a record at most: what libpcap allows too (`MAXIMUM_SNAPLEN`).
pub(super) const MAX_RECORD: u32 = 262_144;

/// One record of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Counted from 1, as all tools number packets.
    pub number: u64,
    /// When it was captured, since the Unix epoch. A pcapng "simple packet" has no time and takes that of its predecessor.
    pub time: Duration,
    /// Length on the wire, in bytes, as the file tells it (with the original link header).
    pub original: u32,
    /// Whether the capture holds only the first part of it (snap length).
    pub cut: bool,
    /// Whether its link header was replaced by an Ethernet header.
    pub reframed: bool,
    /// The Ethernet frame without FCS, or why it is none.
    pub frame: Result<&'a [u8], Refusal>,
}

/// Reads records one after the other.
pub struct Reader {
    input: Input,
    format: Format,
    buffer: Buffer,
    packets: u64,
    ended: bool,
}

enum Format {
    Classic(Classic),
    Sections(Sections),
}

/// What records have in common with others of their interface.
#[derive(Clone, Copy)]
pub(super) struct Interface {
    pub(super) link: LinkType,
    /// Bytes of FCS at the end of each frame.
    pub(super) fcs: u32,
}

/// A record's header, as the formats deliver it.
pub(super) struct Packet {
    pub(super) time: Duration,
    pub(super) original: u32,
    pub(super) interface: Interface,
}

impl Reader {
    /// Reads the header of a capture and so learns its format.
    pub fn new(source: impl Read + Send + 'static) -> Result<Self, CaptureError> {
        let mut input = Input::new(source).map_err(|fault| located(0, 0, fault))?;
        match Format::detect(&mut input) {
            Ok(format) => Ok(Self { input, format, buffer: Buffer::default(), packets: 0, ended: false }),
            Err(fault) => Err(located(input.offset(), 0, fault)),
        }
    }

    /// The unit in which a capture of the same precision is written.
    pub fn resolution(&self) -> Resolution {
        match &self.format {
            Format::Classic(classic) => classic.resolution(),
            // Each interface may have its own; nanoseconds lose nothing that matters.
            Format::Sections(_) => Resolution::Nano,
        }
    }

    /// The next record; `None` at the end, and after an error.
    pub fn read(&mut self) -> Result<Option<Record<'_>>, CaptureError> {
        if self.ended {
            return Ok(None);
        }
        let packet = match &mut self.format {
            Format::Classic(classic) => classic.read(&mut self.input, &mut self.buffer),
            Format::Sections(sections) => sections.read(&mut self.input, &mut self.buffer),
        };
        let packet = packet.map_err(|fault| {
            self.ended = true;
            located(self.input.offset(), self.packets, fault)
        })?;
        let Some(packet) = packet else {
            self.ended = true;
            return Ok(None);
        };
        self.packets += 1;
        Ok(Some(self.buffer.record(self.packets, &packet)))
    }
}

impl Format {
    fn detect(input: &mut Input) -> Result<Self, Fault> {
        let mut magic = [0; 4];
        if !input.fill_or_end(&mut magic)? {
            return Err(Fault::Empty);
        }
        if let Some(classic) = Classic::open(magic, input)? {
            return Ok(Format::Classic(classic));
        }
        match Sections::open(magic, input)? {
            Some(sections) => Ok(Format::Sections(sections)),
            None => Err(Fault::NotACapture(magic)),
        }
    }
}

fn located(offset: u64, packets: u64, fault: Fault) -> CaptureError {
    CaptureError { offset, packet: packets + 1, fault }
}

/// The bytes of one record, with room in front for an Ethernet header.
#[derive(Default)]
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    /// Room for the `captured` bytes of a record.
    pub(super) fn room(&mut self, captured: u32) -> Result<&mut [u8], Fault> {
        if captured > MAX_RECORD {
            return Err(Fault::RecordLength(captured));
        }
        self.0.resize(SPARE + captured as usize, 0);
        Ok(&mut self.0[SPARE..])
    }

    fn record(&mut self, number: u64, packet: &Packet) -> Record<'_> {
        let Packet { time, original, interface: Interface { link, fcs } } = *packet;
        let captured = self.0.len() - SPARE;
        let cut = captured < original as usize;
        // The FCS is the end of the whole frame; a cut frame may have lost part of it already.
        let without_fcs = original.max(captured as u32).saturating_sub(fcs) as usize;
        self.0.truncate(SPARE + without_fcs);
        let frame = link::frame(link, &mut self.0).map(|begin| &self.0[begin..]);
        Record { number, time, original, cut, reframed: link != LinkType::ETHERNET && frame.is_ok(), frame }
    }
}
