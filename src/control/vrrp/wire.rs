//! The sockets of elections.
//!
//! Adverts are heard by packet sockets: the same way for both families, with the whole IP header, whatever the
//! host's firewall makes of protocol 112. They are sent by raw sockets that take the header from us, so that the kernel
//! finds the way to unicast peers; those of a virtual MAC address go out as frames, by the interface itself. The raw socket is also what joins the group: switches that listen in on
//! IGMP and MLD must see a member.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use crate::control::kernel::facts::Facts;
use crate::sys::packet::{FrameSender, ip_receiver};
use crate::vrrp::Spec;
use crate::vrrp::announce::Site;
use crate::vrrp::frames::{announcement, to_group};
use crate::vrrp::packet::Packet;
use crate::vrrp::proof::header::AUTHENTICATION_HEADER;
use crate::vrrp::spec::Peers;
use crate::vrrp::wire::{LONGEST, PROTOCOL};
use crate::wire::{Addr, Family};

/// Packets taken from one socket in one turn: a flood must not keep our own adverts waiting.
const PORTION: usize = 256;

/// The longest packet worth reading: the longest advert and its IP header.
const ROOM: usize = LONGEST + 64;

/// All sockets.
#[derive(Debug)]
pub(super) struct Wire {
    lines: BTreeMap<(String, Family), Line>,
    frames: FrameSender,
}

/// The sockets of one interface and family.
#[derive(Debug)]
struct Line {
    link: u32,
    ears: Socket,
    mouth: Socket,
}

impl Wire {
    /// Without lines so far.
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self { lines: BTreeMap::new(), frames: FrameSender::open()? })
    }

    /// Opens what the interfaces of these instances need and lack, also where an interface came back as a new one.
    pub(super) fn follow<'a>(&mut self, specs: impl Iterator<Item = &'a Spec>, facts: &Facts) -> io::Result<()> {
        for spec in specs {
            let key = (spec.interface.clone(), spec.family);
            let Some(link) = facts.link_named(&spec.interface).map(|link| link.index) else {
                self.lines.remove(&key);
                continue;
            };
            if self.lines.get(&key).is_none_or(|line| line.link != link) {
                self.lines.insert(key.clone(), Line::open(&spec.interface, link, spec.family)?);
            }
            if let Peers::Multicast(group) = spec.peers {
                self.lines[&key].join(group)?;
            }
        }
        Ok(())
    }

    /// Takes in the lines of another one, where it has none of its own.
    pub(super) fn adopt(&mut self, other: Wire) {
        for (key, line) in other.lines {
            self.lines.entry(key).or_insert(line);
        }
    }

    /// Closes what none of these instances needs.
    pub(super) fn keep<'a>(&mut self, specs: impl Iterator<Item = &'a Spec>) {
        let needed: BTreeSet<_> = specs.map(|spec| (spec.interface.clone(), spec.family)).collect();
        self.lines.retain(|key, _| needed.contains(key));
    }

    /// To be polled for reading.
    pub(super) fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.lines.values().map(|line| line.ears.as_fd())
    }

    /// Hands over what was received, with the name of the interface.
    pub(super) fn drain(&self, mut take: impl FnMut(&str, &Packet<'_>)) {
        let mut buffer = [0; ROOM];
        for ((interface, _), line) in &self.lines {
            for _ in 0..PORTION {
                // Nothing more, or an interface that went down; its next packet comes all the same.
                let Ok(length) = (&line.ears).read(&mut buffer) else { break };
                if let Some(packet) = Packet::parse(&buffer[..length]) {
                    take(interface, &packet);
                }
            }
        }
    }

    /// Sends an IP packet of an instance, header included.
    pub(super) fn send(&self, spec: &Spec, to: Addr, bytes: &[u8]) -> io::Result<()> {
        let Some(line) = self.lines.get(&(spec.interface.clone(), to.family())) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if let Some(mac) = spec.mac {
            return self.frames.send(line.link, &to_group(to, mac, bytes));
        }
        let to = match IpAddr::from(to) {
            IpAddr::V4(v4) => SocketAddr::from((v4, 0)),
            IpAddr::V6(v6) => SocketAddrV6::new(v6, 0, 0, line.link).into(),
        };
        line.mouth.send_to(bytes, &to.into()).map(|_| ())
    }

    /// Tells the neighbours of its interface where an address is.
    pub(super) fn announce(&self, site: &Site, facts: &Facts, router: bool) -> io::Result<()> {
        let Some(link) = facts.link_named(&site.device) else { return Err(io::ErrorKind::NotFound.into()) };
        self.frames.send(link.index, &announcement(site.address, link.mac, router))
    }
}

impl Line {
    fn open(interface: &str, link: u32, family: Family) -> io::Result<Self> {
        let ears = ip_receiver(link, family, [PROTOCOL, AUTHENTICATION_HEADER])?;
        let domain = if family == Family::V4 { Domain::IPV4 } else { Domain::IPV6 };
        // This protocol means that the header is ours (raw(7), ipv6(7)).
        let mouth = Socket::new(domain, Type::RAW.nonblocking(), Some(Protocol::from(libc::IPPROTO_RAW)))?;
        mouth.bind_device(Some(interface.as_bytes()))?;
        match family {
            Family::V4 => mouth.set_multicast_loop_v4(false)?,
            Family::V6 => mouth.set_multicast_loop_v6(false)?,
        }
        Ok(Self { link, ears, mouth })
    }

    /// A membership that is there already is as good.
    fn join(&self, group: Addr) -> io::Result<()> {
        let joined = match IpAddr::from(group) {
            IpAddr::V4(v4) => self.mouth.join_multicast_v4_n(&v4, &InterfaceIndexOrAddress::Index(self.link)),
            IpAddr::V6(v6) => self.mouth.join_multicast_v6(&v6, self.link),
        };
        match joined {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => Err(error),
            _ => Ok(()),
        }
    }
}
