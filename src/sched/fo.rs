//! Failover (`ip_vs_fo.c`): the heaviest server takes all, however busy.

use super::Candidates;
use super::least::heaviest;

pub(super) fn pick(servers: &impl Candidates) -> Option<usize> {
    heaviest(servers, |_| true)
}
