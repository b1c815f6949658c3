//! Telling both ends that an idle TCP connection is forgotten (`reset_expired`).
//!
//! The kernel forgets in silence, and whoever speaks next speaks to nobody. Here, by choice, the server is sent a reset
//! when an established connection's time has run out, and the client ten seconds later, when the entry ends. A reset
//! must carry the number that its receiver expects (RFC 5961 3.2), so the numbers of the client's last segment are kept
//! beside the entry, which holds both: what it would have said next, and what it expected to hear.
//!
//! Nothing is sent past the packet path: the sweeper asks, and a worker meets a segment that the client could have sent.
//! First a reset, which goes to the server like any other; then, when the connection is gone, a bare acknowledgment,
//! which is answered like any that belongs to no connection.

use super::look::Look;
use super::{Connection, Forwarder, Packet, Shared, Turn};
use crate::conn::State;
use crate::conn::table::{Entry, Fate, Slot};
use crate::io::{Batch, PacketIo};
use crate::service::{Options, Pair, PairFlags, PairId, Services, Side};
use crate::time::Tick;
use crate::wire::checksum::{finish, pseudo_header};
use crate::wire::{Endpoint, Family, Protocol, TcpFlags};

/// How many may be asked for at once.
pub const FAREWELLS: usize = 1024;

/// Entry flag: the server has been told.
const TOLD: u8 = 8;

/// One more than what leaves, since it is decremented on the way.
const TTL: u8 = 65;

/// A segment that a client could have sent.
#[derive(Clone, Copy, Debug)]
pub struct Farewell {
    client: Endpoint,
    virtual_: Endpoint,
    numbers: Numbers,
    flags: u8,
}

/// The numbers of a client's segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Numbers {
    /// Of what would have come next.
    next: u32,
    /// Of what was expected next from the server.
    expected: u32,
}

impl Numbers {
    const fn from_word(word: u64) -> Self {
        Self { next: (word >> 32) as u32, expected: word as u32 }
    }

    const fn to_word(self) -> u64 {
        (self.next as u64) << 32 | self.expected as u64
    }
}

impl Turn<'_> {
    /// Keeps the numbers of a client's segment, if it has both.
    #[cold]
    #[inline(never)]
    pub(super) fn keep_numbers(&self, packet: &mut Packet<'_>, connection: Connection<'_>, look: &Look) {
        if look.flags.ack()
            && !look.flags.rst()
            && let Some(numbers) = numbers_of(packet, look)
        {
            self.table.set_helper_word(connection.slot, numbers.to_word());
        }
    }
}

impl Forwarder {
    /// Adds the segments that were asked for to what was received, as far as there is room.
    pub fn say_farewell<I: PacketIo>(&self, io: &mut I, batch: &mut Batch) {
        // Asking whether there is any spares a fence.
        while !self.shared.farewells.is_empty()
            && !batch.is_full()
            && let Some(farewell) = self.shared.farewells.pop()
        {
            let Some(mut frame) = io.allocate() else {
                // If the queue is full by now, this one is forgotten in silence.
                let _ = self.shared.farewells.push(farewell);
                return;
            };
            let (text, offset) = (farewell.frame(), frame.offset());
            if let Some(place) = io.slot_mut(&frame).get_mut(offset..offset + text.len()) {
                place.copy_from_slice(&text);
                frame.len = text.len() as u16;
            }
            batch.push(frame);
        }
    }
}

fn numbers_of(packet: &mut Packet<'_>, look: &Look) -> Option<Numbers> {
    let segment = packet.bytes().get(usize::from(look.l4)..usize::from(look.end))?;
    let word = |at: usize| segment.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
    let header = usize::from(*segment.get(12)? >> 4) * 4;
    let taken = segment.len().checked_sub(header)? as u32 + u32::from(look.flags.syn()) + u32::from(look.flags.fin());
    Some(Numbers { next: word(4)?.wrapping_add(taken), expected: word(8)? })
}

/// Whether the numbers of this pair's connections are kept: with some pairs, something else stands in their place.
pub(super) fn keeps_numbers(pair: &Pair, protocol: u8) -> bool {
    let others = PairFlags::FTP.with(PairFlags::FULL);
    protocol == Protocol::TCP && !pair.flags.has_any(others) && pair.service_key().mark().is_none()
}

/// What becomes of an entry whose time has run out: it ends, or first its server is told.
pub fn on_expiry(
    shared: &Shared,
    lane: usize,
    (services, options): (&Services, &Options),
    (slot, entry): (Slot, &Entry),
    now: Tick,
) -> Fate {
    let (key, word) = (entry.key(), entry.state_word());
    if !options.reset_expired || key.is_template() || !entry.is_expired(now) {
        return Fate::Kill;
    }
    let pair = services.pair(PairId(entry.pair())).filter(|pair| pair.generation == entry.generation());
    let Some(pair) = pair.filter(|pair| keeps_numbers(pair, key.protocol())) else { return Fate::Kill };
    let told = word.flags() & TOLD != 0;
    let farewell = Farewell {
        client: Endpoint { addr: key.client, port: key.port() },
        virtual_: Endpoint { port: entry.vport(), ..pair.end(Side::Virtual) },
        numbers: Numbers::from_word(shared.table.helper_word(slot)),
        flags: if told { TcpFlags::ACK } else { TcpFlags::RST },
    };
    match word.state() {
        State::Close if told => {
            // With the queue full, this one is forgotten in silence.
            let _ = shared.farewells.push(farewell);
            Fate::Kill
        }
        State::Established if shared.farewells.push(farewell).is_ok() => {
            super::lifecycle::change_state(shared, lane, options, entry, word, State::Close, word.flags() | TOLD);
            entry.touch(now);
            Fate::Keep
        }
        _ => Fate::Kill,
    }
}

impl Farewell {
    /// The frame, with Ethernet addresses of nobody.
    fn frame(&self) -> arrayvec::ArrayVec<u8, { 14 + 40 + 20 }> {
        let Self { client, virtual_, numbers, flags } = *self;
        let mut tcp = [0; 20];
        tcp[..2].copy_from_slice(&client.port.to_be_bytes());
        tcp[2..4].copy_from_slice(&virtual_.port.to_be_bytes());
        tcp[4..8].copy_from_slice(&numbers.next.to_be_bytes());
        if flags & TcpFlags::ACK != 0 {
            tcp[8..12].copy_from_slice(&numbers.expected.to_be_bytes());
        }
        tcp[12..14].copy_from_slice(&[0x50, flags]);
        let sum = finish(pseudo_header(client.addr, virtual_.addr, Protocol::TCP, 20), &tcp);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());

        let mut frame = arrayvec::ArrayVec::new();
        let ethertype = if client.addr.family() == Family::V4 { [0x08, 0x00] } else { [0x86, 0xdd] };
        frame.extend([0; 12].into_iter().chain(ethertype));
        match client.addr.family() {
            Family::V4 => {
                let mut ip = [0x45, 0, 0, 40, 0, 0, 0x40, 0, TTL, Protocol::TCP, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                ip[12..16].copy_from_slice(&client.addr.low32().to_be_bytes());
                ip[16..].copy_from_slice(&virtual_.addr.low32().to_be_bytes());
                let sum = finish(0, &ip);
                ip[10..12].copy_from_slice(&sum.to_be_bytes());
                frame.extend(ip);
            }
            Family::V6 => {
                frame.extend([0x60, 0, 0, 0, 0, 20, Protocol::TCP, TTL]);
                frame.extend(client.addr.octets().into_iter().chain(virtual_.addr.octets()));
            }
        }
        frame.extend(tcp);
        frame
    }
}
