//! Sync messages of LVS, version 1: records and how they are written (`ip_vs_sync.c: struct ip_vs_sync_mesg`,
//! `ip_vs_sync_v4`, `ip_vs_sync_v6`). All numbers are big-endian.
//!
//! ```text
//! message: reserved 0 u8 | syncid u8 | size u16 | count u8 | version 1 u8 | spare 0 u16 | records, each on a multiple of 4
//! record:  type u8 | protocol u8 | length u16 | flags u32 | state u16 | cport u16 | vport u16 | rport u16 | fwmark u32 |
//!          timeout u32 | client, virtual, real: 4 or 16 bytes each | options
//! option:  type u8 | length u8 | data
//! ```

use crate::service::Engine;
use crate::wire::sip::CallId;
use crate::wire::{Addr, Endpoint, Family};

/// Bytes before the first record.
pub const HEADER: usize = 8;
/// Bytes of a record about IPv4, without options.
pub const RECORD_V4: usize = 36;
/// Bytes of a record about IPv6, without options.
pub const RECORD_V6: usize = 72;
/// The version in a message's header.
pub const VERSION: u8 = 1;
/// Bit of a record's type: its addresses are IPv6.
pub const TYPE_V6: u8 = 1;
/// Type of the option with what a persistence engine tells clients apart by.
pub const ENGINE_DATA: u8 = 2;
/// Type of the option with the engine's name.
pub const ENGINE_NAME: u8 = 3;
/// Bytes of an option before its data.
const OPTION: usize = 2;
/// Bytes that a message may take where nothing else is said: what fits into a packet of 1500 bytes.
pub const DEFAULT_MAXLEN: u16 = 1472;
/// The most records in a message: their count is one byte.
const MOST: u8 = u8::MAX;

/// Flags of a connection, as the kernel numbers them (`include/uapi/linux/ip_vs.h`: `IP_VS_CONN_F_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u32);

impl Flags {
    /// The bits that hold the forwarding method: 0 NAT, 1 local, 2 tunnel, 3 direct routing, 4 bypass.
    pub const METHOD: Flags = Flags(0x7);
    /// Tunnel.
    pub const TUNNEL: Flags = Flags(0x2);
    /// Direct routing.
    pub const DIRECT: Flags = Flags(0x3);
    /// The server's direction has not been seen.
    pub const NO_OUTPUT: Flags = Flags(0x80);
    /// It does not count as active.
    pub const INACTIVE: Flags = Flags(0x100);
    /// Sequence numbers are shifted, in either direction.
    pub const SEQUENCES: Flags = Flags(0x600);
    /// The client's port is not known yet.
    pub const NO_CLIENT_PORT: Flags = Flags(0x800);
    /// A persistence template.
    pub const TEMPLATE: Flags = Flags(0x1000);
    /// Lives for one packet.
    pub const ONE_PACKET: Flags = Flags(0x2000);

    /// Whether any bit of `other` is set.
    pub const fn any(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets.
    #[must_use]
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// `other` if `wanted`, too.
    #[must_use]
    pub const fn with_if(self, wanted: bool, other: Flags) -> Flags {
        if wanted { self.with(other) } else { self }
    }
}

/// A connection or template as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncRecord {
    /// IP protocol number.
    pub protocol: u8,
    /// See [`Flags`].
    pub flags: Flags,
    /// The state's number; see [`super::states`].
    pub state: u16,
    /// Mark of the service; 0 if it is one by address.
    pub fwmark: u32,
    /// Seconds that it lasts without a packet; 0 leaves that to the receiver, as version 0 always does.
    pub timeout: u32,
    /// The client; a template's port is 0.
    pub client: Endpoint,
    /// What the client sees.
    pub virtual_: Endpoint,
    /// The real server.
    pub real: Endpoint,
    /// Of a template of the persistence engine `sip`, its call.
    pub call: Option<CallId>,
}

impl SyncRecord {
    /// Bytes that it takes: its family is the client's.
    pub fn size(&self) -> usize {
        let fixed = match self.client.addr.family() {
            Family::V4 => RECORD_V4,
            Family::V6 => RECORD_V6,
        };
        let options = |call: &CallId| 2 * OPTION + call.as_bytes().len() + Engine::Sip.name().len();
        fixed + self.call.as_ref().map_or(0, options)
    }

    fn write(&self, to: &mut Vec<u8>) {
        let family = self.client.addr.family();
        // Fits twelve bits: a small constant, and options of 262 bytes at most. The upper four bits are the record's version, 0.
        let length = self.size() as u16;
        to.extend([if family == Family::V6 { TYPE_V6 } else { 0 }, self.protocol]);
        to.extend(length.to_be_bytes());
        to.extend(self.flags.0.to_be_bytes());
        for half in [self.state, self.client.port, self.virtual_.port, self.real.port] {
            to.extend(half.to_be_bytes());
        }
        to.extend(self.fwmark.to_be_bytes());
        to.extend(self.timeout.to_be_bytes());
        for end in [self.client, self.virtual_, self.real] {
            write_address(end.addr, family, to);
        }
        if let Some(call) = &self.call {
            write_option(ENGINE_DATA, call.as_bytes(), to);
            write_option(ENGINE_NAME, Engine::Sip.name().as_bytes(), to);
        }
    }
}

fn write_option(kind: u8, data: &[u8], to: &mut Vec<u8>) {
    // Fits: a Call-ID has 255 bytes at most.
    to.extend([kind, data.len() as u8]);
    to.extend(data);
}

fn write_address(address: Addr, family: Family, to: &mut Vec<u8>) {
    match family {
        Family::V4 => to.extend(address.low32().to_be_bytes()),
        Family::V6 => to.extend(address.octets()),
    }
}

/// A message that is being filled.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: Vec<u8>,
    count: u8,
    maxlen: usize,
}

impl Message {
    /// An empty message with room for `maxlen` bytes; for one record at least.
    pub fn new(syncid: u8, maxlen: u16) -> Self {
        let maxlen = usize::from(maxlen).max(HEADER + RECORD_V6);
        let mut bytes = Vec::with_capacity(maxlen);
        bytes.extend([0, syncid, 0, 0, 0, VERSION, 0, 0]);
        Self { bytes, count: 0, maxlen }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a record; `false` if it does not fit any more.
    #[must_use]
    pub fn push(&mut self, record: &SyncRecord) -> bool {
        let begin = self.bytes.len().next_multiple_of(4);
        let fits = self.count < MOST && begin + record.size() <= self.maxlen;
        if fits {
            self.bytes.resize(begin, 0);
            record.write(&mut self.bytes);
            self.count += 1;
        }
        fits
    }

    /// The finished bytes.
    pub fn finish(mut self) -> Vec<u8> {
        // Fits: `maxlen` was 16 bits.
        let size = self.bytes.len() as u16;
        self.bytes[2..4].copy_from_slice(&size.to_be_bytes());
        self.bytes[4] = self.count;
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(in crate::sync) fn record() -> SyncRecord {
        SyncRecord {
            protocol: 6,
            flags: Flags(0),
            state: 1,
            fwmark: 0,
            timeout: 900,
            client: "198.51.100.7:40000".parse().unwrap(),
            virtual_: "192.0.2.1:80".parse().unwrap(),
            real: "10.1.0.11:8080".parse().unwrap(),
            call: None,
        }
    }

    fn message(syncid: u8, records: &[SyncRecord]) -> Vec<u8> {
        let mut message = Message::new(syncid, DEFAULT_MAXLEN);
        records.iter().for_each(|record| assert!(message.push(record)));
        message.finish()
    }

    #[test]
    fn an_established_nat_connection_byte_for_byte() {
        #[rustfmt::skip]
        let expected = [
            0x00, 0x07, 0x00, 0x2c, 0x01, 0x01, 0x00, 0x00,
            0x00, 0x06, 0x00, 0x24, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x9c, 0x40, 0x00, 0x50, 0x1f, 0x90,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x84,
            0xc6, 0x33, 0x64, 0x07, 0xc0, 0x00, 0x02, 0x01, 0x0a, 0x01, 0x00, 0x0b,
        ];
        assert_eq!(message(7, &[record()]), expected);
    }

    #[test]
    fn ipv6_takes_72_bytes_and_says_so() {
        let v6 = SyncRecord {
            client: "[2001:db8::7]:40000".parse().unwrap(),
            virtual_: "[2001:db8:1::1]:443".parse().unwrap(),
            real: "[2001:db8:2::b]:443".parse().unwrap(),
            fwmark: 0x0102_0304,
            ..record()
        };
        let bytes = message(0, &[record(), v6]);
        assert_eq!(bytes.len(), HEADER + RECORD_V4 + RECORD_V6);
        assert_eq!(bytes[..6], [0, 0, 0, 116, 2, 1]);
        assert_eq!(bytes[44..48], [1, 6, 0, 72]);
        assert_eq!(bytes[60..64], [1, 2, 3, 4]);
        assert_eq!(bytes[68..72], [0x20, 0x01, 0x0d, 0xb8]);
        assert_eq!(bytes[115], 0x0b);
    }

    /// As `ip_vs_sync.c: ip_vs_sync_conn` writes them: the length without the padding, which the last record has none of.
    #[test]
    fn a_call_follows_its_template_with_its_engine_s_name() {
        let call = CallId::new(b"a@b.example");
        let template = SyncRecord { protocol: 17, flags: Flags(0x1100), state: 0, call, ..record() };
        let bytes = message(0, &[template, record(), template]);
        #[rustfmt::skip]
        let options = [2, 11, b'a', b'@', b'b', b'.', b'e', b'x', b'a', b'm', b'p', b'l', b'e', 3, 3, b's', b'i', b'p'];
        assert_eq!((bytes[8..12].to_vec(), bytes[44..62].to_vec()), (vec![0, 17, 0, 54], options.to_vec()));
        assert_eq!((&bytes[62..64], &bytes[64..68]), (&[0, 0][..], &[0, 6, 0, 36][..]));
        assert_eq!((bytes.len(), bytes[4]), (100 + 54, 3));
    }

    #[test]
    fn a_message_is_full_at_its_length_and_at_255_records() {
        for (maxlen, room) in [(1472, 40), (116, 3), (115, 2), (0, 2), (65467, 255)] {
            let mut message = Message::new(0, maxlen);
            let fitted = (0..300).take_while(|_| message.push(&record())).count();
            assert_eq!(fitted, room, "{maxlen}");
            let bytes = message.finish();
            assert_eq!(usize::from(bytes[4]), room);
            assert_eq!(bytes.len(), HEADER + room * RECORD_V4);
        }
    }
}
