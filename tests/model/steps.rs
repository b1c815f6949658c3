//! What may happen, drawn from a seed.
//!
//! A step names its subjects by numbers that are taken modulo what there is, so that every sequence makes sense, and still
//! does with steps left out.

use std::net::IpAddr;

/// Which profile of options a sequence begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    Kernel,
    Ringmaster,
}

impl Profile {
    pub fn of(seed: u64) -> Self {
        if seed % 2 == 0 { Profile::Kernel } else { Profile::Ringmaster }
    }
}

/// What a packet is, whichever protocol it turns out to have.
#[derive(Clone, Copy, Debug)]
pub struct What {
    /// FIN 1, SYN 2, RST 4, PSH 8, ACK 16.
    pub flags: u8,
    /// Type of the first chunk.
    pub chunk: u8,
    /// Bytes of TCP or UDP payload.
    pub payload: u16,
}

#[derive(Clone, Debug)]
pub enum Step {
    /// A client sends to a destination.
    Client { client: usize, port: usize, to: usize, what: What },
    /// The client of a connection goes on.
    Request { which: usize, what: What },
    /// The server of a connection sends to its client, by way of the director whatever the method.
    Reply { which: usize, what: What },
    /// The same from the virtual address, as servers behind DR and TUN answer.
    Direct { which: usize, what: What },
    /// A server sends to a client without a connection.
    Stray { service: usize, server: usize, client: usize, port: usize, what: What },
    /// Time passes, and the sweep comes by whenever something may have ended.
    Wait { ticks: u32 },
    /// Time passes without a sweep.
    Nap { ticks: u32 },
    /// A sweep.
    Sweep,
    /// Removed servers without connections are forgotten.
    Forget,
    Change(Change),
}

/// A service's settings.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub scheduler: &'static str,
    pub fallback: bool,
    pub port: bool,
    /// Timeout in seconds, and which of the granularities.
    pub persistence: Option<(u32, usize)>,
    pub one_packet: bool,
}

/// A server's settings.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub method: Method,
    pub weight: u32,
    pub upper: u32,
    pub lower: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Nat,
    Dr,
    Tun,
}

#[derive(Clone, Debug)]
pub enum Change {
    AddService { service: usize, shape: Shape },
    EditService { service: usize, shape: Shape },
    DeleteService { service: usize },
    Clear,
    AddServer { service: usize, server: usize, part: Part },
    EditServer { service: usize, server: usize, part: Part },
    Weight { service: usize, server: usize, weight: u32 },
    DeleteServer { service: usize, server: usize },
    Zero { service: Option<usize> },
    Timeouts { tcp: u32, tcp_fin: u32, udp: u32 },
    Set { option: &'static str, value: u32 },
    /// The whole configuration at once: for some services and servers, whether they are in it and with which weight.
    Reload { services: Vec<(usize, Shape, Vec<(usize, Part)>)> },
}

/// TCP, UDP, SCTP.
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const SCTP: u8 = 132;

/// A virtual service that there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Protocol, address and port (0: all ports).
    Address(u8, IpAddr, u16),
    /// Mark; of IPv6?
    Mark(u32, bool),
}

impl Key {
    pub fn is_v6(self) -> bool {
        match self {
            Key::Address(_, address, _) => address.is_ipv6(),
            Key::Mark(_, v6) => v6,
        }
    }

    /// Whether its servers must have the service's port unless they translate.
    pub fn fixed_port(self) -> Option<u16> {
        match self {
            Key::Address(.., port) => Some(port),
            Key::Mark(..) => None,
        }
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// All services that there may be.
pub fn services() -> Vec<Key> {
    let address = |protocol, text, port| Key::Address(protocol, ip(text), port);
    vec![
        address(TCP, "192.0.2.10", 80),
        address(TCP, "2001:db8::10", 80),
        address(UDP, "192.0.2.10", 53),
        address(UDP, "2001:db8::10", 53),
        address(SCTP, "192.0.2.11", 5000),
        address(SCTP, "2001:db8::11", 5000),
        address(TCP, "192.0.2.12", 0),
        address(UDP, "192.0.2.12", 0),
        Key::Mark(7, false),
        Key::Mark(9, true),
    ]
}

/// Packets to these addresses are marked.
pub fn marks() -> [(IpAddr, u32); 2] {
    [(ip("192.0.2.13"), 7), (ip("2001:db8::13"), 9)]
}

/// Where clients send to.
pub fn destinations() -> Vec<(u8, IpAddr, u16)> {
    [
        (TCP, "192.0.2.10", 80),
        (TCP, "2001:db8::10", 80),
        (UDP, "192.0.2.10", 53),
        (UDP, "2001:db8::10", 53),
        (SCTP, "192.0.2.11", 5000),
        (SCTP, "2001:db8::11", 5000),
        (TCP, "192.0.2.12", 80),
        (TCP, "192.0.2.12", 443),
        (UDP, "192.0.2.12", 80),
        (TCP, "192.0.2.13", 80),
        (UDP, "192.0.2.13", 53),
        (UDP, "192.0.2.13", 54),
        (SCTP, "192.0.2.13", 5000),
        (TCP, "2001:db8::13", 80),
        (UDP, "2001:db8::13", 53),
        (TCP, "192.0.2.10", 81),
    ]
    .map(|(protocol, text, port)| (protocol, ip(text), port))
    .to_vec()
}

pub fn client(number: usize, v6: bool) -> IpAddr {
    let all = match v6 {
        false => ["198.51.100.7", "198.51.100.9", "198.51.101.7", "203.0.113.9"],
        true => ["2001:db8:f::7", "2001:db8:f::9", "2001:db8:f:1::7", "2001:db8:e::9"],
    };
    ip(all[number % all.len()])
}

/// Clients have a few ports, among them the one of FTP's data. Destinations that may share a server's end have each their
/// own, or it would not be defined whose a reply is.
pub fn client_port(number: usize, to: usize) -> u16 {
    const SHARED: usize = 6;
    match number % 16 {
        0 => 20,
        number => 40_000 + (number % 3) as u16 + if to < SHARED { 0 } else { 100 * to as u16 },
    }
}

/// Servers of a service.
pub const SERVERS: usize = 4;

/// Server `number` of service `service`: each service has servers of its own.
pub fn server(service: usize, number: usize, part: &Part) -> (IpAddr, u16) {
    let key = services()[service];
    // One server is of the other family, if it is reached by a tunnel.
    let across = part.method == Method::Tun && number == SERVERS - 1;
    let v6 = key.is_v6() != across;
    let address = match v6 {
        false => format!("10.1.{service}.{}", 11 + number),
        true => format!("2001:db8:1:{service}::{}", 11 + number),
    };
    let port = match (part.method, key.fixed_port()) {
        (_, Some(0)) => [0, 8080][number % 2 * usize::from(part.method == Method::Nat)],
        (Method::Nat, _) => [8080, 80, 0, 8081][number],
        (_, Some(port)) => port,
        (_, None) => 0,
    };
    (ip(&address), port)
}

/// Which part of a client's address makes it the same client: IPv4 netmask or IPv6 prefix length.
pub fn granularity(which: usize, v6: bool) -> u128 {
    let length = if v6 { [128, 64, 48][which % 3] } else { [32, 24, 16][which % 3] };
    let width = if v6 { 128 } else { 32 };
    u128::MAX << (128 - length) >> (128 - width)
}

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
            Step::Change(Change::DeleteService { .. } | Change::Clear | Change::Reload { .. } | Change::DeleteServer { .. })
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
    ]);
    let value = draw.below(most) as u32;
    // 3: always.
    Change::Set { option, value: if option == "secure_tcp" { 3 * value } else { value } }
}

fn reloaded(draw: &mut Draw) -> (usize, Shape, Vec<(usize, Part)>) {
    let servers = (0..SERVERS).filter(|_| draw.chance(70)).collect::<Vec<_>>();
    let servers = servers.into_iter().map(|server| (server, part(draw))).collect();
    (draw.below(services().len()), shape(draw), servers)
}
