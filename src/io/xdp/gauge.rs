//! What another thread than the worker's may know of its queues: what was lost before it reached them, and where the slots are.

use std::io;
use std::os::fd::OwnedFd;

use super::ledger::{Census, Ledger};
use super::losses::Losses;

/// Reads one worker's sockets and ledger from any thread. It holds descriptors of its own: the queues stay bound until it is
/// dropped, too.
#[derive(Debug)]
pub struct Gauge {
    sockets: Vec<OwnedFd>,
    ledger: Ledger,
}

impl Gauge {
    /// A gauge of these sockets, and of the slots that they share.
    pub(super) fn new(sockets: Vec<OwnedFd>, ledger: Ledger) -> Self {
        Self { sockets, ledger }
    }

    /// What was lost at all sockets together, since they were bound.
    pub fn losses(&self) -> io::Result<Losses> {
        self.sockets.iter().try_fold(Losses::default(), |sum, socket| Ok(sum + Losses::of(socket)?))
    }

    /// Where all slots are. A worker that moves some meanwhile may have one of them counted where it was, and another where it
    /// is.
    pub fn census(&self) -> Census {
        self.ledger.census()
    }
}
