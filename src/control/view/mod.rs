//! What clients of the control socket see: the wire contract, apart from the types that workers use.
//!
//! Fields are only ever added. A field that changes its meaning changes [`VERSION`](super::protocol::VERSION).

mod connections;
mod services;
mod status;
mod sync;

pub use connections::{ConnectionPage, ConnectionView, connection};
pub use services::{Forward, PersistenceView, Protocol, ServerView, ServiceView, services};
pub use status::{BfdView, EffectView, ListingView, PortView, RoleView, SlotsView, Status, TimeoutsView, TrackerView};
pub use sync::{SyncDaemonView, SyncPeerView, SyncView};

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use super::admin::{Change, Refusal};
use crate::wire::Endpoint;

/// Where answers come from: the director, as seen by the control socket.
pub trait Source {
    /// All virtual services, in any order.
    fn services(&mut self) -> Vec<ServiceView>;

    /// A part of the connection table: at most `at_most` connections from `cursor` on, which is 0 or what the part
    /// before said comes next.
    fn connections(&self, cursor: u64, at_most: usize) -> ConnectionPage;

    /// The director itself.
    fn status(&mut self) -> Status;

    /// Carries out changes in their order, and says of each why it was refused, if it was. Workers and clients see all of
    /// them at once.
    fn change(&mut self, changes: &[Change]) -> Vec<Option<Refusal>>;

    /// Begins to put another program in the director's place, or says why that is impossible.
    fn upgrade(&mut self, _program: &Path) -> Result<(), String> {
        Err("it runs without a supervisor, who could start another".to_owned())
    }

    /// Starts a sync daemon. From then on the configuration has no say in them.
    fn start_daemon(&mut self, _daemon: &SyncDaemonView) -> Result<(), Refusal> {
        Err(Refusal::Unsupported("No sync daemons".to_owned()))
    }

    /// Stops one.
    fn stop_daemon(&mut self, _master: bool) -> Result<(), Refusal> {
        Err(Refusal::NoDaemon)
    }
}

/// An endpoint in the form that views hold it.
pub fn socket(endpoint: Endpoint) -> SocketAddr {
    SocketAddr::new(IpAddr::from(endpoint.addr), endpoint.port)
}
