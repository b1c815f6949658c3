//! A control packet as bytes (RFC 5880 4.1).
//!
//! [`Packet::parse`] refuses what RFC 5880 6.8.6 says must be discarded before a session is looked for.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a system says about its end of a session (RFC 5880 4.1, "Sta").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Held down on purpose.
    AdminDown,
    /// The neighbour is not heard.
    #[default]
    Down,
    /// The neighbour is heard, and may not hear us.
    Init,
    /// Both hear each other.
    Up,
}

impl State {
    const ALL: [State; 4] = [State::AdminDown, State::Down, State::Init, State::Up];

    /// As it is shown.
    pub const fn name(self) -> &'static str {
        match self {
            State::AdminDown => "AdminDown",
            State::Down => "Down",
            State::Init => "Init",
            State::Up => "Up",
        }
    }
}

/// Why a session left the state Up (RFC 5880 4.1, "Diag").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Diagnostic {
    /// No reason.
    #[default]
    None,
    /// Nothing came for the detection time.
    Expired,
    /// The neighbour said so.
    Neighbour,
    /// It was stopped.
    Administrative,
    /// Another number; we never say it.
    Other(u8),
}

impl Diagnostic {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Diagnostic::None => 0,
            Diagnostic::Expired => 1,
            Diagnostic::Neighbour => 3,
            Diagnostic::Administrative => 7,
            Diagnostic::Other(number) => number,
        }
    }

    const fn read(number: u8) -> Self {
        match number {
            0 => Diagnostic::None,
            1 => Diagnostic::Expired,
            3 => Diagnostic::Neighbour,
            7 => Diagnostic::Administrative,
            number => Diagnostic::Other(number),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Diagnostic::None => f.write_str("for no reason"),
            Diagnostic::Expired => f.write_str("the neighbour is silent"),
            Diagnostic::Neighbour => f.write_str("the neighbour says so"),
            Diagnostic::Administrative => f.write_str("it was stopped"),
            Diagnostic::Other(number) => write!(f, "diagnostic {number}"),
        }
    }
}

/// A control packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Why the sender's session went down last.
    pub diagnostic: Diagnostic,
    /// The sender's state.
    pub state: State,
    /// An answer is asked for, because the sender's times changed.
    pub poll: bool,
    /// It is that answer.
    pub last: bool,
    /// The sender asks not to be sent packets while both are up.
    pub demand: bool,
    /// How many of the sender's packets may be missing in a row.
    pub multiplier: u8,
    /// The sender's name of the session; never 0.
    pub mine: u32,
    /// The receiver's, as far as the sender knows it, else 0.
    pub yours: u32,
    /// How often the sender wants to send.
    pub min_tx: Duration,
    /// How often it can receive; zero: not at all.
    pub min_rx: Duration,
}

/// Bytes of a packet without authentication.
pub const LENGTH: usize = 24;

/// Why a packet is discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Shorter than it must be, or than it says.
    Length,
    /// Not version 1.
    Version,
    /// A multiplier of 0.
    Multiplier,
    /// Point to multipoint.
    Multipoint,
    /// A sender without a name for the session, or a name for ours that is missing or nobody's.
    Discriminator,
    /// It is authenticated, and we are not.
    Authenticated,
    /// It comes from too far away.
    Ttl,
    /// Nobody has a session with its sender.
    Stranger,
}

impl Rejection {
    /// All, in the order of their numbers.
    pub const ALL: [Rejection; 8] = [
        Rejection::Length,
        Rejection::Version,
        Rejection::Multiplier,
        Rejection::Multipoint,
        Rejection::Discriminator,
        Rejection::Authenticated,
        Rejection::Ttl,
        Rejection::Stranger,
    ];

    /// As a counter is called.
    pub const fn name(self) -> &'static str {
        match self {
            Rejection::Length => "rejected-length",
            Rejection::Version => "rejected-version",
            Rejection::Multiplier => "rejected-multiplier",
            Rejection::Multipoint => "rejected-multipoint",
            Rejection::Discriminator => "rejected-discriminator",
            Rejection::Authenticated => "rejected-authenticated",
            Rejection::Ttl => "rejected-ttl",
            Rejection::Stranger => "rejected-stranger",
        }
    }
}

/// Bits of the second byte, below the state.
mod flag {
    pub(super) const POLL: u8 = 0x20;
    pub(super) const FINAL: u8 = 0x10;
    pub(super) const AUTHENTICATED: u8 = 0x04;
    pub(super) const DEMAND: u8 = 0x02;
    pub(super) const MULTIPOINT: u8 = 0x01;
}

impl Packet {
    /// Reads the payload of a datagram. What follows the length that the packet names is not looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, Rejection> {
        let header: &[u8; LENGTH] = bytes.first_chunk().ok_or(Rejection::Length)?;
        let [first, flags, multiplier, length, ..] = *header;
        if first >> 5 != 1 {
            return Err(Rejection::Version);
        }
        // With authentication there are at least two bytes more (4.1).
        let shortest = if flags & flag::AUTHENTICATED != 0 { LENGTH + 2 } else { LENGTH };
        if !(shortest..=bytes.len()).contains(&length.into()) {
            return Err(Rejection::Length);
        }
        if multiplier == 0 {
            return Err(Rejection::Multiplier);
        }
        if flags & flag::MULTIPOINT != 0 {
            return Err(Rejection::Multipoint);
        }
        let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (mine, yours) = (word(4), word(8));
        let state = State::ALL[usize::from(flags >> 6)];
        if mine == 0 || (yours == 0 && matches!(state, State::Init | State::Up)) {
            return Err(Rejection::Discriminator);
        }
        if flags & flag::AUTHENTICATED != 0 {
            return Err(Rejection::Authenticated);
        }
        let time = |at| Duration::from_micros(word(at).into());
        Ok(Self {
            diagnostic: Diagnostic::read(first & 0x1f),
            state,
            poll: flags & flag::POLL != 0,
            last: flags & flag::FINAL != 0,
            demand: flags & flag::DEMAND != 0,
            multiplier,
            mine,
            yours,
            min_tx: time(12),
            min_rx: time(16),
        })
    }

    /// The bytes.
    pub fn emit(&self) -> [u8; LENGTH] {
        let state = State::ALL.iter().position(|&state| state == self.state).unwrap_or_default();
        let mut flags = (state as u8) << 6;
        for (set, bit) in [(self.poll, flag::POLL), (self.last, flag::FINAL), (self.demand, flag::DEMAND)] {
            flags |= if set { bit } else { 0 };
        }
        let mut bytes = [0; LENGTH];
        // Version 1.
        bytes[..4].copy_from_slice(&[1 << 5 | self.diagnostic.number() & 0x1f, flags, self.multiplier, LENGTH as u8]);
        let words = [self.mine, self.yours, micros(self.min_tx), micros(self.min_rx)];
        for (place, word) in bytes[4..].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        // The last word, the shortest time between echoes, stays 0: none are taken.
        bytes
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As keepalived 2.2.7 sends it with `min_rx 50`, `idle_tx 1000` and `multiplier 4` before it hears anything.
    const OF_KEEPALIVED: [u8; LENGTH] = [
        0x20, 0x40, 0x04, 0x18, 0xb3, 0xff, 0x71, 0xb0, 0, 0, 0, 0, 0x00, 0x0f, 0x42, 0x40, 0, 0, 0xc3, 0x50, 0, 0, 0,
        0,
    ];

    #[test]
    fn a_packet_of_keepalived() {
        let packet = Packet {
            diagnostic: Diagnostic::None,
            state: State::Down,
            poll: false,
            last: false,
            demand: false,
            multiplier: 4,
            mine: 0xb3ff_71b0,
            yours: 0,
            min_tx: Duration::from_secs(1),
            min_rx: Duration::from_millis(50),
        };
        assert_eq!(Packet::parse(&OF_KEEPALIVED), Ok(packet));
        assert_eq!(packet.emit(), OF_KEEPALIVED);
    }

    #[test]
    fn what_must_be_discarded() {
        let cases: [(usize, u8, Result<(), Rejection>); 15] = [
            (0, 0x20, Ok(())),
            (0, 0x00, Err(Rejection::Version)),
            (0, 0x40, Err(Rejection::Version)),
            (0, 0x21, Ok(())),
            (1, 0x40, Ok(())),
            (1, 0x00, Ok(())),
            (1, 0x80, Err(Rejection::Discriminator)),
            (1, 0xc0, Err(Rejection::Discriminator)),
            (1, 0x41, Err(Rejection::Multipoint)),
            (1, 0x44, Err(Rejection::Length)),
            (1, 0x48, Ok(())),
            (2, 0, Err(Rejection::Multiplier)),
            (3, 23, Err(Rejection::Length)),
            (3, 25, Err(Rejection::Length)),
            (3, 24, Ok(())),
        ];
        for (at, value, expected) in cases {
            let mut bytes = OF_KEEPALIVED;
            bytes[at] = value;
            assert_eq!(Packet::parse(&bytes).map(|_| ()), expected, "byte {at} = {value:#x}");
        }
        let mut nameless = OF_KEEPALIVED;
        nameless[4..8].fill(0);
        assert_eq!(Packet::parse(&nameless), Err(Rejection::Discriminator));
        let mut signed = OF_KEEPALIVED.to_vec();
        signed.extend([1, 3, 0]);
        (signed[1], signed[3]) = (0x44, 27);
        assert_eq!(Packet::parse(&signed), Err(Rejection::Authenticated));
        for length in 0..LENGTH {
            assert_eq!(Packet::parse(&OF_KEEPALIVED[..length]), Err(Rejection::Length));
        }
        let padded = [&OF_KEEPALIVED[..], &[7; 5]].concat();
        assert!(Packet::parse(&padded).is_ok(), "what follows is not ours to judge");
    }

    proptest! {
        #[test]
        fn what_was_read_is_written_again(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(packet) = Packet::parse(&bytes) {
                prop_assert_eq!(Packet::parse(&packet.emit()), Ok(packet));
            }
        }

        #[test]
        fn what_was_written_is_read_again(
            state in 0..4_usize, poll: bool, last: bool, demand: bool, multiplier in 1..=u8::MAX, mine in 1..=u32::MAX,
            yours in 1..=u32::MAX, min_tx: u32, min_rx: u32, number in 0..32_u8,
        ) {
            let packet = Packet {
                diagnostic: Diagnostic::read(number), state: State::ALL[state], poll, last, demand, multiplier, mine, yours,
                min_tx: Duration::from_micros(min_tx.into()), min_rx: Duration::from_micros(min_rx.into()),
            };
            prop_assert_eq!(Packet::parse(&packet.emit()), Ok(packet));
        }
    }
}
