//! What comes in a VLAN leaves in it. Hosts are cabled directly: a Linux bridge takes tags out of frames and hands them on
//! beside these, where no XDP program sees them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use ringmaster::sys::packet::FrameSender;
use tempfile::TempDir;

use crate::packets::tcp;
use crate::support::config::{Service, instance};
use crate::support::director::Director;
use crate::support::eventually;
use crate::support::hosts::host;
use crate::support::netns::{self, Namespace, veth};

const VLAN: u16 = 42;
const CLIENT: &str = "198.51.100.7:40000";
const VIP: &str = "198.51.100.100:80";
const SERVER: &str = "10.0.0.22:8080";

#[test]
fn requests_and_replies_stay_in_their_vlan() {
    if !netns::available() {
        return;
    }
    let [client, director, server] = ["client", "director", "server"].map(host);
    veth((&client, "eth0", "198.51.100.7/24"), (&director, "eth0", "198.51.100.1/24"), 1);
    veth((&server, "eth0", "10.0.0.22/24"), (&director, "eth1", "10.0.0.1/24"), 1);
    let service = Service {
        vip: "198.51.100.100".to_owned(),
        servers: vec!["10.0.0.22".to_owned()],
        real_port: 8080,
        ..Service::default()
    };
    let directory = TempDir::new().expect("there is room");
    let config = format!("{}{service}", instance("VI_1", 51, "eth0", &["198.51.100.100"]));
    let running = Director::start(&director, directory.path(), &config);

    let request = crossing((&client, CLIENT, VIP, "S"), &mac(&director, "eth0"), &server);
    assert!(request.contains("198.51.100.7.40000 > 10.0.0.22.8080: Flags [S]"), "{request}");
    let reply = crossing((&server, SERVER, CLIENT, "SA"), &mac(&director, "eth1"), &client);
    assert!(reply.contains("198.51.100.100.80 > 198.51.100.7.40000: Flags [S.]"), "{reply}");
    for line in [request, reply] {
        assert!(line.contains("vlan 42, p 0, ethertype IPv4"), "{line}");
    }
    assert!(running.connections().contains("SYN_RECV"), "{}", running.connections());
}

/// Has a host send a tagged segment to this MAC address until another one sees something of the VLAN; gives the line of
/// `tcpdump` about that.
#[expect(clippy::disallowed_methods, reason = "how long a crossing is waited for is real time")]
fn crossing((from, source, destination, flags): (&Namespace, &str, &str, &str), to: &str, at: &Namespace) -> String {
    let octet = |text: &str| u8::from_str_radix(text, 16).expect("MAC addresses are written so");
    let mut frame = tcp(source, destination, flags).bytes();
    frame.splice(..6, to.split(':').map(octet));
    frame.splice(12..12, [[0x81, 0], VLAN.to_be_bytes()].concat());
    let (sender, link) = from.enter(|| (FrameSender::open().expect("root may"), index(from)));
    let mut seen = Watch::begin(at);
    let line = seen.line();
    eventually("a frame of the VLAN arrives", || {
        sender.send(link, &frame).expect("the interface is up");
        line.is_finished()
    });
    line.join().expect("it only reads")
}

fn mac(host: &Namespace, interface: &str) -> String {
    let shown = host.exec(&format!("ip -o link show {interface}"));
    let mut words = shown.split_whitespace().skip_while(|word| *word != "link/ether");
    words.nth(1).expect("it has one").to_owned()
}

/// Of its `eth0`.
fn index(host: &Namespace) -> u32 {
    let shown = host.exec("ip -o link show eth0");
    shown.split(':').next().and_then(|number| number.trim().parse().ok()).expect("it has one")
}

/// `tcpdump`, for one frame of the VLAN.
struct Watch(Child);

impl Watch {
    /// Starts it, and waits until it listens.
    fn begin(host: &Namespace) -> Self {
        let mut command = host.command(&format!("tcpdump -i eth0 -n -e -l -c 1 vlan {VLAN}"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("tcpdump is installed");
        let said = BufReader::new(child.stderr.take().expect("it was piped")).lines();
        let listens = said.map_while(Result::ok).any(|line| line.contains("listening on"));
        assert!(listens, "tcpdump does not listen");
        Self(child)
    }

    /// What it says of the frame; nothing, if there is none to its end.
    fn line(&mut self) -> std::thread::JoinHandle<String> {
        let mut said = BufReader::new(self.0.stdout.take().expect("it was piped")).lines();
        std::thread::spawn(move || said.next().and_then(Result::ok).unwrap_or_default())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
