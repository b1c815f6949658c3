//! VRRP, versions 2 and 3, as machines without input and output: who of several directors holds the addresses.
//!
//! Read first: RFC 5798 6.4 (version 3; RFC 9568 repeats it), RFC 3768 (version 2).
//!
//! | module | what it is |
//! | --- | --- |
//! | [`spec`] | what one instance is configured to do |
//! | [`wire`] | an advert as bytes |
//! | [`packet`] | the IP header around it |
//! | [`accept`] | which adverts count, and why others do not |
//! | [`proof`] | passwords, headers and trailers that show who sent an advert |
//! | [`timers`] | skew and master-down |
//! | [`role`] | what an instance may be, and why it became that |
//! | [`machine`] | the election of one instance |
//! | [`standing`] | what another machine must know to go on in its place |
//! | [`priority`] | the effective priority: the configured one and named weights |
//! | [`routers`] | all instances of a director, and groups of them that move together |
//! | [`event`] | what happened, for the log and for whoever is to be told |
//! | [`announce`] | when which address is announced to the neighbours |
//! | [`frames`] | gratuitous ARP and unsolicited neighbour advertisements as bytes |
//!
//! Everything is told the time, as a [`Duration`](std::time::Duration) since an arbitrary start, and answers with what is
//! to be done. The shell that sends and listens is `control::vrrp`.

pub mod accept;
pub mod announce;
pub mod event;
pub mod frames;
pub mod machine;
pub mod packet;
pub mod priority;
pub mod proof;
pub mod role;
pub mod routers;
pub mod spec;
pub mod standing;
pub mod timers;
pub mod wire;

pub use event::{Event, Happening};
pub use role::{Cause, Role};
pub use routers::{Entry, Influence, Order, Routers};
pub use spec::Spec;
pub use standing::Standing;

#[cfg(test)]
mod tests;
