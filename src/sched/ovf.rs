//! Overflow (`ip_vs_ovf.c`): the heaviest server takes all until it is full, then the next. Full is one more active
//! connection than its weight, because the kernel refuses only beyond the weight. If all are full, none is picked.

use super::Candidates;
use super::least::heaviest;

pub(super) fn pick(servers: &impl Candidates) -> Option<usize> {
    heaviest(servers, |at| servers.active(at) <= servers.weight(at))
}
