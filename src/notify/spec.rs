//! What the configuration asks for: programs of instances and groups, and pipes.

use std::path::PathBuf;

use crate::program::{Program, User};

/// The programs of one instance or group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// `notify_master`.
    pub master: Option<Program>,
    /// `notify_backup`.
    pub backup: Option<Program>,
    /// `notify_fault`.
    pub fault: Option<Program>,
    /// `notify_stop`.
    pub stop: Option<Program>,
    /// `notify_deleted`: a reload has taken it out.
    pub deleted: Option<Program>,
    /// Whether that is told as DELETED, or as FAULT.
    pub tells_deleted: bool,
    /// `notify_master_rx_lower_pri`.
    pub lower: Option<Program>,
    /// `notify`: told of every role, with arguments that say which.
    pub any: Option<Program>,
    /// `smtp_alert`: a mail of every role.
    pub mail: bool,
    /// `notify_priority_changes`: pipes are told of priorities too.
    pub priorities: bool,
}

impl Hooks {
    /// All programs.
    pub fn programs(&self) -> impl Iterator<Item = &Program> {
        let all = [&self.master, &self.backup, &self.fault, &self.stop, &self.deleted, &self.lower, &self.any];
        all.into_iter().flatten()
    }
}

/// A pipe that events are written to (`notify_fifo`, `vrrp_notify_fifo`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipe {
    /// Where it is.
    pub path: PathBuf,
    /// Whose it is, if the director has to make it.
    pub owner: Option<User>,
    /// A program that reads it, and is given its path as the last argument (`..._script`).
    pub reader: Option<Program>,
}
