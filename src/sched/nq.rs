//! Never queue (`ip_vs_nq.c`): the first server without an active connection, however light; if all have some, as `sed`.

use super::{Candidates, sed};

pub(super) fn pick(servers: &impl Candidates) -> Option<usize> {
    (0..servers.len()).find(|&at| servers.usable(at) && servers.active(at) == 0).or_else(|| sed::pick(servers))
}
