//! Packet sockets (packet(7)): whole frames out, IP packets in, past the host's own stack and firewall.

#![expect(unsafe_code, reason = "the address of a packet socket has no safe constructor")]

use std::io;

use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, SockFilter, Socket, Type};

use super::datagram::switch_on;
use crate::wire::{Family, Mac};

/// Of <linux/if_packet.h>.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// Sends Ethernet frames by any interface; receives nothing.
#[derive(Debug)]
pub struct FrameSender(Socket);

impl FrameSender {
    /// Opens one.
    pub fn open() -> io::Result<Self> {
        Ok(Self(Socket::new(Domain::PACKET, Type::RAW.nonblocking(), None)?))
    }

    /// Sends a frame, Ethernet header included, by the interface of index `link`.
    pub fn send(&self, link: u32, frame: &[u8]) -> io::Result<()> {
        self.0.send_to(frame, &address(link, 0)).map(|_| ())
    }
}

/// Opens a socket that receives the IP packets of one family and two protocols that come in by one interface, each from its IP
/// header on: those for this host and those for groups, whether it is a member or not. It takes them before a macvlan on top
/// of the interface can.
pub fn ip_receiver(link: u32, family: Family, protocols: [u8; 2]) -> io::Result<Socket> {
    let (ethertype, field) = match family {
        Family::V4 => (libc::ETH_P_IP, 9),
        Family::V6 => (libc::ETH_P_IPV6, 6),
    };
    // Protocol 0 takes nothing in before the filter is there.
    let socket = Socket::new(Domain::PACKET, Type::DGRAM.nonblocking(), Some(Protocol::from(0)))?;
    socket.attach_filter(&only(ethertype.cast_unsigned(), field, protocols))?;
    switch_on(&socket, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING)?;
    // Only who asks for all protocols comes before other interfaces.
    socket.bind(&address(link, (libc::ETH_P_ALL as u16).to_be()))?;
    Ok(socket)
}

/// Passes untagged packets that this host or a group is the destination of, of this `ethertype`, and whose byte at `field`
/// is one of `protocols`.
fn only(ethertype: u32, field: u32, [one, other]: [u8; 2]) -> [SockFilter; 11] {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const JUMP_IF_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    /// `SKF_AD_OFF` of <linux/filter.h>; below it are facts about a packet.
    const FACTS: u32 = (-0x1000_i32).cast_unsigned();
    const ETHERTYPE: u32 = FACTS;
    const PACKET_TYPE: u32 = FACTS + 4;
    const TAGGED: u32 = FACTS + 48;
    /// `PACKET_OTHERHOST` of <linux/if_packet.h>; what was sent comes after it.
    const OTHER_HOST: u32 = 3;
    [
        SockFilter::new(LOAD, 0, 0, PACKET_TYPE),
        SockFilter::new(JUMP_IF_AT_LEAST, 8, 0, OTHER_HOST),
        SockFilter::new(LOAD, 0, 0, ETHERTYPE),
        SockFilter::new(JUMP_IF_EQUAL, 0, 6, ethertype),
        SockFilter::new(LOAD, 0, 0, TAGGED),
        SockFilter::new(JUMP_IF_EQUAL, 0, 4, 0),
        SockFilter::new(LOAD_BYTE, 0, 0, field),
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, one.into()),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, other.into()),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

/// `struct sockaddr_ll` for an interface; `ethertype` in network order.
fn address(link: u32, ethertype: u16) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: the storage is as large and as aligned as any socket address, and zeros are a valid `sockaddr_ll`.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = ethertype;
    address.sll_ifindex = link.cast_signed();
    address.sll_halen = size_of::<Mac>() as u8;
    // SAFETY: the storage holds a `sockaddr_ll`, and this is its size.
    unsafe { SockAddr::new(storage, size_of::<libc::sockaddr_ll>() as libc::socklen_t) }
}
