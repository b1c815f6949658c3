//! Connection synchronisation: what directors tell each other, so that connections outlive a takeover.
//!
//! Two dialects. The *plain* one is that of LVS, version 1 (`ip_vs_sync.c`), and is understood by kernels: one-way, without
//! acknowledgement, authentication or deletions. The *sealed* one is spoken between Ringmaster directors that share a key:
//! the same records inside authenticated envelopes ([`seal`]), with deletions, bulk transfer for who has just joined or
//! has lost messages, and a beat that shows how far each peer is behind ([`peers`]).
//!
//! | module | what it does |
//! | --- | --- |
//! | [`wire`], [`read`] | the plain dialect: records to bytes, bytes to records (versions 1 and 0) |
//! | [`batch`] | records to messages of the right size, in time |
//! | [`states`] | states of the table and their numbers in messages |
//! | [`Names`] | servers as messages call them |
//! | [`ledger`] | what peers are known to know, by slot of the table |
//! | [`sender`] | which entries are told of, and when |
//! | [`receiver`] | what a record does to the table |
//! | [`seal`], [`peers`] | the sealed dialect |
//!
//! Promises: nothing here opens a socket or reads a clock; no input makes it panic or allocate without bound; the table is
//! only touched from the sweeper's thread. Workers do not know of any of this, but for a queue of slots whose state has
//! just changed, which spares a connection the wait for the sweep to come round.

pub mod batch;
pub mod ledger;
mod names;
pub mod peers;
pub mod read;
pub mod receiver;
pub mod seal;
pub mod sender;
pub mod states;
#[cfg(test)]
mod tests;
pub mod wire;

pub use ledger::Ledger;
pub use names::Names;
pub use receiver::{Outcome, Receiver};
pub use sender::Sender;
