//! The trailer of `auth_hmac`, as keepalived has it since 2.4.0.
//!
//! ```text
//! | 1 | key u8 | 0 u16 | seconds u32 | fraction u16 | counter u16 | first 16 bytes of HMAC-SHA-256 |
//! ```
//!
//! The three numbers in the middle are one sequence number of 64 bits: the time since 1970, and a counter. The value covers 20
//! bytes (family 4 or 6, version, virtual router id, 0, the sender's address in 16 bytes), the advert with 0 for its checksum,
//! the trailer up to the value, and 16 zeros. The checksum of an advert over IPv4 ends before the trailer; over IPv6 it covers
//! the trailer too, with a length that includes it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::vrrp::wire::{Ends, PROTOCOL, length};
use crate::wire::checksum::{self, pseudo_header};
use crate::wire::{Addr, Family};

/// Bytes of it.
pub const LENGTH: usize = 28;
/// Bytes before its value.
const HEAD: usize = 12;
const VALUE: usize = LENGTH - HEAD;
/// HMAC-SHA-256, its first 128 bits.
const SCHEME: u8 = 1;
/// Where an advert has its checksum.
const CHECKSUM: std::ops::Range<usize> = 6..8;

/// The shortest and the longest key, in bytes.
pub const KEY_LENGTHS: std::ops::RangeInclusive<usize> = 32..=64;

/// `auth_hmac` of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// `key`: by their numbers, 1 to 255.
    pub keys: Vec<(u8, Key)>,
    /// `active_key`: the number of the one that is sent.
    pub active: u8,
    /// `mode`.
    pub mode: Mode,
    /// `time_window`, in seconds: how far the sender's clock may be from ours. `None`: sequences need only grow
    /// (`anti_replay monotonic`).
    pub window: Option<u32>,
}

/// A key; it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub Vec<u8>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// What is sent and expected: the steps of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A trailer is sent, and nothing counts without.
    Enforce,
    /// A trailer is sent; adverts without count.
    Permissive,
    /// None is sent; adverts without count.
    ReceiveOnly,
}

/// A trailer that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    advert: &'a [u8],
    trailer: &'a [u8; LENGTH],
}

impl<'a> Received<'a> {
    /// Takes the trailer off what an IP packet of this family carried, if there is one.
    pub fn split(bytes: &'a [u8], family: Family) -> (&'a [u8], Option<Self>) {
        let end = length(bytes, family).filter(|end| end + LENGTH == bytes.len());
        let parts = end.and_then(|end| Some((&bytes[..end], bytes[end..].first_chunk()?)));
        match parts {
            Some((advert, trailer)) => (advert, Some(Self { advert, trailer })),
            None => (bytes, None),
        }
    }

    /// Its sequence number.
    pub fn sequence(&self) -> u64 {
        u64::from_be_bytes(std::array::from_fn(|at| self.trailer[4 + at]))
    }
}

impl Trailer {
    /// Whether adverts get one.
    pub fn is_sent(&self) -> bool {
        self.mode != Mode::ReceiveOnly
    }

    /// Whether what came from `source` was made with one of the keys.
    pub fn is_genuine(&self, received: &Received<'_>, source: Addr) -> bool {
        let Received { advert, trailer } = received;
        let [SCHEME, number, 0, 0, ..] = **trailer else { return false };
        let key = self.keys.iter().find(|(own, _)| *own == number);
        key.is_some_and(|(_, key)| {
            mac(key, advert, &trailer[..HEAD], source).verify_truncated_left(&trailer[HEAD..]).is_ok()
        })
    }

    /// Puts one behind an advert on its way between `ends`.
    pub fn protect(&self, mut advert: Vec<u8>, sequence: u64, ends: Ends) -> Vec<u8> {
        let mut head = [SCHEME, self.active, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        head[4..].copy_from_slice(&sequence.to_be_bytes());
        // The configuration has it.
        let Some((_, key)) = self.keys.iter().find(|(number, _)| *number == self.active) else { return advert };
        let value = mac(key, &advert, &head, ends.source).finalize().into_bytes();
        advert.extend(head);
        advert.extend_from_slice(&value[..VALUE]);
        if ends.source.family() == Family::V6 {
            advert[CHECKSUM].fill(0);
            // At most LONGEST and the trailer.
            let before = pseudo_header(ends.source, ends.destination, PROTOCOL, advert.len() as u32);
            let sum = checksum::finish(before, &advert).to_be_bytes();
            advert[CHECKSUM].copy_from_slice(&sum);
        }
        advert
    }
}

fn mac(key: &Key, advert: &[u8], head: &[u8], source: Addr) -> Hmac<Sha256> {
    let mut before = [0; 20];
    // Whoever reads or writes an advert has seen that it has a header.
    let (version, router) = (advert[0] >> 4, advert[1]);
    match source.family() {
        Family::V4 => {
            before[..3].copy_from_slice(&[4, version, router]);
            before[4..8].copy_from_slice(&source.low32().to_be_bytes());
        }
        Family::V6 => {
            before[..3].copy_from_slice(&[6, version, router]);
            before[4..].copy_from_slice(&source.octets());
        }
    }
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key.0).expect("keys may have any length");
    for part in [&before, &advert[..CHECKSUM.start], &[0; 2], &advert[CHECKSUM.end..], head, &[0; VALUE]] {
        mac.update(part);
    }
    mac
}
