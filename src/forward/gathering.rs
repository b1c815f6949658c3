//! Datagrams that arrive in pieces, put together.
//!
//! LVS decides about whole datagrams, since only the first piece has the ports. Pieces are kept, in whatever order they
//! come, until nothing is missing; then the datagram is decided about like any packet, and leaves in pieces again.
//!
//! Promises: all memory is taken at the start, and never more; room is made for a new datagram by giving up the one
//! that began longest ago. (The kernel refuses the new one instead, so that a flood of first pieces ends all others for
//! half a minute.) Pieces that overlap end their datagram (RFC 5722; `inet_fragment.c: inet_frag_queue_insert`).
//!
//! Each worker keeps its own. That is enough because NICs spread fragments by addresses alone, as they have no ports to
//! go by: all pieces of a datagram arrive in one queue.

use arrayvec::ArrayVec;

use super::Reason;
use crate::io::{HEADROOM, PortId};
use crate::time::{Tick, Ticks};
use crate::wire::checksum::finish;
use crate::wire::fragment::Piece;
use crate::wire::{Addr, Family, Parsed};

/// Datagrams under way at once.
const DATAGRAMS: usize = 256;
/// Pieces of one datagram: enough for the longest cut for the smallest MTU of IPv4, 576 bytes (RFC 791 3.1).
const PIECES: usize = 128;
/// Room in front of the data: for a tunnel header, and for the headers that every piece repeats.
const HEAD: usize = HEADROOM + 256;
/// The longest frame put together: with a tunnel header in front, its length must still fit 16 bits.
const LONGEST: usize = u16::MAX as usize - HEADROOM;
/// What one datagram may take.
const ROOM: usize = HEAD + LONGEST;

/// `net.ipv4.ipfrag_time`, 30 s.
const PATIENCE_V4: Ticks = Ticks::from_secs(30);
/// `net.ipv6.ip6frag_time`: 60 s (RFC 8200 4.5).
const PATIENCE_V6: Ticks = Ticks::from_secs(60);
/// How long a datagram put together waits for its next hop's MAC address, as other frames do.
const PATIENCE_HOP: Ticks = Ticks::from_secs(3);

/// Where a piece's data lie in the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Just past the last.
    pub end: u32,
}

/// What all pieces of a datagram have in common (RFC 791 3.2, RFC 8200 4.5), and the port, as in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Key {
    source: Addr,
    destination: Addr,
    id: u32,
    /// 0 for IPv6, whose pieces need not agree on it.
    protocol: u8,
    port: PortId,
}

impl Key {
    fn of(parsed: &Parsed, piece: &Piece, port: PortId) -> Self {
        let Parsed { source, destination, protocol, .. } = *parsed;
        let protocol = if parsed.family() == Family::V4 { protocol } else { 0 };
        Self { source, destination, id: piece.id, protocol, port }
    }

    /// A few bits of all, never 0.
    fn tag(&self) -> u32 {
        let words = [self.source.hi, self.source.lo, self.destination.hi, self.destination.lo];
        let more = u64::from(self.id) << 16 | u64::from(self.protocol) << 8 | u64::from(self.port.0);
        let mixed =
            words.iter().fold(more, |sum, word| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23));
        (mixed >> 32) as u32 | 1
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Free,
    /// Pieces are missing.
    Gathering,
    /// All are there.
    Whole,
}

/// One datagram's state; its bytes are in [`Gathering::memory`].
#[derive(Debug, Default)]
struct Datagram {
    stage: Stage,
    key: Key,
    since: Tick,
    /// Counts beginnings: the smallest is the oldest.
    number: u64,
    spans: ArrayVec<Span, PIECES>,
    received: u32,
    /// Where the piece that reaches farthest ends.
    farthest: u32,
    /// Known once the last piece has come.
    total: Option<u32>,
    /// Bytes of the first piece's repeated headers, from the Ethernet header on; 0 until it comes.
    head: u16,
    /// In them: the IP header, the byte that says what follows them, and what it is to say.
    l3: u16,
    next_at: u16,
    next: u8,
    /// The longest IP packet among the pieces, and among those with DF.
    longest: u16,
    longest_uncut: u16,
    /// A bit for each value of ECN that occurred.
    ecn: u8,
}

/// What becomes of a piece that does not fit in.
enum Misfit {
    /// Only the piece is dropped.
    Piece(Reason),
    /// The whole datagram is given up.
    Datagram(Reason),
}

/// A datagram that is whole, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole(usize);

/// A whole datagram as a frame with room in front.
#[derive(Debug)]
pub struct Assembled<'a> {
    /// Its bytes, with headroom.
    pub slot: &'a mut [u8],
    /// Where in `slot` the Ethernet header begins.
    pub offset: u16,
    /// Bytes from there on.
    pub len: u16,
    /// Where its pieces came in.
    pub port: PortId,
    /// Its pieces in order.
    pub spans: &'a [Span],
    /// The longest IP packet among them, in bytes.
    pub longest: u16,
}

/// One worker's datagrams.
pub struct Gathering {
    /// By place: [`Key::tag`], 0 where there is none.
    tags: Box<[u32]>,
    datagrams: Box<[Datagram]>,
    /// [`ROOM`] for each place, and once more for a packet that is being cut.
    memory: Box<[u8]>,
    used: usize,
    begun: u64,
    /// No datagram's time is up before this.
    checked_at: Tick,
}

impl Default for Gathering {
    fn default() -> Self {
        Self {
            tags: vec![0; DATAGRAMS].into(),
            datagrams: std::iter::repeat_with(Datagram::default).take(DATAGRAMS).collect(),
            // The kernel gives zeroed pages only as they are touched.
            memory: vec![0; (DATAGRAMS + 1) * ROOM].into(),
            used: 0,
            begun: 0,
            checked_at: Tick::default(),
        }
    }
}

impl std::fmt::Debug for Gathering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gathering").field("used", &self.used).finish_non_exhaustive()
    }
}

impl Gathering {
    /// Datagrams under way.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether there is none under way.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Takes in the piece in `frame`, of which `parsed` was made, and tells whether its datagram is whole now. `lost` is
    /// told what had to be given up.
    pub fn add(
        &mut self,
        frame: &[u8],
        parsed: &Parsed,
        port: PortId,
        now: Tick,
        mut lost: impl FnMut(Reason),
    ) -> Option<Whole> {
        let Some(piece) = Piece::of(frame, parsed) else {
            lost(Reason::Malformed);
            return None;
        };
        let key = Key::of(parsed, &piece, port);
        let at = self.find(&key).unwrap_or_else(|| self.begin(key, now, &mut lost));
        let memory = &mut self.memory[at * ROOM..(at + 1) * ROOM];
        match self.datagrams[at].take(frame, parsed, &piece, memory) {
            Ok(false) => None,
            Ok(true) => {
                self.datagrams[at].stage = Stage::Whole;
                self.datagrams[at].since = now;
                // No other piece belongs to it.
                self.tags[at] = 0;
                Some(Whole(at))
            }
            Err(Misfit::Piece(reason)) => {
                lost(reason);
                None
            }
            Err(Misfit::Datagram(reason)) => {
                lost(reason);
                self.end(Whole(at));
                None
            }
        }
    }

    /// The datagram's frame.
    pub fn assembled(&mut self, whole: Whole) -> Assembled<'_> {
        let datagram = &self.datagrams[whole.0];
        let Datagram { head, received, spans, longest, key, .. } = datagram;
        Assembled {
            slot: &mut self.memory[whole.0 * ROOM..(whole.0 + 1) * ROOM],
            offset: (HEAD - usize::from(*head)) as u16,
            // At most LONGEST.
            len: (u32::from(*head) + received) as u16,
            port: key.port,
            spans,
            longest: *longest,
        }
    }

    /// A buffer for a packet that is being cut.
    pub fn scratch(&mut self) -> &mut [u8] {
        &mut self.memory[DATAGRAMS * ROOM..]
    }

    /// Forgets a datagram.
    pub fn end(&mut self, whole: Whole) {
        let Whole(at) = whole;
        if self.datagrams[at].stage != Stage::Free {
            self.datagrams[at].stage = Stage::Free;
            self.tags[at] = 0;
            self.used -= 1;
        }
    }

    /// The whole datagrams that were not forgotten, from place `from` on: they wait for a neighbour.
    pub fn next_waiting(&self, from: Option<Whole>) -> Option<Whole> {
        let first = from.map_or(0, |whole| whole.0 + 1);
        (first..DATAGRAMS).find(|&at| self.datagrams[at].stage == Stage::Whole).map(Whole)
    }

    /// Gives up the datagrams whose time is up. To be called often: it looks only once a second.
    pub fn expire(&mut self, now: Tick, mut lost: impl FnMut(Reason)) {
        if now.since(self.checked_at) < Ticks::from_secs(1) {
            return;
        }
        self.checked_at = now;
        for at in 0..DATAGRAMS {
            let Datagram { stage, since, key, .. } = &self.datagrams[at];
            let (patience, reason) = match (stage, key.source.family()) {
                (Stage::Free, _) => continue,
                (Stage::Whole, _) => (PATIENCE_HOP, Reason::Unresolved),
                (Stage::Gathering, Family::V4) => (PATIENCE_V4, Reason::FragmentTimeout),
                (Stage::Gathering, Family::V6) => (PATIENCE_V6, Reason::FragmentTimeout),
            };
            if now.since(*since) > patience {
                lost(reason);
                self.end(Whole(at));
            }
        }
    }

    fn find(&self, key: &Key) -> Option<usize> {
        let tag = key.tag();
        let candidates = self.tags.iter().enumerate().filter(|(_, have)| **have == tag).map(|(at, _)| at);
        candidates.into_iter().find(|&at| self.datagrams[at].key == *key)
    }

    /// A place for a datagram that begins now.
    fn begin(&mut self, key: Key, now: Tick, lost: &mut impl FnMut(Reason)) -> usize {
        let at = match self.datagrams.iter().position(|datagram| datagram.stage == Stage::Free) {
            Some(free) => free,
            None => {
                let ages = self.datagrams.iter().enumerate().map(|(at, datagram)| (datagram.number, at));
                let (_, oldest) = ages.min().expect("there are places");
                lost(Reason::FragmentOverflow);
                self.end(Whole(oldest));
                oldest
            }
        };
        self.begun += 1;
        self.used += 1;
        self.tags[at] = key.tag();
        self.datagrams[at].begin(key, now, self.begun);
        at
    }
}

impl Datagram {
    /// Made anew in place: the list of spans is long, and needs no wiping.
    fn begin(&mut self, key: Key, now: Tick, number: u64) {
        (self.stage, self.key, self.since, self.number) = (Stage::Gathering, key, now, number);
        self.spans.clear();
        (self.received, self.farthest, self.total) = (0, 0, None);
        (self.head, self.longest, self.longest_uncut, self.ecn) = (0, 0, 0, 0);
    }

    /// Takes a piece in; `Ok(true)` once nothing is missing. The order of checks is the kernel's (`ip_fragment.c:
    /// ip_frag_queue`, `reassembly.c: ip6_frag_queue`).
    fn take(&mut self, frame: &[u8], parsed: &Parsed, piece: &Piece, memory: &mut [u8]) -> Result<bool, Misfit> {
        let span = self.place(parsed, piece)?;
        self.insert(span)?;
        let length = (span.end - span.start) as usize;
        let (from, to) = (usize::from(piece.data), HEAD + span.start as usize);
        let malformed = Misfit::Datagram(Reason::Malformed);
        let (Some(data), Some(room)) = (frame.get(from..from + length), memory.get_mut(to..to + length)) else {
            return Err(malformed);
        };
        room.copy_from_slice(data);
        self.received += span.end - span.start;
        if span.start == 0 {
            let head = frame.get(..usize::from(piece.head)).ok_or(malformed)?;
            memory[HEAD - head.len()..HEAD].copy_from_slice(head);
            (self.head, self.l3, self.next_at, self.next) = (piece.head, parsed.l3, piece.next_at, piece.next);
        }
        self.longest = self.longest.max(parsed.packet_len());
        if piece.dont_fragment {
            self.longest_uncut = self.longest_uncut.max(parsed.packet_len());
        }
        self.ecn |= 1 << ecn_of(frame, parsed);
        if self.total != Some(self.received) {
            return Ok(false);
        }
        let packet = &mut memory[HEAD - usize::from(self.head - self.l3)..HEAD];
        self.finish(packet).map(|()| true)
    }

    /// Where the piece goes.
    fn place(&mut self, parsed: &Parsed, piece: &Piece) -> Result<Span, Misfit> {
        let length = u32::from(parsed.end.saturating_sub(piece.data));
        let mut end = piece.start + length;
        if piece.more && !end.is_multiple_of(8) {
            match parsed.family() {
                Family::V4 => end &= !7,
                Family::V6 => return Err(Misfit::Piece(Reason::Malformed)),
            }
        }
        let contradicts = match (piece.more, self.total) {
            (false, Some(total)) => end != total,
            (false, None) => end < self.farthest,
            (true, Some(total)) => end > total,
            (true, None) => false,
        };
        if contradicts || end <= piece.start {
            return Err(Misfit::Datagram(Reason::FragmentOverlap));
        }
        let head = usize::from(piece.head);
        if head > HEAD - HEADROOM || head + end as usize > LONGEST {
            return Err(Misfit::Datagram(Reason::FragmentOverflow));
        }
        self.farthest = self.farthest.max(end);
        if !piece.more {
            self.total = Some(end);
        }
        Ok(Span { start: piece.start, end })
    }

    /// Notes what the piece covers.
    fn insert(&mut self, new: Span) -> Result<(), Misfit> {
        let at = self.spans.partition_point(|span| span.end <= new.start);
        if self.spans.get(at).is_none_or(|span| span.start >= new.end) {
            return self.spans.try_insert(at, new).map_err(|_| Misfit::Datagram(Reason::FragmentOverflow));
        }
        let mut reached = new.start;
        for span in &self.spans[at..] {
            if span.start > reached {
                break;
            }
            reached = span.end;
        }
        Err(match reached >= new.end {
            true => Misfit::Piece(Reason::FragmentDuplicate),
            false => Misfit::Datagram(Reason::FragmentOverlap),
        })
    }

    /// Makes of the first piece's headers those of the datagram. `packet` is the IP header and what else is repeated.
    fn finish(&mut self, packet: &mut [u8]) -> Result<(), Misfit> {
        let malformed = || Misfit::Datagram(Reason::Malformed);
        let congested = whole_ecn(self.ecn).ok_or_else(malformed)?;
        if let Some(next) = packet.get_mut(usize::from(self.next_at - self.l3)) {
            *next = self.next;
        }
        let length = packet.len() as u32 + self.received;
        match self.key.source.family() {
            Family::V4 => {
                let total = u16::try_from(length).map_err(|_| malformed())?;
                packet[2..4].copy_from_slice(&total.to_be_bytes());
                // Whoever forbade to cut the longest piece any further has sent no longer one; the whole counts as
                // forbidden to be cut, until it is taken apart again (`ip_fragment.c: ip_frag_reasm`).
                packet[6] = if self.longest_uncut == self.longest { 0x40 } else { 0 };
                packet[7] = 0;
                packet[1] |= if congested { CONGESTION } else { 0 };
                packet[10..12].fill(0);
                let sum = finish(0, packet);
                packet[10..12].copy_from_slice(&sum.to_be_bytes());
            }
            Family::V6 => {
                let payload = u16::try_from(length - 40).map_err(|_| malformed())?;
                packet[4..6].copy_from_slice(&payload.to_be_bytes());
                packet[1] |= if congested { CONGESTION << 4 } else { 0 };
            }
        }
        Ok(())
    }
}

/// The ECN value "congestion experienced" (RFC 3168 5).
const CONGESTION: u8 = 3;

fn ecn_of(frame: &[u8], parsed: &Parsed) -> u8 {
    let class = frame.get(usize::from(parsed.l3) + 1).copied().unwrap_or_default();
    match parsed.family() {
        Family::V4 => class & 3,
        Family::V6 => class >> 4 & 3,
    }
}

/// Whether the whole has met congestion, from the values its pieces had: as soon as one has. `None`: some pieces take part
/// in ECN and others do not, so they are not of one datagram (RFC 3168 5.3).
fn whole_ecn(seen: u8) -> Option<bool> {
    const NOT_CAPABLE: u8 = 1;
    match seen {
        NOT_CAPABLE => Some(false),
        _ if seen & NOT_CAPABLE != 0 => None,
        _ => Some(seen & 1 << CONGESTION != 0),
    }
}
