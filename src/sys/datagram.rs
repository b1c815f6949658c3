//! UDP datagrams together with the TTL or hop limit that they arrived with (ip(7) `IP_RECVTTL`, ipv6(7)
//! `IPV6_RECVHOPLIMIT`).

#![expect(unsafe_code, reason = "ancillary data of recvmsg(2) has no safe wrapper for these kinds")]

use std::io;
use std::mem::size_of;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, OwnedFd};

use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, Type};

use crate::wire::Family;

/// A socket that does not wait, and tells how far a datagram has come.
#[derive(Debug)]
pub struct Listener(Socket);

/// A UDP socket of another process that is bound to one of these ports; an error of kind `InvalidData` says that it is
/// something else.
pub fn over(socket: OwnedFd, family: Family, ports: RangeInclusive<u16>) -> io::Result<Socket> {
    let socket = Socket::from(socket);
    let is_udp = socket.r#type()? == Type::DGRAM && socket.protocol()? == Some(Protocol::UDP);
    let bound = socket.local_addr()?.as_socket();
    let fits = |bound: SocketAddr| bound.is_ipv4() == (family == Family::V4) && ports.contains(&bound.port());
    if !is_udp || !bound.is_some_and(fits) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its bytes that are in the buffer.
    pub length: usize,
    /// From whom.
    pub from: SocketAddr,
    /// The TTL or hop limit that is left; `None` if the kernel did not say.
    pub ttl: Option<u8>,
}

impl Listener {
    /// Listens at a port of all the host's addresses of one family.
    pub fn bind(family: Family, port: u16) -> io::Result<Self> {
        let (domain, any) = match family {
            Family::V4 => (Domain::IPV4, SocketAddr::from(([0; 4], port))),
            Family::V6 => (Domain::IPV6, SocketAddr::from(([0_u16; 8], port))),
        };
        let socket = Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
        match family {
            Family::V4 => switch_on(&socket, libc::IPPROTO_IP, libc::IP_RECVTTL)?,
            Family::V6 => {
                socket.set_only_v6(true)?;
                switch_on(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT)?;
            }
        }
        socket.bind(&any.into())?;
        Ok(Self(socket))
    }

    /// Goes on with one that another process has bound so.
    pub fn over(socket: OwnedFd, family: Family, port: u16) -> io::Result<Self> {
        over(socket, family, port..=port).map(Self)
    }

    /// The socket, to be waited for.
    pub fn socket(&self) -> &Socket {
        &self.0
    }

    /// The next datagram that is there.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Arrival> {
        /// Room for one number with its header, and to spare; aligned as headers must be.
        #[repr(C, align(8))]
        struct Control([u8; 64]);
        let mut control = Control([0; 64]);
        let mut name = SockAddrStorage::zeroed();
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: all zeros is a valid value: null pointers and lengths of 0.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_name = (&raw mut name).cast();
        message.msg_namelen = name.size_of();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = size_of::<Control>() as _;
        // SAFETY: the message points to a name, a buffer and a control area that live through the call, with their
        // lengths.
        let length = unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut message, 0) };
        // A negative length is an error.
        let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
        let ttl = ttl(&message);
        // SAFETY: the kernel has filled in the address and its length.
        let from = unsafe { SockAddr::new(name, message.msg_namelen) };
        let from = from.as_socket().ok_or(io::ErrorKind::InvalidData)?;
        Ok(Arrival { length, from, ttl })
    }
}

fn ttl(message: &libc::msghdr) -> Option<u8> {
    // SAFETY: `message` was filled in by recvmsg, and its control area is alive.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: the macros keep within the control area, and headers in it are aligned.
        let (level, kind) = unsafe { ((*header).cmsg_level, (*header).cmsg_type) };
        if matches!((level, kind), (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT)) {
            // SAFETY: both kinds carry an int.
            let value = unsafe { libc::CMSG_DATA(header).cast::<libc::c_int>().read_unaligned() };
            return u8::try_from(value).ok();
        }
        // SAFETY: as above.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    None
}

/// Sets an option that takes an int to 1.
pub(super) fn switch_on(socket: &Socket, level: libc::c_int, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value lives through the call, and its size is that of an int, as such options take.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), size) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_datagram_tells_how_far_it_came() {
        for (family, own) in [(Family::V4, "127.0.0.1:0"), (Family::V6, "[::1]:0")] {
            let listener = Listener::bind(family, 0).unwrap();
            let port = listener.socket().local_addr().unwrap().as_socket().unwrap().port();
            let sender = Socket::from(UdpSocket::bind(own).unwrap());
            match family {
                Family::V4 => sender.set_ttl_v4(77).unwrap(),
                Family::V6 => sender.set_unicast_hops_v6(77).unwrap(),
            }
            let own = sender.local_addr().unwrap().as_socket().unwrap();
            assert_eq!(listener.receive(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            sender.send_to(b"hello", &SocketAddr::new(own.ip(), port).into()).unwrap();
            let mut buffer = [0; 8];
            let arrival = listener.receive(&mut buffer).unwrap();
            assert_eq!(arrival, Arrival { length: 5, from: own, ttl: Some(77) });
            assert_eq!(&buffer[..5], b"hello");
        }
    }
}
