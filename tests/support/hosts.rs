//! The hosts of a lab, and the switches they hang on.

use std::net::IpAddr;
use std::path::Path;

use super::decapsulate::Decapsulator;
use super::netns::Namespace;
use super::web::Web;

/// A real server's host.
pub struct Server {
    /// Its namespace.
    pub host: Namespace,
    /// `server-1` to `server-3`.
    pub name: String,
    net: Net,
    /// Last part of its addresses.
    pub last: u8,
    web: Option<Web>,
    tunnel: Option<Decapsulator>,
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
pub struct Net(pub &'static str, pub &'static str);

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

    pub fn new(number: u8, net: Net, last: u8) -> Self {
        let name = format!("server-{number}");
        Self { host: host(&name), name, net, last, web: None, tunnel: None }
    }

    /// Takes packets for an address, but never claims it on the wire, as DR and TUN need it.
    pub fn own_silently(&self, net: Net, last: u8) {
        self.host.exec("sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2");
        for address in net.addresses(last) {
            self.host.exec(&format!("ip address add {address} dev lo"));
        }
    }

    /// Takes IP out of IP, of every mix of families, by threads of ours: not every kernel has tunnel devices.
    pub fn unpack_tunnels(&mut self) {
        self.tunnel = Some(self.host.enter(|| Decapsulator::start("tunl1")).expect("there is /dev/net/tun"));
    }
}

impl Net {
    pub fn addresses(self, last: u8) -> [IpAddr; 2] {
        let Self(four, six) = self;
        [format!("{four}.{last}"), format!("{six}:{last}")].map(|text| text.parse().expect("the parts fit together"))
    }
}

/// A segment of the network.
pub struct Switch(pub Namespace);

impl Switch {
    pub fn new(label: &str) -> Self {
        let namespace = Namespace::new(label);
        namespace.exec("ip link add br0 type bridge stp_state 0 mcast_snooping 0");
        namespace.exec("ip link set br0 up");
        Self(namespace)
    }

    /// A cable to a new interface of `host`, which gets an address of `net` for each of `lasts`.
    pub fn plug(&self, host: &Namespace, interface: &str, net: Net, lasts: &[u8]) {
        self.plug_queues(1, host, interface, net, lasts);
    }

    /// A cable with so many queues; frames are spread over those of `host` by flow, as a NIC does it. All other hosts of
    /// the segment should have one: the queue that a veth device sends by is handed on with the frame, and several
    /// would meet in one here.
    pub fn plug_queues(&self, queues: usize, host: &Namespace, interface: &str, net: Net, lasts: &[u8]) {
        let port = format!("port{}", self.0.exec("ip -o link show").lines().count());
        let numbers = format!("numrxqueues {queues} numtxqueues {queues}");
        self.0.exec(&format!(
            "ip link add {port} {numbers} type veth peer name {interface} netns {} {numbers}",
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
pub fn host(label: &str) -> Namespace {
    let host = Namespace::new(label);
    host.exec("sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0");
    host
}

pub fn route_by_default(host: &Namespace, net: Net, last: u8) {
    for gateway in net.addresses(last) {
        host.exec(&format!("ip route add default via {gateway}"));
    }
}
