//! The hash of `dh` and `sh` into 256 buckets, and of `lblc` and `lblcr` into 1024.

/// How many buckets there are (`IP_VS_DH_TAB_BITS`, `IP_VS_SH_TAB_BITS`: 8).
pub(super) const BUCKETS: usize = 256;

/// `include/linux/hash.h: GOLDEN_RATIO_32`.
const GOLDEN_RATIO: u32 = 0x61c8_8647;

/// The bucket of a folded address, or of the sum of one and a port (`hash_32(value, 8)`).
pub(super) const fn bucket(value: u32) -> usize {
    (value.wrapping_mul(GOLDEN_RATIO) >> 24) as usize
}

/// How many buckets the cache of destinations has (`IP_VS_LBLC_TAB_BITS`: 10).
pub(super) const CACHE_BUCKETS: usize = 1024;

/// The bucket of a folded address there (`hash_32(value, 10)`).
pub(super) const fn cache_bucket(value: u32) -> usize {
    (value.wrapping_mul(GOLDEN_RATIO) >> 22) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn addresses_fall_where_the_kernel_puts_them() {
        for (address, of_256, of_1024) in [
            ("10.0.0.1", 39, 159),
            ("192.0.2.1", 50, 203),
            ("192.0.2.33", 107, 431),
            ("198.51.100.7", 171, 684),
            ("203.0.113.9", 64, 257),
            ("2001:db8::1", 63, 252),
        ] {
            let folded = crate::wire::Addr::from(address.parse::<IpAddr>().unwrap()).folded();
            assert_eq!((bucket(folded), cache_bucket(folded)), (of_256, of_1024), "{address}");
        }
    }
}
