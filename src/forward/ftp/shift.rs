//! By how much a server's sequence numbers are moved, since a reply of it was made longer or shorter
//! (`ip_vs_app.c: vs_fix_seq`).

use crate::forward::segment::is_after;

/// The state of one connection, in a word. What was sent before the last change of length is moved by what held then: it
/// may be sent or acknowledged again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shift {
    /// Where the last change was, in the server's own numbers.
    at: u32,
    /// By how much numbers behind it are moved: at most 2^23 either way.
    by: i32,
    /// How much of that the last change was.
    last: i8,
}

impl Shift {
    /// From the table's word; 0 for a connection without changes.
    pub(super) const fn from_word(word: u64) -> Self {
        let [last, a, b, c, rest @ ..] = word.to_le_bytes();
        // The sign is in the highest byte.
        Self { at: u32::from_le_bytes(rest), by: i32::from_le_bytes([0, a, b, c]) >> 8, last: last as i8 }
    }

    /// For the table.
    pub(super) const fn to_word(self) -> u64 {
        let [a, b, c, _] = self.by.to_le_bytes();
        let [d, e, f, g] = self.at.to_le_bytes();
        u64::from_le_bytes([self.last as u8, a, b, c, d, e, f, g])
    }

    /// Whether all numbers stay what they are.
    pub(super) const fn is_none(self) -> bool {
        self.by == 0 && self.last == 0
    }

    /// The client's number for what the server calls `sequence`.
    pub(super) const fn to_client(self, sequence: u32) -> u32 {
        let by = if is_after(sequence, self.at) { self.by } else { self.before() };
        sequence.wrapping_add_signed(by)
    }

    /// The server's number for what the client acknowledges as `number`.
    pub(super) const fn to_server(self, number: u32) -> u32 {
        let by = if is_after(number, self.at.wrapping_add_signed(self.before())) { self.by } else { self.before() };
        number.wrapping_add_signed(-by)
    }

    /// The state once the text that stands at `sequence` became longer by `by` bytes. Sent again, it changes nothing. A
    /// reply is too short to move anything by more than a few bytes.
    pub(super) fn changed(self, sequence: u32, by: i8) -> Self {
        let again = !self.is_none() && !is_after(sequence, self.at);
        if again || by == 0 {
            return self;
        }
        Self { at: sequence, by: self.by + i32::from(by), last: by }
    }

    const fn before(self) -> i32 {
        self.by - self.last as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_behind_a_change_moves_and_what_is_before_does_not() {
        let none = Shift::default();
        assert_eq!((none.to_client(7), none.to_server(7)), (7, 7));
        let once = none.changed(1000, 4);
        assert_eq!([990, 1000, 1001, 1050].map(|n| once.to_client(n)), [990, 1000, 1005, 1054]);
        assert_eq!([1000, 1054, 1060].map(|n| once.to_server(n)), [1000, 1050, 1056]);
        assert_eq!(once.changed(1000, 4), once, "the same reply again");
        let twice = once.changed(2000, -3);
        assert_eq!([1050, 2000, 2001].map(|n| twice.to_client(n)), [1054, 2004, 2002]);
        assert_eq!([2004, 2050].map(|n| twice.to_server(n)), [2000, 2049]);
        assert_eq!(twice.changed(1000, 4), twice, "an old reply again");
    }

    proptest! {
        #[test]
        fn a_word_keeps_all_of_it(at in any::<u32>(), by in -(1i32 << 23)..1 << 23, last in any::<i8>()) {
            let shift = Shift { at, by, last };
            prop_assert_eq!(Shift::from_word(shift.to_word()), shift);
        }

        /// What the client acknowledges of a stream with changes in it is what the server sent, wherever numbers wrap.
        #[test]
        fn there_and_back_again(start in any::<u32>(), changes in proptest::collection::vec((-12i8..12, 60u32..2000), 1..20)) {
            let mut shift = Shift::default();
            let (mut sequence, mut length) = (start, 0);
            for (by, next) in changes {
                sequence = sequence.wrapping_add(next);
                let line = 50;
                let there = shift.to_client(sequence);
                shift = shift.changed(sequence, by);
                prop_assert_eq!(shift.to_client(sequence), there, "the changed text begins where it would have");
                let end = there.wrapping_add(line).wrapping_add_signed(i32::from(by));
                prop_assert_eq!(shift.to_server(end), sequence.wrapping_add(line));
                prop_assert_eq!(shift.to_client(sequence.wrapping_add(line)), end);
                length += i32::from(by);
            }
            prop_assert_eq!(shift.to_client(sequence.wrapping_add(1)), sequence.wrapping_add(1).wrapping_add_signed(length));
        }
    }
}
