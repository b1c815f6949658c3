//! Opening a worker's sockets, and saying what is wrong if that fails.

use std::io;
use std::time::Duration;

use rustix::io::Errno;

use super::error::{SetupError, errno};
use super::pool::{HOME, Pool};
use super::rings::{Binding, Geometry, Memory, Rings};
use super::socket::Socket;
use super::steer::AttachMode;
use crate::io::options::{RingOptions, Transfer};
use crate::io::{BATCH, PortId};
use crate::sys::interface::Interface;
use crate::sys::limits;

/// Ethernet header and one VLAN tag.
const LINK_HEADERS: u32 = 14 + 4;

/// The largest slot: one page.
const LARGEST_SLOT: u32 = 4096;

/// A port as one worker will use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSetup {
    /// The interface.
    pub interface: Interface,
    /// The receive queues that this worker serves; it transmits on the first. At least one.
    pub queues: Vec<u32>,
    /// How the steering program is attached there.
    pub attached: AttachMode,
}

/// The sockets of a worker, all on one pool.
pub(super) struct Opened<R: Rings> {
    pub(super) pool: Pool<R::Memory>,
    pub(super) sockets: Vec<Socket<R>>,
    pub(super) zero_copy: bool,
}

/// Opens a socket for each queue of each port. The slots of all are one UMEM, so zero-copy or copy is decided for all of
/// them together.
pub(super) fn open<R: Rings>(ports: &[PortSetup], options: &RingOptions) -> Result<Opened<R>, SetupError> {
    match options.transfer {
        Transfer::Copy => try_open(ports, options, false),
        Transfer::ZeroCopy => try_open(ports, options, true),
        Transfer::Auto => match try_open(ports, options, true) {
            Err(SetupError::NotSupported { .. }) => try_open(ports, options, false),
            opened => opened,
        },
    }
}

fn try_open<R: Rings>(ports: &[PortSetup], options: &RingOptions, zero_copy: bool) -> Result<Opened<R>, SetupError> {
    let geometry = geometry(ports, options.frames)?;
    let pool = make_pool(geometry, &numbered_places(ports))?;
    let mut sockets: Vec<Socket<R>> = Vec::new();
    for ((port, queue), number) in places(ports).zip(0..) {
        let interface = &ports[usize::from(port.0)].interface;
        let binding = Binding { interface, queue, zero_copy, busy_poll: options.busy_poll };
        let bind = || R::bind(pool.memory(), sockets.first().map(Socket::rings), geometry, &binding);
        let rings = patiently(bind).map_err(|error| refused(&binding, geometry, error))?;
        sockets.push(Socket::new(rings, number, (port, queue), geometry.ring, (0, 0)));
    }
    Ok(Opened { pool, sockets, zero_copy })
}

/// The queues of all ports, in the order of a worker's sockets.
pub(super) fn places(ports: &[PortSetup]) -> impl Iterator<Item = (PortId, u32)> {
    (0..).map(PortId).zip(ports).flat_map(|(id, port)| port.queues.iter().map(move |&queue| (id, queue)))
}

/// The same by interface index, as the ledger keeps them.
pub(super) fn numbered_places(ports: &[PortSetup]) -> Vec<(u32, u32)> {
    places(ports).map(|(port, queue)| (ports[usize::from(port.0)].interface.index, queue)).collect()
}

/// Half of the slots wait in the fill rings; the other half are for frames being sent and for packets of our own making.
pub(super) fn geometry(ports: &[PortSetup], frames: usize) -> Result<Geometry, SetupError> {
    let ring = ring_size(frames);
    let slots = places(ports).count() as u64 * u64::from(ring) * 2;
    let slots = u32::try_from(slots).expect("a few ports and queues a worker");
    Ok(Geometry { slots, slot: slot_size(ports)?, ring })
}

/// Entries of each ring: at least a batch, at most what the index arithmetic of older kernels is known to bear.
fn ring_size(frames: usize) -> u32 {
    frames.clamp(BATCH, 1 << 15).next_power_of_two() as u32
}

/// Bytes a slot: the smaller size that the kernel allows and that holds a frame of the largest MTU.
fn slot_size(ports: &[PortSetup]) -> Result<u32, SetupError> {
    let overhead = u32::from(HOME) + LINK_HEADERS;
    for port in ports {
        let (mtu, limit) = (port.interface.mtu, LARGEST_SLOT - overhead);
        if mtu > limit {
            return Err(SetupError::MtuTooLarge { interface: port.interface.name.clone(), mtu, limit });
        }
    }
    let largest = ports.iter().map(|port| port.interface.mtu).max().unwrap_or(0);
    Ok(if largest + overhead <= LARGEST_SLOT / 2 { LARGEST_SLOT / 2 } else { LARGEST_SLOT })
}

fn make_pool<M: Memory>(geometry: Geometry, places: &[(u32, u32)]) -> Result<Pool<M>, SetupError> {
    limits::raise_locked_memory(geometry.bytes() as u64);
    Pool::create(geometry, places).map_err(|error| no_memory(geometry, error))
}

/// What it means that there is no memory for slots, or no socket to share it.
fn no_memory(geometry: Geometry, error: io::Error) -> SetupError {
    match errno(&error) {
        Some(Errno::NOBUFS | Errno::NOMEM) => {
            SetupError::LockedMemory { wanted: geometry.bytes() as u64, source: error }
        }
        _ => SetupError::general("open an AF_XDP socket", error),
    }
}

/// The kernel frees a queue a little after the last user has closed it (16 ms were seen), also when that user was killed:
/// a director that is started again waits for that, for a quarter of a second at most.
fn patiently<R>(bind: impl Fn() -> io::Result<R>) -> io::Result<R> {
    for _ in 0..50 {
        match bind() {
            Err(error) if errno(&error) == Some(Errno::BUSY) => std::thread::sleep(Duration::from_millis(5)),
            result => return result,
        }
    }
    bind()
}

/// What it means that a socket cannot be bound (`xsk_bind` of net/xdp/xsk.c, `xp_assign_dev` of net/xdp/xsk_buff_pool.c).
fn refused(binding: &Binding<'_>, geometry: Geometry, error: io::Error) -> SetupError {
    let (interface, queue) = (binding.interface.name.clone(), binding.queue);
    match errno(&error) {
        Some(Errno::BUSY) => SetupError::QueueBusy { interface, queue, source: error },
        Some(Errno::NODEV) => SetupError::NoSuchInterface { interface },
        Some(Errno::NETDOWN) => SetupError::Down { interface, source: error },
        Some(Errno::OPNOTSUPP | Errno::INVAL) if binding.zero_copy => {
            SetupError::NotSupported { interface, what: "zero-copy", instead: "`transfer auto`", source: error }
        }
        Some(Errno::OPNOTSUPP) => {
            SetupError::NotSupported { interface, what: "AF_XDP", instead: "another interface", source: error }
        }
        Some(Errno::NOBUFS | Errno::NOMEM) => no_memory(geometry, error),
        _ => SetupError::general(format!("bind an AF_XDP socket to queue {queue} of {interface}"), error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Mac;

    fn port(mtu: u32) -> PortSetup {
        let interface = Interface {
            name: "eth0".into(),
            index: 1,
            mtu,
            mac: Mac::default(),
            queues: 1,
            driver: String::new(),
            bus: String::new(),
        };
        PortSetup { interface, queues: vec![0], attached: AttachMode::Native }
    }

    #[test]
    fn slots_are_as_small_as_the_largest_mtu_allows() {
        let cases =
            [(vec![1500], 2048), (vec![1710], 2048), (vec![1711], 4096), (vec![1500, 3506], 4096), (vec![3758], 4096)];
        for (mtus, slot) in cases {
            let ports: Vec<_> = mtus.iter().map(|&mtu| port(mtu)).collect();
            assert_eq!(slot_size(&ports).unwrap(), slot, "{mtus:?}");
        }
        let error = slot_size(&[port(1500), port(9000)]).unwrap_err();
        assert!(matches!(error, SetupError::MtuTooLarge { mtu: 9000, limit: 3758, .. }), "{error}");
    }

    #[test]
    fn rings_are_powers_of_two_within_bounds() {
        for (frames, ring) in [(0, 64), (64, 64), (4096, 4096), (4097, 8192), (usize::MAX, 1 << 15)] {
            assert_eq!(ring_size(frames), ring);
        }
    }
}
