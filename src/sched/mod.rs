//! Schedulers: which real server takes a new connection.
//!
//! Each is a small function over [`Candidates`] plus its own state, in a file of its own. The state is made of atomics
//! and shared by all workers, so that several workers schedule as one.

use crate::wire::Endpoint;

/// The servers of a service in list order, as a scheduler sees them.
pub trait Candidates {
    /// How many there are.
    fn len(&self) -> usize;
    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Weight of server `at`; 0 takes no new connection.
    fn weight(&self, at: usize) -> u32;
    /// Whether server `at` has reached its upper threshold.
    fn overloaded(&self, at: usize) -> bool;
    /// Connections in an active state.
    fn active(&self, at: usize) -> u32;
    /// All other connections.
    fn inactive(&self, at: usize) -> u32;
}

/// The scheduling algorithms of LVS (`lvs_sched`, ipvsadm `-s`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Round robin.
    Rr,
    /// Weighted round robin.
    Wrr,
    /// Least connections.
    Lc,
    /// Weighted least connections, the default.
    #[default]
    Wlc,
}

/// The packet that asks for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Where it comes from.
    pub client: Endpoint,
    /// Where it is addressed to.
    pub destination: Endpoint,
}

/// What a scheduler is told of a server when it is set up: identity and weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The server's address and port.
    pub real: Endpoint,
    /// Its weight.
    pub weight: u32,
}

/// A scheduler with its state.
#[derive(Debug)]
pub struct Scheduler {
    kind: Kind,
}

impl Scheduler {
    /// A scheduler for a service that had no server before; `members` in list order.
    pub fn new(kind: Kind, _members: &[Member]) -> Self {
        Self { kind }
    }

    /// The scheduler after the service's servers changed: it goes on where this one stands.
    pub fn changed(&self, _members: &[Member]) -> Self {
        Self { kind: self.kind }
    }

    /// The index of the server that takes this flow; `None` if none is usable.
    pub fn pick(&self, servers: &impl Candidates, _flow: &Flow) -> Option<usize> {
        (0..servers.len()).find(|&at| servers.weight(at) > 0 && !servers.overloaded(at))
    }
}
