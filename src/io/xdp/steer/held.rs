//! Going on with a steering program that another process has attached.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya::maps::{Array, Map, MapData};

use super::{AttachMode, Hints, MAPS, PROGRAM, Port, Steering};
use crate::sys::interface::Interface;

/// What must stay open for the program to stay as it is, each a descriptor of its own.
#[derive(Debug)]
pub struct Descriptors {
    /// The maps by name.
    pub maps: BTreeMap<String, OwnedFd>,
    /// The links, by the index of their interface, and how each is attached.
    pub links: BTreeMap<u32, (AttachMode, OwnedFd)>,
}

impl Steering {
    /// Which program this build has, maps and all. Another one cannot go on with what this one has attached.
    pub fn fingerprint() -> u64 {
        PROGRAM
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |digest, &byte| (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    }

    /// New descriptors of everything that another process needs in order to go on.
    pub fn descriptors(&self) -> io::Result<Descriptors> {
        let map = |(&name, map): (&&str, &Map)| Ok((name.to_owned(), descriptor(map)?.try_clone_to_owned()?));
        let link = |(&interface, port): (&u32, &Port)| Ok((interface, (port.mode, port.link.try_clone()?)));
        Ok(Descriptors {
            maps: self.maps.iter().map(map).collect::<io::Result<_>>()?,
            links: self.ports.iter().map(link).collect::<io::Result<_>>()?,
        })
    }

    /// Goes on with what a process of the same [`fingerprint`](Self::fingerprint) has attached to these interfaces and
    /// no others. Nothing changes by that: sockets and rules are those that were set.
    pub fn adopt(descriptors: Descriptors, interfaces: &[Interface]) -> io::Result<Self> {
        let Descriptors { maps: mut held, mut links } = descriptors;
        let mut maps = BTreeMap::new();
        for name in MAPS {
            let file = held.remove(name).ok_or(io::ErrorKind::NotFound)?;
            let map = MapData::from_fd(file).and_then(Map::from_map_data).map_err(io::Error::other)?;
            maps.insert(name, map);
        }
        let mut steering = Self::with(None, maps);
        for interface in interfaces {
            let (mode, link) = links.remove(&interface.index).ok_or(io::ErrorKind::NotFound)?;
            let first_socket = steering.first_socket(interface.index)?;
            steering.sockets_used = steering.sockets_used.max(first_socket + interface.queues);
            steering.ports.insert(interface.index, Port { link, mode, first_socket, queues: interface.queues });
        }
        if !links.is_empty() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let hints = steering.map::<Array<_, Hints>>("hints").get(&0, 0);
        steering.hints = hints.map_err(io::Error::other)?;
        Ok(steering)
    }

    /// How the program is attached to a port of this interface index.
    pub fn mode(&self, interface: u32) -> Option<AttachMode> {
        self.ports.get(&interface).map(|port| port.mode)
    }

    fn first_socket(&mut self, interface: u32) -> io::Result<u32> {
        let ports = self.map::<Array<_, [u32; 2]>>("ports");
        let size = ports.len();
        let entries = (0..size).map(|step| ports.get(&(interface.wrapping_add(step) % size), 0));
        let found = entries.map_while(Result::ok).take_while(|[there, _]| *there != 0);
        let found = found.filter(|[there, _]| *there == interface).map(|[_, first]| first).next();
        Ok(found.ok_or(io::ErrorKind::NotFound)?)
    }
}

/// The descriptor of a map of a kind that the program has.
fn descriptor(map: &Map) -> io::Result<BorrowedFd<'_>> {
    match map {
        Map::Array(data) | Map::HashMap(data) | Map::PerCpuArray(data) | Map::XskMap(data) => Ok(data.fd().as_fd()),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}
