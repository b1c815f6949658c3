//! The sockets of BFD: one listener a port and family, and one sender a session with a source port of its own
//! (RFC 5881 4).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, Socket, Type};

use super::BfdError;
use crate::bfd::Spec;
use crate::bfd::sessions::Origin;
use crate::bfd::spec::MULTIHOP_PORT;
use crate::sys::datagram::Listener;
use crate::wire::{Addr, Family};

/// Source ports, a part of those that RFC 5881 4 allows (from 49152 on): tcpdump takes the first of them for another
/// protocol's.
const PORTS: std::ops::RangeInclusive<u16> = 53784..=65535;
/// Datagrams taken from one socket in one turn: a flood must not keep our own packets waiting.
const PORTION: usize = 256;
/// The longest datagram worth reading: the longest control packet has 255 bytes, as its length is one byte.
const ROOM: usize = 256;

/// All sockets.
#[derive(Debug)]
pub(super) struct Sockets {
    ears: Vec<(Listener, bool)>,
    mouths: Vec<Mouth>,
}

#[derive(Debug)]
struct Mouth {
    socket: Socket,
    to: SocketAddr,
}

impl Sockets {
    /// Opens what these sessions need.
    pub(super) fn open(specs: &[Spec]) -> Result<Self, BfdError> {
        let mut ears: Vec<((Family, u16), Listener)> = Vec::new();
        for spec in specs {
            let key = (spec.neighbour.family(), spec.port());
            if ears.iter().all(|(other, _)| *other != key) {
                let listener = Listener::bind(key.0, key.1);
                ears.push((key, listener.map_err(|source| BfdError::Port { port: key.1, source })?));
            }
        }
        let mouth =
            |spec: &Spec| Mouth::open(spec).map_err(|source| BfdError::Source { name: spec.name.clone(), source });
        let mouths: Result<_, _> = specs.iter().map(mouth).collect();
        let ears = ears.into_iter().map(|((_, port), listener)| (listener, port == MULTIHOP_PORT)).collect();
        Ok(Self { ears, mouths: mouths? })
    }

    /// To be polled for reading.
    pub(super) fn ears(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.ears.iter().map(|(listener, _)| listener.socket().as_fd())
    }

    /// Hands over what was received.
    pub(super) fn drain(&self, mut take: impl FnMut(Origin, &[u8])) {
        let mut buffer = [0; ROOM];
        for (listener, multihop) in &self.ears {
            for _ in 0..PORTION {
                // Nothing more, or an error that some earlier datagram of ours met.
                let Ok(arrival) = listener.receive(&mut buffer) else { break };
                let Some(ttl) = arrival.ttl else { continue };
                let origin = Origin { from: Addr::from(arrival.from.ip()), ttl, multihop: *multihop };
                take(origin, &buffer[..arrival.length]);
            }
        }
    }

    /// Sends a packet for a session.
    pub(super) fn send(&self, session: usize, bytes: &[u8]) -> io::Result<()> {
        let Mouth { socket, to } = &self.mouths[session];
        socket.send_to(bytes, &(*to).into()).map(|_| ())
    }
}

impl Mouth {
    fn open(spec: &Spec) -> io::Result<Self> {
        let (domain, any): (_, IpAddr) = match spec.neighbour.family() {
            Family::V4 => (Domain::IPV4, Ipv4Addr::UNSPECIFIED.into()),
            Family::V6 => (Domain::IPV6, Ipv6Addr::UNSPECIFIED.into()),
        };
        let socket = Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
        match spec.neighbour.family() {
            Family::V4 => socket.set_ttl_v4(spec.ttl.into())?,
            Family::V6 => socket.set_unicast_hops_v6(spec.ttl.into())?,
        }
        // The address may come later, with its interface.
        match spec.neighbour.family() {
            Family::V4 => socket.set_freebind_v4(true)?,
            Family::V6 => socket.set_freebind_v6(true)?,
        }
        let source = spec.source.map_or(any, IpAddr::from);
        let mut outcome = Err(io::ErrorKind::AddrInUse.into());
        for port in PORTS {
            outcome = socket.bind(&SocketAddr::new(source, port).into());
            if !matches!(&outcome, Err(error) if error.kind() == io::ErrorKind::AddrInUse) {
                break;
            }
        }
        outcome?;
        Ok(Self { socket, to: SocketAddr::new(spec.neighbour.into(), spec.port()) })
    }
}
