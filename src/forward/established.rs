//! A packet of a known connection.

use std::hint::select_unpredictable as select;

use super::lifecycle::{self, NO_OUTPUT};
use super::look::{Look, Way};
use super::rewrite::{self, End};
use super::{Decision, Forwarder, Packet, Reason, Verdict, View, answer, tunnel};
use crate::conn::TcpEvent;
use crate::conn::state::{Seen, State, tcp_next};
use crate::conn::table::{Entry, Slot, StateWord};
use crate::service::{Hop, HopId, HopTo, Method, NextHop, Pair, PairFlags, PairId, Side};
use crate::time::Tick;
use crate::wire::checksum::Delta;
use crate::wire::{Addr, Family, Protocol};

/// Whether the entry is the connection this packet belongs to: its pair is alive under the generation it was opened
/// with, and the packet's other end is the pair's.
#[inline(always)]
pub(super) fn belongs(view: &View<'_>, entry: &Entry, look: &Look) -> bool {
    let Some(pair) = view.services.pairs.get(entry.pair() as usize) else { return false };
    // Servers answer through the director in NAT only, from their own address. What one behind DR or TUN sends this way
    // comes from the virtual address: the kernel finds that address its own, and drops the packet.
    let back = look.way == Way::Out;
    let end = pair.end(select(back, Side::Real, Side::Virtual));
    (!back | (pair.method == Method::Nat)) & (pair.generation == entry.generation()) & (end == look.other)
}

/// The way to the packet's next hop.
enum Onward<'a> {
    Hop(&'a Hop),
    Wait(NextHop),
    NoRoute,
}

impl Forwarder {
    /// Advances the connection and sends the packet on.
    #[inline(always)]
    pub(super) fn established(
        &self,
        view: &View<'_>,
        packet: &mut Packet<'_>,
        look: &Look,
        found: Slot,
        now: Tick,
    ) -> Decision {
        let entry = self.shared.table.entry(found);
        let pair_id = PairId(entry.pair());
        let Some(pair) = view.services.pair(pair_id) else { return Decision::drop(Reason::ServerRemoved) };
        let word = entry.state_word();
        let expired = entry.is_expired(now);
        let opens = (look.protocol == Protocol::TCP) & look.flags.syn() & (look.way == Way::In);
        if (expired | opens | (pair.flags != PairFlags::default()))
            && let Some(decision) = self.reconsider(view, packet, look, found, word, expired, now)
        {
            return decision;
        }
        self.forward(view, packet, look, (pair_id, pair), (entry, word), now)
    }

    /// Sends the packet on its way: everything that a packet of a healthy connection needs, and nothing else.
    #[inline(always)]
    pub(super) fn forward(
        &self,
        view: &View<'_>,
        packet: &mut Packet<'_>,
        look: &Look,
        (pair_id, pair): (PairId, &Pair),
        (entry, word): (&Entry, StateWord),
        now: Tick,
    ) -> Decision {
        let hop = match known_hop(view, pair, entry, look) {
            Some(hop) => Some(hop),
            None => match find_hop(view, pair, entry, look) {
                Onward::Hop(hop) => Some(hop),
                Onward::Wait(next) => return self.wait_for(next).for_pair(pair_id),
                Onward::NoRoute => None,
            },
        };
        let fits = |hop: &&Hop| look.ttl > 1 && look.packet_len() <= self.limit(view, look, pair_id, pair, hop);
        let Some(hop) = hop.filter(fits) else {
            return self.does_not_fit(view, packet, look, (pair_id, pair), (entry, word), hop);
        };
        self.count(pair_id, pair, look);
        self.advance(view, entry, word, look, now);
        self.send(view, packet, look, (pair_id, pair), hop).for_pair(pair_id)
    }

    /// A packet that cannot leave as it is: it is cut, or refused.
    #[cold]
    #[inline(never)]
    fn does_not_fit(
        &self,
        view: &View<'_>,
        packet: &mut Packet<'_>,
        look: &Look,
        (id, pair): (PairId, &Pair),
        (entry, word): (&Entry, StateWord),
        hop: Option<&Hop>,
    ) -> Decision {
        let cut = hop.filter(|hop| {
            look.ttl > 1 && self.may_be_cut(view, packet, look, pair, self.limit(view, look, id, pair, hop))
        });
        // The kernel has judged a reply's TTL and size before LVS sees it (`ip_forward.c: ip_forward`), but not a
        // request's.
        if cut.is_some() || look.way == Way::In {
            self.count(id, pair, look);
            self.advance(view, entry, word, look, view.now);
        }
        let Some(hop) = cut else { return self.refuse(view, packet, look, pair, hop, id) };
        let sent = self.send(view, packet, look, (id, pair), hop);
        let sent = match sent.verdict() {
            Verdict::Transmit(port) => Decision::of(Verdict::Cut(port, self.path_mtu(view, look, id, pair, hop))),
            _ => sent,
        };
        sent.for_pair(id)
    }

    /// Whether a packet longer than `limit` may leave in pieces: IPv4 without DF, a tunnel's always if path MTU discovery is
    /// off, and what came in pieces that fit (`ip_vs_xmit.c: ensure_mtu_is_adequate`).
    pub(super) fn may_be_cut(
        &self,
        view: &View<'_>,
        packet: &mut Packet<'_>,
        look: &Look,
        pair: &Pair,
        limit: u16,
    ) -> bool {
        let longest = packet.longest_piece;
        let flags = packet.bytes().get(usize::from(look.l3) + 6).copied().unwrap_or_default();
        match look.family {
            _ if limit == 0 => false,
            Family::V4 => flags & 0x40 == 0 || (is_tunnelled(look, pair) && !view.options.pmtu_disc),
            Family::V6 => longest != 0 && longest <= limit,
        }
    }

    /// The longest IP packet that fits the way through `hop`, tunnel header included.
    #[inline(always)]
    pub(super) fn path_mtu(&self, view: &View<'_>, look: &Look, id: PairId, pair: &Pair, hop: &Hop) -> u16 {
        if is_tunnelled(look, pair) { self.shared.path_mtus.of(id, hop.mtu, view.now) } else { hop.mtu }
    }

    /// The longest packet that fits the way through `hop`, in bytes; 0 if a tunnel is too narrow for any.
    #[inline(always)]
    pub(super) fn limit(&self, view: &View<'_>, look: &Look, id: PairId, pair: &Pair, hop: &Hop) -> u16 {
        let mtu = self.path_mtu(view, look, id, pair, hop);
        if is_tunnelled(look, pair) { tunnel::limit(mtu, pair.ends[1].family()) } else { mtu }
    }

    /// A packet that can go no further: its sender is told why.
    #[cold]
    #[inline(never)]
    fn refuse(
        &self,
        view: &View<'_>,
        packet: &mut Packet<'_>,
        look: &Look,
        pair: &Pair,
        hop: Option<&Hop>,
        id: PairId,
    ) -> Decision {
        let decision = match hop {
            None => answer::unreachable_host(view, packet, look),
            Some(_) if look.ttl <= 1 => answer::ttl_expired(view, packet, look),
            Some(hop) => answer::too_big(view, packet, look, self.limit(view, look, id, pair, hop)),
        };
        // To the kernel, what it tells the client of a server that answers directly is a packet of that connection.
        if let (Verdict::Answer(..), Way::In, Method::Dr | Method::Tun) = (decision.verdict(), look.way, pair.method) {
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
        // Nothing counts for a server that was removed.
        let Some(counters) = self.counters.pair(id).filter(|_| !pair.flags.has(PairFlags::REMOVED)) else { return };
        counters.packets[look.way as usize].add(1);
        counters.bytes[look.way as usize].add(u64::from(look.packet_len()));
    }

    /// Moves the connection's state and its clock.
    #[inline(always)]
    fn advance(&self, view: &View<'_>, entry: &Entry, word: StateWord, look: &Look, now: Tick) {
        let state = word.state();
        let (next, next_flags) = match look.protocol {
            Protocol::TCP => next_tcp(view, state, word.flags(), look),
            _ => (state, word.flags()),
        };
        let first_of_tick = entry.last_seen() != now;
        entry.touch(now);
        if next != state || next_flags != word.flags() {
            lifecycle::change_state(&self.shared, self.lane, view.options, entry, word, next, next_flags);
        } else if first_of_tick {
            // The first packet of a tick also picks up a timeout that was set since.
            entry.set_timeout(view.options.timeouts.of(state));
        }
        if look.way == Way::Out && look.protocol == Protocol::UDP && entry.control().is_some() {
            lifecycle::assure(&self.shared, entry);
        }
    }

    /// Rewrites the packet and sends it to `hop`.
    #[inline(always)]
    fn send(
        &self,
        view: &View<'_>,
        packet: &mut Packet<'_>,
        look: &Look,
        (pair_id, pair): (PairId, &Pair),
        hop: &Hop,
    ) -> Decision {
        if packet.may_be_unfinished && rewrite::complete_checksum(packet.bytes(), look) {
            self.counters.checksum_completed.add(1);
        }
        let bytes = packet.bytes();
        match pair.method {
            Method::Nat => {
                let back = look.way == Way::Out;
                let end = select(back, End::Source, End::Destination);
                let new = pair.end(select(back, Side::Virtual, Side::Real));
                rewrite::set_end(bytes, look, end, new, pair.transport_delta.inverse_if(back));
                rewrite::age(bytes, look, pair.address_delta.inverse_if(back));
            }
            Method::Dr | Method::Tun => rewrite::age(bytes, look, Delta::new()),
        }
        self.launch(view, packet, look, (pair_id, pair), hop)
    }

    /// Puts the rewritten packet into its tunnel, if it has one, and addresses the frame to `hop`.
    #[inline(always)]
    pub(super) fn launch(
        &self,
        view: &View<'_>,
        packet: &mut Packet<'_>,
        look: &Look,
        (pair_id, pair): (PairId, &Pair),
        hop: &Hop,
    ) -> Decision {
        // Padding behind the packet was for the link it came by.
        packet.frame.len = look.end;
        if is_tunnelled(look, pair) && !wrap(view, packet, look, pair_id, pair.ends[Side::Real as usize]) {
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
    #[expect(clippy::too_many_arguments, reason = "the state of one packet; called in one place")]
    fn reconsider(
        &self,
        view: &View<'_>,
        packet: &mut Packet<'_>,
        look: &Look,
        found: Slot,
        word: StateWord,
        expired: bool,
        now: Tick,
    ) -> Option<Decision> {
        let entry = self.shared.table.entry(found);
        let pair = view.services.pair(PairId(entry.pair()))?;
        let removed = pair.flags.has(PairFlags::REMOVED);
        if removed && view.options.last_service_ends_all && !view.services.serve(pair.ends[0].family()) {
            return Some(Decision::of(Verdict::Pass));
        }
        let reused = look.protocol == Protocol::TCP && look.flags.syn() && look.way == Way::In && {
            let drained = view.options.expire_nodest_conn && pair.flags.has(PairFlags::DRAINED);
            drained || (entry.control().is_none() && may_reuse(view, word))
        };
        let ends = expired || reused || (removed && look.way == Way::In && view.options.expire_nodest_conn);
        if ends {
            lifecycle::end(&self.shared, self.lane, found, word);
            return Some(self.unknown(view, packet, look, now));
        }
        (removed && look.way == Way::In).then(|| Decision::drop(Reason::ServerRemoved).for_pair(PairId(entry.pair())))
    }
}

/// Whether a SYN on a connection in this state is a new connection that happens to use the same port
/// (`ip_vs_core.c: is_new_conn_expected`).
fn may_reuse(view: &View<'_>, word: StateWord) -> bool {
    let mode = view.options.conn_reuse_mode;
    match word.state() {
        State::TimeWait | State::Close => mode != 0,
        State::FinWait => mode & 2 != 0 && word.flags() & NO_OUTPUT != 0,
        _ => false,
    }
}

/// State and flags after a TCP segment.
#[inline(always)]
fn next_tcp(view: &View<'_>, state: State, have: u8, look: &Look) -> (State, u8) {
    let event = TcpEvent::of(look.flags);
    let back = look.way == Way::Out;
    let input = select(have & NO_OUTPUT != 0, Seen::InputOnly, Seen::Input);
    let seen = select(back, Seen::Output, input);
    // The first packet seen from the server shows that the other direction can be followed after all.
    let now_flags = select(back, have & !NO_OUTPUT, have);
    if event == TcpEvent::Flagless && !view.options.flagless_segment_closes {
        return (state, now_flags);
    }
    (tcp_next(state, event, seen), now_flags)
}

/// The hop that the pair (to the server) or the entry (back to the client) remembers, if it is still good: an entry's is
/// as long as no route or neighbour has changed.
#[inline(always)]
fn known_hop<'a>(view: &View<'a>, pair: &Pair, entry: &Entry, look: &Look) -> Option<&'a Hop> {
    let fresh = entry.epoch() == view.network.epoch;
    let to_client = select(fresh, entry.hop(), HopId::NONE.0);
    let id = select(look.way == Way::In, pair.hop.0, to_client);
    view.network.hop(HopId(id))
}

#[inline(always)]
fn is_tunnelled(look: &Look, pair: &Pair) -> bool {
    pair.method == Method::Tun && look.way == Way::In
}

/// Looks the hop up by route and neighbour, and has the entry remember the one back to the client.
#[cold]
#[inline(never)]
fn find_hop<'a>(view: &View<'a>, pair: &Pair, entry: &Entry, look: &Look) -> Onward<'a> {
    let to = match look.way {
        Way::In => pair.ends[Side::Real as usize],
        Way::Out => look.key.client,
    };
    match view.network.hop_to(to) {
        HopTo::Ready(id) => {
            if look.way == Way::Out {
                entry.set_hop(id.0, view.network.epoch);
            }
            view.network.hop(id).map_or(Onward::NoRoute, Onward::Hop)
        }
        HopTo::Unresolved(next) => Onward::Wait(next),
        HopTo::NoRoute => Onward::NoRoute,
    }
}

/// Puts the tunnel header on. `false`: there is no address to send it from, or no room for it.
fn wrap(view: &View<'_>, packet: &mut Packet<'_>, look: &Look, pair_id: PairId, server: Addr) -> bool {
    let Some(source) = view.services.tunnel_source(pair_id) else { return false };
    let offset = usize::from(packet.frame.offset);
    let id = tunnel::identification(packet.bytes(), look);
    let Some(start) = tunnel::encapsulate(packet.slot, offset, look, id, source, server) else { return false };
    packet.frame.len = (offset + usize::from(look.end) - start) as u16;
    packet.frame.offset = start as u16;
    if !view.options.pmtu_disc {
        tunnel::allow_cutting(packet.bytes(), look);
    }
    true
}
