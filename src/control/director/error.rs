//! Why there is no director.

use crate::conn::table::TableError;
use crate::control::PAIRS;
use crate::control::bfd::BfdError;
use crate::control::kernel::KernelError;
use crate::control::socket::SocketError;
use crate::control::vrrp::ElectionError;
use crate::io::xdp::SetupError;
use crate::wire::Addr;

/// Why a director does not start, or does not go on. Each is one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DirectorError {
    /// Privileges are missing.
    #[error("no {}: start it as root, or give it these capabilities (systemd: AmbientCapabilities=)", .0.join(", no "))]
    Privileges(Vec<&'static str>),
    /// There is nobody to run as.
    #[error(
        "there is no user {0} to run as: make one (`useradd -r`), or name another with `user` in the `ringmaster` block"
    )]
    NoUser(String),
    /// Rights cannot be given up.
    #[error(
        "cannot give up rights that are not needed any more; `privileges keep` in the `ringmaster` block does without"
    )]
    Confinement(#[source] std::io::Error),
    /// Nothing says which interfaces to use.
    #[error(
        "no interface to attach to: no VIP and no real server is reached by one; name them in the `ringmaster` block \
         (`interfaces eth0 eth1`)"
    )]
    NoPorts,
    /// A port could not be opened.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The kernel's tables.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The control socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The connection table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A connection table larger than the memory that is to be had.
    #[error(
        "a connection table for {connections} connections needs {needed} MiB of memory, but {available} MiB are available; \
         set `connections` in the `ringmaster` block lower"
    )]
    Memory {
        /// As configured.
        connections: u32,
        /// What the table takes.
        needed: u64,
        /// What is left of the machine's memory, or of the control group's.
        available: u64,
    },
    /// More pairs of service and server than there is room for.
    #[error("the configuration has {0} real servers, each counted once a virtual server; {PAIRS} are possible")]
    Pairs(usize),
    /// Elections.
    #[error(transparent)]
    Elections(#[from] ElectionError),
    /// BFD.
    #[error(transparent)]
    Bfd(#[from] BfdError),
    /// A real server that is the director itself.
    #[error(
        "real_server {0} is an address of this host: a service's packets do not pass its kernel, so that nothing here \
         could take them; move the server to another host"
    )]
    LocalServer(Addr),
    /// More workers than queues.
    #[error(
        "{wanted} workers need as many queues, but {interface} has {queues}; set `workers {queues}` or less, or add queues with `ethtool -L`"
    )]
    Queues {
        /// Workers asked for.
        wanted: usize,
        /// The port with the fewest queues.
        interface: String,
        /// Its queues.
        queues: u32,
    },
    /// A thread or a signal handler was refused.
    #[error("cannot {what}")]
    System {
        /// What failed.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
}
