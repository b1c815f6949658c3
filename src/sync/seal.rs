//! Envelopes of the sealed dialect: what it says is readable, and cannot be forged, altered or played again.
//!
//! ```text
//! "RMS1" | kind u8 | syncid u8 | 0 u16 | session u64 | sequence u64 | payload | HMAC-SHA-256 of all before, 32 bytes
//! ```
//!
//! A session is a number drawn at random when a director starts. Within it sequences only grow, so nothing is taken twice;
//! that a session is alive at all is shown by its beats, which name the sessions they have heard ([`super::peers`]). The
//! first byte is not that of any plain message, and the port is another one: kernels do not meet these.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const MAGIC: [u8; 4] = *b"RMS1";
/// Bytes before the payload.
const HEADER: usize = 24;
/// Bytes of the seal.
const SEAL: usize = 32;
/// What an envelope adds to its payload.
pub const OVERHEAD: u16 = (HEADER + SEAL) as u16;

/// What an envelope holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A plain message: connections as they change.
    Live = 1,
    /// A plain message: a part of all connections.
    Bulk = 2,
    /// Nothing: all has been told.
    BulkEnd = 3,
    /// A plain message: connections that have ended.
    Deletions = 4,
    /// A beat.
    Beat = 5,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Kind::Live, Kind::Bulk, Kind::BulkEnd, Kind::Deletions, Kind::Beat]
            .into_iter()
            .find(|&kind| kind as u8 == byte)
    }
}

/// Names one run of one director.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Session(pub u64);

/// An opened envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// What it holds.
    pub kind: Kind,
    /// The group of directors that it is for.
    pub syncid: u8,
    /// Who sent it.
    pub session: Session,
    /// Which of the session's envelopes it is.
    pub sequence: u64,
    /// Its contents.
    pub payload: &'a [u8],
}

/// Why an envelope was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsealed {
    /// It is none.
    #[error("no envelope of ours")]
    Foreign,
    /// The seal is not made with our key.
    #[error("sealed with another key, or altered")]
    Forged,
}

/// The key that directors share.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// From the secret in the configuration.
    pub fn new(secret: &str) -> Self {
        Self(Hmac::new_from_slice(secret.as_bytes()).expect("any length will do"))
    }

    /// Seals an envelope.
    pub fn seal(&self, envelope: &Envelope<'_>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + envelope.payload.len() + SEAL);
        bytes.extend(MAGIC);
        bytes.extend([envelope.kind as u8, envelope.syncid, 0, 0]);
        bytes.extend(envelope.session.0.to_be_bytes());
        bytes.extend(envelope.sequence.to_be_bytes());
        bytes.extend(envelope.payload);
        let seal = self.0.clone().chain_update(&bytes).finalize().into_bytes();
        bytes.extend(seal);
        bytes
    }

    /// Checks the seal, and opens the envelope.
    pub fn open<'a>(&self, bytes: &'a [u8]) -> Result<Envelope<'a>, Unsealed> {
        let (sealed, seal) = bytes.split_last_chunk::<SEAL>().ok_or(Unsealed::Foreign)?;
        let (header, payload) = sealed.split_first_chunk::<HEADER>().ok_or(Unsealed::Foreign)?;
        if header[..4] != MAGIC {
            return Err(Unsealed::Foreign);
        }
        self.0.clone().chain_update(sealed).verify_slice(seal).map_err(|_| Unsealed::Forged)?;
        let kind = Kind::from_byte(header[4]).ok_or(Unsealed::Foreign)?;
        let number = |at: usize| u64::from_be_bytes(header[at..at + 8].try_into().expect("eight bytes"));
        Ok(Envelope { kind, syncid: header[5], session: Session(number(8)), sequence: number(16), payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Envelope<'static> {
        Envelope { kind: Kind::Live, syncid: 7, session: Session(0x0102), sequence: 3, payload: b"payload" }
    }

    #[test]
    fn an_envelope_opens_with_its_key_alone() {
        let bytes = Key::new("secret").seal(&envelope());
        assert_eq!(bytes.len(), usize::from(OVERHEAD) + 7);
        assert_eq!(Key::new("secret").open(&bytes), Ok(envelope()));
        assert_eq!(Key::new("Secret").open(&bytes), Err(Unsealed::Forged));
        assert_eq!(format!("{:?}", Key::new("secret")), "Key(..)");
    }

    #[test]
    fn no_byte_of_it_can_be_changed_or_cut() {
        let key = Key::new("secret");
        let bytes = key.seal(&envelope());
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(key.open(&changed).is_err(), "byte {at}");
            assert!(key.open(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
