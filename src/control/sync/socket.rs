//! The sockets of a sync daemon: UDP to a group on one interface, and from it (`ip_vs_sync.c: make_send_sock`,
//! `make_receive_sock`).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use crate::sys::interface::Interface;

/// Room for what comes or goes in a burst, in bytes; the kernel may grant less.
const BUFFER: usize = 4 << 20;

/// Where a daemon speaks and listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) interface: String,
    pub(super) group: IpAddr,
    pub(super) port: u16,
    pub(super) ttl: u8,
}

impl Place {
    /// A socket to send from. Nothing sent comes back to this machine.
    pub(super) fn outlet(&self) -> io::Result<UdpSocket> {
        let (socket, index) = self.socket()?;
        let _ = socket.set_send_buffer_size(BUFFER);
        match self.group {
            IpAddr::V4(_) => {
                socket.set_multicast_loop_v4(false)?;
                socket.set_multicast_ttl_v4(u32::from(self.ttl))?;
            }
            IpAddr::V6(_) => {
                socket.set_multicast_loop_v6(false)?;
                socket.set_multicast_hops_v6(u32::from(self.ttl))?;
                socket.set_multicast_if_v6(index)?;
            }
        }
        socket.connect(&self.address(self.group, index).into())?;
        UdpSocket::from_std(socket.into())
    }

    /// A socket to receive on.
    pub(super) fn intake(&self) -> io::Result<UdpSocket> {
        let (socket, index) = self.socket()?;
        socket.set_reuse_address(true)?;
        let _ = socket.set_recv_buffer_size(BUFFER);
        let at = match self.group {
            group if group.is_multicast() => group,
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        socket.bind(&self.address(at, index).into())?;
        match self.group {
            IpAddr::V4(group) if group.is_multicast() => {
                socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index))?;
            }
            IpAddr::V6(group) if group.is_multicast() => socket.join_multicast_v6(&group, index)?,
            _ => {}
        }
        UdpSocket::from_std(socket.into())
    }

    fn socket(&self) -> io::Result<(Socket, u32)> {
        let index = Interface::query(&self.interface)?.index;
        let socket =
            Socket::new(Domain::for_address(self.address(self.group, index)), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.bind_device(Some(self.interface.as_bytes()))?;
        Ok((socket, index))
    }

    /// An address with our port; groups and neighbours of IPv6 mean something on one interface only.
    fn address(&self, address: IpAddr, index: u32) -> SocketAddr {
        match address {
            IpAddr::V4(address) => SocketAddr::new(address.into(), self.port),
            IpAddr::V6(address) => SocketAddrV6::new(address, self.port, 0, index).into(),
        }
    }
}
