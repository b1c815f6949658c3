//! Takes IP out of IP, GRE and GUE, for real servers on kernels without tunnel devices (`ipip`, `sit`, `ip6tnl`, `gre`,
//! `fou`).

#![expect(unsafe_code, reason = "making a TUN device is an ioctl without a safe wrapper")]

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// A TUN device through which the kernel gets what arrives in any of the four mixes of IPv4 and IPv6. Dropped, it ends,
/// and the device goes with it.
pub struct Decapsulator {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Decapsulator {
    /// Makes the device `name` in the network namespace of the calling thread.
    pub fn start(name: &str) -> io::Result<Self> {
        let device = Arc::new(tun(name)?);
        if !Command::new("ip").args(["link", "set", name, "up"]).status()?.success() {
            return Err(io::Error::other("the device cannot be brought up"));
        }
        let mut this = Self { stop: Arc::default(), threads: Vec::new() };
        for domain in [Domain::IPV4, Domain::IPV6] {
            for tunnel in [Tunnel::Ip(libc::IPPROTO_IPIP), Tunnel::Ip(libc::IPPROTO_IPV6), Tunnel::Gre, Tunnel::Gue] {
                let socket = tunnel.socket(domain)?;
                socket.set_read_timeout(Some(Duration::from_millis(50)))?;
                let (device, stop) = (Arc::clone(&device), Arc::clone(&this.stop));
                this.threads.push(std::thread::spawn(move || unpack((domain, tunnel), socket, &device, &stop)));
            }
        }
        Ok(this)
    }
}

impl Drop for Decapsulator {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Where GUE packets arrive (IANA).
const GUE_PORT: u16 = 6080;

/// What a packet is wrapped in.
#[derive(Clone, Copy)]
enum Tunnel {
    /// Nothing but the outer header, which has this protocol number.
    Ip(i32),
    Gre,
    Gue,
}

impl Tunnel {
    fn socket(self, domain: Domain) -> io::Result<Socket> {
        let protocol = match self {
            Tunnel::Ip(inner) => inner,
            Tunnel::Gre => libc::IPPROTO_GRE,
            Tunnel::Gue => {
                let socket = Socket::new(domain, Type::DGRAM, None)?;
                let any: IpAddr = match domain {
                    Domain::IPV4 => Ipv4Addr::UNSPECIFIED.into(),
                    _ => {
                        socket.set_only_v6(true)?;
                        Ipv6Addr::UNSPECIFIED.into()
                    }
                };
                socket.bind(&SocketAddr::new(any, GUE_PORT).into())?;
                return Ok(socket);
            }
        };
        Socket::new(domain, Type::RAW, Some(Protocol::from(protocol)))
    }

    /// The length of what stands before the packet in what such a socket receives. A raw IPv4 socket gives the outer
    /// header too, the others do not.
    fn headers(self, domain: Domain, received: &[u8]) -> usize {
        const GRE_CHECKSUM: u8 = 0x80;
        let byte = |at| received.get(at).copied().unwrap_or(0);
        let outer = if domain == Domain::IPV4 { usize::from(byte(0) & 0x0f) * 4 } else { 0 };
        match self {
            Tunnel::Ip(_) => outer,
            Tunnel::Gre => outer + if byte(outer) & GRE_CHECKSUM == 0 { 4 } else { 8 },
            Tunnel::Gue => 4,
        }
    }
}

/// Hands on what `socket` receives.
fn unpack((domain, tunnel): (Domain, Tunnel), mut socket: Socket, mut device: &File, stop: &AtomicBool) {
    let mut buffer = vec![0; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        let Ok(length) = socket.read(&mut buffer) else { continue };
        let headers = tunnel.headers(domain, &buffer[..length]);
        // The kernel refuses what is no IP packet; that is the sender's fault and no reason to end.
        let _ = device.write(buffer.get(headers..length).unwrap_or_default());
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
