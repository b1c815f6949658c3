//! Ringmaster: a user-space Linux Virtual Server.
//!
//! One process balances TCP and UDP connections over real servers by NAT, DR or TUN, checks the health of the servers
//! and owns the virtual addresses. Pinned workers poll AF_XDP rings and rewrite frames in place; one control thread
//! does everything that is not a packet.
//!
//! # The way in
//!
//! | module | what it is |
//! | --- | --- |
//! | [`time`] | the units of time; nothing in the library but the loops reads a clock |
//! | [`wire`] | bytes: parsing, checksums, header layouts |
//! | [`conn`] | the connection table, the protocol states, the timeouts |
//! | [`sched`] | one file a scheduler |
//! | [`check`] | health checks as state machines without input or output |
//! | [`vrrp`] | the election of who holds the addresses, as machines without input or output |
//! | [`bfd`] | whether a neighbour is alive, as machines without input or output |
//! | [`program`] | a program that the configuration names |
//! | [`track`] | what moves the priority of elections: scripts, processes, files, interfaces, BFD |
//! | [`notify`] | who is told of elections, and in what words |
//! | [`config`] | `keepalived.conf` to validated values, or to a list of problems |
//! | [`service`] | the snapshot: all that a worker needs to know, published whole |
//! | [`io`] | the seam between engine and wire: AF_XDP, memory and capture files behind one trait |
//! | [`forward`] | what happens to a packet: decide, then rewrite |
//! | [`sync`] | what directors tell each other of their connections |
//! | [`worker`] | the loop that moves batches from ring to ring |
//! | [`control`] | the thread around it all: netlink, health, control socket, publication |
//! | [`sys`] | clock, affinity, capabilities, signals |
//! | [`cli`] | one file a subcommand |
//!
//! Imports run one way, from the bottom of this table's idea to its top; `tests/layering.rs` holds the exact order.

pub mod bfd;
pub mod check;
pub mod cli;
pub mod config;
pub mod conn;
pub mod control;
pub mod forward;
pub mod io;
pub mod notify;
pub mod program;
pub mod sched;
pub mod service;
pub mod sync;
pub mod sys;
pub mod time;
pub mod track;
pub mod vrrp;
pub mod wire;
pub mod worker;
