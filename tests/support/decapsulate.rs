//! Takes IP out of IP, for real servers on kernels without tunnel devices (`ipip`, `sit`, `ip6tnl`).
//!
//! `decapsulate NAME` makes a TUN device NAME, and hands to the kernel through it what arrives in any of the four
//! mixes of IPv4 and IPv6. It runs until it is killed; the device goes with it.

#![expect(unsafe_code, reason = "making a TUN device is an ioctl without a safe wrapper")]

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::process::{Command, ExitCode};

use socket2::{Domain, Protocol, Socket, Type};

fn main() -> ExitCode {
    let Some(name) = std::env::args().nth(1) else {
        eprintln!("usage: decapsulate NAME");
        return ExitCode::from(2);
    };
    match run(&name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("decapsulate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str) -> io::Result<()> {
    let inner_protocols = [libc::IPPROTO_IPIP, libc::IPPROTO_IPV6];
    let mut sockets = Vec::new();
    for domain in [Domain::IPV4, Domain::IPV6] {
        for inner in inner_protocols {
            sockets.push((domain, Socket::new(domain, Type::RAW, Some(Protocol::from(inner)))?));
        }
    }
    let device = tun(name)?;
    if !Command::new("ip").args(["link", "set", name, "up"]).status()?.success() {
        return Err(io::Error::other("the device cannot be brought up"));
    }
    let device = &device;
    std::thread::scope(|scope| {
        let unpackers: Vec<_> =
            sockets.into_iter().map(|(domain, socket)| scope.spawn(move || unpack(domain, socket, device))).collect();
        unpackers.into_iter().try_for_each(|unpacker| unpacker.join().expect("unpacking does not panic"))
    })
}

/// Hands on what `socket` receives. A raw IPv4 socket gives the outer header too, a raw IPv6 socket does not.
fn unpack(domain: Domain, mut socket: Socket, mut device: &File) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = socket.read(&mut buffer)?;
        let outer = if domain == Domain::IPV4 { usize::from(buffer[0] & 0x0f) * 4 } else { 0 };
        // The kernel refuses what is no IP packet; that is the sender's fault and no reason to end.
        let _ = device.write(buffer.get(outer..length).unwrap_or_default());
    }
}

/// Makes a TUN device whose reads and writes are bare IP packets.
fn tun(name: &str) -> io::Result<File> {
    let device = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: all-zero bytes are a valid `ifreq`: it is made of integers and of unions of them.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let last = request.ifr_name.len() - 1; // the final zero stays
    for (to, from) in request.ifr_name[..last].iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI).try_into().expect("both flags are below 2^15");
    // SAFETY: TUNSETIFF reads and writes one `ifreq`, which `request` is and which outlives the call.
    if unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(device)
}
