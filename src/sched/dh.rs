//! Destination hashing (`ip_vs_dh.c`): the address a packet is sent to decides, as for a row of caches.
//!
//! The kernel's table gives bucket `i` to server `i mod n` whatever the weights, so no table is needed here. If that
//! server is not usable, the connection is refused.

use super::bucket::bucket;
use super::{Candidates, Flow};

pub(super) fn pick(servers: &impl Candidates, flow: &Flow) -> Option<usize> {
    let at = bucket(flow.destination.addr.folded()).checked_rem(servers.len())?;
    servers.usable(at).then_some(at)
}
