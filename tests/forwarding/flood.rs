//! A flood of SYNs from addresses of nobody meets a small table: what is established goes on as if nothing were.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use etherparse::PacketBuilder;
use serde_json::Value;
use sha2::{Digest, Sha256};
use socket2::{Domain, Protocol, Socket, Type};

use crate::support::director::Director;
use crate::support::hosts::Family::V4;
use crate::support::lab::Lab;
use crate::support::{eventually, http, netns};

/// `connections`: a small part of what the flood asks for.
const ROOM: u32 = 2048;
const DOWNLOADS: usize = 8;
/// The length of each.
const BYTES: usize = 32 << 20;
/// How much of it is left for after the flood.
const LEFT: usize = 1 << 20;
/// Connections that are silent while the flood lasts.
const SILENT: usize = 100;
/// How long the flood goes on after the table is full.
const FULL_FOR: Duration = Duration::from_secs(3);

#[test]
fn nat() {
    if netns::available() {
        let lab = Lab::nat();
        // Answers to the flood find their way out, and end there.
        lab.director.exec(&format!("ip route add 198.18.0.0/15 via {}", lab.clients(V4)[0]));
        established_connections_notice_nothing(&lab);
    }
}

#[test]
fn dr() {
    if netns::available() {
        established_connections_notice_nothing(&Lab::dr());
    }
}

fn established_connections_notice_nothing(lab: &Lab) {
    lab.offer_file(BYTES as u32);
    let director = lab.start_with(&format!("connections {ROOM}"), &[lab.service(V4)]);
    let silent = lab.client.enter(|| (0..SILENT).map(|_| begin_to_get(lab, "/")).collect::<Vec<_>>());
    let (over, taken) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let end = End(&over);
        let download = || lab.client.enter(|| download(lab, &over, &taken));
        let downloads: Vec<_> = (0..DOWNLOADS).map(|_| scope.spawn(download)).collect();
        eventually("all are established", || established(&director).len() == SILENT + DOWNLOADS);

        let flood = scope.spawn(|| flood(lab, &over));
        eventually("the table is full", || counter(&director, "ended-table-full") > 0);
        let before = taken.load(Relaxed);
        std::thread::sleep(FULL_FOR);
        eventually("downloads go on beside the flood", || taken.load(Relaxed) > before + LEFT);
        let listed = established(&director);
        let lost: Vec<_> = silent.iter().map(from).filter(|from| !listed.contains(from)).collect();
        assert!(lost.is_empty(), "not listed as established any more: {lost:?}");
        assert_eq!(listed.len(), SILENT + DOWNLOADS, "and the downloads");
        drop(end);

        let sent = flood.join().expect("it does not panic");
        let (culled, refused) = (counter(&director, "culled"), counter(&director, "ended-table-full"));
        println!("{sent} SYNs: {culled} ended to make room, {refused} refused");
        assert!(sent > 4 * ROOM, "{sent} SYNs are no flood");
        assert!(culled > u64::from(ROOM), "half-open connections make room: {culled}");
        let offer = Sha256::digest(lab.offer());
        for download in downloads {
            assert_eq!(Sha256::digest(download.join().expect("it arrives")), offer);
        }
    });
    for stream in silent {
        assert!(end_asking(stream).starts_with("HTTP/1.1 200 "), "a silent connection is answered when it asks");
    }
    assert_eq!(crate::shares(&lab.ask(V4, 80, 1, 30)).len(), 3, "new connections find room again");
}

/// Half a request.
fn begin_to_get(lab: &Lab, path: &str) -> TcpStream {
    let mut stream = http::connect(lab.clients(V4)[1], (lab.vip(V4), 80).into()).expect("nobody floods yet");
    write!(stream, "GET {path} HTTP/1.0\r\n").expect("it is connected");
    stream
}

/// The other half, and the answer.
fn end_asking(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.write_all(b"\r\n").and_then(|()| stream.read_to_string(&mut answer)).expect("it is still connected");
    answer
}

/// Takes the offered file at an even pace, all but the end of it, until `over`; then the rest.
fn download(lab: &Lab, over: &AtomicBool, taken: &AtomicUsize) -> Vec<u8> {
    let mut stream = begin_to_get(lab, "/files/offered");
    stream.write_all(b"\r\n").expect("it is connected");
    let (mut answer, mut chunk) = (Vec::new(), [0; 1 << 14]);
    loop {
        let length = stream.read(&mut chunk).expect("the connection is kept");
        taken.fetch_add(length, Relaxed);
        answer.extend_from_slice(&chunk[..length]);
        if length == 0 {
            let head = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("there is a head");
            return answer.split_off(head + 4);
        }
        while !over.load(Relaxed) {
            std::thread::sleep(Duration::from_millis(10));
            if answer.len() < BYTES - LEFT {
                break;
            }
        }
    }
}

fn from(stream: &TcpStream) -> String {
    stream.local_addr().expect("it is bound").to_string()
}

/// The clients' ends of all connections that are listed as established.
fn established(director: &Director) -> Vec<String> {
    let connections = director.connections();
    let lines = connections.lines().filter(|line| line.contains(" ESTABLISHED "));
    lines.filter_map(|line| line.split_whitespace().nth(3)).map(str::to_owned).collect()
}

fn counter(director: &Director, name: &str) -> u64 {
    let status: Value = serde_json::from_str(&director.status()).expect("it is JSON");
    status["counters"][name].as_u64().unwrap_or(0)
}

/// Sends SYNs from a hundred thousand addresses until `over`, and gives how many they were.
fn flood(lab: &Lab, over: &AtomicBool) -> u32 {
    let IpAddr::V4(vip) = lab.vip(V4) else { unreachable!("it was asked for") };
    let open = || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)));
    let (socket, to) = (lab.client.enter(open).expect("we are root"), SocketAddrV4::new(vip, 0).into());
    let mut sent = 0;
    while !over.load(Relaxed) {
        for number in sent..sent + 100 {
            // What the interface has no room for now is a SYN less.
            let _ = socket.send_to(&syn(number, vip), &to);
        }
        sent += 100;
        std::thread::sleep(Duration::from_millis(5));
    }
    sent
}

/// Sets it when dropped, also by a panic.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// The SYN number so many, from an address of the network that is set aside for such tests (RFC 2544).
fn syn(number: u32, vip: Ipv4Addr) -> Vec<u8> {
    let from = Ipv4Addr::from_bits(Ipv4Addr::new(198, 18, 0, 0).to_bits() + number % 100_000);
    let mut packet = Vec::new();
    let builder = PacketBuilder::ipv4(from.octets(), vip.octets(), 64);
    builder
        .tcp(1024 + (number / 100_000) as u16, 80, number, 65535)
        .syn()
        .write(&mut packet, &[])
        .expect("it is a vector");
    packet
}
