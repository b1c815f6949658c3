//! The system-call layer: what the machine is asked, apart from packets.
//!
//! | module | what it asks |
//! | --- | --- |
//! | [`affinity`] | which cores there are, and to run on one of them |
//! | [`capabilities`] | what this process may do |
//! | [`clock`] | what time it is: the only reader of clocks in the library |
//! | [`interface`] | what an interface is: index, MTU, address, queues, driver |
//! | [`limits`] | how much memory may be locked |
//! | [`memfd`] | memory that another process can map |
//! | [`memory`] | how much memory there is to be had |
//! | [`names`] | names of hosts |
//! | [`packet`] | packet sockets: frames out, IP packets in |
//! | [`scheduling`] | to let a thread go first |

pub mod affinity;
pub mod capabilities;
pub mod clock;
pub mod interface;
pub mod limits;
pub mod memfd;
pub mod memory;
pub mod names;
pub mod packet;
pub mod scheduling;
