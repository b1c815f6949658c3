//! Which sync daemons the director runs: those that its configuration asks for, in its present role.

use super::Director;
use crate::control::sync::SyncRole;
use crate::sys::clock;

impl Director {
    /// Starts and stops daemons to fit the role. To be called whenever the role has changed, and now and then, so that
    /// what could not be started for want of an interface is once the interface is there.
    pub(super) fn follow_sync_role(&mut self) {
        let Some(daemon) = &self.config.global.sync_daemon else { return };
        let running = || [SyncRole::Master, SyncRole::Backup].map(|role| self.sync.runs(role));
        let before = running();
        // Without elections the director is master of every instance.
        let outcome = self.sync.follow(daemon, |_| true, clock::now());
        let after = [SyncRole::Master, SyncRole::Backup].map(|role| self.sync.runs(role));
        let failure = outcome.err().map(|error| error.to_string());
        if before != after {
            let names = [("master", after[0]), ("backup", after[1])];
            let names: Vec<_> = names.into_iter().filter(|(_, runs)| *runs).map(|(name, _)| name).collect();
            tracing::info!("connection synchronisation on {}: {}", daemon.interface, names.join(" and "));
        }
        if failure != self.sync_failure {
            failure.iter().for_each(|failure| tracing::error!("{failure}"));
            self.sync_failure = failure;
        }
    }
}
