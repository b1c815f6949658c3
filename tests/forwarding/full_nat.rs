//! Full NAT: servers have no route back, and are told of clients by a TCP option or in front of the stream.

use std::io::Read;
use std::net::IpAddr;
use std::process::{Child, Stdio};

use crate::support::config::{QUICK_TCP_CHECK, Service};
use crate::support::director::Director;
use crate::support::hosts::Family::{V4, V6};
use crate::support::lab::Lab;
use crate::support::netns::{self, Namespace};
use crate::support::udp::{self, Echo};
use crate::support::{eventually, http};
use crate::{alike, shares};

/// Addresses that the director gets for itself, on the servers' side.
const LOCALS: &str = "local_address_group inside {\n    10.0.0.201-202 eth1\n    2001:db8:2::201 eth1\n}\n";
const TOA: &str = "FNAT\n    laddr_group_name inside";
const PROXY: [&str; 2] = [
    "FNAT\n    laddr_group_name inside\n    proxy_protocol v1",
    "FNAT\n    laddr_group_name inside\n    proxy_protocol v2",
];

/// Servers that reach their own network and nothing else.
fn lab() -> Lab {
    let lab = Lab::nat();
    for server in &lab.servers {
        server.host.exec("ip -4 route del default");
        server.host.exec("ip -6 route del default");
    }
    lab
}

fn start(lab: &Lab, services: &[Service]) -> Director {
    Director::start(&lab.director, lab.directory(), &(LOCALS.to_owned() + &lab.config(services)))
}

fn is_local(address: IpAddr) -> bool {
    ["10.0.0.201", "10.0.0.202", "2001:db8:2::201"].contains(&address.to_string().as_str())
}

#[test]
fn servers_without_a_route_back_see_the_director() {
    if !netns::available() {
        return;
    }
    let lab = lab();
    lab.offer_file(20 << 20);
    let service = |family| Service { method: TOA, check: QUICK_TCP_CHECK, ..lab.service(family) };
    let mut director = start(&lab, &[service(V4), service(V6)]);
    for family in [V4, V6] {
        let answers = lab.ask(family, 80, 0, 60);
        assert_eq!(shares(&answers), alike(20), "{family:?}");
        assert!(answers.iter().all(|answer| is_local(answer.client)), "{family:?}: {answers:?}");
        lab.download(family);
    }
    assert_eq!(director.list().matches("FullNat").count(), 6, "the director's own checks go on: {}", director.list());
    let connections = director.connections();
    let shown = connections.lines().filter(|line| line.contains(" from 10.0.0.20")).count();
    assert_eq!(shown, connections.lines().filter(|line| line.contains("198.51.100.11:")).count(), "{connections}");
    // A client port that comes twice has one line.
    let list = director.ask("list --json");
    let services = list.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an object a line"));
    let counted: Vec<_> = services.map(|service| service["counts"]["connections"].as_u64()).collect();
    assert_eq!(counted, [Some(61); 2], "sixty requests and a download for each family: {list}");
    let addresses = || lab.director.exec("ip -o address show dev eth1");
    assert!(addresses().contains("10.0.0.202/32") && addresses().contains("2001:db8:2::201/128"));
    assert!(director.end_by(rustix::process::Signal::TERM).success());
    assert!(!addresses().contains("10.0.0.20"), "it takes off what it put there: {}", addresses());
}

#[test]
fn a_web_server_reads_the_client_in_front_of_the_stream() {
    if !netns::available() {
        return;
    }
    for version in PROXY {
        let lab = lab();
        lab.offer_file(20 << 20);
        let service = |family| Service { method: version, real_port: 8081, ..lab.service(family) };
        let _director = start(&lab, &[service(V4), service(V6)]);
        for family in [V4, V6] {
            let answers = lab.ask(family, 80, 2, 30);
            assert_eq!(shares(&answers), alike(10), "{version} {family:?}");
            let client = lab.clients(family)[2];
            assert!(answers.iter().all(|answer| answer.client == client), "{version} {family:?}: {answers:?}");
            lab.download(family);
        }
    }
}

#[test]
fn the_tcp_option_names_client_and_port() {
    if !netns::available() {
        return;
    }
    let lab = lab();
    let one =
        |family| Service { method: TOA, servers: lab.service(family).servers[..1].to_vec(), ..lab.service(family) };
    let _director = start(&lab, &[one(V4), one(V6)]);
    for family in [V4, V6] {
        let mut capture = Capture::start(&lab.servers[0].host, &lab.directory().join(format!("{family:?}.txt")));
        let (from, to) = (lab.clients(family)[3], (lab.vip(family), 80).into());
        let stream = lab.client.enter(|| http::connect(from, to)).expect("the service answers");
        let own = stream.local_addr().expect("it is connected");
        let address: Vec<u8> = match own.ip() {
            IpAddr::V4(address) => [&[254, 8][..], &own.port().to_be_bytes(), &address.octets()].concat(),
            IpAddr::V6(address) => [&[254, 20][..], &own.port().to_be_bytes(), &address.octets()].concat(),
        };
        let option: String = address.iter().map(|byte| format!("{byte:02x}")).collect();
        // The SYN, and the acknowledgment that servers read it from.
        let captured = capture.end();
        assert_eq!(captured.matches(&option).count(), 2, "{family:?}: {option} in {captured}");
    }
}

/// Two addresses with a port each, and one server: there is room for two.
#[test]
fn who_finds_no_local_end_left_is_counted_and_told_of() {
    if !netns::available() {
        return;
    }
    let lab = lab();
    let one = lab.service(V4);
    let service = Service { method: TOA, servers: one.servers[..1].to_vec(), ..one };
    let config = lab.config(&[service]) + "ringmaster {\n    local_ports 2000 2000\n}\n";
    let director = Director::start(&lab.director, lab.directory(), &(LOCALS.to_owned() + &config));
    let open = || lab.client.enter(|| http::connect(lab.clients(V4)[0], (lab.vip(V4), 80).into()));
    let held = [open(), open()];
    assert!(held.iter().all(Result::is_ok), "{held:?}");
    assert!(open().is_err(), "{}", director.connections());
    eventually("the log says that it began", || director.has_logged("no local address and port left"));
    eventually("the log says that it is over", || director.has_logged("local addresses and ports again"));
    let status = director.status();
    let counted = status.lines().find(|line| line.contains("no-local-end")).expect("it is counted");
    assert_eq!(director.connections().matches("ESTABLISHED").count(), 2, "{counted}: {}", director.connections());
    drop(held);
}

#[test]
fn datagrams_are_translated_at_both_ends_too() {
    if !netns::available() {
        return;
    }
    let lab = lab();
    let service = |family| Service { method: TOA, protocol: "UDP", port: 53, real_port: 5353, ..lab.service(family) };
    let _director = start(&lab, &[service(V4), service(V6)]);
    // Of several frames, in pieces both ways.
    let long: String = (0..1000).map(|number| format!("{number:07} ")).collect();
    for family in [V4, V6] {
        let echo = |server: &crate::support::hosts::Server| {
            Echo::start(&server.host, &server.name, (server.address(family), 5353).into())
        };
        let _echoes: Vec<_> = lab.servers.iter().map(echo).collect();
        let (from, to) = (lab.clients(family)[0], (lab.vip(family), 53).into());
        for (port, text) in [(41_000, "hello"), (41_001, "hello"), (41_002, "hello"), (41_003, &long)] {
            let answer = lab.client.enter(|| udp::ask((from, port).into(), to, text));
            let answer = answer.unwrap_or_else(|error| panic!("{family:?}, {} bytes: {error}", text.len()));
            assert_eq!(answer.split_once(' ').map(|(_, echoed)| echoed), Some(text), "{family:?}");
        }
    }
}

/// The first two TCP segments to port 80 that a host receives, in hexadecimal digits.
struct Capture {
    child: Child,
    log: std::path::PathBuf,
}

impl Capture {
    fn start(host: &Namespace, log: &std::path::Path) -> Self {
        let errors = std::fs::File::create(log).expect("the lab's directory is writable");
        let mut command = host.command("tcpdump -i eth0 -nn -x -U -c 2 dst port 80 and tcp");
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).spawn();
        let capture = Self { child: child.expect("`ip` is installed"), log: log.to_owned() };
        eventually("tcpdump listens", || capture.log().contains("listening"));
        capture
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn end(&mut self) -> String {
        eventually("two segments come", || self.child.try_wait().is_ok_and(|status| status.is_some()));
        let mut text = String::new();
        self.child.stdout.take().expect("it was piped").read_to_string(&mut text).expect("tcpdump prints text");
        let dumped = text.lines().filter_map(|line| line.trim().strip_prefix("0x")?.split_once(':'));
        dumped.flat_map(|(_, digits)| digits.split_whitespace()).collect()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
