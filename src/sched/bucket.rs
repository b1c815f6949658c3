//! The hash of `dh` and `sh` into 256 buckets.

/// How many buckets there are (`IP_VS_DH_TAB_BITS`, `IP_VS_SH_TAB_BITS`: 8).
pub(super) const BUCKETS: usize = 256;

/// `include/linux/hash.h: GOLDEN_RATIO_32`.
const GOLDEN_RATIO: u32 = 0x61c8_8647;

/// The bucket of a folded address, or of the sum of one and a port (`hash_32(value, 8)`).
pub(super) const fn bucket(value: u32) -> usize {
    (value.wrapping_mul(GOLDEN_RATIO) >> 24) as usize
}
