//! Sequences of steps, drawn from a seed.

use crate::places::{Key, SERVERS, destinations, marks, services};
use crate::steps::{Change, FileService, Method, Part, Shape, Step, What};

/// A small generator of its own (SplitMix64), so that a seed means the same for ever.
pub struct Draw(pub u64);

impl Draw {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// The steps of a seed. Services come first; a sequence has a few favourites, so that much happens to them.
pub fn sequence(seed: u64, length: usize) -> Vec<Step> {
    let mut draw = Draw(seed.wrapping_mul(0x1234_5677));
    let mut favourites: Vec<usize> = (0..3).map(|_| draw.below(services().len())).collect();
    favourites.dedup();
    let mut steps = Vec::new();
    if draw.chance(50) {
        steps.push(Step::Change(Change::Set { option: "cache_bypass", value: 1 }));
    }
    for &service in &favourites {
        steps.push(Step::Change(Change::AddService { service, shape: shape(&mut draw) }));
        for server in 0..2 + draw.below(3) {
            steps.push(Step::Change(Change::AddServer { service, server, part: part(&mut draw) }));
        }
    }
    while steps.len() < length {
        let service = if draw.chance(90) { draw.of(&favourites) } else { draw.below(services().len()) };
        let step = step(&mut draw, service);
        let removes = matches!(
            step,
            Step::Change(
                Change::DeleteService { .. } | Change::Clear | Change::Reload { .. } | Change::DeleteServer { .. }
            )
        );
        steps.push(step);
        if removes && draw.chance(70) {
            come_back(&mut draw, &favourites, &mut steps);
        }
    }
    steps
}

/// What was removed comes back in part, at once or after a while.
fn come_back(draw: &mut Draw, favourites: &[usize], steps: &mut Vec<Step>) {
    if draw.chance(30) {
        steps.push(Step::Wait { ticks: span(draw) });
    }
    for &service in favourites {
        steps.push(Step::Change(Change::AddService { service, shape: shape(draw) }));
        let server = draw.below(SERVERS);
        steps.push(Step::Change(Change::AddServer { service, server, part: part(draw) }));
    }
}

fn step(draw: &mut Draw, service: usize) -> Step {
    match draw.below(100) {
        0..28 => opening(draw, service),
        28..52 => Step::Request { which: draw.below(64), what: what(draw) },
        52..72 => Step::Reply { which: draw.below(64), what: what(draw) },
        72..73 => Step::Direct { which: draw.below(64), what: what(draw) },
        73..75 => {
            let (server, client, port) = (draw.below(SERVERS), draw.below(4), draw.below(16));
            Step::Stray { service, server, client, port, what: what(draw) }
        }
        75..83 => Step::Wait { ticks: span(draw) },
        83..86 => Step::Nap { ticks: span(draw) },
        86..87 => Step::Sweep,
        87..88 => Step::Forget,
        _ => Step::Change(change(draw, service)),
    }
}

/// Mostly a packet that may open a connection to the service.
fn opening(draw: &mut Draw, service: usize) -> Step {
    let meant = |to: &usize| {
        let (protocol, address, port) = destinations()[*to];
        match services()[service] {
            Key::Address(its, vip, 0) => (its, vip) == (protocol, address),
            key @ Key::Address(..) => key == Key::Address(protocol, address, port),
            Key::Mark(mark, _) => marks().contains(&(address, mark)),
        }
    };
    let targets: Vec<usize> = (0..destinations().len()).filter(meant).collect();
    let to = if draw.chance(95) { draw.of(&targets) } else { draw.below(destinations().len()) };
    let mut what = what(draw);
    if draw.chance(85) {
        (what.flags, what.chunk) = (2, 1);
    }
    Step::Client { client: draw.below(4), port: draw.below(16), to, what }
}

fn what(draw: &mut Draw) -> What {
    const FLAGS: [u8; 16] = [2, 2, 18, 18, 16, 16, 16, 24, 17, 17, 1, 4, 20, 0, 8, 3];
    const CHUNKS: [u8; 17] = [0, 1, 1, 2, 2, 3, 4, 6, 7, 8, 9, 10, 10, 11, 11, 14, 200];
    What { flags: draw.of(&FLAGS), chunk: draw.of(&CHUNKS), payload: draw.of(&[0, 1, 100, 1000]) }
}

/// Ticks of 1/64 s: from none to what outlives everything.
fn span(draw: &mut Draw) -> u32 {
    let seconds = draw.of(&[0, 0, 0, 1, 2, 5, 11, 31, 61, 62, 121, 301, 901]);
    seconds * 64 + draw.below(64) as u32
}

fn shape(draw: &mut Draw) -> Shape {
    const SCHEDULERS: [&str; 14] =
        ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sed", "nq", "fo", "ovf", "dh", "sh", "mh", "twos"];
    let scheduler = if draw.chance(3) { "none" } else { draw.of(&SCHEDULERS) };
    Shape {
        scheduler,
        fallback: draw.chance(50),
        port: draw.chance(50),
        persistence: draw.chance(40).then(|| (draw.of(&[3, 17, 47, 100, 360]), draw.below(3))),
        one_packet: draw.chance(15),
    }
}

fn part(draw: &mut Draw) -> Part {
    let method = draw.of(&[Method::Nat, Method::Nat, Method::Dr, Method::Tun]);
    let (upper, lower) = draw.of(&[(0, 0), (0, 0), (0, 0), (1, 0), (2, 0), (3, 2), (5, 1), (5, 5)]);
    Part { method, weight: weight(draw), upper, lower }
}

fn weight(draw: &mut Draw) -> u32 {
    draw.of(&[0, 1, 1, 1, 2, 3, 4, 6, 100])
}

fn change(draw: &mut Draw, service: usize) -> Change {
    let server = draw.below(SERVERS);
    match draw.below(100) {
        0..8 => Change::AddService { service, shape: shape(draw) },
        8..22 => Change::EditService { service, shape: shape(draw) },
        22..25 => Change::DeleteService { service },
        25..26 => Change::Clear,
        26..44 => Change::AddServer { service, server, part: part(draw) },
        44..52 => Change::EditServer { service, server, part: part(draw) },
        52..66 => Change::Weight { service, server, weight: weight(draw) },
        66..80 => Change::DeleteServer { service, server },
        80..83 => Change::Zero { service: draw.chance(70).then_some(service) },
        83..87 => Change::Timeouts {
            tcp: draw.of(&[0, 30, 900]),
            tcp_fin: draw.of(&[0, 7, 120]),
            udp: draw.of(&[0, 1, 20, 300]),
        },
        87..93 => setting(draw),
        _ => {
            let mut services: Vec<_> = (0..3).map(|_| reloaded(draw)).collect();
            services.sort_by_key(|(service, ..)| *service);
            services.dedup_by_key(|(service, ..)| *service);
            Change::Reload { services }
        }
    }
}

fn setting(draw: &mut Draw) -> Change {
    let (option, most) = draw.of(&[
        ("conn_reuse_mode", 4),
        ("expire_nodest_conn", 2),
        ("expire_quiescent_template", 2),
        ("sloppy_tcp", 2),
        ("sloppy_sctp", 2),
        ("secure_tcp", 2),
        ("cache_bypass", 2),
    ]);
    let value = draw.below(most) as u32;
    // 3: always.
    Change::Set { option, value: if option == "secure_tcp" { 3 * value } else { value } }
}

fn reloaded(draw: &mut Draw) -> FileService {
    let servers = (0..SERVERS).filter(|_| draw.chance(70)).collect::<Vec<_>>();
    let servers = servers.into_iter().map(|server| (server, part(draw))).collect();
    (draw.below(services().len()), shape(draw), servers)
}
