//! The pcap format (draft-ietf-opsawg-pcap): one header, then records.

use std::time::Duration;

use super::input::{Input, Order};
use super::reader::{Buffer, Interface, Packet};
use super::{Fault, LinkType, Resolution};

/// A pcap file after its header.
pub(super) struct Classic {
    order: Order,
    resolution: Resolution,
    interface: Interface,
}

impl Classic {
    /// Reads the rest of the header; `None` if `magic` is not pcap's.
    pub(super) fn open(magic: [u8; 4], input: &mut Input) -> Result<Option<Self>, Fault> {
        let (order, resolution) = match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, Resolution::Micro),
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, Resolution::Micro),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, Resolution::Nano),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, Resolution::Nano),
            _ => return Ok(None),
        };
        let [major, minor] = [order.u16(input.array()?), order.u16(input.array()?)];
        // Before 2.3 the two lengths of a record stood the other way about.
        if major != 2 || minor < 3 {
            return Err(Fault::Version(major, minor));
        }
        input.skip(12)?; // time zone, accuracy, snap length: nobody fills the first two, and records carry their lengths
        let link = order.u32(input.array()?);
        Ok(Some(Self { order, resolution, interface: interface(link) }))
    }

    /// The unit of the timestamps.
    pub(super) fn resolution(&self) -> Resolution {
        self.resolution
    }

    /// The next packet, its bytes in `buffer`; `None` at the end.
    pub(super) fn read(&mut self, input: &mut Input, buffer: &mut Buffer) -> Result<Option<Packet>, Fault> {
        let mut seconds = [0; 4];
        if !input.fill_or_end(&mut seconds)? {
            return Ok(None);
        }
        let seconds = Duration::from_secs(self.order.u32(seconds).into());
        let fraction = u64::from(self.order.u32(input.array()?));
        let captured = self.order.u32(input.array()?);
        let original = self.order.u32(input.array()?);
        input.fill(buffer.room(captured)?)?;
        let time = match self.resolution {
            Resolution::Micro => seconds + Duration::from_micros(fraction),
            Resolution::Nano => seconds + Duration::from_nanos(fraction),
        };
        Ok(Some(Packet { time, original, interface: self.interface }))
    }
}

/// The header's last word: the link type, and in its upper bits, if bit 26 says so, how many 16-bit words of FCS end
/// each frame.
fn interface(word: u32) -> Interface {
    let fcs = if word & 1 << 26 != 0 { (word >> 28) * 2 } else { 0 };
    Interface { link: LinkType((word & 0xffff) as u16), fcs }
}
