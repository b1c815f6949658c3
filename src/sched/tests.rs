//! Selection sequences of the kernel's schedulers, and how they carry over changes.

use super::*;
use crate::time::{Tick, Ticks};
use crate::wire::Addr;
use proptest::prelude::*;

/// `10.1.0.11:80` and onwards: the servers A, B, C.
pub(super) const BACKENDS: [Endpoint; 3] = [
    Endpoint { addr: Addr::v4(0x0a01_000b), port: 80 },
    Endpoint { addr: Addr::v4(0x0a01_000c), port: 80 },
    Endpoint { addr: Addr::v4(0x0a01_000d), port: 80 },
];

/// Servers of these weights, from A on.
pub(super) fn members(weights: &[u32]) -> Vec<Member> {
    let real = |at: u32| Endpoint::new(Addr::v4(BACKENDS[0].addr.low32() + at), 80);
    (0..).zip(weights).map(|(at, &weight)| Member { real: real(at), weight }).collect()
}

#[derive(Clone, Copy, Debug)]
struct Row {
    name: char,
    weight: u32,
    active: u32,
    inactive: u32,
    overloaded: bool,
}

/// Servers as plain numbers.
#[derive(Clone, Debug)]
pub(super) struct Table(Vec<Row>);

impl Table {
    /// From (weight, active, inactive), named from A on.
    pub(super) fn new(rows: &[(u32, u32, u32)]) -> Self {
        let row = |(name, &(weight, active, inactive))| Row { name, weight, active, inactive, overloaded: false };
        Self(('A'..).zip(rows).map(row).collect())
    }

    pub(super) fn idle(weights: &[u32]) -> Self {
        Self::new(&weights.iter().map(|&weight| (weight, 0, 0)).collect::<Vec<_>>())
    }

    fn overloaded(mut self, at: usize) -> Self {
        self.0[at].overloaded = true;
        self
    }

    /// From another order: `CBA` of A4 B3 C2 is C2 B3 A4.
    fn ordered(&self, names: &str) -> Self {
        Self(names.chars().map(|name| *self.0.iter().find(|row| row.name == name).unwrap()).collect())
    }

    fn members(&self) -> Vec<Member> {
        let real = |name: char| Endpoint::new(Addr::v4(BACKENDS[0].addr.low32() + (name as u32 - 'A' as u32)), 80);
        self.0.iter().map(|row| Member { real: real(row.name), weight: row.weight }).collect()
    }

    fn name(&self, picked: Option<usize>) -> char {
        picked.map_or('-', |at| self.0[at].name)
    }

    /// The next `count` picks, `-` for none.
    fn picks(&self, scheduler: &Scheduler, count: usize) -> String {
        (0..count).map(|_| self.name(scheduler.pick(self, &flow("192.0.2.1:40000")))).collect()
    }

    /// The same, with every pick becoming an active connection that never ends.
    fn fill(mut self, scheduler: &Scheduler, count: usize) -> String {
        let mut take = || {
            let picked = scheduler.pick(&self, &flow("192.0.2.1:40000"));
            if let Some(at) = picked {
                self.0[at].active += 1;
            }
            self.name(picked)
        };
        (0..count).map(|_| take()).collect()
    }
}

impl Candidates for Table {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn weight(&self, at: usize) -> u32 {
        self.0[at].weight
    }
    fn overloaded(&self, at: usize) -> bool {
        self.0[at].overloaded
    }
    fn active(&self, at: usize) -> u32 {
        self.0[at].active
    }
    fn inactive(&self, at: usize) -> u32 {
        self.0[at].inactive
    }
}

/// From a client to itself, so that `dh` and `sh` see the same address.
fn flow(client: &str) -> Flow {
    let client = client.parse().unwrap();
    Flow { client, destination: client, now: Tick(0), expirations: Expirations::DEFAULT }
}

fn fresh(kind: Kind, table: &Table) -> Scheduler {
    Scheduler::new(Kind::None, &table.members()).switched(kind, &table.members())
}

#[test]
fn rotations_are_the_kernel_s() {
    for (kind, table, expected) in [
        (Kind::Rr, Table::idle(&[1, 1, 1]), "ABCABCA"),
        (Kind::Rr, Table::idle(&[5, 0, 1]), "ACACAC"),
        (Kind::Rr, Table::idle(&[1, 1, 1]).overloaded(0), "BCBCBC"),
        (Kind::Rr, Table::idle(&[1]), "AAA"),
        (Kind::Rr, Table::idle(&[0, 0]), "--"),
        (Kind::Rr, Table::idle(&[]), "--"),
        (Kind::Wrr, Table::idle(&[4, 3, 2]), "AABABCABCAABABCABC"),
        (Kind::Wrr, Table::idle(&[4, 3, 2]).ordered("CBA"), "ABACBACBAABACBACBA"),
        (Kind::Wrr, Table::idle(&[6, 4, 2]), "AABABCAABABC"),
        (Kind::Wrr, Table::idle(&[5, 1, 1]), "AAAAABCAAAAABC"),
        (Kind::Wrr, Table::idle(&[3, 0, 1]), "AAACAAAC"),
        (Kind::Wrr, Table::idle(&[1, 1, 1]), "ABCABC"),
        (Kind::Wrr, Table::idle(&[4, 3, 2]).overloaded(0), "BBCBCBBCBC"),
        (Kind::Wrr, Table::idle(&[u32::MAX, 1]).overloaded(0), "BBB"),
        (Kind::Wrr, Table::idle(&[0, 0]), "--"),
        (Kind::Wrr, Table::idle(&[]), "--"),
        (Kind::None, Table::idle(&[1, 1, 1]), "---"),
    ] {
        assert_eq!(table.picks(&fresh(kind, &table), expected.len()), expected, "{kind} over {table:?}");
    }
}

#[test]
fn the_load_decides_as_in_the_kernel() {
    for (kind, table, expected) in [
        (Kind::Lc, Table::new(&[(1, 3, 0), (9, 2, 500), (1, 2, 100)]), 'C'),
        (Kind::Wlc, Table::new(&[(1, 10, 0), (3, 25, 40), (2, 20, 5)]), 'B'),
        // Near-ties that set 257 apart from 256 for an active connection.
        (Kind::Lc, Table::new(&[(1, 1, 0), (1, 0, 256)]), 'B'),
        (Kind::Wlc, Table::new(&[(256, 1, 0), (257, 1, 1)]), 'B'),
        // Products beyond 64 bits.
        (Kind::Wlc, Table::new(&[(u32::MAX, u32::MAX, 1), (u32::MAX, u32::MAX, 0)]), 'B'),
        // Equals: the first. Drained and overloaded: never.
        (Kind::Lc, Table::new(&[(1, 0, 0), (2, 0, 0)]), 'A'),
        (Kind::Wlc, Table::new(&[(0, 0, 0), (1, 9, 9)]), 'B'),
        (Kind::Wlc, Table::new(&[(1, 0, 0), (1, 9, 9)]).overloaded(0), 'B'),
        (Kind::Wlc, Table::new(&[(0, 0, 0)]), '-'),
        // Inactive connections are nothing to sed, so that UDP all goes to the heaviest.
        (Kind::Sed, Table::new(&[(1, 0, 0), (2, 0, 900)]), 'B'),
        (Kind::Nq, Table::new(&[(1, 0, 900), (2, 0, 0)]), 'A'),
        (Kind::Nq, Table::new(&[(0, 0, 0), (1, 0, 0), (2, 0, 0)]), 'B'),
        (Kind::Fo, Table::new(&[(1, 0, 0), (5, 99, 0), (5, 0, 0)]), 'B'),
        (Kind::Fo, Table::new(&[(1, 0, 0), (5, 0, 0), (3, 0, 0)]).overloaded(1), 'C'),
        (Kind::Fo, Table::new(&[(0, 0, 0), (0, 0, 0)]), '-'),
        (Kind::Ovf, Table::new(&[(3, 4, 0), (2, 2, 0)]), 'B'),
        (Kind::Ovf, Table::new(&[(3, 4, 0), (2, 3, 0)]), '-'),
    ] {
        assert_eq!(table.picks(&fresh(kind, &table), 1), expected.to_string(), "{kind} over {table:?}");
    }
}

#[test]
fn filling_from_zero_is_the_kernel_s() {
    for (kind, weights, expected) in [
        (Kind::Wlc, [4, 3, 2], "ABCABACBAABC"),
        (Kind::Lc, [4, 3, 2], "ABCABC"),
        (Kind::Sed, [4, 3, 2], "ABACBAABCABA"),
        (Kind::Nq, [4, 3, 2], "ABCABAABCABA"),
        (Kind::Sed, [1, 2, 3], "CBCABCCBCABC"),
        (Kind::Nq, [1, 2, 3], "ABCCBCCBCABC"),
        (Kind::Ovf, [3, 2, 1], "AAAABBBCC--"),
        (Kind::Fo, [3, 2, 1], "AAAAAA"),
    ] {
        let table = Table::idle(&weights);
        let scheduler = fresh(kind, &table);
        assert_eq!(table.fill(&scheduler, expected.len()), expected, "{kind} over {weights:?}");
    }
}

#[test]
fn hashing_is_the_kernel_s() {
    const PLAIN: Flags = Flags { fallback: false, port: false, third: false };
    const PORT: Flags = Flags { fallback: false, port: true, third: false };
    const FALLBACK: Flags = Flags { fallback: true, port: false, third: false };
    for (kind, flags, table, client, expected) in [
        (Kind::Dh, PLAIN, Table::idle(&[1, 1, 1]), "192.0.2.1:0", 'C'),
        (Kind::Dh, PLAIN, Table::idle(&[9, 1, 1]), "192.0.2.33:0", 'C'),
        (Kind::Dh, PLAIN, Table::idle(&[1, 1, 1]), "198.51.100.7:0", 'A'),
        (Kind::Dh, PLAIN, Table::idle(&[0, 1, 1]), "198.51.100.7:0", '-'),
        (Kind::Dh, PLAIN, Table::idle(&[1, 1, 1]).overloaded(0), "198.51.100.7:0", '-'),
        (Kind::Dh, PLAIN, Table::idle(&[]), "198.51.100.7:0", '-'),
        (Kind::Sh, PLAIN, Table::idle(&[3, 2, 1]), "192.0.2.1:40000", 'A'),
        (Kind::Sh, PORT, Table::idle(&[3, 2, 1]), "192.0.2.1:40000", 'B'),
        (Kind::Sh, PLAIN, Table::idle(&[3, 2, 1]).overloaded(0), "192.0.2.1:40000", '-'),
        (Kind::Sh, FALLBACK, Table::idle(&[3, 2, 1]).overloaded(0), "192.0.2.1:40000", 'B'),
        (Kind::Sh, FALLBACK, Table::idle(&[3, 2, 1]).overloaded(2), "192.0.2.33:40000", 'B'),
        (Kind::Sh, FALLBACK, Table::idle(&[0, 0, 0]), "192.0.2.1:40000", '-'),
        (Kind::Sh, FALLBACK, Table::idle(&[]), "192.0.2.1:40000", '-'),
        (Kind::Mh, PLAIN, Table::idle(&[1, 1, 1]), "192.0.2.1:40000", 'C'),
        (Kind::Mh, PLAIN, Table::idle(&[1, 1, 1]), "192.0.2.33:40000", 'B'),
        (Kind::Mh, PLAIN, Table::idle(&[1, 1, 1]), "198.51.100.7:40000", 'C'),
        (Kind::Mh, PORT, Table::idle(&[1, 1, 1]), "192.0.2.1:40000", 'C'),
        (Kind::Mh, PORT, Table::idle(&[1, 1, 1]), "192.0.2.33:40000", 'A'),
        (Kind::Mh, PORT, Table::idle(&[1, 1, 1]), "198.51.100.7:40000", 'B'),
        (Kind::Mh, PLAIN, Table::idle(&[1, 1, 1]).overloaded(1), "192.0.2.33:40000", '-'),
        (Kind::Mh, FALLBACK, Table::idle(&[1, 1, 1]).overloaded(1), "192.0.2.33:40000", 'A'),
        (Kind::Mh, FALLBACK, Table::idle(&[0, 0, 0]), "192.0.2.1:40000", '-'),
        (Kind::Mh, FALLBACK, Table::idle(&[]), "192.0.2.1:40000", '-'),
    ] {
        let scheduler = Scheduler::new(Setup { kind, flags }, &table.members());
        let picked = table.name(scheduler.pick(&table, &flow(client)));
        assert_eq!(picked, expected, "{kind} {flags:?} for {client} over {table:?}");
    }
}

#[test]
fn dh_looks_at_the_destination_and_the_others_at_the_client() {
    let table = Table::idle(&[1, 1, 1]);
    let (c, a) = ("192.0.2.1:0".parse().unwrap(), "198.51.100.7:0".parse().unwrap());
    let flow = Flow { client: c, destination: a, now: Tick(0), expirations: Expirations::DEFAULT };
    for (kind, alike) in [(Kind::Dh, a), (Kind::Sh, c), (Kind::Mh, c)] {
        let scheduler = Scheduler::new(kind, &table.members());
        let picked = scheduler
            .pick(&table, &Flow { client: alike, destination: alike, now: Tick(0), expirations: Expirations::DEFAULT });
        assert_eq!(scheduler.pick(&table, &flow), picked, "{kind}");
    }
    let dh = Scheduler::new(Kind::Dh, &table.members());
    assert_ne!(
        dh.pick(&table, &flow),
        dh.pick(&table, &Flow { client: c, destination: c, now: Tick(0), expirations: Expirations::DEFAULT }),
        "or this says nothing"
    );
}

#[test]
fn buckets_are_the_kernel_s() {
    for (address, alone, with_port) in [
        ("10.0.0.1", 39, 203),
        ("192.0.2.1", 50, 214),
        ("192.0.2.33", 107, 15),
        ("198.51.100.7", 171, 79),
        ("203.0.113.9", 64, 228),
    ] {
        let address = Addr::from(address.parse::<std::net::IpAddr>().unwrap()).folded();
        assert_eq!((bucket::bucket(address), bucket::bucket(address + 40000)), (alone, with_port));
    }
    let v6 = Addr::from("2001:db8::1".parse::<std::net::IpAddr>().unwrap());
    assert_eq!(bucket::bucket(v6.folded()), 63);
}

/// `ipvsadm -a` A, B, C: each goes to the head of the list, and the first round of wrr visits all once.
#[test]
fn a_new_service_begins_as_if_built_by_single_additions() {
    let table = Table::idle(&[4, 3, 2]).ordered("CBA");
    let scheduler = Scheduler::new(Kind::Wrr, &table.members());
    assert_eq!(table.picks(&scheduler, 12), "CBAABACBACBA");
}

#[test]
fn the_round_goes_on_after_a_change() {
    for (before, picks, after, expected, why) in [
        ("ABC", "AB", "ABC", "CAB", "nothing moved"),
        ("ABC", "AB", "AC", "CAC", "the last pick is gone: its successor is next"),
        ("ABC", "A", "BC", "BCB", "it was the first: the round begins again"),
        ("ABC", "ABC", "A", "AAA", "its predecessor is gone too"),
        ("ABC", "AB", "DABC", "CDA", "a new server at the head comes last"),
        ("ABC", "AB", "", "---", "all are gone"),
        ("", "-", "AB", "ABA", "the first servers"),
    ] {
        let all = Table::idle(&[1, 1, 1, 1]);
        let (table, other) = (all.ordered(before), all.ordered(after));
        let scheduler = fresh(Kind::Rr, &table);
        assert_eq!(table.picks(&scheduler, picks.len()), picks);
        assert_eq!(other.picks(&scheduler.changed(&other.members()), 3), expected, "{why}");
    }
}

#[test]
fn wrr_starts_its_round_again_after_a_change_at_about_the_same_level() {
    for (before, picks, after, expected, why) in [
        (vec![4, 3, 2], "AAB", vec![4, 3, 2], "ABABC", "level 3 stays, from the head"),
        (vec![4, 3, 2], "AA", vec![2, 2, 2], "ABC", "level 3 is above the new top"),
        (vec![6, 5, 1], "AABA", vec![6, 4, 2], "AABABC", "level 4 becomes 4 / 2 * 2 + 1 = 5"),
        (vec![0, 0, 0], "-", vec![2, 1, 0], "AABAAB", "there was no level"),
        (vec![2, 1, 1], "AA", vec![0, 0, 0], "---", "there is none any more"),
    ] {
        let (table, other) = (Table::idle(&before), Table::idle(&after));
        let scheduler = fresh(Kind::Wrr, &table);
        assert_eq!(table.picks(&scheduler, picks.len()), picks, "before: {why}");
        assert_eq!(other.picks(&scheduler.changed(&other.members()), expected.len()), expected, "{why}");
    }
}

#[test]
fn sh_gives_a_drained_server_s_buckets_back_but_mh_does_not() {
    let (table, drained) = (Table::idle(&[3, 2, 1]), Table::idle(&[3, 0, 1]));
    let clients: Vec<Flow> = (0..200u32)
        .map(|i| Endpoint::new(Addr::v4(0xc000_0200 + i), 1))
        .map(|client| Flow { client, destination: client, now: Tick(0), expirations: Expirations::DEFAULT })
        .collect();
    for (kind, lost) in [(Kind::Sh, 0..50), (Kind::Mh, 50..80)] {
        let scheduler = Scheduler::new(kind, &table.members());
        let after = scheduler.changed(&drained.members());
        let moved = |flow: &&Flow| {
            let (before, now) = (scheduler.pick(&table, flow), after.pick(&drained, flow));
            now.is_some() && now != before
        };
        let refused = clients.iter().filter(|flow| after.pick(&drained, flow).is_none()).count();
        assert!(lost.contains(&refused), "{kind}: {refused} refused");
        let moved = clients.iter().filter(moved).count();
        assert_eq!(moved == 0, kind == Kind::Mh, "{kind}: {moved} moved");
        let restored = after.changed(&table.members());
        assert!(clients.iter().all(|flow| restored.pick(&table, flow) == scheduler.pick(&table, flow)), "{kind}");
    }
    let added_drained = Scheduler::new(Kind::Mh, &drained.members());
    assert!(clients.iter().all(|flow| added_drained.pick(&drained, flow).is_some()), "never had a weight: no slots");
    let late =
        Scheduler::new(Kind::Rr, &table.members()).changed(&drained.members()).switched(Kind::Mh, &drained.members());
    let refused = clients.iter().filter(|flow| late.pick(&drained, flow).is_none()).count();
    assert!((50..80).contains(&refused), "drained under another scheduler: {refused} refused");
}

#[test]
fn twos_repeats_with_its_seed_and_goes_on_after_a_change() {
    let table = Table::idle(&[4, 3, 2]);
    let scheduler = |seed| Scheduler::new(Kind::Twos, &table.members()).seeded(seed);
    let long = table.picks(&scheduler(7), 100);
    assert_eq!(table.picks(&scheduler(7), 100), long);
    assert_ne!(table.picks(&scheduler(8), 100), long);
    let first = scheduler(7);
    let begun = table.picks(&first, 40);
    assert_eq!(begun + &table.picks(&first.changed(&table.members()), 60), long);
    assert_eq!(Table::idle(&[0, 0]).picks(&first, 2), "--");
    let shares = Table::idle(&[1, 1, 1]).picks(&first, 4000);
    assert!((1850..2150).contains(&shares.matches('A').count()), "idle servers: the first draw, half of them A");
}

/// Four workers over one scheduler give each server exactly its share.
#[test]
fn workers_rotate_as_one() {
    for (kind, weights, shares) in [(Kind::Rr, [1, 1, 1], [12, 12, 12]), (Kind::Wrr, [4, 3, 2], [16, 12, 8])] {
        const ROUNDS: usize = 2000;
        let table = Table::idle(&weights);
        let scheduler = Scheduler::new(kind, &table.members());
        let counts = std::thread::scope(|scope| {
            let work = || {
                let picks = table.picks(&scheduler, 9 * ROUNDS);
                ["A", "B", "C"].map(|name| picks.matches(name).count())
            };
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap())
                .fold([0; 3], |sum: [usize; 3], counts| std::array::from_fn(|at| sum[at] + counts[at]))
        });
        assert_eq!(counts, shares.map(|share| share * ROUNDS), "{kind}");
    }
}

fn tables() -> impl Strategy<Value = Table> {
    let weight = prop_oneof![Just(0), 1..6u32, Just(60), any::<u32>()];
    let row = (weight, 0..9u32, 0..9u32, prop::bool::weighted(0.2));
    prop::collection::vec(row, 0..7).prop_map(|rows| {
        let plain: Vec<_> = rows.iter().map(|&(weight, active, inactive, _)| (weight, active, inactive)).collect();
        let mut table = Table::new(&plain);
        table.0.iter_mut().zip(rows).for_each(|(row, (.., overloaded))| row.overloaded = overloaded);
        table
    })
}

/// `wrr` walked level by level, as the kernel does: the reference for the shortcut.
fn walked(table: &Table, count: usize) -> String {
    let divisor = table.0.iter().fold(0, |divisor, row| gcd::gcd(divisor, row.weight)).max(1);
    let top = table.0.iter().map(|row| row.weight).max().unwrap_or(0).saturating_sub(divisor - 1);
    let (mut passed, mut level) = (0, top);
    let mut pick = || {
        for _ in 0..=2 * top / divisor + 2 {
            if let Some(at) = (passed..table.len()).find(|&at| table.usable(at) && table.weight(at) >= level) {
                passed = at + 1;
                return Some(at);
            }
            passed = 0;
            level = level.checked_sub(divisor).filter(|&level| level > 0).unwrap_or(top);
        }
        None
    };
    (0..count).map(|_| table.name(pick())).collect()
}

proptest! {
    /// Whatever the servers: a pick is usable, and all but the hashes and `ovf` pick if anything is.
    #[test]
    fn picks_are_usable(table in tables(), client: u32, port: u16, fallback: bool, hash_port: bool) {
        let any = (0..table.len()).any(|at| table.usable(at));
        let client = Endpoint::new(Addr::v4(client), port);
        for kind in Kind::ALL {
            let setup = Setup { kind, flags: Flags { fallback, port: hash_port, third: false } };
            let scheduler = Scheduler::new(setup, &table.members());
            for _ in 0..5 {
                let picked = scheduler.pick(&table, &Flow { client, destination: client, now: Tick(0), expirations: Expirations::DEFAULT });
                prop_assert!(picked.is_none_or(|at| table.usable(at)), "{}", kind);
                let may_refuse = match kind {
                    // A weight of 256 leaves no bucket of `sh` to the servers after it.
                    Kind::None | Kind::Dh | Kind::Ovf | Kind::Sh => true,
                    Kind::Mh => !fallback,
                    _ => false,
                };
                prop_assert!(may_refuse || picked.is_some() == any, "{}", kind);
            }
        }
    }

    /// A new service schedules as one whose servers are added one by one.
    #[test]
    fn building_at_once_is_building_step_by_step(table in tables()) {
        let members = table.members();
        for kind in Kind::ALL {
            let built = (0..members.len()).rev().fold(Scheduler::new(kind, &[]), |built, head| built.changed(&members[head..]));
            prop_assert_eq!(table.picks(&built, 30), table.picks(&Scheduler::new(kind, &members), 30), "{}", kind);
        }
    }

    /// Leaving out the levels that nobody reaches changes nothing.
    #[test]
    fn wrr_is_the_walk_level_by_level(mut table in tables()) {
        table.0.iter_mut().for_each(|row| row.weight %= 100);
        prop_assert_eq!(table.picks(&fresh(Kind::Wrr, &table), 50), walked(&table, 50));
    }

    /// A list that lacks what the scheduler was told of, or has more, harms nothing.
    #[test]
    fn any_list_may_be_picked_from(told in tables(), asked in tables()) {
        for kind in Kind::ALL {
            let scheduler = Scheduler::new(kind, &told.members());
            for scheduler in [scheduler.changed(&asked.members()), scheduler] {
                for _ in 0..3 {
                    let picked = scheduler.pick(&asked, &flow("192.0.2.1:40000"));
                    prop_assert!(picked.is_none_or(|at| asked.usable(at)), "{}", kind);
                }
            }
        }
    }
}

/// What a destination gets at this second, from servers with these loads.
fn at_second(scheduler: &Scheduler, second: u32, rows: &[(u32, u32, u32)]) -> char {
    let (table, now) = (Table::new(rows), Tick(0).plus(Ticks::from_secs(second)));
    let expirations = Expirations { lblc: Ticks::from_secs(100), lblcr: Ticks::from_secs(1000) };
    table.name(scheduler.pick(&table, &Flow { now, expirations, ..flow("192.0.2.1:80") }))
}

/// By a timeout of its own, a destination is forgotten, and not before.
#[test]
fn lblc_forgets_a_destination_that_nobody_asks_for() {
    let scheduler = fresh(Kind::Lblc, &Table::idle(&[1, 1]));
    let [first, second] = [[(1, 0, 0), (1, 1, 0)], [(1, 1, 0), (1, 0, 0)]];
    assert_eq!(at_second(&scheduler, 0, &first), 'A');
    for (at, server) in [(99, 'A'), (198, 'A'), (298, 'B'), (300, 'B')] {
        assert_eq!(at_second(&scheduler, at, &second), server, "{at} s");
    }
}

/// Its set of servers loses the most loaded one, once it has not changed for the timeout.
#[test]
fn lblcr_shrinks_a_set_that_has_not_changed_for_long() {
    let scheduler = fresh(Kind::Lblcr, &Table::idle(&[2, 4, 4]));
    // A is the first. Overloaded while others are half idle, it is joined by B.
    assert_eq!(at_second(&scheduler, 0, &[(2, 0, 0), (4, 1, 0), (4, 1, 0)]), 'A');
    assert_eq!(at_second(&scheduler, 10, &[(2, 3, 0), (4, 1, 0), (4, 2, 0)]), 'B');
    // Both are of the set: the less loaded one is taken, though C is idle.
    let less_a = [(2, 1, 0), (4, 4, 0), (4, 0, 0)];
    let less_b = [(2, 2, 0), (4, 1, 0), (4, 0, 0)];
    for (at, rows, server) in [(500, less_a, 'A'), (900, less_b, 'B'), (1010, less_a, 'A')] {
        assert_eq!(at_second(&scheduler, at, &rows), server, "{at} s");
    }
    // 1000 s after its last change: the most loaded one goes with this question, B; A has it alone from then on.
    assert_eq!(at_second(&scheduler, 1011, &less_a), 'A');
    for at in [1012, 1500, 2011] {
        assert_eq!(at_second(&scheduler, at, &less_b), 'A', "{at} s");
    }
    // A set of one is not taken from.
    assert_eq!(at_second(&scheduler, 2900, &less_b), 'A');
    assert_eq!(at_second(&scheduler, 3900, &[(2, 2, 0), (4, 3, 0), (4, 0, 0)]), 'C', "forgotten");
}
