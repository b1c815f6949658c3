//! What signals ask of a director.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::DirectorError;

/// Those that a director listens to.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self, DirectorError> {
        let listen = |kind| signal(kind).map_err(|source| DirectorError::System { what: "listen for signals", source });
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// What the next one asks for.
    pub(super) async fn next(&mut self) -> Order {
        tokio::select! {
            _ = self.terminate.recv() => Order::End("SIGTERM"),
            _ = self.interrupt.recv() => Order::End("SIGINT"),
            _ = self.hangup.recv() => Order::Reload,
        }
    }
}

/// What a signal asks for.
pub(super) enum Order {
    Reload,
    End(&'static str),
}
