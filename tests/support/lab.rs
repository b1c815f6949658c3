//! The three textbook networks in namespaces: one client host, one director, three real servers. Addresses and the
//! director's interfaces are those of the files in `configs/`, which run here as they stand.
//!
//! Hosts hang on switches (a bridge in a namespace of its own), so that a segment can have any number of them. The
//! director's cables have two queues. A host has the same last part in its IPv4 and its IPv6 address.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::config::{Service, instance};
use super::director::Director;
use super::hosts::{Family, Net, Server, Switch, host, route_by_default};
use super::http::{self, Answer};
use super::netns::Namespace;

/// A network, and the real servers in it. Dropping it ends and removes everything.
pub struct Lab {
    /// Where requests come from. It has six addresses of each family.
    pub client: Namespace,
    /// Where the director runs.
    pub director: Namespace,
    /// Where requests go.
    pub servers: Vec<Server>,
    plan: Plan,
    infrastructure: Vec<Namespace>,
    directory: TempDir,
}

/// What differs between the labs besides their cables.
#[derive(Clone, Copy)]
struct Plan {
    /// `lb_kind`.
    method: &'static str,
    /// The director's interface that holds the VIPs and leads to the client.
    interface: &'static str,
    clients: Net,
    /// Where the VIPs lie.
    virtuals: Net,
    servers: Net,
    /// Last parts of the servers' addresses.
    lasts: [u8; 3],
}

const NAT: Plan =
    Plan { method: "NAT", interface: "eth0", clients: OUTSIDE, virtuals: INSIDE, servers: INSIDE, lasts: [22, 23, 24] };

/// Two directors: what they share are the VIPs outside, and inside the servers' gateway.
const NAT_PAIR: Plan = Plan { virtuals: OUTSIDE, ..NAT };

const DR: Plan = Plan {
    method: "DR",
    interface: "ens33",
    clients: SHARED,
    virtuals: SHARED,
    servers: SHARED,
    lasts: [101, 102, 103],
};

const TUN: Plan = Plan { method: "TUN", servers: FAR, lasts: [11, 12, 13], ..DR };

const OUTSIDE: Net = Net("198.51.100", "2001:db8:1:");
const INSIDE: Net = Net("10.0.0", "2001:db8:2:");
const SHARED: Net = Net("192.168.146", "2001:db8:3:");
const FAR: Net = Net("172.16.20", "2001:db8:4:");

/// Last parts of the addresses.
const DIRECTOR: u8 = 1;
const SECOND_DIRECTOR: u8 = 2;
const CLIENTS: [u8; 6] = [11, 12, 13, 14, 15, 16];
const VIRTUAL: u8 = 100;
const ROUTER: u8 = 254;

/// Of each of the director's cables.
const QUEUES: usize = 2;

impl Lab {
    /// Client and servers on networks of their own; the way between them leads through the director.
    pub fn nat() -> Self {
        let (front, back) = (Switch::new("front"), Switch::new("back"));
        let mut lab = Self::nat_on(NAT, &front, &back, DIRECTOR);
        route_by_default(&lab.client, OUTSIDE, DIRECTOR);
        lab.infrastructure = vec![front.0, back.0];
        lab.start_webs()
    }

    /// The same with a second host that a director can run on. The VIPs lie among the clients, and servers answer by way
    /// of [`gateway`](Self::gateway): both belong to whichever director is master.
    pub fn nat_with_second_director() -> (Self, Namespace) {
        let (front, back, second) = (Switch::new("front"), Switch::new("back"), host("second"));
        front.plug_queues(QUEUES, &second, NAT.interface, OUTSIDE, &[SECOND_DIRECTOR]);
        back.plug_queues(QUEUES, &second, "eth1", INSIDE, &[SECOND_DIRECTOR]);
        let mut lab = Self::nat_on(NAT_PAIR, &front, &back, ROUTER);
        lab.infrastructure = vec![front.0, back.0];
        (lab.start_webs(), second)
    }

    fn nat_on(plan: Plan, front: &Switch, back: &Switch, gateway: u8) -> Self {
        let mut lab = Self::new(plan);
        front.plug(&lab.client, "eth0", OUTSIDE, &CLIENTS);
        front.plug_queues(QUEUES, &lab.director, plan.interface, OUTSIDE, &[DIRECTOR]);
        back.plug_queues(QUEUES, &lab.director, "eth1", INSIDE, &[DIRECTOR]);
        for server in &mut lab.servers {
            back.plug(&server.host, "eth0", INSIDE, &[server.last]);
            route_by_default(&server.host, INSIDE, gateway);
        }
        lab
    }

    /// Where the servers of [`nat_with_second_director`](Self::nat_with_second_director) send what is not for their
    /// network.
    pub fn gateway(&self, family: Family) -> IpAddr {
        self.plan.servers.addresses(ROUTER)[family as usize]
    }

    /// Pulls the plug of a director on the clients' side, or puts it in again.
    pub fn cable(&self, director: &Namespace, up: bool) {
        let end = director.exec(&format!("cat /sys/class/net/{}/iflink", self.plan.interface));
        let switch = &self.infrastructure[0];
        let ports = switch.exec("ip -o link show type veth");
        let port = ports.lines().find(|line| line.split(':').next() == Some(end.trim())).expect("it is on this switch");
        let port = port.split([' ', '@']).nth(1).expect("ports have names");
        switch.exec(&format!("ip link set {port} {}", if up { "up" } else { "down" }));
    }

    /// All on one segment; servers hold the VIP silently and answer the client themselves.
    pub fn dr() -> Self {
        Self::dr_on(Switch::new("segment"))
    }

    /// The same with a second host that a director can run on.
    pub fn dr_with_second_director() -> (Self, Namespace) {
        let (segment, second) = (Switch::new("segment"), host("second"));
        segment.plug_queues(QUEUES, &second, DR.interface, SHARED, &[SECOND_DIRECTOR]);
        (Self::dr_on(segment), second)
    }

    fn dr_on(segment: Switch) -> Self {
        let mut lab = Self::new(DR);
        segment.plug(&lab.client, "eth0", SHARED, &CLIENTS);
        segment.plug_queues(QUEUES, &lab.director, DR.interface, SHARED, &[DIRECTOR]);
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
        let mut lab = Self::new(TUN);
        front.plug(&lab.client, "eth0", SHARED, &CLIENTS);
        front.plug_queues(QUEUES, &lab.director, TUN.interface, SHARED, &[DIRECTOR]);
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

    /// The router between the director and the servers of [`tun`](Self::tun).
    pub fn router(&self) -> &Namespace {
        self.infrastructure.last().expect("there is one")
    }

    /// Starts the director and waits until it forwards; `services` is all of the configuration but the VIPs.
    pub fn start(&self, services: &[Service]) -> Director {
        Director::start(&self.director, self.directory(), &self.config(services))
    }

    /// The same with more lines in the `ringmaster` block.
    pub fn start_with(&self, settings: &str, services: &[Service]) -> Director {
        let config = format!("{}ringmaster {{\n    {settings}\n}}\n", self.config(services));
        Director::start(&self.director, self.directory(), &config)
    }

    /// The whole configuration: the VIPs, and the services.
    pub fn config(&self, services: &[Service]) -> String {
        let interface = self.plan.interface;
        let [vip, vip6] = self.plan.virtuals.addresses(VIRTUAL).map(|address| address.to_string());
        let mut text = instance("VI_4", 51, interface, &[&vip]) + &instance("VI_6", 52, interface, &[&vip6]);
        for service in services {
            text.push_str(&service.to_string());
        }
        text
    }

    /// A service of this lab's method over all servers, round robin, without checks.
    pub fn service(&self, family: Family) -> Service {
        Service {
            vip: self.vip(family).to_string(),
            method: self.plan.method,
            servers: self.servers.iter().map(|server| server.address(family).to_string()).collect(),
            ..Service::default()
        }
    }

    /// `lb_kind`.
    pub fn method(&self) -> &'static str {
        self.plan.method
    }

    /// The services' address.
    pub fn vip(&self, family: Family) -> IpAddr {
        self.plan.virtuals.addresses(VIRTUAL)[family as usize]
    }

    /// The client host's addresses.
    pub fn clients(&self, family: Family) -> [IpAddr; 6] {
        CLIENTS.map(|last| self.plan.clients.addresses(last)[family as usize])
    }

    /// Asks for `times` pages from the client's address number `client`, one connection each.
    pub fn ask(&self, family: Family, port: u16, client: usize, times: usize) -> Vec<Answer> {
        let (from, to) = (self.clients(family)[client], (self.vip(family), port).into());
        let ask = |_| http::ask(from, to).unwrap_or_else(|error| panic!("{from} asks {to}: {error}"));
        self.client.enter(|| (0..times).map(ask).collect())
    }

    /// Makes the servers offer a file of so many random bytes.
    pub fn offer_file(&self, bytes: u32) {
        let fill = format!("head -c {bytes} /dev/urandom >{}", self.offered().display());
        assert!(Command::new("sh").args(["-c", &fill]).status().is_ok_and(|status| status.success()));
    }

    /// What that file holds.
    pub fn offer(&self) -> Vec<u8> {
        std::fs::read(self.offered()).expect("it was made")
    }

    /// Fetches that file through the services' port 80, and panics unless it arrives unchanged.
    pub fn download(&self, family: Family) {
        let copy = self.directory().join("copy");
        let url = format!("http://{}/files/offered", SocketAddr::new(self.vip(family), 80));
        self.client.exec(&format!("curl --silent --show-error --fail --max-time 60 -o {} {url}", copy.display()));
        self.client.exec(&format!("cmp {} {}", self.offered().display(), copy.display()));
    }

    fn offered(&self) -> PathBuf {
        self.directory().join("www/files/offered")
    }

    /// A place for files of this lab; what lies in `www/files` is served.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn new(plan: Plan) -> Self {
        let directory = TempDir::with_prefix("ringmaster-lab-").expect("the temporary directory is writable");
        std::fs::create_dir_all(directory.path().join("www/files")).expect("as above");
        Self {
            client: host("client"),
            director: host("director"),
            servers: (1..).zip(plan.lasts).map(|(number, last)| Server::new(number, plan.servers, last)).collect(),
            plan,
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
