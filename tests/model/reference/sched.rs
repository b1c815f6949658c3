//! The schedulers, each as its rule reads.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::draw::Draw;
use crate::frames::End;

/// A server as a scheduler sees it, in the order of the list.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub real: End,
    pub weight: u32,
    /// The last weight that was not 0.
    pub lasting: u32,
    pub overloaded: bool,
    pub active: u64,
    pub inactive: u64,
}

impl Candidate {
    fn usable(&self) -> bool {
        self.weight > 0 && !self.overloaded
    }

    /// Connections, active ones counted 257 times.
    fn overhead(&self) -> u64 {
        self.active * 256 + self.active + self.inactive
    }
}

/// A scheduler with all that any of them remembers.
#[derive(Clone, Debug)]
pub struct Sched {
    pub name: &'static str,
    pub fallback: bool,
    pub port: bool,
    /// `rr`, `wrr`: the server picked last; `None` is the head of the list.
    cursor: Option<End>,
    /// `wrr`: the present weight.
    level: u32,
    /// `lblc`, `lblcr`: servers by destination, the latest first.
    cache: BTreeMap<IpAddr, Vec<End>>,
    /// `twos`: its lots.
    lots: u64,
}

impl Sched {
    pub fn new(name: &'static str, (fallback, port): (bool, bool), lots: u64, list: &[Candidate]) -> Self {
        Self { name, fallback, port, cursor: None, level: top(list), cache: BTreeMap::new(), lots }
    }

    /// A server was added or edited; or is about to be the one in `removed`, which the list has still.
    pub fn changed(&mut self, before: &[Candidate], after: &[Candidate], removed: Option<End>) {
        if self.name == "rr" {
            if removed.is_some() && self.cursor == removed {
                let at = before.iter().position(|server| Some(server.real) == removed).expect("it is in the list");
                self.cursor = at.checked_sub(1).map(|at| before[at].real);
            }
            return;
        }
        self.cursor = None;
        let (step, top) = (step(after), top(after));
        if self.level > top || self.level == 0 {
            self.level = top;
        } else if step > 1 {
            self.level = self.level / step * step + 1;
        }
    }

    pub fn pick(&mut self, list: &[Candidate], client: End, destination: IpAddr) -> Option<End> {
        let port = if self.port { u32::from(client.1) } else { 0 };
        let at = match self.name {
            "rr" => self.rr(list),
            "wrr" => self.wrr(list),
            "lc" => least(list, |server| (server.overhead(), 1)),
            "wlc" => wlc(list),
            "sed" => sed(list),
            "nq" => list.iter().position(|server| server.usable() && server.active == 0).or_else(|| sed(list)),
            "fo" => heaviest(list, |_| true),
            "ovf" => heaviest(list, |server| server.active <= u64::from(server.weight)),
            "dh" => Some(bucket(fold(destination), 8) as usize % list.len().max(1)).filter(|&at| usable(list, at)),
            "sh" => self.sh(list, fold(client.0).wrapping_add(port)),
            "mh" => self.mh(list, fold(client.0).wrapping_add(port)),
            "lblc" => self.lblc(list, destination),
            "lblcr" => self.lblcr(list, destination),
            "twos" => self.twos(list),
            _ => None,
        };
        at.map(|at| list[at].real)
    }

    fn place(&self, list: &[Candidate]) -> usize {
        self.cursor.map_or(0, |real| list.iter().position(|server| server.real == real).map_or(0, |at| at + 1))
    }

    fn rr(&mut self, list: &[Candidate]) -> Option<usize> {
        let place = self.place(list);
        let at = (place..list.len()).chain(0..place).find(|&at| list[at].usable())?;
        self.cursor = Some(list[at].real);
        Some(at)
    }

    fn wrr(&mut self, list: &[Candidate]) -> Option<usize> {
        if !list.iter().any(Candidate::usable) {
            return None;
        }
        let mut place = self.place(list);
        loop {
            let fits = |&at: &usize| !list[at].overloaded && list[at].weight >= self.level;
            if let Some(at) = (place..list.len()).find(fits) {
                self.cursor = Some(list[at].real);
                return Some(at);
            }
            place = 0;
            self.level = match self.level.checked_sub(step(list)) {
                None | Some(0) => top(list),
                Some(level) => level,
            };
        }
    }

    fn sh(&self, list: &[Candidate], key: u32) -> Option<usize> {
        let turns = |at: usize| std::iter::repeat_n(at, list[at].weight.max(1) as usize);
        let table: Vec<usize> = (0..list.len()).cycle().flat_map(turns).take(256).collect();
        let first = bucket(key, 8) as usize;
        let tries = if self.fallback { 256 } else { 0 };
        let buckets = std::iter::once(first).chain((0..tries).map(|step| (2 * first + step) % 256));
        buckets.filter_map(|bucket| table.get(bucket).copied()).find(|&at| usable(list, at))
    }

    fn mh(&self, list: &[Candidate], key: u32) -> Option<usize> {
        let table = maglev(list);
        let hash = |key: u32| siphash(key, KEYS[0]) % PRIME;
        let first = hash(key);
        let tries = if self.fallback && list.iter().any(Candidate::usable) { PRIME } else { 0 };
        let slots = std::iter::once(first).chain((0..tries).map(|step| hash(key.wrapping_add((first + step) % PRIME))));
        let mut servers = slots.filter_map(|slot| table.get(slot as usize).copied());
        servers.find(|&at| usable(list, at))
    }

    fn twos(&mut self, list: &[Candidate]) -> Option<usize> {
        let usable: Vec<usize> = (0..list.len()).filter(|&at| list[at].usable()).collect();
        let total: u64 = usable.iter().map(|&at| u64::from(list[at].weight)).sum();
        let [first, second] = [(); 2].map(|()| {
            let mut draw = Draw(self.lots);
            let lot = ((u128::from(draw.next()) * u128::from(total + 1)) >> 64) as i64;
            self.lots = draw.0;
            let mut left = lot;
            usable.iter().copied().find(|&at| {
                left -= i64::from(list[at].weight);
                left <= 0
            })
        });
        let (first, second) = (first?, second?);
        let (one, two) = (&list[first], &list[second]);
        let better = u64::from(two.weight) * one.overhead() > u64::from(one.weight) * two.overhead();
        Some(if better { second } else { first })
    }

    fn lblc(&mut self, list: &[Candidate], destination: IpAddr) -> Option<usize> {
        let known = self.cache.get(&destination).and_then(|set| place_of(list, set[0]));
        if let Some(at) = known.filter(|&at| list[at].weight > 0 && !is_overloaded(list, at)) {
            return Some(at);
        }
        let at = wlc(list)?;
        self.cache.insert(destination, vec![list[at].real]);
        Some(at)
    }

    fn lblcr(&mut self, list: &[Candidate], destination: IpAddr) -> Option<usize> {
        let Some(set) = self.cache.get_mut(&destination) else {
            let at = wlc(list)?;
            self.cache.insert(destination, vec![list[at].real]);
            return Some(at);
        };
        let members: Vec<usize> = set.iter().filter_map(|&real| place_of(list, real)).collect();
        let its: Vec<Candidate> = members.iter().map(|&at| list[at].clone()).collect();
        if let Some(at) = wlc(&its).map(|at| members[at]).filter(|&at| !is_overloaded(list, at)) {
            return Some(at);
        }
        let at = wlc(list)?;
        if !set.contains(&list[at].real) {
            set.insert(0, list[at].real);
        }
        Some(at)
    }
}

fn place_of(list: &[Candidate], real: End) -> Option<usize> {
    list.iter().position(|server| server.real == real)
}

fn usable(list: &[Candidate], at: usize) -> bool {
    list.get(at).is_some_and(Candidate::usable)
}

/// The usable server with the least quotient; the first of equals.
fn least(list: &[Candidate], quotient: impl Fn(&Candidate) -> (u64, u64)) -> Option<usize> {
    let mut best: Option<usize> = None;
    for at in (0..list.len()).filter(|&at| list[at].usable()) {
        let ((load, share), incumbent) = (quotient(&list[at]), best.map(|best| quotient(&list[best])));
        if incumbent.is_none_or(|(its, of)| load * of < its * share) {
            best = Some(at);
        }
    }
    best
}

fn wlc(list: &[Candidate]) -> Option<usize> {
    least(list, |server| (server.overhead(), u64::from(server.weight)))
}

fn sed(list: &[Candidate]) -> Option<usize> {
    least(list, |server| (server.active + 1, u64::from(server.weight)))
}

fn heaviest(list: &[Candidate], may: impl Fn(&Candidate) -> bool) -> Option<usize> {
    let weight = |at: usize| (list[at].usable() && may(&list[at])).then_some(list[at].weight);
    let most = (0..list.len()).filter_map(weight).max()?;
    (0..list.len()).find(|&at| weight(at) == Some(most))
}

/// More active connections than weight, while another has less than half of its own.
fn is_overloaded(list: &[Candidate], at: usize) -> bool {
    list[at].active > u64::from(list[at].weight)
        && list.iter().any(|server| server.active * 2 < u64::from(server.weight))
}

fn gcd(weights: impl Iterator<Item = u32>) -> u32 {
    fn of(a: u32, b: u32) -> u32 {
        if b == 0 { a } else { of(b, a % b) }
    }
    weights.filter(|&weight| weight > 0).fold(0, of).max(1)
}

fn step(list: &[Candidate]) -> u32 {
    gcd(list.iter().map(|server| server.weight))
}

fn top(list: &[Candidate]) -> u32 {
    list.iter().map(|server| server.weight).max().unwrap_or(0).saturating_sub(step(list) - 1)
}

/// An address as one number: of IPv6 the four words are put over each other.
fn fold(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(v4) => v4.to_bits(),
        IpAddr::V6(v6) => (0..4).fold(0, |sum, word| sum ^ (v6.to_bits() >> (32 * word)) as u32),
    }
}

fn bucket(value: u32, bits: u32) -> u32 {
    value.wrapping_mul(0x61c8_8647) >> (32 - bits)
}

const PRIME: u32 = 4093;
/// Of the first hash, and of the second.
const KEYS: [u64; 2] = [2_654_435_761, 2_654_446_892];

/// Which server has each slot. Empty, if none ever had a weight.
fn maglev(list: &[Candidate]) -> Vec<usize> {
    let step = gcd(list.iter().map(|server| server.lasting));
    let most = list.iter().map(|server| server.lasting).max().unwrap_or(0) / step;
    let shift = (32 - most.leading_zeros()).saturating_sub(6);
    let turns = |server: &Candidate| if server.lasting == 0 { 0 } else { ((server.lasting / step) >> shift).max(1) };
    let mut table = vec![None; PRIME as usize];
    if most == 0 {
        return Vec::new();
    }
    let key = |server: &Candidate| fold(server.real.0).wrapping_add(u32::from(server.real.1));
    let mut walks: Vec<u32> = list.iter().map(|server| siphash(key(server), KEYS[0]) % PRIME).collect();
    let mut left = PRIME;
    while left > 0 {
        for (at, server) in list.iter().enumerate() {
            for _ in 0..turns(server).min(left) {
                while table[walks[at] as usize].is_some() {
                    walks[at] = (walks[at] + siphash(key(server), KEYS[1]) % (PRIME - 1) + 1) % PRIME;
                }
                table[walks[at] as usize] = Some(at);
                left -= 1;
            }
        }
    }
    table.into_iter().flatten().collect()
}

/// SipHash-1-3 of four bytes, under a key whose halves are equal; the low half of it.
fn siphash(value: u32, key: u64) -> u32 {
    let mut v = [
        key ^ 0x736f_6d65_7073_6575,
        key ^ 0x646f_7261_6e64_6f6d,
        key ^ 0x6c79_6765_6e65_7261,
        key ^ 0x7465_6462_7974_6573,
    ];
    let round = |v: &mut [u64; 4]| {
        v[0] = v[0].wrapping_add(v[1]);
        v[2] = v[2].wrapping_add(v[3]);
        v[1] = v[1].rotate_left(13) ^ v[0];
        v[3] = v[3].rotate_left(16) ^ v[2];
        v[0] = v[0].rotate_left(32);
        v[2] = v[2].wrapping_add(v[1]);
        v[0] = v[0].wrapping_add(v[3]);
        v[1] = v[1].rotate_left(17) ^ v[2];
        v[3] = v[3].rotate_left(21) ^ v[0];
        v[2] = v[2].rotate_left(32);
    };
    let last = 4 << 56 | u64::from(value);
    v[3] ^= last;
    round(&mut v);
    v[0] ^= last;
    v[2] ^= 0xff;
    (0..3).for_each(|_| round(&mut v));
    (v[0] ^ v[1] ^ v[2] ^ v[3]) as u32
}
