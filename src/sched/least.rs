//! What the load-aware schedulers share: how busy a server is, and the search for the least busy.

use super::Candidates;

/// How much more an active connection weighs than an inactive one. The kernel counts `active * 256 + total` since it keeps
/// a total (`ip_vs.h: ip_vs_dest_conn_overhead`), and the total has the active ones in it once more.
const ACTIVE: u64 = 257;

/// A server's connections as one number.
pub(super) fn overhead(servers: &impl Candidates, at: usize) -> u64 {
    u64::from(servers.active(at)) * ACTIVE + u64::from(servers.inactive(at))
}

/// The usable server with the smallest ratio of cost to share; the first of equals. `of` gives (cost, share), and the
/// ratios are compared as cross products, so that nothing is rounded.
pub(super) fn least<C: Candidates>(servers: &C, of: impl Fn(&C, usize) -> (u64, u32)) -> Option<usize> {
    least_among(servers, 0..servers.len(), of)
}

/// The same among some of the servers, in their order.
pub(super) fn least_among<C: Candidates>(
    servers: &C,
    among: impl Iterator<Item = usize>,
    of: impl Fn(&C, usize) -> (u64, u32),
) -> Option<usize> {
    let mut best: Option<(usize, u64, u32)> = None;
    for at in among.filter(|&at| servers.usable(at)) {
        let (cost, share) = of(servers, at);
        if best.is_none_or(|(_, least, its)| u128::from(cost) * u128::from(its) < u128::from(least) * u128::from(share))
        {
            best = Some((at, cost, share));
        }
    }
    best.map(|(at, ..)| at)
}

/// The heaviest of the servers that `fits` lets through; the first of equals.
pub(super) fn heaviest<C: Candidates>(servers: &C, fits: impl Fn(usize) -> bool) -> Option<usize> {
    // `max_by_key` takes the last of equals, hence the walk from the tail.
    (0..servers.len()).rev().filter(|&at| servers.usable(at) && fits(at)).max_by_key(|&at| servers.weight(at))
}
