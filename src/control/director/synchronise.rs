//! Which sync daemons the director runs: those that its configuration asks for, in its present role, or those that clients
//! of the control socket have asked for since.

use std::error::Error;
use std::time::Duration;

use super::Director;
use crate::config::model::SyncDaemon;
use crate::control::admin::Refusal;
use crate::control::sync::{SyncError, SyncRole};
use crate::control::view::SyncDaemonView;
use crate::control::vrrp::Command;
use crate::sys::clock;

/// How long lower masters are respected at most, while their connections are learned.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who decides about daemons, and how that went.
#[derive(Debug, Default)]
pub(super) struct SyncControl {
    /// A client of the control socket has decided; the configuration does not any more.
    by_hand: bool,
    /// Why the daemons are not what they should be, if they are not.
    failure: Option<String>,
    /// Since when connections are known elsewhere that are not known here.
    behind: Option<Duration>,
    /// Whether the elections have been told to respect lower masters.
    respects: bool,
}

impl SyncControl {
    /// Whether a client of the control socket decides.
    pub(super) fn is_by_hand(&self) -> bool {
        self.by_hand
    }
}

impl Director {
    /// Starts and stops daemons to fit the role. To be called whenever the role has changed, and now and then, so that
    /// what could not be started for want of an interface is once the interface is there.
    pub(super) fn follow_sync_role(&mut self) {
        let Some(daemon) = self.config.global.sync_daemon.as_ref().filter(|_| !self.sync_control.by_hand) else {
            return;
        };
        let before = self.sync.roles();
        let outcome = self.sync.follow(daemon, |instance| self.roles.is_master(instance), clock::now());
        let after = self.sync.roles();
        if before != after {
            let names = [(SyncRole::Master, "master"), (SyncRole::Backup, "backup")];
            let names: Vec<_> =
                names.into_iter().filter(|(role, _)| after.contains(role)).map(|(_, name)| name).collect();
            tracing::info!("connection synchronisation on {}: {}", daemon.interface, names.join(" and "));
        }
        let failure = outcome.err().map(|error| describe(&error));
        if failure != self.sync_control.failure {
            failure.iter().for_each(|failure| tracing::error!("{failure}"));
            self.sync_control.failure = failure;
        }
    }

    /// Keeps the elections from taking over from a master that works as long as its connections are not all known here: the
    /// worst that a returning director can do is to lead before it knows any.
    pub(super) fn learn_before_leading(&mut self) {
        let now = clock::now();
        let behind = self.sync.runs(SyncRole::Backup) && !self.sync.in_sync(now);
        let control = &mut self.sync_control;
        control.behind = behind.then(|| control.behind.unwrap_or(now));
        let respects = control.behind.is_some_and(|since| now.saturating_sub(since) < PATIENCE);
        if control.respects != respects {
            control.respects = respects;
            self.roles.tell_elections(Command::Respect(respects));
            if behind && !respects {
                tracing::warn!("not all connections of other directors have come; waiting no longer for them");
            }
        }
    }

    /// As long as no daemon runs nobody knows what there is to be learned: elections are to respect any living master where
    /// there will be one. Gives whether they are.
    pub(super) fn respect_for_now(&mut self) -> bool {
        self.sync_control.respects = self.config.global.sync_daemon.is_some();
        self.sync_control.respects
    }

    /// Starts a daemon for a client of the control socket.
    pub(super) fn start_sync_daemon(&mut self, view: &SyncDaemonView) -> Result<(), Refusal> {
        let daemon = SyncDaemon {
            interface: view.interface.clone(),
            instance: None,
            id: view.syncid,
            maxlen: view.maxlen,
            port: view.port,
            ttl: view.ttl,
            group: view.group,
        };
        self.sync_control.by_hand = true;
        self.sync.start(role(view.master), &daemon, clock::now()).map_err(|error| refusal(&error))
    }

    /// Stops a daemon for a client of the control socket.
    pub(super) fn stop_sync_daemon(&mut self, master: bool) -> Result<(), Refusal> {
        self.sync_control.by_hand = true;
        self.sync.stop(role(master)).map_err(|error| refusal(&error))
    }
}

fn role(master: bool) -> SyncRole {
    if master { SyncRole::Master } else { SyncRole::Backup }
}

fn refusal(error: &SyncError) -> Refusal {
    match error {
        SyncError::Runs(_) => Refusal::DaemonRuns,
        SyncError::RunsNot(_) => Refusal::NoDaemon,
        SyncError::Socket { .. } => Refusal::Unsupported(describe(error)),
    }
}

/// The error with its cause.
pub(super) fn describe(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
