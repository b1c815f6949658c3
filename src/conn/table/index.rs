//! One word of the index: seven tag bytes and a control byte.
//!
//! ```text
//!   byte   7                      6      5      …      0
//!          lock : overflow count  tag 6  tag 5         tag 0
//!          1 bit  7 bits          0 free · 1..=128 a live or filling entry's · 255 dying
//! ```

/// Entries in a group.
pub(super) const POSITIONS: u32 = 7;

const TAG_BYTES: u64 = 0x00ff_ffff_ffff_ffff;
const LOW_BITS: u64 = 0x0001_0101_0101_0101;
const HIGH_BITS: u64 = LOW_BITS << 7;
const LOCK: u64 = 1 << 63;
const OVERFLOW_ONE: u64 = 1 << 56;
const DYING: u8 = 0xff;

/// The most entries of one home group that may live elsewhere: what the control byte can count.
pub(super) const MAX_OVERFLOW: u32 = 0x7f;

/// Seven bits of a hash, as a byte that is never 0 (free) nor 255 (dying).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(u8);

impl Tag {
    /// The tag for a number below 128.
    #[inline(always)]
    pub(super) const fn new(bits: u8) -> Self {
        Self(bits + 1)
    }
}

/// A loaded index word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

impl Word {
    /// The positions whose byte is this tag.
    #[inline(always)]
    pub(super) const fn matches(self, tag: Tag) -> Positions {
        Positions(zero_bytes(self.0 ^ (LOW_BITS * tag.0 as u64)))
    }

    /// The positions that hold nothing.
    #[inline(always)]
    pub(super) const fn free(self) -> Positions {
        Positions(zero_bytes(self.0))
    }

    /// The positions of dying entries.
    pub(super) const fn dying_positions(self) -> Positions {
        Positions(zero_bytes(!self.0))
    }

    /// The positions of entries that are live or being filled.
    pub(super) const fn tagged(self) -> Positions {
        Positions(HIGH_BITS & !zero_bytes(self.0) & !zero_bytes(!self.0))
    }

    /// The positions that hold anything.
    pub(super) const fn taken(self) -> Positions {
        Positions(HIGH_BITS & !zero_bytes(self.0))
    }

    /// Whether no position is taken.
    #[inline(always)]
    pub(super) const fn is_vacant(self) -> bool {
        self.0 & TAG_BYTES == 0
    }

    /// The byte at a position, 0 for free.
    #[cfg(test)]
    pub(super) const fn byte(self, position: u32) -> u8 {
        (self.0 >> (position * 8)) as u8
    }

    /// Whether an insert is placing an entry of this home group elsewhere.
    #[inline(always)]
    pub(super) const fn is_locked(self) -> bool {
        self.0 & LOCK != 0
    }

    /// How many entries of this home group live elsewhere.
    #[inline(always)]
    pub(super) const fn overflow(self) -> u32 {
        (self.0 >> 56) as u32 & MAX_OVERFLOW
    }

    /// This word with a free position claimed.
    #[inline(always)]
    pub(super) const fn claimed(self, position: u32, tag: Tag) -> Word {
        Word(self.0 | (tag.0 as u64) << (position * 8))
    }

    /// This word locked.
    pub(super) const fn locked(self) -> Word {
        Word(self.0 | LOCK)
    }

    /// To add: unlocks.
    pub(super) const UNLOCK: u64 = LOCK;
    /// To add: unlocks, and counts one entry more that lives elsewhere.
    pub(super) const UNLOCK_AND_COUNT: u64 = LOCK + OVERFLOW_ONE;
    /// To subtract: one entry less lives elsewhere.
    pub(super) const COUNT: u64 = OVERFLOW_ONE;

    /// To OR: makes any tag the dying one.
    pub(super) const fn dying(position: u32) -> u64 {
        (DYING as u64) << (position * 8)
    }

    /// To AND: frees a position.
    pub(super) const fn freed(position: u32) -> u64 {
        !Self::dying(position)
    }

    /// This word unlocked and with another count of entries elsewhere, for the repair.
    pub(super) const fn with_control(self, overflow: u8) -> Word {
        let overflow = if overflow as u32 > MAX_OVERFLOW { MAX_OVERFLOW } else { overflow as u32 };
        Word(self.0 & TAG_BYTES | (overflow as u64) << 56)
    }
}

/// The high bit of each of the seven low bytes that is 0. Exact: no carry leaves a byte.
#[inline(always)]
const fn zero_bytes(word: u64) -> u64 {
    let low_seven = TAG_BYTES & !HIGH_BITS;
    !(((word & low_seven) + low_seven) | word) & HIGH_BITS
}

/// A set of positions, lowest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Positions(u64);

impl Iterator for Positions {
    type Item = u32;

    #[inline(always)]
    fn next(&mut self) -> Option<u32> {
        if self.0 == 0 {
            return None;
        }
        let position = self.0.trailing_zeros() / 8;
        self.0 &= self.0 - 1;
        Some(position)
    }

    fn count(self) -> usize {
        self.0.count_ones() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against the plain reading, byte by byte, for words full of the bytes that tricks stumble over.
        #[test]
        fn sets_of_positions_are_exact(
            bytes in prop::array::uniform8(prop_oneof![Just(0u8), Just(1), Just(2), Just(127), Just(128), Just(255), any::<u8>()]),
            tag in 0u8..128,
        ) {
            let word = Word(u64::from_le_bytes(bytes));
            let plain = |wanted: &dyn Fn(u8) -> bool| {
                (0..POSITIONS).filter(|&at| wanted(bytes[at as usize])).collect::<Vec<_>>()
            };
            prop_assert_eq!(word.matches(Tag::new(tag)).collect::<Vec<_>>(), plain(&|byte| byte == tag + 1));
            prop_assert_eq!(word.free().collect::<Vec<_>>(), plain(&|byte| byte == 0));
            prop_assert_eq!(word.dying_positions().collect::<Vec<_>>(), plain(&|byte| byte == 255));
            prop_assert_eq!(word.tagged().collect::<Vec<_>>(), plain(&|byte| byte != 0 && byte != 255));
            prop_assert_eq!(word.tagged().count(), word.tagged().collect::<Vec<_>>().len());
            prop_assert_eq!(word.is_vacant(), word.free().count() == 7);
            prop_assert_eq!(word.is_locked(), bytes[7] & 0x80 != 0);
            prop_assert_eq!(word.overflow(), u32::from(bytes[7] & 0x7f));
        }
    }

    #[test]
    fn a_word_goes_through_its_edits() {
        let word = Word(0).claimed(3, Tag::new(41));
        assert_eq!((word.byte(3), word.byte(2)), (42, 0));
        let locked = word.locked();
        assert!(locked.is_locked() && !word.is_locked());
        assert_eq!(Word(locked.0.wrapping_add(Word::UNLOCK)), word);
        let counted = Word(locked.0.wrapping_add(Word::UNLOCK_AND_COUNT));
        assert_eq!((counted.overflow(), counted.is_locked()), (1, false));
        assert_eq!(Word(counted.0 - Word::COUNT), word);
        let dying = Word(word.0 | Word::dying(3));
        assert_eq!(dying.byte(3), 255);
        assert!(Word(dying.0 & Word::freed(3)).is_vacant());
        assert_eq!((locked.with_control(105).overflow(), locked.with_control(105).is_locked()), (105, false));
        assert_eq!((locked.with_control(200).overflow(), locked.with_control(200).is_locked()), (127, false));
    }
}
