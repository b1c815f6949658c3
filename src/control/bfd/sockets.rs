//! The sockets of BFD: one listener a port and family, and one sender a session with a source port of its own
//! (RFC 5881 4).

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use socket2::{Domain, Protocol, Socket, Type};

use super::{BfdError, Kept};
use crate::bfd::Spec;
use crate::bfd::sessions::Origin;
use crate::bfd::spec::MULTIHOP_PORT;
use crate::sys::datagram::{self, Listener};
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
    /// Opens what these sessions need, those of `before` did not, and was not kept.
    pub(super) fn open(specs: &[Spec], before: &[Spec], kept: &mut Kept) -> Result<Self, BfdError> {
        let mut sockets = Self::default();
        for spec in specs {
            if before.iter().all(|other| ear(other) != ear(spec)) && !sockets.ears.contains_key(&ear(spec)) {
                let (family, port) = ear(spec);
                let left = kept.remove(&name_of_ear(spec)).and_then(|socket| Listener::over(socket, family, port).ok());
                let bound = left.map_or_else(|| Listener::bind(family, port), Ok);
                let listener = bound.map_err(|source| BfdError::Port { port, source })?;
                sockets.ears.insert(ear(spec), listener);
            }
            let refused = |source| BfdError::Source { name: spec.name.clone(), source };
            let known = before.iter().any(|other| speaks_alike(other, spec));
            let left = kept.remove(&name_of_mouth(spec)).and_then(|socket| Mouth::over(socket, spec).ok());
            let open = || left.map_or_else(|| Mouth::open(spec), Ok);
            let mouth = (!known).then(open).transpose().map_err(refused)?;
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

    /// All, by the names that they are held by.
    pub(super) fn named(&self) -> impl Iterator<Item = (String, BorrowedFd<'_>)> {
        let ears = self.mouths.iter().filter_map(|(spec, _)| {
            let listener = self.ears.get(&ear(spec))?;
            Some((name_of_ear(spec), listener.socket().as_fd()))
        });
        let mouths = self.mouths.iter().filter_map(|(spec, mouth)| {
            let mouth = mouth.as_ref()?;
            Some((name_of_mouth(spec), mouth.socket.as_fd()))
        });
        ears.chain(mouths)
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

/// What the sockets of a session are called where they are held. No name is the beginning of another.
pub(super) fn names(spec: &Spec) -> [String; 2] {
    [name_of_ear(spec), name_of_mouth(spec)]
}

fn name_of_ear(spec: &Spec) -> String {
    let (family, port) = ear(spec);
    format!("ear.{}.{port}.", if family == Family::V4 { "IPv4" } else { "IPv6" })
}

/// With all that [`speaks_alike`] compares.
fn name_of_mouth(spec: &Spec) -> String {
    let source = spec.source.map_or_else(|| "any".to_owned(), |source| source.to_string());
    format!("mouth.{}.{}.{source}.{}.", spec.neighbour, spec.port(), spec.ttl)
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

    /// Goes on with one that another process has opened for such a session.
    fn over(socket: OwnedFd, spec: &Spec) -> io::Result<Self> {
        let socket = datagram::over(socket, spec.neighbour.family(), PORTS)?;
        Ok(Self { socket, to: SocketAddr::new(spec.neighbour.into(), spec.port()) })
    }
}
