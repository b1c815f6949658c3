//! How many ICMP errors the director makes: the kernel's two limits (`icmp.c: icmp_global_allow`,
//! `icmpv4_xrlim_allow`), each counted by every worker for itself.
//!
//! Errors that say "packet too big" are not limited: path MTU discovery hangs on them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::service::Options;
use crate::time::{TICKS_PER_SECOND, Tick};
use crate::wire::Addr;

/// Hosts are told apart by as many buckets; those that share one share its limit.
const BUCKETS: usize = 1024;
/// Errors that a host may be sent at once after a silence (`inetpeer.c: XRLIM_BURST_FACTOR`).
const BURST_TO_HOST: u32 = 6;
/// The same for all together (`icmp_msgs_burst`).
const BURST: u32 = 50;

/// A token bucket with one writer. Bits 32-63 the tick it was filled up to, bit 31 set once it was used, below its tokens.
#[derive(Debug, Default)]
struct Bucket(AtomicU64);

/// Bit of a [`Bucket`].
const USED: u64 = 1 << 31;

impl Bucket {
    /// Fills up by `each` tokens a tick, to at most `most`.
    fn filled(&self, now: Tick, each: u32, most: u32) -> u32 {
        let word = self.0.load(Relaxed);
        if word & USED == 0 {
            return most;
        }
        let elapsed = now.since(Tick((word >> 32) as u32)).0;
        ((word & (USED - 1)) as u32).saturating_add(elapsed.saturating_mul(each)).min(most)
    }

    fn set(&self, now: Tick, tokens: u32) {
        self.0.store(u64::from(now.0) << 32 | USED | u64::from(tokens) & (USED - 1), Relaxed);
    }
}

/// One worker's limits.
#[derive(Debug)]
pub(super) struct Limiter {
    all: Bucket,
    hosts: Box<[Bucket]>,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { all: Bucket::default(), hosts: (0..BUCKETS).map(|_| Bucket::default()).collect() }
    }
}

impl Limiter {
    /// Whether one more error may be sent to `host` now; if so, it counts.
    pub(super) fn allows(&self, options: &Options, host: Addr, now: Tick) -> bool {
        // A message costs as many tokens as there are ticks in a second, and each tick brings one second's messages.
        let (rate, price) = (options.icmp_msgs_per_sec, TICKS_PER_SECOND);
        let tokens = self.all.filled(now, rate, BURST * price);
        // To a host, each tick brings one token, and a message costs the pause between two.
        let pause = options.icmp_ratelimit.0;
        let its = &self.hosts[(host.folded().wrapping_mul(0x9e37_79b9) >> 22) as usize % BUCKETS];
        let its_tokens = its.filled(now, 1, pause.saturating_mul(BURST_TO_HOST));
        if (rate != 0 && tokens < price) || its_tokens < pause {
            return false;
        }
        if rate != 0 {
            self.all.set(now, tokens - price);
        }
        if pause != 0 {
            its.set(now, its_tokens - pause);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Ticks;

    fn allowed(limiter: &Limiter, options: &Options, host: u32, now: Tick, tries: usize) -> usize {
        (0..tries).filter(|_| limiter.allows(options, Addr::v4(host), now)).count()
    }

    #[test]
    fn a_host_gets_six_at_once_and_then_one_a_second() {
        let (limiter, options) = (Limiter::default(), Options::RINGMASTER);
        let start = Tick(0);
        assert_eq!(allowed(&limiter, &options, 1, start, 20), 6);
        assert_eq!(allowed(&limiter, &options, 1, start.plus(Ticks(63)), 20), 0);
        assert_eq!(allowed(&limiter, &options, 1, start.plus(Ticks(64)), 20), 1);
        assert_eq!(allowed(&limiter, &options, 2, start, 20), 6, "another host");
        assert_eq!(allowed(&limiter, &options, 1, start.plus(Ticks::from_secs(1000)), 20), 6);
    }

    #[test]
    fn all_hosts_together_get_as_many_a_second() {
        let options = Options { icmp_msgs_per_sec: 128, ..Options::RINGMASTER };
        let (limiter, start) = (Limiter::default(), Tick(u32::MAX));
        let spread = |now| (0..200).map(|host| allowed(&limiter, &options, 7919 * host, now, 1)).sum::<usize>();
        assert_eq!(spread(start), 50);
        assert_eq!(spread(start.plus(Ticks(8))), 16);
    }

    #[test]
    fn zero_is_no_limit() {
        let options = Options { icmp_msgs_per_sec: 0, icmp_ratelimit: Ticks(0), ..Options::RINGMASTER };
        assert_eq!(allowed(&Limiter::default(), &options, 1, Tick(5), 1000), 1000);
    }
}
