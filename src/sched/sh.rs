//! Source hashing (`ip_vs_sh.c`): the client's address decides, so that a client stays with its server.
//!
//! The servers share 256 buckets by weight, round after round in list order. A drained server keeps one bucket a round:
//! its clients are refused, unless the service asks for fallback.

use super::bucket::{BUCKETS, bucket};
use super::{Candidates, Flags, Flow, Member};

#[derive(Debug)]
pub(super) struct Sh {
    flags: Flags,
    /// Which server has each bucket. All 0 if there is no server.
    table: Box<[u8; BUCKETS]>,
}

impl Sh {
    pub(super) fn new(members: &[Member], flags: Flags) -> Self {
        let round = members.iter().enumerate();
        let owners = round.cycle().flat_map(|(at, member)| std::iter::repeat_n(at, member.weight.max(1) as usize));
        let mut table = Box::new([0; BUCKETS]);
        for (slot, at) in table.iter_mut().zip(owners) {
            *slot = u8::try_from(at).expect("every server before this one has a bucket, and there are 256");
        }
        Self { flags, table }
    }

    pub(super) fn pick(&self, servers: &impl Candidates, flow: &Flow) -> Option<usize> {
        let first = bucket(self.key(flow));
        let usable = |bucket: usize| Some(usize::from(self.table[bucket])).filter(|&at| servers.usable(at));
        usable(first).or_else(|| if self.flags.fallback { around(first).find_map(usable) } else { None })
    }

    fn key(&self, flow: &Flow) -> u32 {
        let port = if self.flags.port { flow.client.port } else { 0 };
        flow.client.addr.folded().wrapping_add(u32::from(port))
    }
}

/// All buckets in the order fallback tries them. The kernel adds the first choice twice: once as the start of its walk
/// and once more in the hash (`ip_vs_sh_get_fallback`).
fn around(first: usize) -> impl Iterator<Item = usize> {
    (0..BUCKETS).map(move |step| (2 * first + step) % BUCKETS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sched::tests::members;

    fn owners(weights: &[u32]) -> String {
        let sh = Sh::new(&members(weights), Flags::default());
        sh.table.iter().map(|&at| char::from(b'A' + at)).collect()
    }

    #[test]
    fn buckets_go_round_by_weight_and_a_drained_server_keeps_one_a_round() {
        let table = owners(&[3, 2, 1]);
        assert!(table.starts_with("AAABBCAAABBCAA"), "{table}");
        assert_eq!(["A", "B", "C"].map(|name| table.matches(name).count()), [129, 85, 42]);
        let drained = owners(&[3, 0, 1]);
        assert!(drained.starts_with("AAABCAAABC"), "{drained}");
        assert_eq!(["A", "B", "C"].map(|name| drained.matches(name).count()), [154, 51, 51]);
    }

    #[test]
    fn more_servers_than_buckets_and_huge_weights_fit() {
        assert_eq!(Sh::new(&members(&[1; 300]), Flags::default()).table[255], 255);
        assert_eq!(owners(&[u32::MAX, 1]).matches('A').count(), 256);
    }
}
