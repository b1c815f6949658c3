//! Power of two choices (`ip_vs_twos.c`): of two servers drawn at random by weight, the one with fewer connections for
//! its weight.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Candidates;
use super::least::overhead;

#[derive(Debug)]
pub(super) struct Twos {
    /// State of SplitMix64 (Steele, Lea, Flood 2014): a counter, so that workers draw without waiting for each other.
    drawn: AtomicU64,
}

impl Clone for Twos {
    fn clone(&self) -> Self {
        Self::seeded(self.drawn.load(Relaxed))
    }
}

impl Twos {
    pub(super) fn seeded(seed: u64) -> Self {
        Self { drawn: AtomicU64::new(seed) }
    }

    pub(super) fn pick(&self, servers: &impl Candidates) -> Option<usize> {
        let usable = (0..servers.len()).filter(|&at| servers.usable(at));
        let total = usable.map(|at| u64::from(servers.weight(at))).sum();
        better(servers, [self.draw(total), self.draw(total)])
    }

    /// A number from 0 to `most`, both included, each as likely as the others.
    fn draw(&self, most: u64) -> u64 {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut bits = self.drawn.fetch_add(GOLDEN, Relaxed).wrapping_add(GOLDEN);
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        // The high word of the product is below `most + 1`.
        ((u128::from(bits) * (u128::from(most) + 1)) >> 64) as u64
    }
}

/// Of the servers at which the two draws end, the one with fewer connections for its weight; the first draw's if equal.
fn better(servers: &impl Candidates, draws: [u64; 2]) -> Option<usize> {
    let [first, second] = draws.map(|draw| drawn(servers, draw));
    let (first, second) = (first?, second?);
    let product = |load: usize, share: usize| u128::from(overhead(servers, load)) * u128::from(servers.weight(share));
    Some(if product(first, second) > product(second, first) { second } else { first })
}

/// The usable server at which the sum of weights reaches `draw`. A draw of 0 ends at the first one as well, which is
/// thereby a little favoured, as in the kernel.
fn drawn(servers: &impl Candidates, draw: u64) -> Option<usize> {
    let mut passed = 0;
    (0..servers.len()).filter(|&at| servers.usable(at)).find(|&at| {
        passed += u64::from(servers.weight(at));
        passed >= draw
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sched::tests::Table;

    #[test]
    fn each_draw_ends_at_its_server() {
        for (weights, expected) in [([1, 1, 1], "AABC"), ([4, 3, 2], "AAAAABBBCC"), ([2, 0, 1], "AAAC")] {
            let table = Table::idle(&weights);
            let ends = (0..=weights.iter().sum::<u32>()).map(|draw| drawn(&table, u64::from(draw)).unwrap());
            assert_eq!(ends.map(|at| char::from(b'A' + at as u8)).collect::<String>(), expected);
        }
        assert_eq!(drawn(&Table::idle(&[0, 0]), 0), None);
    }

    #[test]
    fn the_second_must_be_better_to_win() {
        let table = Table::new(&[(2, 10, 0), (1, 5, 0), (1, 4, 0)]);
        assert_eq!(better(&table, [1, 3]), Some(0), "10/2 against 5/1: equal");
        assert_eq!(better(&table, [3, 1]), Some(1), "and the other way round");
        assert_eq!(better(&table, [1, 4]), Some(2), "10/2 against 4/1");
        assert_eq!(better(&table, [4, 1]), Some(2));
    }

    #[test]
    fn draws_are_even_and_reach_both_ends() {
        let twos = Twos::seeded(1);
        let mut seen = [0u32; 10];
        for _ in 0..10_000 {
            seen[usize::try_from(twos.draw(9)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|count| (850..1150).contains(count)), "{seen:?}");
    }
}
