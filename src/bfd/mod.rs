//! Bidirectional Forwarding Detection: is a neighbour alive, known in milliseconds.
//!
//! Read first: RFC 5880 (the protocol, 6.8 above all) and RFC 5881 (over one hop). Asynchronous mode, without echo and
//! without authentication, as keepalived speaks it.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`spec`] | what a session is configured to do |
//! | [`wire`] | a control packet as bytes |
//! | [`session`] | the state of one session, and its two timers |
//! | [`Standing`] | what outlives a process that speaks for a session |
//! | [`sessions`] | all sessions of a director: which of them a packet is for |
//!
//! Everything is told the time, as a [`Duration`](std::time::Duration) since an arbitrary start, and answers with what is
//! to be sent. The shell with the sockets is `control::bfd`.

pub mod session;
pub mod sessions;
pub mod spec;
mod standing;
pub mod wire;

pub use session::{Change, Session};
pub use sessions::Sessions;
pub use spec::Spec;
pub use standing::Standing;
pub use wire::{Diagnostic, State};
