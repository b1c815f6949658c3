//! A packet of a known connection.

use std::hint::select_unpredictable as select;

use super::eclipse::is_eclipsed;
use super::lifecycle::{self, NO_OUTPUT};
use super::look::{Look, Way};
use super::onward::{Onward, find_hop, known_hop};
use super::progress::{is_steady, meet};
use super::rewrite::{self, End};
use super::{Connection, Decision, Packet, Reason, Turn, Verdict, answer, farewell, tunnel, wide};
use crate::conn::state::State;
use crate::conn::table::{Entry, Slot, StateWord};
use crate::service::{Hop, Method, NextHop, Pair, PairFlags, PairId, Side};
use crate::wire::checksum::Delta;
use crate::wire::{Family, Protocol, SctpEvent};

/// Whether the entry is the connection this packet belongs to.
#[inline(always)]
pub(super) fn belongs(turn: &Turn<'_>, entry: &Entry, look: &Look) -> bool {
    ends_agree(turn, entry, look) && !((look.way == Way::Out) & is_eclipsed(entry))
}

/// Whether the packet could be of the connection in the entry: its pair is alive under the generation it was opened with,
/// and the packet's other end is the pair's.
#[inline(always)]
pub(super) fn ends_agree(turn: &Turn<'_>, entry: &Entry, look: &Look) -> bool {
    let Some(pair) = turn.services.pairs.get(entry.pair() as usize) else { return false };
    // Servers answer through the director in NAT only, from their own address. What one behind DR or TUN sends this way
    // comes from the virtual address: the kernel finds that address its own, and drops the packet.
    let back = look.way == Way::Out;
    let end = pair.end(select(back, Side::Real, Side::Virtual));
    let alive = (!back | (pair.method == Method::Nat)) & (pair.generation == entry.generation());
    if pair.flags.has_any(PairFlags::WIDE.with(PairFlags::FULL)) {
        return alive && wide::is_end(turn, pair, entry, look);
    }
    alive & (end == look.other)
}

impl<'a> Turn<'a> {
    /// Advances the connection and sends the packet on.
    #[inline(always)]
    pub(super) fn established(&self, packet: &mut Packet<'_>, look: &Look, found: Slot) -> Decision {
        let Some(connection) = Connection::at(self, found) else { return Decision::drop(Reason::ServerRemoved) };
        let Some(hop) = self.steady_way(look, connection) else {
            return self.not_steady(packet, look, connection);
        };
        self.tally(connection.id, look);
        meet(self, connection, look);
        self.send(packet, look, connection.numbered(), hop).for_pair(connection.id)
    }

    /// The way of a packet about which nothing is unusual: it changes nothing of its connection but the clock, and fits
    /// through to a known neighbour. Nearly all packets are like this, and they pay for nothing that only others need.
    #[inline(always)]
    fn steady_way(&self, look: &Look, connection: Connection<'_>) -> Option<&'a Hop> {
        let Connection { entry, pair, .. } = connection;
        let in_time = entry.last_seen() == self.now || !entry.is_expired(self.now);
        let plain = !pair.flags.has_any(PairFlags::SPECIAL) & !self.options.reset_expired;
        let hop = known_hop(self, connection, look)?;
        let fits = self.fits(look, connection.numbered(), hop);
        (in_time & plain & is_steady(connection, look) & fits).then_some(hop)
    }

    /// A packet of a known connection that may change it, or may not leave.
    #[cold]
    #[inline(never)]
    fn not_steady(&self, packet: &mut Packet<'_>, look: &Look, connection: Connection<'_>) -> Decision {
        // SCTP does not say in its first lines what it is.
        let may_open = look.flags.syn() | (look.protocol == Protocol::SCTP);
        let opens = may_open & (look.way == Way::In);
        if (connection.is_expired(self) | opens | (connection.pair.flags != PairFlags::default()))
            && let Some(decision) = self.reconsider(packet, look, connection)
        {
            return decision;
        }
        self.forward(packet, look, connection)
    }

    /// Sends the packet on its way: everything that a packet of a healthy connection needs, and nothing else.
    #[inline(always)]
    pub(super) fn forward(&self, packet: &mut Packet<'_>, look: &Look, connection: Connection<'_>) -> Decision {
        self.forward_prepared(packet, look, connection, |_| ())
    }

    /// The same for a packet that something is done to before it is rewritten, once it is known to leave.
    #[inline(always)]
    pub(super) fn forward_prepared(
        &self,
        packet: &mut Packet<'_>,
        look: &Look,
        connection: Connection<'_>,
        prepare: impl FnOnce(&mut Packet<'_>),
    ) -> Decision {
        let hop = match known_hop(self, connection, look) {
            Some(hop) => Some(hop),
            None => match find_hop(self, connection, look) {
                Onward::Hop(hop) => Some(hop),
                Onward::Wait(next) => return self.wait_for(next).for_pair(connection.id),
                Onward::NoRoute => None,
            },
        };
        self.dispatch(packet, look, connection.numbered(), hop, |packet| {
            prepare(packet);
            let keeps = || look.way == Way::In && farewell::keeps_numbers(connection.pair, look.protocol);
            if self.options.reset_expired && keeps() {
                self.keep_numbers(packet, connection, look);
            }
            self.advance(packet, connection, look);
        })
    }

    /// Counts the packet, lets its connection advance, and sends it to `hop`; or says why not.
    #[inline(always)]
    pub(super) fn dispatch(
        &self,
        packet: &mut Packet<'_>,
        look: &Look,
        (pair_id, pair): (PairId, &Pair),
        hop: Option<&Hop>,
        advance: impl FnOnce(&mut Packet<'_>),
    ) -> Decision {
        let Some(hop) = hop.filter(|hop| self.fits(look, (pair_id, pair), hop)) else {
            return self.does_not_fit(packet, look, (pair_id, pair), hop, advance);
        };
        self.count(pair_id, pair, look);
        advance(packet);
        self.send(packet, look, (pair_id, pair), hop).for_pair(pair_id)
    }

    /// A packet that cannot leave as it is: it is cut, or refused.
    #[cold]
    #[inline(never)]
    fn does_not_fit(
        &self,
        packet: &mut Packet<'_>,
        look: &Look,
        (id, pair): (PairId, &Pair),
        hop: Option<&Hop>,
        advance: impl FnOnce(&mut Packet<'_>),
    ) -> Decision {
        let may_be_cut = |hop: &&Hop| {
            let limit = self.limit(id, pair, hop);
            look.ttl > 1 && may_be_cut(self, packet, look, pair, limit)
        };
        let cut = hop.filter(may_be_cut);
        // The kernel has judged a reply's TTL and size before LVS sees it (`ip_forward.c: ip_forward`), but not a
        // request's.
        if cut.is_some() || look.way == Way::In {
            self.count(id, pair, look);
            advance(packet);
        }
        let Some(hop) = cut else { return self.refuse(packet, look, (id, pair), hop) };
        let sent = self.send(packet, look, (id, pair), hop);
        let sent = match sent.verdict() {
            Verdict::Transmit(port) => Decision::of(Verdict::Cut(port, self.path_mtu(id, pair, hop))),
            _ => sent,
        };
        sent.for_pair(id)
    }

    /// Whether the packet lives long enough for another hop, and is short enough for this one.
    #[inline(always)]
    fn fits(&self, look: &Look, (id, pair): (PairId, &Pair), hop: &Hop) -> bool {
        (look.ttl > 1) & (look.packet_len() <= self.limit(id, pair, hop))
    }

    /// The longest IP packet that fits the way through `hop`, tunnel header included.
    #[inline(always)]
    pub(super) fn path_mtu(&self, id: PairId, pair: &Pair, hop: &Hop) -> u16 {
        // Only requests pass here where there is an overhead.
        if pair.overhead == 0 { hop.mtu } else { self.shared.path_mtus.of(id, hop.mtu, self.now) }
    }

    /// The longest packet that fits the way through `hop`, in bytes; 0 if a tunnel is too narrow for any.
    #[inline(always)]
    pub(super) fn limit(&self, id: PairId, pair: &Pair, hop: &Hop) -> u16 {
        let mtu = self.path_mtu(id, pair, hop);
        if pair.overhead == 0 { mtu } else { tunnel::limit(mtu, pair) }
    }

    /// A packet that can go no further: its sender is told why.
    #[cold]
    #[inline(never)]
    fn refuse(&self, packet: &mut Packet<'_>, look: &Look, (id, pair): (PairId, &Pair), hop: Option<&Hop>) -> Decision {
        let decision = match hop {
            None => answer::unreachable_host(self, packet, look),
            Some(_) if look.ttl <= 1 => answer::ttl_expired(self, packet, look),
            Some(hop) => answer::too_big(self, packet, look, self.limit(id, pair, hop)),
        };
        // To the kernel, what it tells the client of a server that answers directly is a packet of that connection.
        if let (Verdict::Answer(..), Way::In, Method::Dr | Method::Tun(_)) = (decision.verdict(), look.way, pair.method)
        {
            self.count_answer(id, packet, look);
        }
        decision.for_pair(id)
    }

    /// Counts the answer in `packet` as one of the server's.
    pub(super) fn count_answer(&self, id: PairId, packet: &Packet<'_>, look: &Look) {
        let Some(counters) = self.counters.pair(id) else { return };
        counters.packets[Way::Out as usize].add(1);
        counters.bytes[Way::Out as usize].add(u64::from(packet.frame.len - look.l3));
    }

    #[inline(always)]
    pub(super) fn count(&self, id: PairId, pair: &Pair, look: &Look) {
        if pair.counts() {
            self.tally(id, look);
        }
    }

    #[inline(always)]
    fn tally(&self, id: PairId, look: &Look) {
        let Some(counters) = self.counters.pair(id) else { return };
        counters.packets[look.way as usize].add(1);
        counters.bytes[look.way as usize].add(u64::from(look.packet_len()));
    }

    /// Completes the checksum of a packet that a local stack has left unfinished. `look` is about the packet as it came.
    #[inline(always)]
    pub(super) fn complete(&self, packet: &mut Packet<'_>, look: &Look) {
        if std::mem::take(&mut packet.may_be_unfinished) && rewrite::complete_checksum(packet.bytes(), look) {
            self.counters.checksum_completed.add(1);
        }
    }

    /// Rewrites the packet and sends it to `hop`.
    #[inline(always)]
    fn send(&self, packet: &mut Packet<'_>, look: &Look, (pair_id, pair): (PairId, &Pair), hop: &Hop) -> Decision {
        self.complete(packet, look);
        let bytes = packet.bytes();
        // Where it is not a tunnel's frame that leaves, it is this one.
        rewrite::set_macs(bytes, hop);
        match pair.method {
            Method::Nat | Method::Full => {
                let back = look.way == Way::Out;
                let end = select(back, End::Source, End::Destination);
                let new = pair.end(select(back, Side::Virtual, Side::Real));
                let [address, transport] = [pair.address_delta, pair.transport_delta].map(|edit| edit.inverse_if(back));
                rewrite::translate(bytes, look, end, new, address, transport);
            }
            Method::Dr | Method::Tun(_) => rewrite::age(bytes, look, Delta::new()),
        }
        if pair.overhead != 0 {
            return self.launch(packet, look, (pair_id, pair), hop);
        }
        // Padding behind the packet was for the link it came by.
        packet.frame.len = look.end;
        Decision::of(Verdict::Transmit(hop.port))
    }

    /// Puts the rewritten packet into its tunnel, if it has one, and addresses the frame to `hop`.
    #[inline]
    pub(super) fn launch(
        &self,
        packet: &mut Packet<'_>,
        look: &Look,
        (pair_id, pair): (PairId, &Pair),
        hop: &Hop,
    ) -> Decision {
        // Padding behind the packet was for the link it came by.
        packet.frame.len = look.end;
        if !tunnel::wrap(self, packet, look, pair_id, pair) {
            return Decision::drop(Reason::NoRoute);
        }
        rewrite::set_macs(packet.bytes(), hop);
        Decision::of(Verdict::Transmit(hop.port))
    }

    /// Asks the control thread for a neighbour; the frame waits for it.
    #[cold]
    pub(super) fn wait_for(&self, next: NextHop) -> Decision {
        // A full queue means that others have asked for plenty already; the frame will ask again.
        let _ = self.shared.wanted.push(next);
        Decision::of(Verdict::Wait)
    }

    /// A packet of a connection with something special about it: decides whether it goes on as usual (`None`).
    #[cold]
    #[inline(never)]
    fn reconsider(&self, packet: &mut Packet<'_>, look: &Look, found: Connection<'_>) -> Option<Decision> {
        let Connection { pair, id, .. } = found;
        let connection = match pair.flags.has(PairFlags::FULL) {
            true => match self.full_connection(look, found) {
                Some(connection) => connection,
                None => return Some(Decision::of(Verdict::Pass)),
            },
            false => found,
        };
        let removed = pair.flags.has(PairFlags::REMOVED);
        if removed && self.options.last_service_ends_all && !self.services.serve(pair.ends[0].family()) {
            return Some(Decision::of(Verdict::Pass));
        }
        let reused = look.way == Way::In && begins(packet, look) && {
            let drained = self.options.expire_nodest_conn && pair.flags.has(PairFlags::DRAINED);
            drained || (connection.entry.control().is_none() && may_reuse(self, connection.word))
        };
        let orphaned = removed && look.way == Way::In && self.options.expire_nodest_conn;
        if connection.is_expired(self) || reused || orphaned {
            lifecycle::end(self.shared, self.lane, connection.slot, connection.word);
            return Some(self.unknown(packet, look));
        }
        if removed && look.way == Way::In {
            return Some(Decision::drop(Reason::ServerRemoved).for_pair(id));
        }
        self.special(packet, look, connection)
    }

    /// Sends a packet on to whose connection there is more than to others; `None` if there is nothing more to it.
    pub(super) fn special(&self, packet: &mut Packet<'_>, look: &Look, connection: Connection<'_>) -> Option<Decision> {
        let flags = connection.pair.flags;
        if flags.has(PairFlags::FULL) {
            return Some(self.forward_full(packet, look, connection));
        }
        if flags.has(PairFlags::FTP) {
            return Some(self.forward_ftp(packet, look, connection));
        }
        flags.has(PairFlags::WIDE).then(|| self.forward(packet, look, connection.by(&connection.narrow(self))))
    }
}

/// Whether a packet longer than `limit` may leave in pieces: IPv4 without DF, a tunnel's always if path MTU discovery is
/// off, and what came in pieces that fit (`ip_vs_xmit.c: ensure_mtu_is_adequate`).
pub(super) fn may_be_cut(turn: &Turn<'_>, packet: &Packet<'_>, look: &Look, pair: &Pair, limit: u16) -> bool {
    let flags = packet.whole().get(usize::from(look.l3) + 6).copied().unwrap_or_default();
    match look.family {
        _ if limit == 0 => false,
        Family::V4 => flags & 0x40 == 0 || (pair.overhead != 0 && !turn.options.pmtu_disc),
        Family::V6 => packet.longest_piece != 0 && packet.longest_piece <= limit,
    }
}

/// Whether a SYN or INIT on a connection in this state is a new connection that happens to use the same port
/// (`ip_vs_core.c: is_new_conn_expected`).
fn may_reuse(turn: &Turn<'_>, word: StateWord) -> bool {
    let mode = turn.options.conn_reuse_mode;
    match word.state() {
        State::TimeWait | State::Close | State::SctpClosed => mode != 0,
        State::FinWait => mode & 2 != 0 && word.flags() & NO_OUTPUT != 0,
        _ => false,
    }
}

/// Whether the packet asks for a new connection.
fn begins(packet: &mut Packet<'_>, look: &Look) -> bool {
    look.flags.syn() || packet.sctp_event(look) == Some(SctpEvent::Init)
}
