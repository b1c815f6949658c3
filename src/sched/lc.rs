//! Least connections (`ip_vs_lc.c`): the server with the fewest, whatever its weight.

use super::Candidates;
use super::least::{least, overhead};

pub(super) fn pick(servers: &impl Candidates) -> Option<usize> {
    least(servers, |servers, at| (overhead(servers, at), 1))
}
