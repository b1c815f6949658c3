//! The system-call layer: what the machine is asked, apart from packets.
//!
//! | module | what it asks |
//! | --- | --- |
//! | [`affinity`] | which cores there are, and to run on one of them |
//! | [`capabilities`] | what this process may do |
//! | [`clock`] | what time it is: the only reader of clocks in the library |
//! | [`exec`] | to become another program |
//! | [`inherit`] | what the process was started with |
//! | [`datagram`] | UDP datagrams, with the TTL that they arrived with |
//! | [`interface`] | what an interface is: index, MTU, address, queues, driver |
//! | [`limits`] | how much memory may be locked |
//! | [`memfd`] | memory that another process can map |
//! | [`memory`] | how much memory there is to be had |
//! | [`names`] | names of hosts |
//! | [`privileges`] | giving up what a thread may do |
//! | [`packet`] | packet sockets: frames out, IP packets in |
//! | [`pulse`] | which threads of a process live, for other processes |
//! | [`readable`] | waiting for descriptors that the runtime has no type for |
//! | [`scheduling`] | to let a thread go first |
//! | [`seccomp`] | which system calls a thread may make |
//! | [`service_manager`] | what systemd is told, and what it gives back |
//! | [`signals`] | signals as something to read |
//! | [`usage`] | who has used how much of the processors |
//! | [`users`] | users and groups by their names |

pub mod affinity;
pub mod capabilities;
pub mod clock;
pub mod datagram;
pub mod exec;
pub mod inherit;
pub mod interface;
pub mod limits;
pub mod memfd;
pub mod memory;
pub mod names;
pub mod packet;
pub mod privileges;
pub mod pulse;
pub mod readable;
pub mod scheduling;
pub mod seccomp;
pub mod service_manager;
pub mod signals;
pub mod usage;
pub mod users;
