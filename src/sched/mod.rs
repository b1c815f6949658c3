//! Schedulers: which real server takes a new connection.
//!
//! Each is a small function over [`Candidates`] plus its own state, in a file of its own, and picks what the kernel's
//! module of that name (`net/netfilter/ipvs/ip_vs_*.c`) would pick from the same list. The list is in the kernel's order,
//! newest server first, and unless a scheduler says otherwise the first of equals wins.
//!
//! The state is made of atomics and shared by all workers, so that several workers schedule as one: four workers taking
//! turns with `rr` are as fair as one. [`Scheduler::pick`] neither locks nor allocates, and its work is bounded by the
//! number of servers (for the fallback of `sh` and `mh`, by the size of their table).

mod bucket;
mod cache;
mod dh;
mod fo;
mod gcd;
mod kind;
mod lblc;
mod lblcr;
mod lc;
mod least;
mod mh;
mod nq;
mod ovf;
mod rr;
mod sed;
mod sh;
mod siphash;
mod twos;
mod wlc;
mod wrr;

#[cfg(test)]
mod tests;

pub use kind::{Flags, Kind, Setup, UnknownKind};

use crate::time::{Tick, Ticks};
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
    /// Whether there is a server `at` and it takes new connections.
    fn usable(&self, at: usize) -> bool {
        at < self.len() && self.weight(at) > 0 && !self.overloaded(at)
    }
}

/// The packet that asks for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Where it comes from; port 0 for a protocol without ports.
    pub client: Endpoint,
    /// Where it is addressed to.
    pub destination: Endpoint,
    /// When it came.
    pub now: Tick,
    /// What `lblc` and `lblcr` remember for how long.
    pub expirations: Expirations,
}

/// After how long without a question a destination is forgotten (`net.ipv4.vs.lblc_expiration`, `lblcr_expiration`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expirations {
    /// By `lblc`.
    pub lblc: Ticks,
    /// By `lblcr`; after as long without a change, a set of several servers loses the most loaded one.
    pub lblcr: Ticks,
}

impl Expirations {
    /// A day.
    pub const DEFAULT: Expirations = Expirations { lblc: Ticks::from_secs(86_400), lblcr: Ticks::from_secs(86_400) };
}

/// What a scheduler is told of a server when it is set up: identity and weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The server's address and port, no two alike in a service.
    pub real: Endpoint,
    /// Its weight.
    pub weight: u32,
}

/// A scheduler with its state.
#[derive(Debug)]
pub struct Scheduler {
    setup: Setup,
    state: State,
    /// In list order, each with its last weight above 0, or 0 if it never had one (the kernel's `last_weight`): what `mh`
    /// goes by, even if it comes later.
    lasting: Box<[Member]>,
}

/// What each algorithm remembers from one connection, or one list of servers, to the next.
#[derive(Debug)]
enum State {
    None,
    Rr(rr::Rr),
    Wrr(wrr::Wrr),
    Lc,
    Wlc,
    Lblc(lblc::Lblc),
    Lblcr(lblcr::Lblcr),
    Sed,
    Nq,
    Fo,
    Ovf,
    Dh,
    Sh(sh::Sh),
    Mh(mh::Mh),
    Twos(twos::Twos),
}

impl Scheduler {
    /// The scheduler of a new service, as if `members` (in list order) had been added to it one by one, the last of the
    /// list first.
    pub fn new(setup: impl Into<Setup>, members: &[Member]) -> Self {
        Self::start(setup.into(), members, members.into(), wrr::Wrr::grown)
    }

    /// The scheduler of a service that went by this one until now (`ipvsadm -E -s`): it starts anew on servers that are
    /// already there. Only `wrr` and `mh` can tell this from [`new`](Self::new).
    #[must_use]
    pub fn switched(&self, setup: impl Into<Setup>, members: &[Member]) -> Self {
        Self::start(setup.into(), members, self.lasting(members), wrr::Wrr::fresh)
    }

    fn start(setup: Setup, members: &[Member], lasting: Box<[Member]>, wrr: fn(&[Member]) -> wrr::Wrr) -> Self {
        let state = match setup.kind {
            Kind::None => State::None,
            Kind::Rr => State::Rr(rr::Rr::new(members)),
            Kind::Wrr => State::Wrr(wrr(members)),
            Kind::Lc => State::Lc,
            Kind::Wlc => State::Wlc,
            Kind::Lblc => State::Lblc(lblc::Lblc::new(members)),
            Kind::Lblcr => State::Lblcr(lblcr::Lblcr::new(members)),
            Kind::Sed => State::Sed,
            Kind::Nq => State::Nq,
            Kind::Fo => State::Fo,
            Kind::Ovf => State::Ovf,
            Kind::Dh => State::Dh,
            Kind::Sh => State::Sh(sh::Sh::new(members, setup.flags)),
            Kind::Mh => State::Mh(mh::Mh::new(&lasting, setup.flags)),
            Kind::Twos => State::Twos(twos::Twos::seeded(0)),
        };
        Self { setup, state, lasting }
    }

    /// Members that weigh nothing now, with the weight that they had.
    fn lasting(&self, members: &[Member]) -> Box<[Member]> {
        let last = |real: Endpoint| self.lasting.iter().find(|old| old.real == real).map_or(0, |old| old.weight);
        let lasting = |&Member { real, weight }: &Member| {
            let weight = if weight == 0 { last(real) } else { weight };
            Member { real, weight }
        };
        members.iter().map(lasting).collect()
    }

    /// The same scheduler drawing its random numbers, if it needs any (`twos`), from another seed than 0.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        if let State::Twos(twos) = &mut self.state {
            *twos = twos::Twos::seeded(seed);
        }
        self
    }

    /// The scheduler after servers were added, removed or edited: it goes on where this one stands, as the kernel's hooks
    /// let it. Call it only for a real change, because a change restarts the round of `wrr`; several changes may be given
    /// at once. A pick that another thread makes from `self` meanwhile is not carried over.
    #[must_use]
    pub fn changed(&self, members: &[Member]) -> Self {
        let lasting = self.lasting(members);
        let state = match &self.state {
            State::None => State::None,
            State::Rr(rr) => State::Rr(rr.changed(members)),
            State::Wrr(wrr) => State::Wrr(wrr.changed(members)),
            State::Lc => State::Lc,
            State::Wlc => State::Wlc,
            State::Lblc(lblc) => State::Lblc(lblc.changed(members)),
            State::Lblcr(lblcr) => State::Lblcr(lblcr.changed(members)),
            State::Sed => State::Sed,
            State::Nq => State::Nq,
            State::Fo => State::Fo,
            State::Ovf => State::Ovf,
            State::Dh => State::Dh,
            State::Sh(_) => State::Sh(sh::Sh::new(members, self.setup.flags)),
            State::Mh(_) => State::Mh(mh::Mh::new(&lasting, self.setup.flags)),
            State::Twos(twos) => State::Twos(twos.clone()),
        };
        Self { setup: self.setup, state, lasting }
    }

    /// What it was made for.
    pub fn setup(&self) -> Setup {
        self.setup
    }

    /// The index of the server that takes this flow; `None` if none is usable.
    pub fn pick(&self, servers: &impl Candidates, flow: &Flow) -> Option<usize> {
        match &self.state {
            State::None => None,
            State::Rr(rr) => rr.pick(servers),
            State::Wrr(wrr) => wrr.pick(servers),
            State::Lc => lc::pick(servers),
            State::Wlc => wlc::pick(servers),
            State::Lblc(lblc) => lblc.pick(servers, flow),
            State::Lblcr(lblcr) => lblcr.pick(servers, flow),
            State::Sed => sed::pick(servers),
            State::Nq => nq::pick(servers),
            State::Fo => fo::pick(servers),
            State::Ovf => ovf::pick(servers),
            State::Dh => dh::pick(servers, flow),
            State::Sh(sh) => sh.pick(servers, flow),
            State::Mh(mh) => mh.pick(servers, flow),
            State::Twos(twos) => twos.pick(servers),
        }
    }
}
