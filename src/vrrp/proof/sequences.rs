//! Sequence numbers: what was sent before is not taken again.

use std::time::Duration;

use super::trailer::Trailer;
use crate::vrrp::accept::Rejection;
use crate::wire::Addr;

/// Senders that are remembered; one more takes the place of the first. Only who knows the key gets here.
const SENDERS: usize = 16;

/// The sequence numbers of one instance.
#[derive(Debug, Default)]
pub struct Sequences {
    sent: u64,
    /// The latest of each sender.
    heard: Vec<(Addr, u64)>,
}

impl Sequences {
    /// For the next authentication header. keepalived takes only what is above all that it has sent and heard, also from a
    /// director that was started anew: hence the seconds of `wall`, the time of day.
    pub fn next_of_header(&mut self, wall: Duration) -> u32 {
        let heard = self.heard.iter().map(|(_, sequence)| *sequence).max().unwrap_or_default();
        self.sent = (self.sent.max(heard) + 1).max(wall.as_secs());
        u32::try_from(self.sent).unwrap_or(u32::MAX)
    }

    /// Whether an authentication header's is new.
    pub fn admit_header(&mut self, from: Addr, sequence: u32) -> Result<(), Rejection> {
        let sequence = sequence.into();
        let new = self.latest(from).is_none_or(|latest| sequence > latest);
        self.admit(new, from, sequence)
    }

    /// For the next trailer: the time of day, or one more than before. A clock that was set back is followed where receivers
    /// would not take what is too far ahead of it.
    pub fn next_of_trailer(&mut self, trailer: &Trailer, wall: Duration) -> u64 {
        let now = clock(wall);
        let ahead = seconds(self.sent).wrapping_sub(seconds(now)).cast_signed();
        let stranded = trailer.window.is_some_and(|window| i64::from(ahead) > i64::from(window));
        self.sent = if is_after(now, self.sent) || stranded { now } else { self.sent.wrapping_add(1) };
        self.sent
    }

    /// Whether a trailer's is new, and of our time.
    pub fn admit_trailer(
        &mut self,
        trailer: &Trailer,
        from: Addr,
        sequence: u64,
        wall: Duration,
    ) -> Result<(), Rejection> {
        let now = seconds(clock(wall));
        let is_off = |sequence: u64| {
            let age = now.wrapping_sub(seconds(sequence)).cast_signed();
            trailer.window.is_some_and(|window| age.unsigned_abs() > window)
        };
        if is_off(sequence) {
            return Err(Rejection::Stale);
        }
        // A mark outside the window forbids nothing that the window would let through.
        let latest = self.latest(from).filter(|latest| !is_off(*latest));
        self.admit(latest.is_none_or(|latest| is_after(sequence, latest)), from, sequence)
    }

    fn latest(&self, from: Addr) -> Option<u64> {
        self.heard.iter().find(|(sender, _)| *sender == from).map(|(_, sequence)| *sequence)
    }

    fn admit(&mut self, new: bool, from: Addr, sequence: u64) -> Result<(), Rejection> {
        if !new {
            return Err(Rejection::Replay);
        }
        self.heard.retain(|(sender, _)| *sender != from);
        if self.heard.len() == SENDERS {
            self.heard.remove(0);
        }
        self.heard.push((from, sequence));
        Ok(())
    }
}

/// A time of day as a sequence number: seconds, and a 65536th of one; 16 bits are left for a counter.
fn clock(wall: Duration) -> u64 {
    // The seconds of the field come around in 2106.
    let fraction = ((u64::from(wall.subsec_nanos()) << 16) / 1_000_000_000) << 16;
    ((wall.as_secs() & u64::from(u32::MAX)) << 32) | fraction
}

fn seconds(sequence: u64) -> u32 {
    (sequence >> 32) as u32
}

/// Comparison of numbers that come around (RFC 1982).
fn is_after(one: u64, other: u64) -> bool {
    one.wrapping_sub(other).cast_signed() > 0
}

#[cfg(test)]
mod tests {
    use super::super::trailer::Mode;
    use super::*;

    fn from(last: u32) -> Addr {
        Addr::v4(0x0a00_0000 | last)
    }

    fn trailer(window: Option<u32>) -> Trailer {
        Trailer { keys: Vec::new(), active: 1, mode: Mode::Enforce, window }
    }

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_header_is_above_all_that_was_sent_heard_and_the_time() {
        let mut sequences = Sequences::default();
        assert_eq!([0, 0, 50, 50].map(|now| sequences.next_of_header(s(now))), [1, 2, 50, 51]);
        assert_eq!(sequences.admit_header(from(1), 900), Ok(()));
        assert_eq!(sequences.next_of_header(s(60)), 901);
        assert_eq!(sequences.admit_header(from(1), 900), Err(Rejection::Replay));
        assert_eq!(sequences.admit_header(from(2), 3), Ok(()), "another sender counts for itself");
    }

    #[test]
    fn a_trailer_carries_the_time_and_grows_in_any_case() {
        let mut sequences = Sequences::default();
        let timed = trailer(Some(5));
        let half = Duration::from_millis(1500);
        assert_eq!(sequences.next_of_trailer(&timed, half), 0x0000_0001_8000_0000);
        assert_eq!(sequences.next_of_trailer(&timed, half), 0x0000_0001_8000_0001);
        assert_eq!(sequences.next_of_trailer(&timed, s(100)), 100 << 32);
        assert_eq!(sequences.next_of_trailer(&timed, s(96)), (100 << 32) + 1, "set back, within the window");
        assert_eq!(sequences.next_of_trailer(&timed, s(94)), 94 << 32, "set back beyond it");
        let mut sequences = Sequences { sent: 100 << 32, heard: Vec::new() };
        assert_eq!(sequences.next_of_trailer(&trailer(None), s(1)), (100 << 32) + 1);
    }

    #[test]
    fn old_trailers_and_those_of_another_time_are_refused() {
        let timed = trailer(Some(5));
        let mut sequences = Sequences::default();
        let mut admit = |from, sequence: u64, now| sequences.admit_trailer(&timed, from, sequence, s(now));
        assert_eq!(admit(from(1), 100 << 32, 105), Ok(()));
        assert_eq!(admit(from(1), 100 << 32, 105), Err(Rejection::Replay));
        assert_eq!(admit(from(1), (100 << 32) + 1, 105), Ok(()));
        assert_eq!(admit(from(2), 100 << 32, 106), Err(Rejection::Stale));
        assert_eq!(admit(from(2), 112 << 32, 106), Err(Rejection::Stale));
        assert_eq!(admit(from(1), 90 << 32, 90), Ok(()), "after both clocks were set back");
        let mut monotonic = Sequences::default();
        let growing = trailer(None);
        assert_eq!(monotonic.admit_trailer(&growing, from(1), 7 << 32, s(900)), Ok(()));
        assert_eq!(monotonic.admit_trailer(&growing, from(1), 6 << 32, s(900)), Err(Rejection::Replay));
        (2..40).for_each(|last| assert_eq!(monotonic.admit_trailer(&growing, from(last), 1, s(0)), Ok(())));
        assert_eq!(monotonic.heard.len(), SENDERS);
    }
}
