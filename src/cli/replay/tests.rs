//! Replays of captures made here.

use std::io::{self, Cursor};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};

use super::engine::{Sink, replay};
use super::report::{Outcome, Report};
use super::scene::Scene;
use super::servers;
use crate::config;
use crate::io::pcap::{Reader, Resolution, Sent, Writer};

const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xc0];
const OTHER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xd0];

/// A datagram at a time in seconds.
fn datagram(seconds: u64, source: &str, destination: &str) -> (Duration, Vec<u8>) {
    let [source, destination] = [source, destination].map(|end| end.parse::<std::net::SocketAddrV4>().unwrap());
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(CLIENT_MAC, OTHER_MAC)
        .ipv4(source.ip().octets(), destination.ip().octets(), 64)
        .udp(source.port(), destination.port())
        .write(&mut frame, b"payload")
        .unwrap();
    (Duration::from_secs(1_700_000_000 + seconds), frame)
}

fn capture(frames: &[(Duration, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), Resolution::Nano).unwrap();
    for (time, frame) in frames {
        writer.write(*time, frame).unwrap();
    }
    writer.finish().unwrap()
}

/// Two servers of 192.0.2.1:53 over UDP.
fn service(options: &str) -> String {
    format!(
        "virtual_server 192.0.2.1 53 {{\nlb_algo rr\nlb_kind NAT\nprotocol UDP\n{options}\n\
         real_server 10.0.0.1 5353 {{\n}}\nreal_server 10.0.0.2 5353 {{\n}}\n}}\n"
    )
}

/// Everything that a replay said.
#[derive(Default)]
struct Heard {
    outcomes: Vec<String>,
    sent: Vec<(Option<u64>, Duration, Vec<u8>)>,
}

impl Sink for Heard {
    fn sent(&mut self, sent: Sent<'_>) -> io::Result<()> {
        self.sent.push((sent.number, sent.time, sent.frame.to_vec()));
        Ok(())
    }

    fn outcome(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.outcomes.push(outcome.to_string());
        Ok(())
    }
}

fn run(config: &str, capture: &[u8]) -> (Heard, Report) {
    let config = config::parse_str("test", config).unwrap().config;
    let reader = || Reader::new(Cursor::new(capture.to_vec())).unwrap();
    let scene = Scene::learn(&mut reader(), servers(&config), 1500);
    let mut heard = Heard::default();
    let report = replay(&config, scene, reader(), 0, &mut heard).unwrap();
    assert_eq!(report.accounted(), report.tally.records);
    assert_eq!(report.tally.sent, heard.sent.len() as u64);
    (heard, report)
}

/// Source, destination, and destination MAC address.
fn ends(frame: &[u8]) -> (String, String, [u8; 6]) {
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(etherparse::LinkSlice::Ethernet2(ethernet)) = &sliced.link else { panic!("Ethernet") };
    let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Udp(udp))) = (&sliced.net, &sliced.transport) else {
        panic!("UDP over IPv4")
    };
    let end = |address: Ipv4Addr, port| std::net::SocketAddr::new(IpAddr::V4(address), port).to_string();
    let header = ip.header();
    let source = end(header.source_addr(), udp.source_port());
    (source, end(header.destination_addr(), udp.destination_port()), ethernet.destination())
}

fn server_of(outcome: &str) -> &str {
    outcome.rsplit("  ").next().unwrap()
}

#[test]
fn requests_go_to_a_server_and_replies_to_the_station_they_came_from() {
    let frames = [
        datagram(0, "198.51.100.7:4000", "192.0.2.1:53"),
        datagram(1, "10.0.0.2:5353", "198.51.100.7:4000"),
        datagram(1, "198.51.100.7:4000", "192.0.2.9:53"),
    ];
    let (heard, _) = run(&service(""), &capture(&frames));
    let served = "transmitted  UDP 192.0.2.1:53  10.0.0.2:5353";
    assert_eq!(
        heard.outcomes,
        [format!("       1  {served}"), format!("       2  {served}"), "       3  passed".into()]
    );
    let sent: Vec<_> = heard.sent.iter().map(|(number, time, frame)| (*number, *time, ends(frame))).collect();
    let request = ("198.51.100.7:4000".to_owned(), "10.0.0.2:5353".to_owned(), CLIENT_MAC);
    let reply = ("192.0.2.1:53".to_owned(), "198.51.100.7:4000".to_owned(), CLIENT_MAC);
    // The server's frames came from the same router as the client's.
    assert_eq!(sent, [(Some(1), frames[0].0, request), (Some(2), frames[1].0, reply)]);
}

#[test]
fn a_server_that_never_speaks_has_a_made_up_address() {
    let (heard, _) = run(&service(""), &capture(&[datagram(0, "198.51.100.7:4000", "192.0.2.1:53")]));
    assert_eq!(ends(&heard.sent[0].2).2, [2, 0, 10, 0, 0, 2]);
}

#[test]
fn connections_end_in_the_capture_s_time() {
    let request = |seconds| datagram(seconds, "198.51.100.7:4000", "192.0.2.1:53");
    // LVS forgets a UDP connection after 300 s.
    let (heard, report) = run(&service(""), &capture(&[request(0), request(299), request(600)]));
    let servers: Vec<_> = heard.outcomes.iter().map(|outcome| server_of(outcome)).collect();
    assert_eq!(servers, ["10.0.0.2:5353", "10.0.0.2:5353", "10.0.0.1:5353"]);
    assert_eq!(report.span, Duration::from_secs(600));
}

#[test]
fn a_long_silence_ends_what_would_have_ended_in_it_one_after_the_other() {
    let request = |seconds, port| datagram(seconds, &format!("198.51.100.7:{port}"), "192.0.2.1:53");
    // The template outlives its 50 s only as long as its connection lives, which is 300 s.
    let frames = [request(0, 4000), request(100, 4001), request(5000, 4002)];
    let (heard, _) = run(&service("persistence_timeout 50"), &capture(&frames));
    let servers: Vec<_> = heard.outcomes.iter().map(|outcome| server_of(outcome)).collect();
    assert_eq!(servers, ["10.0.0.2:5353", "10.0.0.2:5353", "10.0.0.1:5353"]);
}

#[test]
fn the_report_accounts_for_every_record() {
    let mut short = datagram(2, "198.51.100.7:4000", "192.0.2.1:53");
    short.1.truncate(40);
    let long = (short.0, vec![0; 70_000]);
    let mut file = capture(&[datagram(0, "198.51.100.7:4000", "192.0.2.1:53"), short, long.clone(), long]);
    file.extend([0; 7]);
    let (heard, report) = run(&service(""), &file);
    assert_eq!(
        heard.outcomes[1..3],
        [
            "       2  dropped  truncated".to_owned(),
            "       3  refused  70000 bytes are more than the 65472 of the longest frame".to_owned(),
        ]
    );
    let expected = "\
transmitted                      1
answered                         0
passed                           0
dropped                          1
  truncated                      1
refused                          2
  packet 3: 70000 bytes are more than the 65472 of the longest frame (and 1 more)
accounted for                    4 of 4 records, over 2.000000 s

service           server         connections  packets in  packets out
UDP 192.0.2.1:53  10.0.0.2:5353            1           1            0
UDP 192.0.2.1:53  10.0.0.1:5353            0           0            0
";
    assert_eq!(report.to_string(), expected);
    let damage = report.damage.unwrap().to_string();
    assert!(damage.ends_with("the capture ends in the middle of a record"), "{damage}");
}
