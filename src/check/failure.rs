//! Why a probe failed, in words that stay the same, for logs and for those who search them.

use std::io;
use std::net::IpAddr;

use super::StatusCodes;

/// Why a probe failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nobody listens on the port.
    #[error("connection refused")]
    Refused,
    /// No answer within `connect_timeout`.
    #[error("timed out")]
    TimedOut,
    /// The peer broke the connection off.
    #[error("connection reset")]
    Reset,
    /// There is no way to the server.
    #[error("server unreachable")]
    Unreachable,
    /// `bindto` is not an address of this host, or not of the server's family.
    #[error("cannot bind to {0}")]
    Bind(IpAddr),
    /// Another error of the system.
    #[error("{0}")]
    System(io::ErrorKind),
    /// The path or virtual host cannot stand in a request.
    #[error("{0}: not a valid request")]
    BadRequest(String),
    /// The answer is not HTTP.
    #[error("{0}: the answer is not HTTP")]
    NotHttp(String),
    /// The connection ended before the answer did.
    #[error("{0}: the answer ended early")]
    Incomplete(String),
    /// The answer has a status that `status_code` does not accept.
    #[error("{path}: status {status} is not in {accepted}")]
    Status {
        /// The URL's path.
        path: String,
        /// The status answered.
        status: u16,
        /// What would have passed.
        accepted: StatusCodes,
    },
}

impl From<io::ErrorKind> for Failure {
    fn from(kind: io::ErrorKind) -> Self {
        match kind {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                Self::Reset
            }
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Self::Unreachable,
            other => Self::System(other),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        error.kind().into()
    }
}
