//! The pcapng format (draft-ietf-opsawg-pcapng): sections of blocks, each block with its length before and behind it.
//!
//! Blocks that hold no packet and describe no interface are passed over, and so are options that do not change what a
//! packet means.

use std::time::Duration;

use super::input::{Input, Order};
use super::reader::{Buffer, Interface, Packet};
use super::{Fault, LinkType};

/// Block types, in the byte order of their section. The section header's reads the same in both.
mod block {
    pub(super) const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
    pub(super) const INTERFACE: u32 = 1;
    /// Obsolete, but still met.
    pub(super) const PACKET: u32 = 2;
    pub(super) const SIMPLE_PACKET: u32 = 3;
    pub(super) const ENHANCED_PACKET: u32 = 6;
}

/// Options of an interface description.
mod option {
    pub(super) const END: u16 = 0;
    pub(super) const IF_TSRESOL: u16 = 9;
    pub(super) const IF_FCSLEN: u16 = 13;
    pub(super) const IF_TSOFFSET: u16 = 14;
}

/// Interfaces that a section may describe: one for each value a packet block can name by 16 bits.
const MAX_INTERFACES: usize = 1 << 16;

/// A pcapng file, in the section that reading has come to.
pub(super) struct Sections {
    order: Order,
    interfaces: Vec<Described>,
    /// Time of the last packet, for those that have none.
    last: Duration,
}

/// An interface description.
struct Described {
    interface: Interface,
    /// Bytes captured of each packet; 0 is no limit.
    snap_length: u32,
    clock: Clock,
}

impl Sections {
    /// Reads the first section header; `None` if `magic` is not that of one.
    pub(super) fn open(magic: [u8; 4], input: &mut Input) -> Result<Option<Self>, Fault> {
        if magic != block::SECTION {
            return Ok(None);
        }
        let mut sections = Self { order: Order::Big, interfaces: Vec::new(), last: Duration::ZERO };
        sections.begin(input)?;
        Ok(Some(sections))
    }

    /// The next packet, its bytes in `buffer`; `None` at the end.
    pub(super) fn read(&mut self, input: &mut Input, buffer: &mut Buffer) -> Result<Option<Packet>, Fault> {
        let mut kind = [0; 4];
        while input.fill_or_end(&mut kind)? {
            if kind == block::SECTION {
                self.begin(input)?;
                continue;
            }
            let length = self.order.u32(input.array()?);
            let mut body = Body::new(input, self.order, length, 12)?;
            let packet = self.block(self.order.u32(kind), &mut body, buffer)?;
            body.finish()?;
            if let Some(packet) = packet {
                self.last = packet.time;
                return Ok(Some(packet));
            }
        }
        Ok(None)
    }

    /// Reads a section header from behind its type on. What follows may have another byte order and has its own interfaces.
    fn begin(&mut self, input: &mut Input) -> Result<(), Fault> {
        let length = input.array()?;
        self.order = match input.array()? {
            [0x1a, 0x2b, 0x3c, 0x4d] => Order::Big,
            [0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
            mark => return Err(Fault::ByteOrder(mark)),
        };
        self.interfaces.clear();
        let mut body = Body::new(input, self.order, self.order.u32(length), 16)?;
        let [major, minor] = [body.u16()?, body.u16()?];
        if major != 1 {
            return Err(Fault::Version(major, minor));
        }
        body.finish()
    }

    fn block(&mut self, kind: u32, body: &mut Body<'_>, buffer: &mut Buffer) -> Result<Option<Packet>, Fault> {
        match kind {
            block::INTERFACE => self.describe(body).map(|()| None),
            block::ENHANCED_PACKET => {
                let interface = body.u32()?;
                self.packet(interface, body, buffer).map(Some)
            }
            block::PACKET => {
                let [interface, _drops] = [body.u16()?, body.u16()?];
                self.packet(interface.into(), body, buffer).map(Some)
            }
            block::SIMPLE_PACKET => self.simple_packet(body, buffer).map(Some),
            _ => Ok(None),
        }
    }

    fn describe(&mut self, body: &mut Body<'_>) -> Result<(), Fault> {
        let [link, _reserved] = [body.u16()?, body.u16()?];
        let snap_length = body.u32()?;
        let mut described =
            Described { interface: Interface { link: LinkType(link), fcs: 0 }, snap_length, clock: Clock::default() };
        // An end mark is customary but not required.
        while body.left >= 4 {
            match (body.u16()?, body.u16()?) {
                (option::END, _) => break,
                (option::IF_TSRESOL, 1) => [described.clock.resolution, ..] = body.array::<4>()?,
                (option::IF_FCSLEN, 1) => described.interface.fcs = u32::from(body.array::<4>()?[0]) / 8,
                (option::IF_TSOFFSET, 8) => described.clock.offset = body.u64()?.cast_signed(),
                (_, length) => body.skip(u32::from(length).next_multiple_of(4))?,
            }
        }
        if self.interfaces.len() == MAX_INTERFACES {
            return Err(Fault::Interfaces(MAX_INTERFACES));
        }
        self.interfaces.push(described);
        Ok(())
    }

    /// The part that the enhanced and the obsolete packet block share.
    fn packet(&self, interface: u32, body: &mut Body<'_>, buffer: &mut Buffer) -> Result<Packet, Fault> {
        let described = self.described(interface)?;
        let [high, low] = [body.u32()?, body.u32()?];
        let [captured, original] = [body.u32()?, body.u32()?];
        body.fill(buffer.room(captured)?)?;
        let time = described.clock.time(u64::from(high) << 32 | u64::from(low));
        Ok(Packet { time, original, interface: described.interface })
    }

    /// A packet of the first interface, without time and with its captured length left to be worked out.
    fn simple_packet(&self, body: &mut Body<'_>, buffer: &mut Buffer) -> Result<Packet, Fault> {
        let described = self.described(0)?;
        let original = body.u32()?;
        let captured = match described.snap_length {
            0 => original,
            limit => original.min(limit),
        };
        body.fill(buffer.room(captured)?)?;
        Ok(Packet { time: self.last, original, interface: described.interface })
    }

    fn described(&self, interface: u32) -> Result<&Described, Fault> {
        self.interfaces.get(interface as usize).ok_or(Fault::NoInterface(interface))
    }
}

/// The unit and the start of an interface's timestamps.
struct Clock {
    /// Units in a second: 10 to this power, or with the top bit set, 2 to the power of the rest.
    resolution: u8,
    /// Seconds from the epoch to the start of counting.
    offset: i64,
}

impl Default for Clock {
    /// Microseconds since the epoch.
    fn default() -> Self {
        Self { resolution: 6, offset: 0 }
    }
}

impl Clock {
    /// The time since the epoch, cut to nanoseconds; zero if it lies before the epoch.
    fn time(&self, stamp: u64) -> Duration {
        let nanoseconds = u128::from(stamp) * 1_000_000_000;
        let power = u32::from(self.resolution & 0x7f);
        let nanoseconds = if self.resolution & 0x80 != 0 {
            nanoseconds >> power
        } else {
            // Units too small for the divisor to fit never add up to a nanosecond.
            10_u128.checked_pow(power).map_or(0, |units| nanoseconds / units)
        };
        let seconds = i128::try_from(nanoseconds / 1_000_000_000).unwrap_or(i128::MAX) + i128::from(self.offset);
        if seconds < 0 {
            return Duration::ZERO;
        }
        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
        Duration::new(seconds, (nanoseconds % 1_000_000_000) as u32)
    }
}

/// What a block holds between its lengths; reading cannot leave it.
struct Body<'a> {
    input: &'a mut Input,
    order: Order,
    length: u32,
    left: u32,
}

impl<'a> Body<'a> {
    /// The body of a block of `length` bytes in all, `besides` of which (what was read of it, and the length at its end)
    /// are not to be read any more.
    fn new(input: &'a mut Input, order: Order, length: u32, besides: u32) -> Result<Self, Fault> {
        if !length.is_multiple_of(4) || length < besides {
            return Err(Fault::BlockLength(length));
        }
        Ok(Self { input, order, length, left: length - besides })
    }

    fn take(&mut self, count: usize) -> Result<(), Fault> {
        let left = u32::try_from(count).ok().and_then(|count| self.left.checked_sub(count));
        self.left = left.ok_or(Fault::BlockLength(self.length))?;
        Ok(())
    }

    fn fill(&mut self, into: &mut [u8]) -> Result<(), Fault> {
        self.take(into.len())?;
        self.input.fill(into)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.take(N)?;
        self.input.array()
    }

    fn u16(&mut self) -> Result<u16, Fault> {
        self.array().map(|bytes| self.order.u16(bytes))
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(|bytes| self.order.u32(bytes))
    }

    fn u64(&mut self) -> Result<u64, Fault> {
        self.array().map(|bytes| self.order.u64(bytes))
    }

    fn skip(&mut self, count: u32) -> Result<(), Fault> {
        self.take(count as usize)?;
        self.input.skip(count.into())
    }

    /// Passes over the rest and checks the length at the end.
    fn finish(mut self) -> Result<(), Fault> {
        self.skip(self.left)?;
        let again = self.order.u32(self.input.array()?);
        if again == self.length { Ok(()) } else { Err(Fault::BlockEnds(self.length, again)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_follow_the_interface_s_clock() {
        let rows: &[(u8, i64, u64, Duration)] = &[
            (6, 0, 1_500_000, Duration::from_millis(1500)),
            (9, 0, 1_500_000, Duration::from_micros(1500)),
            (3, 0, 1_500_000, Duration::from_secs(1500)),
            (0, 0, 7, Duration::from_secs(7)),
            (12, 0, 2_999, Duration::from_nanos(2)),
            (127, 0, u64::MAX, Duration::ZERO),
            (0x80 | 10, 0, 1536, Duration::from_millis(1500)),
            (0x80 | 127, 0, u64::MAX, Duration::ZERO),
            (6, 100, 1_500_000, Duration::from_millis(101_500)),
            (6, -1, 1_500_000, Duration::from_millis(500)),
            (6, -2, 1_500_000, Duration::ZERO),
            (0, i64::MAX, u64::MAX, Duration::from_secs(u64::MAX)),
        ];
        for &(resolution, offset, stamp, want) in rows {
            assert_eq!(Clock { resolution, offset }.time(stamp), want, "{resolution} {offset} {stamp}");
        }
    }
}
