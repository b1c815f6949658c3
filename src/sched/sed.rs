//! Shortest expected delay (`ip_vs_sed.c`): the server that would have the fewest active connections for its weight with
//! the new one among them. Inactive connections do not count, so that of UDP services the heaviest server takes all.

use super::Candidates;
use super::least::least;

pub(super) fn pick(servers: &impl Candidates) -> Option<usize> {
    least(servers, |servers, at| (u64::from(servers.active(at)) + 1, servers.weight(at)))
}
