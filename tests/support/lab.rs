//! The three textbook networks in namespaces: one client host, one director, three real servers.
//!
//! Hosts hang on switches (a bridge in a namespace of its own), so that a segment can have any number of them. Every
//! cable has two queues. A host has the same last part in its IPv4 and its IPv6 address.

use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, Stdio};

use tempfile::TempDir;

use super::config::{Service, instance};
use super::director::{self, Director};
use super::eventually;
use super::http::{self, Answer};
use super::netns::Namespace;
use super::web::Web;

/// A network, and the real servers in it. Dropping it ends and removes everything.
pub struct Lab {
    /// Where requests come from. It has six addresses of each family.
    pub client: Namespace,
    /// Where the director runs; `eth0` leads to the client.
    pub director: Namespace,
    /// Where requests go.
    pub servers: Vec<Server>,
    /// `NAT`, `DR` or `TUN`.
    method: &'static str,
    clients: Net,
    /// Where the VIPs lie.
    virtuals: Net,
    infrastructure: Vec<Namespace>,
    directory: TempDir,
}

/// A real server's host.
pub struct Server {
    /// Its namespace.
    pub host: Namespace,
    /// `server-1` to `server-3`.
    pub name: String,
    net: Net,
    last: u8,
    web: Option<Web>,
    tunnel: Option<Child>,
}

/// Which of two addresses is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// An IPv4 /24 and an IPv6 /64 on one segment.
#[derive(Clone, Copy)]
struct Net(&'static str, &'static str);

const OUTSIDE: Net = Net("198.51.100", "2001:db8:1:");
const INSIDE: Net = Net("10.0.0", "2001:db8:2:");
const SHARED: Net = Net("192.168.146", "2001:db8:3:");
const FAR: Net = Net("10.20.0", "2001:db8:4:");

/// Last parts of the addresses.
const DIRECTOR: u8 = 1;
const CLIENTS: [u8; 6] = [11, 12, 13, 14, 15, 16];
const SERVERS: [(&str, u8); 3] = [("server-1", 22), ("server-2", 23), ("server-3", 24)];
const VIRTUAL: u8 = 100;
const ROUTER: u8 = 254;

impl Lab {
    /// Client and servers on networks of their own; the way between them leads through the director.
    pub fn nat() -> Self {
        let (front, back) = (Switch::new("front"), Switch::new("back"));
        let mut lab = Self::new("NAT", OUTSIDE, INSIDE, INSIDE);
        front.plug(&lab.client, "eth0", OUTSIDE, &CLIENTS);
        front.plug(&lab.director, "eth0", OUTSIDE, &[DIRECTOR]);
        back.plug(&lab.director, "eth1", INSIDE, &[DIRECTOR]);
        route_by_default(&lab.client, OUTSIDE, DIRECTOR);
        for server in &mut lab.servers {
            back.plug(&server.host, "eth0", INSIDE, &[server.last]);
            route_by_default(&server.host, INSIDE, DIRECTOR);
        }
        lab.infrastructure = vec![front.0, back.0];
        lab.start_webs()
    }

    /// All on one segment; servers hold the VIP silently and answer the client themselves.
    pub fn dr() -> Self {
        let segment = Switch::new("segment");
        let mut lab = Self::new("DR", SHARED, SHARED, SHARED);
        segment.plug(&lab.client, "eth0", SHARED, &CLIENTS);
        segment.plug(&lab.director, "eth0", SHARED, &[DIRECTOR]);
        for server in &mut lab.servers {
            segment.plug(&server.host, "eth0", SHARED, &[server.last]);
            server.own_silently(SHARED, VIRTUAL);
        }
        lab.infrastructure = vec![segment.0];
        lab.start_webs()
    }

    /// Servers behind a router: packets reach them in a tunnel; they answer the client themselves.
    pub fn tun() -> Self {
        let (front, far, router) = (Switch::new("front"), Switch::new("far"), host("router"));
        let mut lab = Self::new("TUN", SHARED, SHARED, FAR);
        front.plug(&lab.client, "eth0", SHARED, &CLIENTS);
        front.plug(&lab.director, "eth0", SHARED, &[DIRECTOR]);
        front.plug(&router, "eth0", SHARED, &[ROUTER]);
        far.plug(&router, "eth1", FAR, &[ROUTER]);
        router.exec("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
        route_by_default(&lab.director, SHARED, ROUTER);
        for server in &mut lab.servers {
            far.plug(&server.host, "eth0", FAR, &[server.last]);
            route_by_default(&server.host, FAR, ROUTER);
            server.own_silently(SHARED, VIRTUAL);
            server.unpack_tunnels();
        }
        lab.infrastructure = vec![front.0, far.0, router];
        lab.start_webs()
    }

    /// Starts the director and waits until it forwards; `services` is all of the configuration but the VIPs.
    pub fn start(&self, services: &[Service]) -> Director {
        Director::start(&self.director, self.directory(), &self.config(services))
    }

    /// The whole configuration: the VIPs on `eth0`, and the services.
    pub fn config(&self, services: &[Service]) -> String {
        let [vip, vip6] = self.virtuals.addresses(VIRTUAL).map(|address| address.to_string());
        let mut text = instance("VI_4", 51, "eth0", &[&vip]) + &instance("VI_6", 52, "eth0", &[&vip6]);
        for service in services {
            text.push_str(&service.to_string());
        }
        text
    }

    /// A service of this lab's method over all servers, round robin, without checks.
    pub fn service(&self, family: Family) -> Service {
        Service {
            vip: self.vip(family).to_string(),
            method: self.method,
            servers: self.servers.iter().map(|server| server.address(family).to_string()).collect(),
            ..Service::default()
        }
    }

    /// The services' address.
    pub fn vip(&self, family: Family) -> IpAddr {
        self.virtuals.addresses(VIRTUAL)[family as usize]
    }

    /// The client host's addresses.
    pub fn clients(&self, family: Family) -> [IpAddr; 6] {
        CLIENTS.map(|last| self.clients.addresses(last)[family as usize])
    }

    /// Asks for `times` pages from the client's address number `client`, one connection each.
    pub fn ask(&self, family: Family, port: u16, client: usize, times: usize) -> Vec<Answer> {
        let (from, to) = (self.clients(family)[client], (self.vip(family), port).into());
        let ask = |_| http::ask(from, to).unwrap_or_else(|error| panic!("{from} asks {to}: {error}"));
        self.client.enter(|| (0..times).map(ask).collect())
    }

    /// A place for files of this lab; what lies in `www/files` is served.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn new(method: &'static str, clients: Net, virtuals: Net, servers: Net) -> Self {
        let directory = TempDir::with_prefix("ringmaster-lab-").expect("the temporary directory is writable");
        std::fs::create_dir_all(directory.path().join("www/files")).expect("as above");
        Self {
            client: host("client"),
            director: host("director"),
            servers: SERVERS.map(|(name, last)| Server::new(name, servers, last)).into(),
            method,
            clients,
            virtuals,
            infrastructure: Vec::new(),
            directory,
        }
    }

    fn start_webs(mut self) -> Self {
        for server in &mut self.servers {
            server.start_web(self.directory.path());
        }
        self
    }
}

impl Server {
    /// Its address of one family.
    pub fn address(&self, family: Family) -> IpAddr {
        self.net.addresses(self.last)[family as usize]
    }

    /// Starts its nginx, with files below `directory`.
    pub fn start_web(&mut self, directory: &Path) {
        self.web = Some(Web::start(&self.host, directory, &self.name));
    }

    /// Ends its nginx: its host then refuses connections.
    pub fn stop_web(&mut self) {
        self.web = None;
    }

    fn new(name: &str, net: Net, last: u8) -> Self {
        Self { host: host(name), name: name.to_owned(), net, last, web: None, tunnel: None }
    }

    /// Takes packets for an address, but never claims it on the wire, as DR and TUN need it.
    fn own_silently(&self, net: Net, last: u8) {
        self.host.exec("sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2");
        for address in net.addresses(last) {
            self.host.exec(&format!("ip address add {address} dev lo"));
        }
    }

    /// Takes IP out of IP, of every mix of families, by a program of ours: not every kernel has tunnel devices.
    fn unpack_tunnels(&mut self) {
        let program = director::built().with_file_name("examples").join("decapsulate");
        let mut command = self.host.command(&format!("{} tunl1", program.display()));
        self.tunnel = Some(command.stdin(Stdio::null()).spawn().expect("`cargo test` builds the examples"));
        eventually("the tunnel is up", || self.host.try_exec("ip link show up dev tunl1").stdout.len() > 1);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut tunnel) = self.tunnel.take() {
            let _ = tunnel.kill();
            let _ = tunnel.wait();
        }
    }
}

impl Net {
    fn addresses(self, last: u8) -> [IpAddr; 2] {
        let Self(four, six) = self;
        [format!("{four}.{last}"), format!("{six}:{last}")].map(|text| text.parse().expect("the parts fit together"))
    }
}

/// A segment of the network.
struct Switch(Namespace);

impl Switch {
    fn new(label: &str) -> Self {
        let namespace = Namespace::new(label);
        namespace.exec("ip link add br0 type bridge stp_state 0 mcast_snooping 0");
        namespace.exec("ip link set br0 up");
        Self(namespace)
    }

    /// A cable to a new interface of `host`, which gets an address of `net` for each of `lasts`.
    fn plug(&self, host: &Namespace, interface: &str, net: Net, lasts: &[u8]) {
        let port = format!("port{}", self.0.exec("ip -o link show").lines().count());
        self.0.exec(&format!(
            "ip link add {port} numrxqueues 2 numtxqueues 2 type veth \
             peer name {interface} netns {} numrxqueues 2 numtxqueues 2",
            host.name()
        ));
        self.0.exec(&format!("ip link set {port} master br0 up"));
        for &last in lasts {
            let [four, six] = net.addresses(last);
            host.exec(&format!("ip address add {four}/24 dev {interface}"));
            host.exec(&format!("ip address add {six}/64 dev {interface} nodad"));
        }
        host.exec(&format!("ip link set {interface} up"));
    }
}

/// A namespace that takes packets from wherever they come.
fn host(label: &str) -> Namespace {
    let host = Namespace::new(label);
    host.exec("sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0");
    host
}

fn route_by_default(host: &Namespace, net: Net, last: u8) {
    for gateway in net.addresses(last) {
        host.exec(&format!("ip route add default via {gateway}"));
    }
}
