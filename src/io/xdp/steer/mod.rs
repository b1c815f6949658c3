//! Steering: which packets leave the kernel's way and go to the workers.
//!
//! [`Steering`] loads the program (`steer.c`), attaches it to ports, puts the workers' sockets into its map, and keeps
//! its rules. One program serves all ports. Promises:
//!
//! - A packet that no rule names takes its ordinary way through the kernel.
//! - A packet to a closed address that no service takes is dropped ([`Rules::closed_addresses`]).
//! - A packet of ours that no socket takes is dropped, unless told otherwise ([`Fallback`]): the kernel would answer it
//!   with a reset and end the client's connection.
//! - Nothing is pinned. Program, maps and links go when the last process closes their descriptors, also by being killed;
//!   one that holds those of [`Steering::descriptors`] keeps everything as it is ([`Steering::adopt`]).

mod contents;
mod held;
mod link;
mod rules;
mod update;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use aya::Ebpf;
use aya::maps::{Array, Map, PerCpuArray, XskMap};
use aya::programs::Xdp;
use rustix::io::Errno;

use super::error::{SetupError, errno};
use crate::io::options::Attach;
use crate::sys::interface::Interface;
use crate::sys::limits;
use contents::Contents;
pub use held::Descriptors;
use rules::Hints;
pub use rules::{Marking, Rules};

/// The compiled program.
static PROGRAM: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/steer.o"));

/// All maps of the program.
const MAPS: [&str; 16] = [
    "vips",
    "services",
    "servers",
    "server_addresses",
    "tunnels",
    "local_addresses",
    "own_addresses",
    "closed_addresses",
    "local_ends",
    "kinds",
    "marks",
    "hints",
    "ports",
    "sockets",
    "fallback",
    "counts",
];

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
    /// Dropped, since a closed address takes only what is served.
    pub refused: u64,
}

/// The steering program, loaded.
pub struct Steering {
    /// Not needed by one who found the ports attached.
    program: Option<Ebpf>,
    maps: BTreeMap<&'static str, Map>,
    ports: BTreeMap<u32, Port>,
    sockets_used: u32,
    hints: Hints,
    /// What the maps hold, where that is known.
    contents: Option<Contents>,
}

/// An attached port. The program is detached once nobody holds the link.
struct Port {
    link: OwnedFd,
    mode: AttachMode,
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
        let map = |name| (name, ebpf.take_map(name).expect("steer.c declares it"));
        let maps = MAPS.map(map).into();
        let mut steering = Self::with(Some(ebpf), maps);
        steering.set_fallback(Fallback::Drop)?;
        Ok(steering)
    }

    fn with(program: Option<Ebpf>, maps: BTreeMap<&'static str, Map>) -> Self {
        Self { program, maps, ports: BTreeMap::new(), sockets_used: 0, hints: Hints::NONE, contents: None }
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
        self.ports.insert(interface.index, Port { link, mode, first_socket, queues: interface.queues });
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
        let cores = self.map::<PerCpuArray<_, [u64; 4]>>("counts");
        let cores = cores.get(&0, 0).map_err(|error| SetupError::general("read the steering counters", error))?;
        Ok(cores.iter().fold(Counters::default(), |sum, [passed, redirected, dropped, refused]| Counters {
            passed: sum.passed + passed,
            redirected: sum.redirected + redirected,
            dropped: sum.dropped + dropped,
            refused: sum.refused + refused,
        }))
    }

    fn link(&mut self, interface: &Interface, mode: AttachMode) -> Result<OwnedFd, SetupError> {
        let program = program(self.program.as_mut().expect("only who has loaded it attaches it"));
        let attached =
            program.fd().map_err(io::Error::other).and_then(|fd| link::attach(fd.as_fd(), interface.index, mode));
        attached.map_err(|error| refused(interface, mode, error))
    }

    fn map<'a, M>(&'a mut self, name: &str) -> M
    where
        M: TryFrom<&'a mut Map>,
        M::Error: fmt::Debug,
    {
        let map = self.maps.get_mut(name).expect("it is one of MAPS");
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
fn refused(interface: &Interface, mode: AttachMode, error: io::Error) -> SetupError {
    let name = interface.name.clone();
    match errno(&error) {
        Some(Errno::BUSY | Errno::EXIST) => SetupError::PortBusy { interface: name, source: error },
        Some(Errno::NODEV) => SetupError::NoSuchInterface { interface: name },
        // veth judges by its peer's MTU, since that is what may arrive.
        Some(Errno::RANGE) if interface.mtu <= ONE_PAGE_MTU => {
            SetupError::PeerMtuTooLarge { interface: name, limit: ONE_PAGE_MTU }
        }
        Some(Errno::RANGE) => SetupError::MtuTooLarge { interface: name, mtu: interface.mtu, limit: ONE_PAGE_MTU },
        Some(Errno::NOSPC) => SetupError::TooFewQueues { interface: name, source: error },
        Some(Errno::OPNOTSUPP) if mode == AttachMode::Native => {
            SetupError::NotSupported { interface: name, what: "native XDP", instead: "`attach generic`", source: error }
        }
        _ => SetupError::general(format!("attach the steering program to {name}"), error),
    }
}

#[cfg(test)]
mod tests;
