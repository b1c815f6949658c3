//! Writes pcap.

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::Duration;

use pcap_file::pcap::{PcapHeader, PcapWriter, RawPcapPacket};
use pcap_file::{DataLink, Endianness, PcapError, TsResolution};

use super::reader::MAX_RECORD;

/// The unit of a capture's timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Microseconds.
    Micro,
    /// Nanoseconds.
    Nano,
}

/// Writes Ethernet frames as a pcap file. The same frames give the same bytes on every machine.
#[derive(Debug)]
pub struct Writer<W: Write> {
    inner: PcapWriter<W>,
    resolution: Resolution,
}

impl<W: Write> Writer<W> {
    /// Writes the file's header.
    pub fn new(out: W, resolution: Resolution) -> io::Result<Self> {
        let header = PcapHeader {
            snaplen: MAX_RECORD,
            datalink: DataLink::ETHERNET,
            ts_resolution: match resolution {
                Resolution::Micro => TsResolution::MicroSecond,
                Resolution::Nano => TsResolution::NanoSecond,
            },
            endianness: Endianness::Little,
            ..PcapHeader::default()
        };
        let inner = PcapWriter::with_header(out, header).map_err(io_error)?;
        Ok(Self { inner, resolution })
    }

    /// Writes one whole frame without FCS. The format counts seconds in 32 bits: later times are an error.
    pub fn write(&mut self, time: Duration, frame: &[u8]) -> io::Result<()> {
        let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
        let packet = RawPcapPacket {
            ts_sec: u32::try_from(time.as_secs()).map_err(|_| io::Error::other("pcap files end in the year 2106"))?,
            ts_frac: match self.resolution {
                Resolution::Micro => time.subsec_micros(),
                Resolution::Nano => time.subsec_nanos(),
            },
            incl_len: length,
            orig_len: length,
            data: Cow::Borrowed(frame),
        };
        self.inner.write_raw_packet(&packet).map(drop).map_err(io_error)
    }

    /// Flushes and gives the file back.
    pub fn finish(self) -> io::Result<W> {
        let mut out = self.inner.into_writer();
        out.flush()?;
        Ok(out)
    }
}

fn io_error(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}
