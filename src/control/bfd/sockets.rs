//! The sockets of BFD: one listener a port and family, and one sender a session with a source port of its own
//! (RFC 5881 4).

use std::collections::BTreeMap;
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
#[derive(Debug, Default)]
pub(super) struct Sockets {
    ears: BTreeMap<Ear, Listener>,
    mouths: Vec<(Spec, Option<Mouth>)>,
}

/// Family and port.
type Ear = (Family, u16);

#[derive(Debug)]
struct Mouth {
    socket: Socket,
    to: SocketAddr,
}

impl Sockets {
    /// Opens what these sessions need, and those of `before` did not.
    pub(super) fn open(specs: &[Spec], before: &[Spec]) -> Result<Self, BfdError> {
        let mut sockets = Self::default();
        for spec in specs {
            if before.iter().all(|other| ear(other) != ear(spec)) && !sockets.ears.contains_key(&ear(spec)) {
                let (family, port) = ear(spec);
                let listener = Listener::bind(family, port).map_err(|source| BfdError::Port { port, source })?;
                sockets.ears.insert(ear(spec), listener);
            }
            let refused = |source| BfdError::Source { name: spec.name.clone(), source };
            let known = before.iter().any(|other| speaks_alike(other, spec));
            let mouth = if known { None } else { Some(Mouth::open(spec).map_err(refused)?) };
            sockets.mouths.push((spec.clone(), mouth));
        }
        Ok(sockets)
    }

    /// Goes over to sockets that were opened beside these; of these it keeps what they need.
    pub(super) fn adopt(&mut self, next: Sockets) {
        let mut before = std::mem::replace(self, next);
        for (spec, mouth) in &mut self.mouths {
            let same = before.mouths.iter_mut().find(|(other, _)| mouth.is_none() && speaks_alike(other, spec));
            if let Some((_, same)) = same {
                *mouth = same.take();
            }
            if let Some(listener) = before.ears.remove(&ear(spec)) {
                self.ears.insert(ear(spec), listener);
            }
        }
    }

    /// To be polled for reading.
    pub(super) fn ears(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.ears.values().map(|listener| listener.socket().as_fd())
    }

    /// Hands over what was received.
    pub(super) fn drain(&self, mut take: impl FnMut(Origin, &[u8])) {
        let mut buffer = [0; ROOM];
        for (&(_, port), listener) in &self.ears {
            let multihop = port == MULTIHOP_PORT;
            for _ in 0..PORTION {
                // Nothing more, or an error that some earlier datagram of ours met.
                let Ok(arrival) = listener.receive(&mut buffer) else { break };
                let Some(ttl) = arrival.ttl else { continue };
                let origin = Origin { from: Addr::from(arrival.from.ip()), ttl, multihop };
                take(origin, &buffer[..arrival.length]);
            }
        }
    }

    /// Sends a packet for a session.
    pub(super) fn send(&self, session: usize, bytes: &[u8]) -> io::Result<()> {
        let Some((_, Some(Mouth { socket, to }))) = self.mouths.get(session) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        socket.send_to(bytes, &(*to).into()).map(|_| ())
    }
}

fn ear(spec: &Spec) -> Ear {
    (spec.neighbour.family(), spec.port())
}

/// Whether the sender of the one serves the other.
fn speaks_alike(one: &Spec, other: &Spec) -> bool {
    one.is_same_session(other) && (one.source, one.ttl) == (other.source, other.ttl)
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
