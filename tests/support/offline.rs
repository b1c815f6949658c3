//! A worker on ports in memory, set up by a few words.

#![allow(dead_code, unreachable_pub, reason = "each test target uses its part")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use ringmaster::conn::HashSeed;
use ringmaster::io::PortId;
use ringmaster::io::mem::MemIo;
use ringmaster::sched::{Kind, Member, Scheduler, Setup};
use ringmaster::service::{
    Admission, Engine, FullNat, Hop, HopId, Limits, MarkRule, Method, Network, NextHop, Options, PairId, Persistence,
    Port, Route, Server, Service, ServiceId, ServicesBuilder, Snapshot, Thresholds,
};
use ringmaster::time::{Tick, Ticks};
use ringmaster::wire::{Addr, Endpoint, Family, Mac, Mask, ServiceKey};
use ringmaster::worker::{Offline, OfflineConfig};

/// Towards clients.
pub const CLIENTS: PortId = PortId(0);
/// Towards servers.
pub const SERVERS: PortId = PortId(1);
/// The director's own MAC addresses, by port.
pub const OWN: [Mac; 2] = [Mac([2, 0, 0, 0, 0, 0xd0]), Mac([2, 0, 0, 0, 0, 0xd1])];
/// The clients' gateway.
pub const GATEWAY: Mac = Mac([2, 0, 0, 0, 0, 0xc0]);

pub fn addr(text: &str) -> Addr {
    text.parse::<std::net::IpAddr>().unwrap().into()
}

pub fn end(text: &str) -> Endpoint {
    text.parse().unwrap()
}

/// The MAC address of server number `index`.
pub fn server_mac(index: u32) -> Mac {
    let [_, b, c, d] = index.to_be_bytes();
    Mac([2, 0, 1, b, c, d])
}

/// What a test says of a service.
#[derive(Clone)]
pub struct Wanted {
    pub protocol: u8,
    pub virtual_: Endpoint,
    pub scheduler: Setup,
    pub method: Method,
    pub persistence: Option<Persistence>,
    pub engine: Option<Engine>,
    pub one_packet: bool,
    pub thresholds: Thresholds,
    pub limits: Limits,
    pub full: Option<FullNat>,
    /// Of a mark: `cache_bypass`.
    pub bypass: bool,
    /// Address and weight, in list order.
    pub servers: Vec<(Endpoint, u32)>,
}

impl Wanted {
    pub fn tcp(virtual_: &str, method: Method, servers: &[&str]) -> Self {
        Self {
            protocol: 6,
            virtual_: end(virtual_),
            scheduler: Kind::Rr.into(),
            method,
            persistence: None,
            engine: None,
            one_packet: false,
            thresholds: Thresholds::default(),
            limits: Limits::default(),
            full: None,
            bypass: false,
            servers: servers.iter().map(|server| (end(server), 1)).collect(),
        }
    }

    pub fn udp(virtual_: &str, method: Method, servers: &[&str]) -> Self {
        Self { protocol: 17, ..Self::tcp(virtual_, method, servers) }
    }

    /// All packets of a firewall mark.
    pub fn mark(mark: u32, family: Family, method: Method, servers: &[&str]) -> Self {
        let ServiceKey { protocol, virtual_ } = ServiceKey::of_mark(mark, family);
        Self { protocol, ..Self::tcp(&virtual_.to_string(), method, servers) }
    }

    pub fn persistent(self, seconds: u32, prefix: u8) -> Self {
        let mask = Mask::of_length(self.virtual_.addr.family(), prefix);
        Self { persistence: Some(Persistence { timeout: Ticks::from_secs(seconds), mask }), ..self }
    }

    /// With clients told apart by their Call-IDs.
    pub fn sip(self) -> Self {
        Self { engine: Some(Engine::Sip), ..self }
    }

    pub fn one_packet(self) -> Self {
        Self { one_packet: true, ..self }
    }

    /// Past all servers if there is none to be had.
    pub fn bypassing(self) -> Self {
        Self { bypass: true, ..self }
    }

    pub fn limited(self, upper: u32, lower: u32) -> Self {
        Self { thresholds: Thresholds { upper, lower }, ..self }
    }

    /// At most so many connections, and so many new ones a second; 0 for no limit.
    pub fn admitting(self, connections: u32, rate: u32) -> Self {
        Self { limits: Limits { connections, rate }, ..self }
    }

    pub fn scheduled(self, scheduler: impl Into<Setup>) -> Self {
        Self { scheduler: scheduler.into(), ..self }
    }
}

/// A snapshot of these services: every server on the server port's link, everything else behind the clients' gateway.
pub fn snapshot(services: &[Wanted], options: Options) -> Snapshot {
    marked_snapshot(services, &[], options)
}

/// The same with rules for firewall marks.
pub fn marked_snapshot(services: &[Wanted], marks: &[MarkRule], options: Options) -> Snapshot {
    let mut network = network();
    let mut builder = ServicesBuilder::default();
    builder.ftp_ports(options.ftp_ports);
    let mut next_pair = 0;
    for (index, wanted) in services.iter().enumerate() {
        let members: Vec<_> = wanted.servers.iter().map(|&(real, weight)| Member { real, weight }).collect();
        let servers: Vec<_> = wanted
            .servers
            .iter()
            .map(|&(real, weight)| {
                let pair = PairId(next_pair);
                next_pair += 1;
                Server { pair, real, method: wanted.method, weight, thresholds: wanted.thresholds }
            })
            .collect();
        for server in &servers {
            add_server(&mut network, server.real.addr);
        }
        let bypass = wanted.bypass.then(|| {
            let real = Endpoint { addr: Addr::unspecified(wanted.virtual_.addr.family()), port: 0 };
            let pair = PairId(next_pair);
            next_pair += 1;
            Server { pair, real, method: Method::Dr, weight: 1, thresholds: Thresholds::default() }
        });
        let service = Service {
            id: ServiceId(index as u32),
            key: ServiceKey { protocol: wanted.protocol, virtual_: wanted.virtual_ },
            scheduler: Arc::new(Scheduler::new(wanted.scheduler, &members)),
            persistence: wanted.persistence,
            admission: Arc::new(Admission::new(wanted.limits)),
            engine: wanted.engine,
            one_packet: wanted.one_packet,
            full: wanted.full.clone().map(Arc::new),
            servers,
            bypass,
        };
        builder.add(service, &vec![1; members.len() + 1], &network);
    }
    builder.marks(marks.to_vec());
    Snapshot {
        generation: 1,
        services: Arc::new(builder.build()),
        network: Arc::new(network),
        options,
        forwarding: true,
    }
}

/// Two ports, the clients' gateway, and no server yet.
pub fn network() -> Network {
    let port = |at: usize, name: &str, addresses: &[&str]| Port {
        name: name.to_owned(),
        ifindex: at as u32 + 1,
        mac: OWN[at],
        mtu: 1500,
        addresses: addresses.iter().map(|text| addr(text)).collect(),
    };
    let mut network = Network {
        epoch: 1,
        ports: vec![
            port(0, "client0", &["192.0.2.1", "2001:db8::1"]),
            port(1, "server0", &["10.1.0.1", "2001:db8:1::1"]),
        ],
        hops: vec![Hop::new(CLIENTS, GATEWAY, OWN[0], 1500)],
        ..Network::default()
    };
    for (gateway, any) in [("192.0.2.254", "0.0.0.0"), ("2001:db8::fe", "::")] {
        let route = Route { port: Some(CLIENTS), gateway: Some(addr(gateway)), source: None, mtu: 1500 };
        network.routes.add(addr(any), 0, route);
        network.neighbours.insert(NextHop { port: CLIENTS, address: addr(gateway) }, HopId(0));
    }
    let on_link = Route { port: Some(SERVERS), gateway: None, source: Some(addr("10.1.0.1")), mtu: 1500 };
    network.routes.add(addr("10.1.0.0"), 16, on_link);
    network.routes.add(addr("2001:db8:1::"), 48, Route { source: Some(addr("2001:db8:1::1")), ..on_link });
    network
}

/// Makes a server known on the server port's link.
pub fn add_server(network: &mut Network, address: Addr) -> HopId {
    let next = NextHop { port: SERVERS, address };
    if let Some(&id) = network.neighbours.get(&next) {
        return id;
    }
    let id = HopId(network.hops.len() as u32);
    network.hops.push(Hop::new(SERVERS, server_mac(id.0), OWN[1], 1500));
    network.neighbours.insert(next, id);
    id
}

/// A worker over two ports in memory.
pub fn director(snapshot: Snapshot, connections: u32) -> Offline<MemIo> {
    let io = MemIo::new(&["client0", "server0"], 1024, 2048, 512);
    let seed = HashSeed([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3211, 0x0f1e_2d3c_4b5a_6978]);
    Offline::new(io, (), snapshot, &OfflineConfig { connections, pairs: 8192, seed }).unwrap()
}

/// Sends one frame in and returns what came out, with the port it left by.
pub fn pass(director: &mut Offline<MemIo>, port: PortId, frame: &[u8], now: Tick) -> Vec<(PortId, Vec<u8>)> {
    assert!(director.worker.io().inject(port, frame), "no room for a frame");
    director.drain(now);
    [CLIENTS, SERVERS]
        .into_iter()
        .flat_map(|port| director.worker.io().take_sent(port).into_iter().map(move |frame| (port, frame)))
        .collect()
}
