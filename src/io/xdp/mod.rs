//! AF_XDP: frames straight from and to the queues of network interfaces.
//!
//! Two halves. The control thread owns the [`steer::Steering`], which decides what leaves the kernel's way. Each worker
//! owns an [`XdpIo`], the rings of its queues on every port:
//!
//! ```text
//!        fill ring ◀── free slots ──┐            ┌── free slots ◀── completion ring
//!  port 0, queue i                  │   worker   │                   port 1, queue i
//!        receive ring ──▶ frames ───┴▶ rewrite ──┴▶ frames ──▶ transmit ring
//! ```
//!
//! All sockets of a worker share one UMEM, so a frame that goes from port to port is never copied by us: its descriptor
//! moves. The rings are driven by [`Own`] code on system calls, or by [`XskRs`]; everything else is the same for both.
//! With our own rings, a process can go on where another one has stopped or died, without losing a packet that waits in a
//! ring ([`XdpIo::descriptors`], [`XdpIo::attach`]).
//!
//! After [`XdpIo::open`] nothing here allocates, locks or logs, and no system call is made but the rings' own.
//!
//! Read first: Documentation/networking/af_xdp.rst of the kernel.

mod attach;
mod black_box;
mod error;
mod gauge;
mod kernel;
mod ledger;
mod losses;
mod open;
mod own;
mod pool;
mod rings;
mod socket;
pub mod steer;
mod xsk;

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use super::{Batch, Frame, PacketIo, PortId, PortInfo};
use crate::io::options::RingOptions;
use crate::sys::interface::Interface;
pub use attach::{Descriptors, Mapped};
pub use error::SetupError;
pub use gauge::Gauge;
pub use kernel::KernelPort;
pub use ledger::Census;
pub use losses::Losses;
pub use open::PortSetup;
pub use own::Own;
use pool::Pool;
use rings::Memory;
pub use rings::Rings;
use socket::{Scratch, Socket};
use steer::Steering;
pub use xsk::XskRs;

/// How long to sleep while the kernel does not take frames that are to be sent.
const RETRY: Duration = Duration::from_millis(1);

/// What should not happen, and how often it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Descriptors of receive rings that named no slot of the kernel's, ran over its end, or were part of a longer frame.
    pub receive: u64,
    /// Descriptors of completion rings that named no slot being sent.
    pub completion: u64,
    /// Frames to be sent that were shorter than an Ethernet header or longer than a slot; they were dropped.
    pub unsendable: u64,
    /// System calls to send that failed.
    pub kick: u64,
}

/// One worker's queues on all ports, by rings of one kind.
pub struct XdpIo<R: Rings = Own> {
    ports: Vec<PortInfo>,
    interfaces: Vec<Interface>,
    /// Of each port, the socket that sends, as an index into `sockets`.
    senders: Vec<usize>,
    sockets: Vec<Socket<R>>,
    pool: Pool<R::Memory>,
    polled: Vec<libc::pollfd>,
    /// The way to the kernel, if there is one.
    kernel: Option<Box<KernelPort>>,
    /// The socket to receive from first, next time.
    turn: usize,
    scratch: Box<Scratch>,
    faults: Faults,
}

impl<R: Rings> XdpIo<R> {
    /// Binds a socket to each queue of each port. [`PortId`]s are the positions in `ports`.
    ///
    /// Frames arrive once [`connect`](Self::connect) has told the steering program.
    ///
    /// # Panics
    ///
    /// If there is no port, or a port without queues.
    pub fn open(ports: &[PortSetup], options: &RingOptions) -> Result<Self, SetupError> {
        let open::Opened { pool, sockets, zero_copy } = open::open(ports, options)?;
        Ok(Self::with(ports, pool, sockets, zero_copy))
    }

    fn with(ports: &[PortSetup], pool: Pool<R::Memory>, sockets: Vec<Socket<R>>, zero_copy: bool) -> Self {
        let pollfd =
            |socket: &Socket<R>| libc::pollfd { fd: socket.fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let mut io = Self {
            ports: ports.iter().map(|port| describe(port, zero_copy)).collect(),
            interfaces: ports.iter().map(|port| port.interface.clone()).collect(),
            senders: (0..ports.len()).map(|port| sender(&sockets, port)).collect(),
            polled: sockets.iter().map(pollfd).collect(),
            sockets,
            pool,
            kernel: None,
            turn: 0,
            scratch: Box::default(),
            faults: Faults::default(),
        };
        io.refill();
        io
    }

    /// Makes the steering program, which must be attached to all ports, hand their frames to these sockets.
    pub fn connect(&self, steering: &mut Steering) -> Result<(), SetupError> {
        self.sockets.iter().try_for_each(|socket| {
            let interface = &self.interfaces[usize::from(socket.port.0)];
            steering.add_socket(interface, socket.queue, socket.fd())
        })
    }

    /// Gives what is the kernel's back to it by this port.
    pub fn pass_by(&mut self, kernel: KernelPort) {
        self.kernel = Some(Box::new(kernel));
    }

    /// Where all slots are. Walks them, so not for every turn.
    pub fn census(&self) -> Census {
        self.pool.census()
    }

    /// The way to the kernel, if there is one.
    pub fn way_back(&self) -> Option<&KernelPort> {
        self.kernel.as_deref()
    }

    /// What should not have happened.
    pub fn faults(&self) -> Faults {
        self.faults
    }

    /// Reads what the kernel could not bring into the rings, and where the slots are; for another thread than the worker's.
    pub fn gauge(&self) -> io::Result<Gauge> {
        let sockets = self.sockets.iter().map(|socket| socket.fd().try_clone_to_owned());
        Ok(Gauge::new(sockets.collect::<io::Result<_>>()?, self.pool.ledger().again()?))
    }

    fn refill(&mut self) {
        for socket in &mut self.sockets {
            socket.refill(&mut self.pool, &mut self.scratch);
        }
    }
}

impl XdpIo<Own> {
    /// Goes on with what another process has opened for the same ports and options, and has stopped using. What it had in
    /// hand is lost; all else is there.
    ///
    /// The steering program still leads to these sockets.
    pub fn attach(ports: &[PortSetup], frames: usize, descriptors: Descriptors) -> Result<Self, SetupError> {
        Self::go_on(Mapped::map(ports, frames, descriptors)?, ports)
    }

    /// The second half of [`attach`](Self::attach), for the same ports.
    pub fn go_on(mapped: Mapped, ports: &[PortSetup]) -> Result<Self, SetupError> {
        let (pool, sockets) = mapped.take()?;
        let zero_copy = sockets.first().is_some_and(|socket| socket.rings().is_zero_copy());
        Ok(Self::with(ports, pool, sockets, zero_copy))
    }

    /// New descriptors of everything that another process needs in order to go on.
    pub fn descriptors(&self) -> io::Result<Descriptors> {
        let slots = self.pool.memory().file().expect("our own slots lie in a file");
        Ok(Descriptors {
            slots: slots.try_clone_to_owned()?,
            ledger: self.pool.ledger().file().try_clone_to_owned()?,
            sockets: self.sockets.iter().map(|socket| socket.fd().try_clone_to_owned()).collect::<io::Result<_>>()?,
        })
    }
}

impl<R: Rings> PacketIo for XdpIo<R> {
    fn ports(&self) -> &[PortInfo] {
        &self.ports
    }

    fn receive(&mut self, into: &mut Batch) {
        for step in 0..self.sockets.len() {
            if into.is_full() {
                break;
            }
            let at = (self.turn + step) % self.sockets.len();
            let socket = &mut self.sockets[at];
            socket.receive(&mut self.pool, &mut self.scratch, into, &mut self.faults);
            if socket.wants_slots() {
                socket.refill(&mut self.pool, &mut self.scratch);
            }
        }
        self.turn = (self.turn + 1) % self.sockets.len();
    }

    fn allocate(&mut self) -> Option<Frame> {
        self.pool.allocate()
    }

    fn slot_mut(&mut self, frame: &Frame) -> &mut [u8] {
        self.pool.slot_mut(frame)
    }

    fn transmit(&mut self, port: PortId, frames: &mut Batch) {
        let socket = &mut self.sockets[self.senders[usize::from(port.0)]];
        socket.transmit(&mut self.pool, &mut self.scratch, frames, &mut self.faults);
    }

    fn pass(&mut self, frame: &Frame) -> bool {
        let Self { kernel: Some(kernel), pool, .. } = self else { return false };
        let (at, len) = (frame.offset(), frame.len());
        pool.slot_mut(frame).get(at..at + len).is_some_and(|bytes| kernel.give(bytes))
    }

    fn recycle(&mut self, frames: &mut Batch) {
        for frame in frames.drain(..).rev() {
            self.pool.recycle(&frame);
        }
    }

    fn flush(&mut self) {
        for &sender in &self.senders {
            self.sockets[sender].kick(&mut self.pool, &mut self.scratch, &mut self.faults);
        }
        if let Some(kernel) = &mut self.kernel {
            kernel.flush();
        }
        self.refill();
    }

    fn wait(&mut self, at_most: Duration) {
        self.flush();
        let unsent = self.senders.iter().any(|&sender| self.sockets[sender].unsent() > 0);
        let at_most = if unsent { at_most.min(RETRY) } else { at_most };
        // Interrupted or refused, the worker looks at its rings again, which is all that it would do anyway.
        let _ = socket::poll(&mut self.polled, at_most);
    }

    fn doze(&mut self, moment: Duration) {
        self.flush();
        let _ = socket::poll(&mut [], moment);
    }

    fn in_hand(&self) -> usize {
        self.pool.in_hand()
    }
}

impl<R: Rings> fmt::Debug for XdpIo<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XdpIo").field("ports", &self.ports).field("faults", &self.faults).finish_non_exhaustive()
    }
}

fn sender<R>(sockets: &[Socket<R>], port: usize) -> usize {
    let of_port = |socket: &Socket<R>| usize::from(socket.port.0) == port;
    sockets.iter().position(of_port).expect("a worker has a queue of every port")
}

fn describe(port: &PortSetup, zero_copy: bool) -> PortInfo {
    let transfer = if zero_copy { "zero-copy" } else { "copy" };
    let queues = match port.interface.queues {
        1 => "1 queue".to_owned(),
        more => format!("{more} queues"),
    };
    PortInfo {
        name: port.interface.name.clone(),
        partial_checksums: port.interface.may_bring_partial_checksums(),
        max_frame: port.interface.mtu as usize + 14,
        mode: format!("{}, {transfer}, {queues}", port.attached),
    }
}
