//! Maglev hashing (`ip_vs_mh.c`): the client's address decides, and nearly all clients keep their server when another
//! one comes or goes.
//!
//! Every server has its own order of preference over the slots of a table; they take turns claiming slots, as many at a
//! time as their weight allows. The keys of the hash are constants, so that directors of equal configuration agree.
//!
//! Draining a server (weight 0) leaves the table as it is: its clients are refused, or sent elsewhere if the service asks
//! for fallback, and all others stay where they are.

use super::gcd::gcd;
use super::siphash::{Key, hash32};
use super::{Candidates, Flags, Flow, Member};

/// How many slots there are: the kernel's default (`CONFIG_IP_VS_MH_TAB_INDEX` 12). A prime.
const SLOTS: u32 = 4093;

/// Weights are scaled down to this many bits, so that no server claims too many slots at a time (`IP_VS_MH_TAB_INDEX / 2`).
const TURN_BITS: u32 = 6;

/// Key of a server's first preference, and of a client's slot.
const OFFSET_KEY: Key = Key(2_654_435_761, 2_654_435_761);
/// Key of the step from one preference of a server to its next.
const SKIP_KEY: Key = Key(2_654_446_892, 2_654_446_892);

#[derive(Debug)]
pub(super) struct Mh {
    flags: Flags,
    /// Which server has each slot; empty if none ever had a weight.
    table: Box<[u16]>,
}

impl Mh {
    /// For servers in list order, each with its last weight above 0; 0 if it never had one.
    pub(super) fn new(members: &[Member], flags: Flags) -> Self {
        Self { flags, table: populate(members) }
    }

    pub(super) fn pick(&self, servers: &impl Candidates, flow: &Flow) -> Option<usize> {
        let port = if self.flags.port { flow.client.port } else { 0 };
        let key = flow.client.addr.folded().wrapping_add(u32::from(port));
        let first = slot(key);
        let usable = |slot: u32| self.owner(slot).filter(|&at| servers.usable(at));
        usable(first).or_else(|| {
            // Asked first, because a walk round the table in vain would cost thousands of hashes.
            let any = self.flags.fallback && (0..servers.len()).any(|at| servers.usable(at));
            let rehashed = |step: u32| slot(key.wrapping_add((first + step) % SLOTS));
            if any { (0..SLOTS).find_map(|step| usable(rehashed(step))) } else { None }
        })
    }

    fn owner(&self, slot: u32) -> Option<usize> {
        self.table.get(slot as usize).map(|&at| usize::from(at))
    }
}

fn slot(key: u32) -> u32 {
    hash32(key, OFFSET_KEY) % SLOTS
}

/// A server on its walk along its preferences.
struct Walk {
    at: u32,
    skip: u32,
    /// How many slots it claims a round.
    turns: u32,
}

impl Walk {
    fn new(member: &Member, turns: u32) -> Self {
        let key = member.real.addr.folded().wrapping_add(u32::from(member.real.port));
        Self { at: slot(key), skip: hash32(key, SKIP_KEY) % (SLOTS - 1) + 1, turns }
    }

    /// Its most preferred slot that is still free. There must be one; since the number of slots is prime, the walk
    /// meets them all.
    fn claim(&mut self, table: &[Option<u16>]) -> usize {
        while table[self.at as usize].is_some() {
            self.at = (self.at + self.skip) % SLOTS;
        }
        self.at as usize
    }
}

/// The full table, or an empty one if no server has a weight. A service of more servers than slots uses the first ones
/// (the kernel refuses to add more).
fn populate(members: &[Member]) -> Box<[u16]> {
    let members = &members[..members.len().min(SLOTS as usize)];
    if members.iter().all(|member| member.weight == 0) {
        return Box::default();
    }
    let mut walks: Vec<Walk> = members.iter().zip(turns(members)).map(|(m, turns)| Walk::new(m, turns)).collect();
    let mut table = vec![None; SLOTS as usize];
    let mut free = table.len();
    while free > 0 {
        for (server, walk) in (0u16..).zip(&mut walks) {
            for _ in 0..walk.turns.min(u32::try_from(free).expect("no more than the slots")) {
                let slot = walk.claim(&table);
                table[slot] = Some(server);
                free -= 1;
            }
        }
    }
    table.into_iter().flatten().collect()
}

/// How many slots each server claims a round: its share of the weights' common divisor, at most [`TURN_BITS`] bits.
fn turns(members: &[Member]) -> impl Iterator<Item = u32> {
    let divisor = members.iter().fold(0, |divisor, member| gcd(divisor, member.weight)).max(1);
    let largest = members.iter().map(|member| member.weight).max().unwrap_or(0);
    let shift = (u32::BITS - (largest / divisor).leading_zeros()).saturating_sub(TURN_BITS);
    members.iter().map(move |member| match member.weight {
        0 => 0,
        weight => ((weight / divisor) >> shift).max(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sched::tests::{BACKENDS, members};
    use crate::wire::Endpoint;

    fn owners(weights: &[u32]) -> String {
        populate(&members(weights)).iter().map(|&at| char::from(b'A' + u8::try_from(at).unwrap())).collect()
    }

    fn shares(weights: &[u32]) -> [usize; 3] {
        let table = owners(weights);
        ["A", "B", "C"].map(|name| table.matches(name).count())
    }

    #[test]
    fn preferences_are_the_kernel_s() {
        let walks =
            members(&[1, 1, 1]).into_iter().map(|member| Walk::new(&member, 1)).map(|walk| (walk.at, walk.skip));
        assert_eq!(BACKENDS[0].to_string(), "10.1.0.11:80");
        assert_eq!(walks.collect::<Vec<_>>(), [(3779, 256), (1207, 845), (1822, 3046)]);
    }

    #[test]
    fn clients_meet_the_kernel_s_slots() {
        for (address, alone, with_port) in [
            ("192.0.2.1", 2891, 3651),
            ("192.0.2.33", 2706, 3716),
            ("198.51.100.7", 924, 1707),
            ("203.0.113.9", 1189, 1917),
        ] {
            let address = crate::wire::Addr::from(address.parse::<std::net::IpAddr>().unwrap()).folded();
            assert_eq!((slot(address), slot(address + 40000)), (alone, with_port));
        }
    }

    #[test]
    fn the_table_is_the_kernel_s() {
        let table = owners(&[1, 1, 1]);
        assert!(table.starts_with("CAABAACAABBABBACBCBCACAC"), "{table}");
        assert_eq!(table.len(), 4093);
        assert_eq!(shares(&[1, 1, 1]), [1365, 1364, 1364]);
        assert_eq!(shares(&[3, 2, 1]), [2047, 1364, 682]);
        assert_eq!(turns(&members(&[1000, 1, 500])).collect::<Vec<_>>(), [62, 1, 31]);
        assert_eq!(turns(&members(&[6, 0, 4])).collect::<Vec<_>>(), [3, 0, 2]);
        assert_eq!(populate(&members(&[0, 0])).len(), 0);
    }

    #[test]
    fn removing_a_server_moves_hardly_anyone_else() {
        let before = owners(&[1, 1, 1]);
        let without_b = populate(&[members(&[1, 1, 1])[0], members(&[1, 1, 1])[2]]);
        let after = without_b.iter().map(|&at| ['A', 'C'][usize::from(at)]);
        let kept = before.chars().zip(after).filter(|(before, after)| before == after).count();
        assert_eq!(kept, 2727, "of the 2729 slots that were not B's");
    }

    #[test]
    fn more_servers_than_slots_fill_the_table() {
        let many: Vec<Member> =
            (0..70_000).map(|i| Member { real: Endpoint::new(crate::wire::Addr::v4(i), 80), weight: 1 }).collect();
        assert_eq!(populate(&many).len(), 4093);
    }
}
