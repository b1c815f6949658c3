//! Opening a worker's sockets, and saying what is wrong if that fails.

use std::num::NonZeroU32;
use std::time::Duration;

use rustix::io::Errno;
use xsk_rs::config::Interface as InterfaceName;
use xsk_rs::socket::SocketCreateError;

use super::error::{SetupError, cause, errno};
use super::pool::{HOME, Pool};
use super::socket::Socket;
use super::steer::AttachMode;
use crate::io::options::Transfer;
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
pub(super) struct Opened {
    pub(super) pool: Pool,
    pub(super) sockets: Vec<Socket>,
    pub(super) zero_copy: bool,
}

/// Opens a socket for each queue of each port. The slots of all are one UMEM, so zero-copy or copy is decided for all of
/// them together.
pub(super) fn open(ports: &[PortSetup], frames: usize, transfer: Transfer) -> Result<Opened, SetupError> {
    match transfer {
        Transfer::Copy => try_open(ports, frames, false),
        Transfer::ZeroCopy => try_open(ports, frames, true),
        Transfer::Auto => match try_open(ports, frames, true) {
            Err(SetupError::NotSupported { .. }) => try_open(ports, frames, false),
            opened => opened,
        },
    }
}

fn try_open(ports: &[PortSetup], frames: usize, zero_copy: bool) -> Result<Opened, SetupError> {
    let ring = ring_size(frames);
    let queues: usize = ports.iter().map(|port| port.queues.len()).sum();
    let pool = make_pool(queues, slot_size(ports)?, ring)?;
    let mut sockets = Vec::with_capacity(queues);
    for (id, port) in (0..).map(PortId).zip(ports) {
        let name = port.interface.name.parse::<InterfaceName>();
        let name = name.map_err(|_| SetupError::NoSuchInterface { interface: port.interface.name.clone() })?;
        for &queue in &port.queues {
            let bind = || Socket::bind(&pool, &name, (id, queue), ring, zero_copy);
            sockets.push(patiently(bind).map_err(|error| refused(&port.interface, queue, zero_copy, error))?);
        }
    }
    Ok(Opened { pool, sockets, zero_copy })
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

/// Half of the slots wait in the fill rings; the other half are for frames being sent and for packets of our own making.
fn make_pool(queues: usize, slot: u32, ring: u32) -> Result<Pool, SetupError> {
    let wanted = queues as u64 * u64::from(ring) * 2;
    let bytes = wanted * u64::from(slot);
    limits::raise_locked_memory(bytes);
    let slots = u32::try_from(wanted).ok().and_then(NonZeroU32::new).expect("a few ports and queues a worker");
    Pool::new(slots, slot, ring).map_err(|error| match errno(&error) {
        Some(Errno::NOBUFS | Errno::NOMEM) => SetupError::LockedMemory { wanted: bytes, source: cause(error) },
        _ => SetupError::general("open an AF_XDP socket", error),
    })
}

/// The kernel frees a queue a little after the last user has closed it (16 ms were seen), also when that user was killed:
/// a director that is started again waits for that, for a quarter of a second at most.
fn patiently(bind: impl Fn() -> Result<Socket, SocketCreateError>) -> Result<Socket, SocketCreateError> {
    for _ in 0..50 {
        match bind() {
            Err(error) if errno(&error) == Some(Errno::BUSY) => std::thread::sleep(Duration::from_millis(5)),
            result => return result,
        }
    }
    bind()
}

/// What it means that a socket cannot be bound (`xsk_bind` of net/xdp/xsk.c, `xp_assign_dev` of net/xdp/xsk_buff_pool.c).
fn refused(interface: &Interface, queue: u32, zero_copy: bool, error: SocketCreateError) -> SetupError {
    let name = interface.name.clone();
    match errno(&error) {
        Some(Errno::BUSY) => SetupError::QueueBusy { interface: name, queue, source: cause(error) },
        Some(Errno::NODEV) => SetupError::NoSuchInterface { interface: name },
        Some(Errno::NETDOWN) => SetupError::Down { interface: name, source: cause(error) },
        Some(Errno::OPNOTSUPP | Errno::INVAL) if zero_copy => SetupError::NotSupported {
            interface: name,
            what: "zero-copy",
            instead: "`transfer auto`",
            source: cause(error),
        },
        Some(Errno::OPNOTSUPP) => SetupError::NotSupported {
            interface: name,
            what: "AF_XDP",
            instead: "another interface",
            source: cause(error),
        },
        _ => SetupError::general(format!("bind an AF_XDP socket to queue {queue} of {name}"), error),
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
