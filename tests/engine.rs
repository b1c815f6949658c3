//! The packet path from frame to frame: a worker on ports in memory, frames built and read by another implementation.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/fragments.rs"]
mod fragments;
#[path = "support/icmp.rs"]
mod icmp;
#[path = "support/offline.rs"]
mod offline;
#[path = "support/packets.rs"]
mod packets;
#[path = "support/sctp.rs"]
mod sctp_packets;

#[path = "engine/answers.rs"]
mod answers;
#[path = "engine/bypass.rs"]
mod bypass;
#[path = "engine/checksums.rs"]
mod checksums;
#[path = "engine/connections.rs"]
mod connections;
#[path = "engine/counting.rs"]
mod counting;
#[path = "engine/defence.rs"]
mod defence;
#[path = "engine/errors.rs"]
mod errors;
#[path = "engine/farewell.rs"]
mod farewell;
#[path = "engine/ftp.rs"]
mod ftp;
#[path = "engine/full_nat.rs"]
mod full_nat;
#[path = "engine/garbage.rs"]
mod garbage;
#[path = "engine/header_options.rs"]
mod header_options;
#[path = "engine/lifetimes.rs"]
mod lifetimes;
#[path = "engine/methods.rs"]
mod methods;
#[path = "engine/mixtures.rs"]
mod mixtures;
#[path = "engine/mtu.rs"]
mod mtu;
#[path = "engine/neighbours.rs"]
mod neighbours;
#[path = "engine/persistence.rs"]
mod persistence;
#[path = "engine/pieces.rs"]
mod pieces;
#[path = "engine/sctp.rs"]
mod sctp;
#[path = "engine/sip.rs"]
mod sip;
#[path = "engine/tunnels.rs"]
mod tunnels;
#[path = "engine/unknown.rs"]
mod unknown;
#[path = "engine/wide.rs"]
mod wide;
#[path = "engine/workers.rs"]
mod workers;
