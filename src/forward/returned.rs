//! What is the kernel's, though it was steered to a worker: made fit to go back.
//!
//! The steering program judges by addresses and ports, a worker by connections. What is found to be nobody's (what a NAT
//! server sends from the port of its service without a connection, errors about unknown connections, fragments to a
//! virtual address that no service wants) goes to the kernel, which receives, routes, filters or translates it as anything
//! that arrives.

use super::look::Look;
use super::{Forwarder, Packet, rewrite};
use crate::io::{Frame, PacketIo};
use crate::service::Snapshot;
use crate::wire::{Fragment, Protocol, parse};

impl Forwarder {
    /// Finishes the checksum of a frame from a local stack, if it is unfinished: that it may be so was known to the
    /// kernel beside the frame, and is known no more.
    pub fn complete<I: PacketIo>(&self, io: &mut I, snapshot: &Snapshot, frame: &mut Frame) {
        let mut packet = Packet::of(io, frame);
        let Ok(parsed) = parse(packet.whole()) else { return };
        let has_checksum = matches!(parsed.protocol, Protocol::TCP | Protocol::UDP | Protocol::SCTP);
        if !packet.may_be_unfinished || !has_checksum || parsed.fragment != Fragment::Whole {
            return;
        }
        let look = Look::of(&parsed, &snapshot.services.vips, &self.shared.table);
        if rewrite::complete_checksum(packet.bytes(), &look) {
            self.counters.checksum_completed.add(1);
        }
    }
}
