//! `flood INTERFACE TO-MAC FROM TO:PORT FLOWS SECONDS`: sends small UDP packets as fast as one core can, for a measurement.
//!
//! The flows differ in their source port and take turns. Prints how many packets were sent, how many of them the
//! interface refused, and the nanoseconds that took.

#![expect(unsafe_code, reason = "sendmmsg and packet sockets have no safe wrapper")]

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::time::Duration;

use ringmaster::sys::clock;

use etherparse::PacketBuilder;
use ringmaster::sys::interface::Interface;
use ringmaster::wire::Mac;
use socket2::{Domain, SockAddr, Socket, Type};

/// Payload that makes a frame of 60 bytes, the least that Ethernet carries (without FCS).
const PAYLOAD: [u8; 18] = [0; 18];
/// Packets a system call.
const BURST: usize = 64;
const FIRST_PORT: u16 = 1024;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(Sent { packets, refused, time }) => {
            println!("{packets} {refused} {}", time.as_nanos());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("flood: {error}; usage: flood INTERFACE TO-MAC FROM TO:PORT FLOWS SECONDS");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<Sent, Box<dyn Error>> {
    let [interface, to_mac, from, to, flows, seconds] = words else { return Err("six words are needed".into()) };
    let interface = Interface::query(interface)?;
    let (from, to): (Ipv4Addr, SocketAddrV4) = (from.parse()?, to.parse()?);
    let flows: u16 = flows.parse()?;
    let ports = FIRST_PORT..FIRST_PORT.checked_add(flows).filter(|_| flows > 0).ok_or("1 to 64511 flows")?;
    let to_mac = parse_mac(to_mac).ok_or("TO-MAC is no Ethernet address")?;
    let frames = ports
        .map(|port| frame((interface.mac, to_mac), SocketAddrV4::new(from, port), to))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(flood(&open(interface.index)?, &frames, Duration::from_secs(seconds.parse()?))?)
}

fn parse_mac(text: &str) -> Option<Mac> {
    let bytes: Vec<_> = text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<_, _>>().ok()?;
    bytes.try_into().ok().map(Mac)
}

fn frame((from, to): (Mac, Mac), source: SocketAddrV4, destination: SocketAddrV4) -> io::Result<Vec<u8>> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from.0, to.0)
        .ipv4(source.ip().octets(), destination.ip().octets(), 64)
        .udp(source.port(), destination.port())
        .write(&mut frame, &PAYLOAD)
        .map_err(io::Error::other)?;
    Ok(frame)
}

/// A socket that sends whole frames on an interface, past its queueing discipline, and receives nothing.
fn open(interface: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    let index = interface.try_into().map_err(io::Error::other)?;
    // SAFETY: the storage is large enough for any address, and is filled in as the family asks for.
    let (_, address) = unsafe {
        SockAddr::try_init(|storage, length| {
            let link = storage.cast::<libc::sockaddr_ll>();
            (*link).sll_family = libc::AF_PACKET as libc::c_ushort;
            (*link).sll_ifindex = index;
            *length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            Ok(())
        })
    }?;
    socket.bind(&address)?;
    let on: libc::c_int = 1;
    let length = size_of_val(&on) as libc::socklen_t;
    // SAFETY: the option's value is an int that lives through the call.
    let result = unsafe {
        let (level, option) = (libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS);
        libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), length)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(socket) }
}

struct Sent {
    packets: u64,
    refused: u64,
    time: Duration,
}

fn flood(socket: &Socket, frames: &[Vec<u8>], length: Duration) -> io::Result<Sent> {
    let mut vectors: Vec<_> = frames
        .iter()
        .map(|frame| libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() })
        .collect();
    let mut messages: Vec<_> = vectors.iter_mut().map(message).collect();
    let (mut packets, mut refused) = (0, 0);
    let start = clock::now();
    while clock::now() - start < length {
        for burst in messages.chunks_mut(BURST) {
            let mut left = burst;
            while !left.is_empty() {
                let taken = match send(socket, left) {
                    Ok(sent) => sent,
                    // The interface dropped the first of them: sent by us, and lost.
                    Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                        refused += 1;
                        1
                    }
                    Err(error) => return Err(error),
                };
                packets += taken as u64;
                left = &mut left[taken..];
            }
        }
    }
    Ok(Sent { packets, refused, time: clock::now() - start })
}

fn message(vector: &mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: all-zero bytes are a valid `mmsghdr`: no address, no data, no flags.
    let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
    message.msg_hdr.msg_iov = vector;
    message.msg_hdr.msg_iovlen = 1;
    message
}

fn send(socket: &Socket, messages: &mut [libc::mmsghdr]) -> io::Result<usize> {
    let count = messages.len().min(BURST) as libc::c_uint; // 64 at most
    // SAFETY: so many messages are there; the vectors and frames that they point to outlive `flood`, and are only read.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), count, 0) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}
