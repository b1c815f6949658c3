//! What was decided about a frame, in one word.

use super::{Reason, Verdict};
use crate::io::PortId;
use crate::service::PairId;

/// A [`Verdict`] and the pair it was counted for.
///
/// It is packed into a word so that it travels in a register: written byte by byte and read back whole, it would cost the
/// hottest loop of the director two failed store-forwardings a packet.
///
/// Bits 0-7 the kind of verdict, 8-15 the port, 16-23 the reason or 16-31 the length of pieces, 32-63 the pair (all ones
/// for none).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision(u64);

const TRANSMIT: u64 = 0;
const ANSWER: u64 = 1;
const PASS: u64 = 2;
const DROP: u64 = 3;
const WAIT: u64 = 4;
const CUT: u64 = 5;
const GATHER: u64 = 6;

const NO_PAIR: u32 = u32::MAX;

impl Decision {
    /// A decision that concerns no pair, or none yet.
    #[inline(always)]
    pub const fn of(verdict: Verdict) -> Self {
        let verdict = match verdict {
            Verdict::Transmit(port) => TRANSMIT | (port.0 as u64) << 8,
            Verdict::Answer(port, reason) => ANSWER | (port.0 as u64) << 8 | (reason as u64) << 16,
            Verdict::Pass => PASS,
            Verdict::Drop(reason) => DROP | (reason as u64) << 16,
            Verdict::Wait => WAIT,
            Verdict::Cut(port, mtu) => CUT | (port.0 as u64) << 8 | (mtu as u64) << 16,
            Verdict::Gather => GATHER,
        };
        Self(verdict | (NO_PAIR as u64) << 32)
    }

    /// The frame goes no further.
    #[inline(always)]
    pub const fn drop(reason: Reason) -> Self {
        Self::of(Verdict::Drop(reason))
    }

    /// The same, concerning `pair`.
    #[inline(always)]
    pub const fn for_pair(self, pair: PairId) -> Self {
        Self(self.0 & 0xffff_ffff | (pair.0 as u64) << 32)
    }

    /// The end of the frame's way.
    #[inline(always)]
    pub fn verdict(self) -> Verdict {
        match self.0 & 0xff {
            TRANSMIT => Verdict::Transmit(self.port()),
            _ => self.other_verdict(),
        }
    }

    #[inline(always)]
    const fn port(self) -> PortId {
        PortId((self.0 >> 8) as u8)
    }

    /// Any but [`Verdict::Transmit`].
    #[cold]
    #[inline(never)]
    fn other_verdict(self) -> Verdict {
        let port = self.port();
        match self.0 & 0xff {
            ANSWER => Verdict::Answer(port, self.reason()),
            PASS => Verdict::Pass,
            WAIT => Verdict::Wait,
            CUT => Verdict::Cut(port, (self.0 >> 16) as u16),
            GATHER => Verdict::Gather,
            _ => Verdict::Drop(self.reason()),
        }
    }

    /// The service and server it was counted for.
    pub const fn pair(self) -> Option<PairId> {
        match (self.0 >> 32) as u32 {
            NO_PAIR => None,
            pair => Some(PairId(pair)),
        }
    }

    fn reason(self) -> Reason {
        Reason::ALL[usize::from((self.0 >> 16) as u8)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_gives_back_what_was_put_in() {
        let port = PortId(7);
        let mut verdicts =
            vec![Verdict::Transmit(port), Verdict::Pass, Verdict::Wait, Verdict::Cut(port, 1492), Verdict::Gather];
        for &reason in Reason::ALL {
            verdicts.extend([Verdict::Answer(port, reason), Verdict::Drop(reason)]);
        }
        for verdict in verdicts {
            let decision = Decision::of(verdict);
            assert_eq!((decision.verdict(), decision.pair()), (verdict, None));
            let concerned = decision.for_pair(PairId(9));
            assert_eq!((concerned.verdict(), concerned.pair()), (verdict, Some(PairId(9))));
        }
    }
}
