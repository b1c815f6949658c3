//! Why the ports cannot be opened, each in one sentence that says what to do.

use std::error::Error;
use std::io;

use rustix::io::Errno;

use crate::sys::capabilities;

/// Why a port could not be opened, or the steering program not be loaded, attached or told something.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The process may not do this.
    #[error("not permitted to {action}: run as root or add {}", .missing.join(", "))]
    NotPermitted {
        /// What it tried.
        action: String,
        /// The names of the capabilities that it lacks.
        missing: Vec<&'static str>,
        /// What the system said.
        source: io::Error,
    },
    /// There is no interface of this name.
    #[error("there is no interface {interface}: `ip link` lists those that are there")]
    NoSuchInterface {
        /// Its name.
        interface: String,
    },
    /// Another socket is bound to the queue.
    #[error("queue {queue} of {interface} is already bound: stop the other director or AF_XDP program first")]
    QueueBusy {
        /// The interface.
        interface: String,
        /// The queue.
        queue: u32,
        /// What the system said.
        source: io::Error,
    },
    /// Another XDP program is attached.
    #[error(
        "{interface} has an XDP program already: stop the other director or program, or remove it with \
         `ip link set dev {interface} xdp off`"
    )]
    PortBusy {
        /// The interface.
        interface: String,
        /// What the system said.
        source: io::Error,
    },
    /// Frames of this interface do not fit into buffers, or its driver cannot do XDP with such frames.
    #[error(
        "the MTU of {interface} is {mtu}, but XDP takes at most {limit} there: `ip link set dev {interface} mtu {limit}`"
    )]
    MtuTooLarge {
        /// The interface.
        interface: String,
        /// Its MTU.
        mtu: u32,
        /// The largest that is known to work.
        limit: u32,
    },
    /// A veth whose peer may send frames that are too long.
    #[error(
        "the peer of {interface} has an MTU above {limit}, too large for native XDP: lower it there, or choose `attach generic`"
    )]
    PeerMtuTooLarge {
        /// The interface.
        interface: String,
        /// The largest that is known to work.
        limit: u32,
    },
    /// A veth whose peer sends on more queues than it receives on.
    #[error(
        "{interface} has fewer receive queues than its peer has transmit queues: \
         `ethtool -L {interface} rx N` with the peer's number, or create the pair with equal numbers"
    )]
    TooFewQueues {
        /// The interface.
        interface: String,
        /// What the system said.
        source: io::Error,
    },
    /// More ports and queues than the steering program has room for.
    #[error(
        "there are too many receive queues for the steering program (it has room for {limit}): attach to fewer interfaces"
    )]
    TooManyQueues {
        /// How many it has room for.
        limit: u32,
    },
    /// Too little memory may be locked.
    #[error(
        "the limit of locked memory is too low for {wanted} bytes of packet buffers: raise it (`ulimit -l unlimited`, \
         systemd `LimitMEMLOCK=infinity`), add CAP_IPC_LOCK, or set a smaller `frames`"
    )]
    LockedMemory {
        /// How much is wanted, in bytes.
        wanted: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The driver cannot do what was asked for.
    #[error("the driver of {interface} does not support {what}: choose {instead}")]
    NotSupported {
        /// The interface.
        interface: String,
        /// What it does not support.
        what: &'static str,
        /// The setting to choose instead.
        instead: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel knows nothing of it.
    #[error("this kernel cannot {action}: Linux 5.9 or later with CONFIG_BPF_SYSCALL and CONFIG_XDP_SOCKETS is needed")]
    Kernel {
        /// What it cannot do.
        action: String,
        /// What the system said.
        source: io::Error,
    },
    /// The interface is down or has gone.
    #[error("{interface} is down: `ip link set dev {interface} up`")]
    Down {
        /// The interface.
        interface: String,
        /// What the system said.
        source: io::Error,
    },
    /// What another process left cannot be gone on with.
    #[error("the rings of the previous director were made for other ports, frames or layouts: open new ones")]
    NotTakenOver {
        /// What the system said.
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot {action}")]
    Other {
        /// What was tried.
        action: String,
        /// What the system said.
        source: io::Error,
    },
}

/// The system's error number at the end of a chain of errors.
pub(super) fn errno(error: &(dyn Error + 'static)) -> Option<Errno> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Errno::from_io_error(io);
        }
        next = error.source();
    }
    None
}

/// The error with its system error number in reach, if it has one.
pub(super) fn cause(error: impl Error + Send + Sync + 'static) -> io::Error {
    errno(&error).map_or_else(|| io::Error::other(error), Into::into)
}

impl SetupError {
    /// The meaning of an error that is the same whatever was tried.
    pub(super) fn general(action: impl Into<String>, error: impl Error + Send + Sync + 'static) -> Self {
        Self::judge(action.into(), error, capabilities::missing())
    }

    fn judge(action: String, error: impl Error + Send + Sync + 'static, missing: Vec<&'static str>) -> Self {
        match errno(&error) {
            Some(Errno::PERM | Errno::ACCESS) if !missing.is_empty() => {
                Self::NotPermitted { action, missing, source: cause(error) }
            }
            Some(Errno::NOSYS | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT) => {
                Self::Kernel { action, source: cause(error) }
            }
            // The whole error, not its number alone: it may hold the verifier's objections.
            _ => Self::Other { action, source: io::Error::other(error) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_is_one_sentence_that_says_what_to_do() {
        let because = |errno: Errno| io::Error::from(errno);
        let interface = || "eth0".to_owned();
        let cases = [
            (
                SetupError::judge("attach to eth0".into(), because(Errno::PERM), vec!["CAP_NET_ADMIN", "CAP_BPF"]),
                "not permitted to attach to eth0: run as root or add CAP_NET_ADMIN, CAP_BPF",
            ),
            (
                SetupError::judge("open an AF_XDP socket".into(), because(Errno::AFNOSUPPORT), vec![]),
                "this kernel cannot open an AF_XDP socket: \
                 Linux 5.9 or later with CONFIG_BPF_SYSCALL and CONFIG_XDP_SOCKETS is needed",
            ),
            (SetupError::judge("load it".into(), because(Errno::ACCESS), vec![]), "cannot load it"),
            (
                SetupError::MtuTooLarge { interface: interface(), mtu: 9000, limit: 3506 },
                "the MTU of eth0 is 9000, but XDP takes at most 3506 there: `ip link set dev eth0 mtu 3506`",
            ),
            (
                SetupError::QueueBusy { interface: interface(), queue: 3, source: because(Errno::BUSY) },
                "queue 3 of eth0 is already bound: stop the other director or AF_XDP program first",
            ),
        ];
        for (error, sentence) in cases {
            assert_eq!(error.to_string(), sentence);
        }
    }

    #[test]
    fn the_error_number_is_found_however_deep() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] io::Error);
        assert_eq!(errno(&Outer(Errno::BUSY.into())), Some(Errno::BUSY));
        assert_eq!(errno(&Outer(io::Error::other("no number"))), None);
        assert_eq!(cause(Outer(Errno::BUSY.into())).raw_os_error(), Some(Errno::BUSY.raw_os_error()));
    }
}
