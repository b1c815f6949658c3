//! Steering: which packets leave the kernel's way and go to the workers.
//!
//! [`Steering`] loads the program (`steer.c`), attaches it to ports, puts the workers' sockets into its map, and keeps
//! its rules. One program serves all ports. Promises:
//!
//! - A packet that no rule names takes its ordinary way through the kernel.
//! - A packet of ours that no socket takes is dropped, unless told otherwise ([`Fallback`]): the kernel would answer it
//!   with a reset and end the client's connection.
//! - Nothing outlives the process. Program, maps and links are not pinned: they go when this value is dropped, and also
//!   when the process is killed.

mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::Hash;
use std::os::fd::{AsRawFd, BorrowedFd};

use aya::maps::{Array, HashMap, Map, PerCpuArray, XskMap};
use aya::programs::links::FdLink;
use aya::programs::{Xdp, XdpMode};
use aya::{Ebpf, Pod};
use rustix::io::Errno;

use super::error::{SetupError, cause, errno};
use crate::io::options::Attach;
use crate::sys::interface::Interface;
use crate::sys::limits;
use rules::{AddressKey, Difference, EndpointKey, Hints, MarksValue, endpoint_key};
pub use rules::{Marking, Rules};

/// The compiled program.
static PROGRAM: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/steer.o"));

/// Room in the program's map of sockets: queues of all ports together.
const MAX_SOCKETS: u32 = 4096;

/// Memory of all maps when full, generously. Kernels before 5.11 count it as locked.
const MAP_MEMORY: u64 = 64 << 20;

/// The largest MTU of veth (and of most drivers, within a few bytes) with a program that takes one page a frame.
const ONE_PAGE_MTU: u32 = 3506;

/// How the program was attached to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachMode {
    /// In the driver.
    Native,
    /// Behind the driver, on socket buffers.
    Generic,
}

impl fmt::Display for AttachMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Generic => "generic",
        })
    }
}

/// What becomes of our packets when no socket takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// They are dropped; clients try again.
    Drop,
    /// The kernel gets them.
    Pass,
}

/// How many packets went which way, since the program was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// To the kernel.
    pub passed: u64,
    /// To a worker.
    pub redirected: u64,
    /// Ours, but no socket took them.
    pub dropped: u64,
}

/// The steering program, loaded.
pub struct Steering {
    ebpf: Ebpf,
    ports: BTreeMap<u32, Port>,
    sockets_used: u32,
    hints: Hints,
}

/// An attached port. Dropping the link detaches the program.
struct Port {
    _link: FdLink,
    first_socket: u32,
    queues: u32,
}

impl Steering {
    /// Loads the program, with no rules and [`Fallback::Drop`].
    pub fn load() -> Result<Self, SetupError> {
        limits::raise_locked_memory(MAP_MEMORY);
        let failed = "load the steering program";
        let mut ebpf = Ebpf::load(PROGRAM).map_err(|error| SetupError::general(failed, error))?;
        program(&mut ebpf).load().map_err(|error| SetupError::general(failed, error))?;
        let mut steering = Self { ebpf, ports: BTreeMap::new(), sockets_used: 0, hints: Hints::NONE };
        steering.set_fallback(Fallback::Drop)?;
        Ok(steering)
    }

    /// Attaches the program to a port, natively if `wanted` allows and the driver can.
    pub fn attach(&mut self, interface: &Interface, wanted: Attach) -> Result<AttachMode, SetupError> {
        let first_socket = self.sockets_used;
        if interface.queues > MAX_SOCKETS - first_socket {
            return Err(SetupError::TooManyQueues { limit: MAX_SOCKETS });
        }
        self.enter_port(interface.index, first_socket)?;
        let (link, mode) = match wanted {
            Attach::Generic => (self.link(interface, AttachMode::Generic)?, AttachMode::Generic),
            Attach::Native => (self.link(interface, AttachMode::Native)?, AttachMode::Native),
            Attach::Auto => match self.link(interface, AttachMode::Native) {
                Err(SetupError::NotSupported { .. }) => {
                    (self.link(interface, AttachMode::Generic)?, AttachMode::Generic)
                }
                native => (native?, AttachMode::Native),
            },
        };
        self.sockets_used += interface.queues;
        self.ports.insert(interface.index, Port { _link: link, first_socket, queues: interface.queues });
        Ok(mode)
    }

    /// Takes the program off a port; the kernel gets all its packets from now on.
    pub fn detach(&mut self, interface: &Interface) {
        self.ports.remove(&interface.index);
    }

    /// Gives the packets of ours that arrive on this queue to `socket`.
    ///
    /// # Panics
    ///
    /// If the port is not attached or has no such queue.
    pub fn add_socket(&mut self, interface: &Interface, queue: u32, socket: BorrowedFd<'_>) -> Result<(), SetupError> {
        let port = &self.ports[&interface.index];
        assert!(queue < port.queues, "sockets are opened for the queues of the port");
        let entry = port.first_socket + queue;
        self.map::<XskMap<_>>("sockets").set(entry, socket.as_raw_fd(), 0).map_err(not_updated)
    }

    /// Makes these the rules. What stays is never absent meanwhile, and a server is never served before the addresses
    /// are known that are not to be taken from it.
    pub fn update(&mut self, rules: &Rules) -> Result<(), SetupError> {
        let keys =
            |addresses: &BTreeSet<_>| addresses.iter().map(|address: &crate::wire::Addr| address.octets()).collect();
        let servers = rules.servers.iter().map(|&(protocol, real)| endpoint_key(real, protocol)).collect();
        let local = self.difference::<AddressKey>("local_addresses", &keys(&rules.local_addresses))?;
        let addresses = self.difference::<AddressKey>("server_addresses", &keys(&rules.server_addresses))?;
        let tunnels = rules.tunnels.iter().map(|&(protocol, end)| endpoint_key(end, protocol)).collect();
        let tunnels = self.difference::<EndpointKey>("tunnels", &tunnels)?;
        let servers = self.difference::<EndpointKey>("servers", &servers)?;
        let vips = self.difference::<AddressKey>("vips", &keys(&rules.vips))?;
        let services = self.difference::<EndpointKey>("services", &rules.service_keys())?;
        let own = self.difference::<AddressKey>("own_addresses", &keys(&rules.own_addresses))?;

        let locals = self.map::<HashMap<_, AddressKey, [u16; 2]>>("local_ends");
        let locals: Result<BTreeSet<_>, _> = locals.keys().collect();
        let locals = locals.map_err(|error| SetupError::general("read the steering rules", error))?;

        let hints = Hints::new(rules);
        self.hint(self.hints.with(hints))?;
        self.add("own_addresses", &own.add)?;
        self.add("local_addresses", &local.add)?;
        let mut local_ends = self.map::<HashMap<_, AddressKey, [u16; 2]>>("local_ends");
        for (address, &(first, last)) in &rules.local_ends {
            local_ends.insert(address.octets(), [first, last], 0).map_err(not_updated)?;
        }
        self.add("server_addresses", &addresses.add)?;
        self.add("tunnels", &tunnels.add)?;
        self.add("servers", &servers.add)?;
        self.add("vips", &vips.add)?;
        self.add("services", &services.add)?;
        let mut marks = self.map::<HashMap<_, u32, MarksValue>>("marks");
        marks.insert(0, rules.marks_value(), 0).map_err(not_updated)?;
        self.map::<Array<_, u32>>("kinds").set(0, rules.kinds(), 0).map_err(not_updated)?;

        self.remove("services", &services.remove)?;
        self.remove("vips", &vips.remove)?;
        self.remove("servers", &servers.remove)?;
        self.remove("tunnels", &tunnels.remove)?;
        self.remove("server_addresses", &addresses.remove)?;
        let wanted: BTreeSet<AddressKey> = rules.local_ends.keys().map(|address| address.octets()).collect();
        let mut local_ends = self.map::<HashMap<_, AddressKey, [u16; 2]>>("local_ends");
        locals.difference(&wanted).try_for_each(|key| local_ends.remove(key)).map_err(not_updated)?;
        self.remove("local_addresses", &local.remove)?;
        self.remove("own_addresses", &own.remove)?;
        self.hint(hints)
    }

    fn hint(&mut self, hints: Hints) -> Result<(), SetupError> {
        if self.hints != hints {
            self.map::<Array<_, Hints>>("hints").set(0, hints, 0).map_err(not_updated)?;
            self.hints = hints;
        }
        Ok(())
    }

    /// Writes down where a port's sockets begin: at its index modulo the size of the map, or the next free entry.
    fn enter_port(&mut self, interface: u32, first_socket: u32) -> Result<(), SetupError> {
        let mut ports = self.map::<Array<_, [u32; 2]>>("ports");
        let size = ports.len();
        for step in 0..size {
            let at = interface.wrapping_add(step) % size;
            let [there, _] = ports.get(&at, 0).map_err(not_updated)?;
            if there == 0 || there == interface {
                return ports.set(at, [interface, first_socket], 0).map_err(not_updated);
            }
        }
        Err(SetupError::TooManyQueues { limit: size })
    }

    /// Decides what becomes of our packets when no socket takes them.
    pub fn set_fallback(&mut self, fallback: Fallback) -> Result<(), SetupError> {
        // enum xdp_action of <linux/bpf.h>
        let action: u32 = match fallback {
            Fallback::Drop => 1,
            Fallback::Pass => 2,
        };
        self.map::<Array<_, u32>>("fallback").set(0, action, 0).map_err(not_updated)
    }

    /// What the program has counted, over all ports and cores.
    pub fn counters(&mut self) -> Result<Counters, SetupError> {
        let cores = self.map::<PerCpuArray<_, [u64; 3]>>("counts");
        let cores = cores.get(&0, 0).map_err(|error| SetupError::general("read the steering counters", error))?;
        Ok(cores.iter().fold(Counters::default(), |sum, [passed, redirected, dropped]| Counters {
            passed: sum.passed + passed,
            redirected: sum.redirected + redirected,
            dropped: sum.dropped + dropped,
        }))
    }

    fn link(&mut self, interface: &Interface, mode: AttachMode) -> Result<FdLink, SetupError> {
        let flags = match mode {
            AttachMode::Native => XdpMode::Driver,
            AttachMode::Generic => XdpMode::Skb,
        };
        let program = program(&mut self.ebpf);
        let id = program.attach_to_if_index(interface.index, flags).map_err(|error| refused(interface, mode, error))?;
        let link = program.take_link(id).expect("it was put there a moment ago");
        // Where the kernel has no such links, the program was attached in the old way, which outlives the process.
        FdLink::try_from(link).map_err(|error| {
            let action = format!("attach to {} by a link", interface.name);
            SetupError::Kernel { action, source: cause(error) }
        })
    }

    fn difference<K: Pod + Ord + Hash>(
        &mut self,
        map: &str,
        wanted: &BTreeSet<K>,
    ) -> Result<Difference<K>, SetupError> {
        let present: Result<BTreeSet<K>, _> = self.map::<HashMap<_, K, u8>>(map).keys().collect();
        let present = present.map_err(|error| SetupError::general("read the steering rules", error))?;
        Ok(Difference::between(&present, wanted))
    }

    fn add<K: Pod>(&mut self, map: &str, keys: &[K]) -> Result<(), SetupError> {
        let mut map = self.map::<HashMap<_, K, u8>>(map);
        keys.iter().try_for_each(|key| map.insert(key, 1, 0)).map_err(not_updated)
    }

    fn remove<K: Pod>(&mut self, map: &str, keys: &[K]) -> Result<(), SetupError> {
        let mut map = self.map::<HashMap<_, K, u8>>(map);
        keys.iter().try_for_each(|key| map.remove(key)).map_err(not_updated)
    }

    fn map<'a, M>(&'a mut self, name: &str) -> M
    where
        M: TryFrom<&'a mut Map>,
        M::Error: fmt::Debug,
    {
        let map = self.ebpf.map_mut(name).expect("steer.c declares it");
        M::try_from(map).expect("steer.c declares it so")
    }
}

impl fmt::Debug for Steering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steering").field("ports", &self.ports.keys()).finish_non_exhaustive()
    }
}

fn program(ebpf: &mut Ebpf) -> &mut Xdp {
    let program = ebpf.program_mut("steer").expect("steer.c defines it");
    program.try_into().expect("it is in the section `xdp`")
}

fn not_updated(error: aya::maps::MapError) -> SetupError {
    SetupError::general("change the steering rules", error)
}

/// What it means that the program cannot be attached (`dev_xdp_attach` of net/core/dev.c, and the drivers).
fn refused(interface: &Interface, mode: AttachMode, error: aya::programs::ProgramError) -> SetupError {
    let name = interface.name.clone();
    match errno(&error) {
        Some(Errno::BUSY | Errno::EXIST) => SetupError::PortBusy { interface: name, source: cause(error) },
        Some(Errno::NODEV) => SetupError::NoSuchInterface { interface: name },
        // veth judges by its peer's MTU, since that is what may arrive.
        Some(Errno::RANGE) if interface.mtu <= ONE_PAGE_MTU => {
            SetupError::PeerMtuTooLarge { interface: name, limit: ONE_PAGE_MTU }
        }
        Some(Errno::RANGE) => SetupError::MtuTooLarge { interface: name, mtu: interface.mtu, limit: ONE_PAGE_MTU },
        Some(Errno::NOSPC) => SetupError::TooFewQueues { interface: name, source: cause(error) },
        Some(Errno::OPNOTSUPP) if mode == AttachMode::Native => SetupError::NotSupported {
            interface: name,
            what: "native XDP",
            instead: "`attach generic`",
            source: cause(error),
        },
        _ => SetupError::general(format!("attach the steering program to {name}"), error),
    }
}

#[cfg(test)]
mod tests;
