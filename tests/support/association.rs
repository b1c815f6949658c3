//! As much SCTP over raw sockets as an association takes from INIT to SHUTDOWN COMPLETE (RFC 9260), since not every kernel
//! has it. The CRC32c and the verification tag of every packet are checked: one that is wrong is not heard.

#![allow(dead_code, unreachable_pub, reason = "each test target uses its part")]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::sctp_packets::crc;
use crate::support::netns::Namespace;

// Chunk types (RFC 9260 3.2).
const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const SACK: u8 = 3;
const SHUTDOWN: u8 = 7;
const SHUTDOWN_ACK: u8 = 8;
const COOKIE_ECHO: u8 = 10;
const COOKIE_ACK: u8 = 11;
const SHUTDOWN_COMPLETE: u8 = 14;

/// What either side wants to see in packets to it.
const SERVER_TAG: u32 = 0x5e5e_0001;
const CLIENT_TAG: u32 = 0xc1c1_0001;

/// A client's end of one association.
pub struct Client {
    socket: UdpSocket,
    port: u16,
    peer: SocketAddr,
}

impl Client {
    /// An end that will speak to `peer`. Must run inside the client's namespace.
    pub fn new(from: SocketAddr, peer: SocketAddr) -> Self {
        Self { socket: open(from.ip(), Duration::from_secs(5)), port: from.port(), peer }
    }

    /// INIT, and the cookie of the INIT ACK that answers it.
    pub fn init(&self) -> Vec<u8> {
        self.say(0, INIT, &beginning(CLIENT_TAG));
        self.hear(INIT_ACK)[20..].to_vec()
    }

    /// COOKIE ECHO, which is answered by COOKIE ACK.
    pub fn echo_cookie(&self, cookie: &[u8]) {
        self.say(SERVER_TAG, COOKIE_ECHO, cookie);
        self.hear(COOKIE_ACK);
    }

    /// DATA, which is answered by SACK and DATA in one packet: the server's name.
    pub fn ask(&self) -> String {
        self.say(SERVER_TAG, DATA, b"\0\0\0\x01\0\0\0\0\0\0\0\0who?");
        let answer = self.hear(SACK);
        assert_eq!(answer[12], DATA, "the second chunk");
        String::from_utf8_lossy(&answer[28..]).trim_end_matches('\0').to_owned()
    }

    /// SHUTDOWN, which is answered by SHUTDOWN ACK.
    pub fn shut_down(&self) {
        self.say(SERVER_TAG, SHUTDOWN, &[0, 0, 0, 1]);
        self.hear(SHUTDOWN_ACK);
    }

    /// SHUTDOWN COMPLETE, which nothing answers.
    pub fn complete(&self) {
        self.say(SERVER_TAG, SHUTDOWN_COMPLETE, &[]);
    }

    fn say(&self, tag: u32, kind: u8, value: &[u8]) {
        send(&self.socket, self.port, self.peer, tag, &chunk(kind, value));
    }

    /// The value of the first chunk of the next packet, and what follows it.
    fn hear(&self, kind: u8) -> Vec<u8> {
        let heard = receive(&self.socket).unwrap_or_else(|| panic!("{} answers chunk {kind} within 5 s", self.peer));
        assert_eq!((heard.from, heard.to_port, heard.tag), (self.peer, self.port, CLIENT_TAG));
        assert_eq!(heard.chunks[0], kind);
        heard.chunks[4..].to_vec()
    }
}

/// A server of any number of associations, until it is dropped.
pub struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `address` in `host`.
    pub fn start(host: &Namespace, name: &str, address: SocketAddr) -> Self {
        let socket = host.enter(|| open(address.ip(), Duration::from_millis(50)));
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, name) = (Arc::clone(&stop), name.to_owned());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Relaxed) {
                let Some(heard) = receive(&socket).filter(|heard| heard.to_port == address.port()) else { continue };
                if let Some(answer) = answer(&heard, &name) {
                    send(&socket, address.port(), heard.from, CLIENT_TAG, &answer);
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The chunks that answer a packet.
fn answer(heard: &Heard, name: &str) -> Option<Vec<u8>> {
    let kind = heard.chunks[0];
    if heard.tag != if kind == INIT { 0 } else { SERVER_TAG } {
        return None;
    }
    match kind {
        // The parameter "state cookie" says who is to echo it.
        INIT => Some(chunk(INIT_ACK, &[&beginning(SERVER_TAG)[..], &cookie(heard.from)].concat())),
        COOKIE_ECHO if heard.chunks[4..] == cookie(heard.from)[4..] => Some(chunk(COOKIE_ACK, &[])),
        DATA => {
            let acknowledged = chunk(SACK, b"\0\0\0\x01\0\0\xff\xff\0\0\0\0");
            let data = chunk(DATA, &[b"\0\0\0\x01\0\0\0\0\0\0\0\0", name.as_bytes()].concat());
            Some([acknowledged, data].concat())
        }
        SHUTDOWN => Some(chunk(SHUTDOWN_ACK, &[])),
        _ => None,
    }
}

/// The fixed part of INIT and INIT ACK: tag, window, streams, first sequence number.
fn beginning(tag: u32) -> [u8; 16] {
    let mut value = [0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 1, 0, 1, 0, 0, 0, 1];
    value[..4].copy_from_slice(&tag.to_be_bytes());
    value
}

/// The parameter of INIT ACK that the client is to send back.
fn cookie(client: SocketAddr) -> Vec<u8> {
    let mut text = client.to_string().into_bytes();
    text.resize(text.len().next_multiple_of(4), b' ');
    [&[0, 7, 0, 4 + text.len() as u8][..], &text].concat()
}

/// A chunk, filled up to whole words.
fn chunk(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = (4 + value.len() as u16).to_be_bytes();
    let mut bytes = [&[kind, 0, length[0], length[1]], value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

struct Heard {
    from: SocketAddr,
    to_port: u16,
    tag: u32,
    chunks: Vec<u8>,
}

/// A raw socket. It is read and written like one for datagrams, but knows no ports.
fn open(address: IpAddr, patience: Duration) -> UdpSocket {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(libc::IPPROTO_SCTP))).expect("we are root");
    socket.bind(&SocketAddr::new(address, 0).into()).expect("the address is the host's");
    socket.set_read_timeout(Some(patience)).expect("it is not zero");
    socket.into()
}

fn send(socket: &UdpSocket, from_port: u16, to: SocketAddr, tag: u32, chunks: &[u8]) {
    let ports = [from_port.to_be_bytes(), to.port().to_be_bytes()].concat();
    let mut packet = [&ports[..], &tag.to_be_bytes(), &[0; 4], chunks].concat();
    let sum = crc(&packet);
    packet[8..12].copy_from_slice(&sum);
    socket.send_to(&packet, (to.ip(), 0)).expect("there is a route");
}

/// The next packet whose checksum is right; `None` if none comes in time.
fn receive(socket: &UdpSocket) -> Option<Heard> {
    let mut buffer = [0; 2048];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).ok()?;
        // The header comes along with IPv4 alone.
        let header = if from.is_ipv4() { usize::from(buffer[0] & 15) * 4 } else { 0 };
        let packet = &mut buffer[header..length];
        let sum = [8, 9, 10, 11].map(|at| std::mem::take(&mut packet[at]));
        if crc(packet) != sum {
            continue;
        }
        let number = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        let from = SocketAddr::new(from.ip(), number(0));
        let tag = u32::from(number(4)) << 16 | u32::from(number(6));
        return Some(Heard { from, to_port: number(2), tag, chunks: packet[12..].to_vec() });
    }
}
