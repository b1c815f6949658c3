//! Weighted least connections (`ip_vs_wlc.c`): the server with the fewest for its weight.

use super::Candidates;
use super::least::{least, overhead};

pub(super) fn pick(servers: &impl Candidates) -> Option<usize> {
    least(servers, |servers, at| (overhead(servers, at), servers.weight(at)))
}
