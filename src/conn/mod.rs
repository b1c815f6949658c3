//! Connections: the table that all workers share, the states of each protocol, and their timeouts.
//!
//! Promises: lookups never wait; an entry's key and pair never change while a worker's batch looks at it; everything a
//! connection is lives in 64 plain bytes without pointers, so that the table outlives the process that filled it.

mod key;
mod sctp;
pub mod state;
pub mod table;
mod timeouts;

pub use key::{FlowHash, FlowKey, HashSeed};
pub use sctp::sctp_next;
pub use state::{State, TcpEvent};
pub use table::Table;
pub use timeouts::Timeouts;
