//! One turn of a worker: what it knows while it decides about a batch.
//!
//! What happens to a packet is told by methods of [`Turn`], a few in each of this module's neighbours. They are given the
//! packet, what the first pass has found out about it ([`Look`]), and once it is known its connection
//! ([`Connection`](super::Connection)).

use arrayvec::ArrayVec;

use super::limiter::Limiter;
use super::look::Look;
use super::{Counters, Decision, Packet, Reason, Shared, Verdict, established, header_options};
use crate::conn::Table;
use crate::conn::table::Slot;
use crate::io::{BATCH, Batch, Frame, PacketIo};
use crate::service::{Network, Options, Services};
use crate::time::Tick;
use crate::wire::{Addr, Fragment, Parsed, parse};

/// A worker's share of the packet path and the parts of a snapshot, taken apart once a batch.
#[derive(Clone, Copy)]
pub(super) struct Turn<'a> {
    pub(super) services: &'a Services,
    pub(super) network: &'a Network,
    pub(super) options: &'a Options,
    pub(super) shared: &'a Shared,
    /// That of `shared`.
    pub(super) table: &'a Table,
    pub(super) counters: &'a Counters,
    /// The worker's lane in the loads.
    pub(super) lane: usize,
    pub(super) limiter: &'a Limiter,
    pub(super) now: Tick,
}

/// What the first pass says of frames that the second has no [`Look`] of: none of them is common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aside {
    /// There is nothing more to find out.
    Settled(Verdict),
    /// A fragment.
    Piece,
    /// ICMP.
    Message,
    /// Its IPv4 header has options.
    Options,
}

impl Turn<'_> {
    /// Whether a fragment is one that the director puts together: to a virtual address, or from a NAT server to others
    /// than the director.
    fn gathers(&self, piece: &Parsed) -> bool {
        debug_assert_ne!(piece.fragment, Fragment::Whole);
        self.services.vips.may_contain(piece.destination)
            || (self.services.is_nat_server(piece.source)
                && (!self.is_own(piece.destination) || self.services.is_local(piece.destination)))
    }

    /// Whether the address is the director's own, virtual ones included.
    pub(super) fn is_own(&self, address: Addr) -> bool {
        self.services.is_vip(address) || self.network.ports.iter().any(|port| port.addresses.contains(&address))
    }

    /// The first pass.
    #[inline(always)]
    pub(super) fn look_at_all<I: PacketIo>(&self, io: &mut I, batch: &Batch) -> ArrayVec<Result<Look, Aside>, BATCH> {
        let mut looks = ArrayVec::new();
        for frame in batch {
            let slot = io.slot_mut(frame);
            let bytes = slot.get(usize::from(frame.offset)..).unwrap_or(&[]);
            looks.push(Look::at(bytes, frame.len(), &self.services.vips, self.table));
        }
        looks
    }

    /// Decides about a frame that the first pass has no [`Look`] of.
    #[cold]
    #[inline(never)]
    pub(super) fn set_aside<I: PacketIo>(&self, io: &mut I, frame: &mut Frame, aside: Aside) -> Decision {
        let mut packet = Packet::of(io, frame);
        match aside {
            Aside::Settled(verdict) => Decision::of(verdict),
            Aside::Options => self.with_options(&mut packet),
            Aside::Message => self.message(&mut packet),
            Aside::Piece => match parse(packet.whole()) {
                Ok(parsed) if !self.gathers(&parsed) => Decision::of(Verdict::Pass),
                Ok(parsed) if header_options::is_sound(packet.whole(), parsed.l3, parsed.family()) => {
                    Decision::of(Verdict::Gather)
                }
                _ => Decision::drop(Reason::BadChecksum),
            },
        }
    }

    /// Decides about a packet that comes in no batch.
    #[cold]
    #[inline(never)]
    pub(super) fn decide_alone(&self, packet: &mut Packet<'_>, look: &Look) -> Decision {
        self.decide(packet, look, self.table.prefetch_entry(look.hash))
    }

    /// Decides about a packet; `probable` is what the table says of its hash ahead of time.
    #[inline(always)]
    pub(super) fn decide(&self, packet: &mut Packet<'_>, look: &Look, probable: Slot) -> Decision {
        let belongs = |entry: &_| established::belongs(self, entry, look);
        match self.table.find_near(probable, &look.key, look.hash, belongs) {
            Some(found) => self.established(packet, look, found),
            None => self.unknown(packet, look),
        }
    }
}
