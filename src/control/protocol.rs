//! What is said over the control socket: one JSON object a line, a response for every request.
//!
//! ```text
//! > {"version":1,"command":"services"}
//! < {"version":1,"services":[{"protocol":"tcp","address":"192.0.2.10:80","scheduler":"rr",…,"servers":[]}]}
//! > {"version":1,"command":"connections","cursor":0}
//! < {"version":1,"connections":{"entries":[],"next":null}}
//! > {"version":1,"command":"change","changes":["clear"]}
//! < {"version":1,"changed":[null]}
//! > {"command":"juggle"}
//! < {"version":1,"error":"unknown variant `juggle`, expected one of `services`, `connections`, `status`, `change`"}
//! ```
//!
//! The connection table is told in parts, so that a million connections neither fill the memory nor hold up the loop.

use serde::{Deserialize, Serialize};

use super::admin::{Change, Refusal};
use super::view::{ConnectionPage, ServiceView, Source, Status, SyncDaemonView};

/// The version spoken. A request may leave it out.
pub const VERSION: u32 = 1;

/// Connections in one part: about half a megabyte of text.
const PAGE: usize = 4096;

/// A line from a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// What the client speaks.
    #[serde(default = "version")]
    pub version: u32,
    /// What it wants.
    #[serde(flatten)]
    pub command: Command,
}

/// What a client may want.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
pub enum Command {
    /// All services.
    Services,
    /// A part of the connection table.
    Connections {
        /// 0, or what the part before gave as `next`.
        #[serde(default)]
        cursor: u64,
    },
    /// The director itself.
    Status,
    /// Changes, in their order: each holds or is refused by itself, and all become visible together.
    Change {
        /// What is to be changed.
        changes: Vec<Change>,
    },
    /// A sync daemon is to be started.
    #[serde(rename = "start-daemon")]
    StartDaemon {
        /// Which, and where.
        daemon: SyncDaemonView,
    },
    /// A sync daemon is to be stopped.
    #[serde(rename = "stop-daemon")]
    StopDaemon {
        /// The one that tells (master), or the one that listens (backup).
        master: bool,
    },
}

/// A line to a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// What the director speaks.
    pub version: u32,
    /// The answer.
    #[serde(flatten)]
    pub body: Body,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// To [`Command::Services`].
    Services(Vec<ServiceView>),
    /// To [`Command::Connections`].
    Connections(ConnectionPage),
    /// To [`Command::Status`].
    Status(Box<Status>),
    /// To [`Command::Change`] and the commands about daemons: for each change nothing, or why it was refused.
    Changed(Vec<Option<Refusal>>),
    /// To a request that was not understood.
    Error(String),
}

impl Request {
    /// A request in the version spoken here.
    pub fn new(command: Command) -> Self {
        Self { version: VERSION, command }
    }
}

/// The answer to a line.
pub fn answer(line: &[u8], source: &mut impl Source) -> Response {
    let body = match serde_json::from_slice::<Request>(line) {
        Ok(request) if request.version != VERSION => refuse(request.version),
        Ok(request) => match request.command {
            Command::Services => Body::Services(source.services()),
            Command::Connections { cursor } => Body::Connections(source.connections(cursor, PAGE)),
            Command::Status => Body::Status(Box::new(source.status())),
            Command::Change { changes } => Body::Changed(source.change(&changes)),
            Command::StartDaemon { daemon } => Body::Changed(vec![source.start_daemon(&daemon).err()]),
            Command::StopDaemon { master } => Body::Changed(vec![source.stop_daemon(master).err()]),
        },
        Err(error) => Body::Error(error.to_string()),
    };
    Response { version: VERSION, body }
}

fn refuse(version: u32) -> Body {
    Body::Error(format!("version {version} is not spoken here, only {VERSION}"))
}

fn version() -> u32 {
    VERSION
}
