//! Why a change was refused.

use serde::{Deserialize, Serialize};

/// A change that was refused has left no trace. The texts are ipvsadm's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// `-A`: it is there.
    #[error("Service already exists")]
    ServiceExists,
    /// `-E`, `-D`, `-Z`: it is not there.
    #[error("No such service")]
    NoSuchService,
    /// `-a`, `-e`, `-d`: its service is not there.
    #[error("Service not defined")]
    ServiceNotDefined,
    /// `-a`: it is there.
    #[error("Destination already exists")]
    DestinationExists,
    /// `-e`, `-d`: it is not there.
    #[error("No such destination")]
    NoSuchDestination,
    /// `-s`, `--pe`: nobody knows it.
    #[error("Scheduler or persistence engine not found")]
    NoSuchScheduler,
    /// An address that no server can have, a netmask that is none.
    #[error("Invalid operation.  Possibly wrong module version, address not unicast, ...")]
    Invalid,
    /// A lower threshold above the upper one.
    #[error("Numerical result out of range")]
    OutOfRange,
    /// There is no room for more services or servers.
    #[error("Memory allocation problem")]
    NoRoom,
    /// `--start-daemon`: there is one.
    #[error("Daemon has already run")]
    DaemonRuns,
    /// `--stop-daemon`: there is none.
    #[error("No daemon is running")]
    NoDaemon,
    /// LVS could, this director cannot.
    #[error("{0}")]
    Unsupported(String),
}
