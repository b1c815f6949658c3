//! Bytes, and nothing else: what a frame says, and how to change it.
//!
//! Promises: no function here reads outside the slice it was given, panics on any input, allocates, or knows what is
//! done with a packet. [`Parsed`] is made once a frame; whoever holds one edits the frame by its offsets.

mod addr;
pub mod checksum;
mod crc32c;
pub mod fragment;
pub mod ftp;
pub mod handed_on;
mod mac;
mod mask;
pub mod options;
mod parse;
mod pattern;
pub mod sctp;
pub mod sip;

pub use addr::{Addr, Endpoint, Family, ServiceKey};
pub use mac::Mac;
pub use mask::{Block, Mask, Shape};
pub use parse::{Fragment, HEAD, ParseError, Parsed, Protocol, TcpFlags, parse, parse_common};
pub use pattern::{ANY_PORT, Pattern};
pub use sctp::SctpEvent;
