//! Capture files as a port: what they hold goes in as frames, what the worker sends comes out as a capture.
//!
//! [`Reader`] understands pcap (micro- and nanoseconds) and pcapng (several sections and interfaces), both in either
//! byte order, plain or in gzip, told apart by content. [`Writer`] writes plain pcap. [`PcapIo`] puts both behind
//! [`PacketIo`](super::PacketIo), with the capture's own timestamps as the clock.
//!
//! Promises: memory is bounded by one record, whatever the file says; a broken file gives one [`CaptureError`] that
//! names the place, after everything before it has been delivered; no frame is ever cut or skipped in silence: each
//! record is either a frame or a [`Refusal`], and both are counted.
//!
//! Reading is done here and not by the `pcap-file` crate, whose writer is used: its version 2 refuses captures with a
//! snap length shorter than a packet, takes all pcapng timestamps for nanoseconds, refuses option lists without an end
//! mark (which the format allows) and comments that are not UTF-8, and cannot tell where in the file it stands.
//!
//! Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng, <https://www.tcpdump.org/linktypes.html>.

mod classic;
mod error;
mod input;
mod link;
mod ng;
mod port;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use error::{CaptureError, Fault};
pub use link::{LinkType, Refusal};
pub use port::{Due, PcapIo, Sent, Tally};
pub use reader::{Reader, Record};
pub use writer::{Resolution, Writer};
