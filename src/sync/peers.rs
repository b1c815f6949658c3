//! Who else speaks the sealed dialect: whether they are alive, what they have missed, and what we have.
//!
//! Each director sends a beat every second, in every role. It names the sessions that it has heard lately, and how far. A
//! session counts as *proven* once one of its beats names ours, which was drawn at random when we started: recordings of
//! yesterday cannot do that. Nothing is taken from a session that is not proven, and nothing twice.
//!
//! Who misses an envelope of a master, or has just come, asks in its beat for everything; the master walks its table
//! once, and says at the end how many messages that took. Until these have all come, the asker is not in sync.
//!
//! ```text
//! beat: flags u8 (1 master, 2 wants everything) | count u8 | 0 u16 | count × (session u64, highest sequence u64)
//! ```

use std::time::Duration;

use super::receiver::Delivery;
use super::seal::{Envelope, Kind, Session};

/// The time between two beats.
const BEAT: Duration = Duration::from_secs(1);
/// A peer is forgotten when it has been silent for so long.
const SILENCE: Duration = Duration::from_secs(5);
/// How long a director listens before it believes that there is no peer.
const LISTEN: Duration = Duration::from_secs(3);
/// Everything is not told again sooner than this after the last time.
const REST: Duration = Duration::from_secs(5);
/// The most peers that are kept in mind.
const MOST: usize = 16;

const MASTER: u8 = 1;
const WANTS: u8 = 2;

/// Another director.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its run.
    pub session: Session,
    /// Whether it is known to be alive, and not a recording.
    pub proven: bool,
    /// Whether it tells of its connections.
    pub is_master: bool,
    /// Whether it has asked for everything.
    wants: bool,
    /// The highest sequence that was taken from it.
    last: u64,
    /// How many of its envelopes never came.
    pub lost: u64,
    /// Whether all that it has told has come.
    pub in_sync: bool,
    /// Messages of the transfer that is going on.
    bulk: u64,
    /// Something was lost since that transfer began.
    tainted: bool,
    /// The highest sequence of ours that it had at its last beat.
    pub acknowledged: u64,
    /// When it was last heard.
    pub heard: Duration,
}

/// What is to be done with an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Its records are to be entered.
    Records(Delivery),
    /// Its records are to be deleted.
    Deletions,
    /// Nothing more: it was for us alone.
    Done,
    /// It came before, or out of turn.
    Stale,
    /// Its session is not proven yet.
    Unproven,
}

/// All peers; see the module documentation.
#[derive(Clone, Debug)]
pub struct Peers {
    session: Session,
    /// Of the last envelope of ours.
    sequence: u64,
    peers: Vec<Peer>,
    began: Duration,
    next_beat: Duration,
    /// When everything may be told again.
    rested: Duration,
}

impl Peers {
    /// Nobody, at the beginning of our own session.
    pub fn new(session: Session, now: Duration) -> Self {
        Self { session, sequence: 0, peers: Vec::new(), began: now, next_beat: now, rested: now }
    }

    /// The number of our next envelope.
    pub fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Our own session.
    pub fn session(&self) -> Session {
        self.session
    }

    /// How many envelopes we have sent.
    pub fn sent(&self) -> u64 {
        self.sequence
    }

    /// Those heard lately.
    pub fn list(&self) -> &[Peer] {
        &self.peers
    }

    /// Judges an opened envelope, and takes note of it.
    pub fn admit(&mut self, envelope: &Envelope<'_>, now: Duration) -> Admission {
        if envelope.session == self.session {
            return Admission::Stale;
        }
        let own = self.session;
        let Some(peer) = self.peer(envelope, now) else { return Admission::Stale };
        if envelope.sequence <= peer.last {
            return Admission::Stale;
        }
        let missed = envelope.sequence - peer.last - 1;
        peer.last = envelope.sequence;
        peer.heard = now;
        if missed != 0 {
            peer.lost += missed;
            peer.in_sync = false;
            peer.tainted = true;
        }
        match envelope.kind {
            Kind::Beat => {
                peer.take_beat(envelope.payload, own);
                Admission::Done
            }
            _ if !peer.proven => Admission::Unproven,
            Kind::Live => Admission::Records(Delivery::Live),
            Kind::Deletions => Admission::Deletions,
            Kind::Bulk => {
                if peer.bulk == 0 && missed == 0 {
                    peer.tainted = false;
                }
                peer.bulk += 1;
                Admission::Records(Delivery::Bulk)
            }
            Kind::BulkEnd => {
                peer.end_bulk(envelope.payload);
                Admission::Done
            }
        }
    }

    /// The peer that sent an envelope. A new one begins where the envelope says; the oldest makes room for it if it must.
    fn peer(&mut self, envelope: &Envelope<'_>, now: Duration) -> Option<&mut Peer> {
        if let Some(at) = self.peers.iter().position(|peer| peer.session == envelope.session) {
            return self.peers.get_mut(at);
        }
        if self.peers.len() == MOST {
            let oldest = (0..MOST).filter(|&at| !self.peers[at].proven).min_by_key(|&at| self.peers[at].heard)?;
            self.peers.swap_remove(oldest);
        }
        self.peers.push(Peer {
            session: envelope.session,
            proven: false,
            is_master: false,
            wants: false,
            last: envelope.sequence.saturating_sub(1),
            lost: 0,
            in_sync: false,
            bulk: 0,
            tainted: false,
            acknowledged: 0,
            heard: now,
        });
        self.peers.last_mut()
    }

    /// The contents of the next beat, if it is time for one. `master`: we tell of our connections. `backup`: we listen to
    /// those of others.
    pub fn beat(&mut self, master: bool, backup: bool, now: Duration) -> Option<Vec<u8>> {
        self.peers.retain(|peer| now.saturating_sub(peer.heard) < SILENCE);
        if now < self.next_beat {
            return None;
        }
        self.next_beat = now + BEAT;
        let wants = backup && self.peers.iter().any(|peer| peer.proven && peer.is_master && !peer.in_sync);
        let flags = if master { MASTER } else { 0 } | if wants { WANTS } else { 0 };
        // At most MOST peers.
        let mut payload = vec![flags, self.peers.len() as u8, 0, 0];
        for peer in &self.peers {
            payload.extend(peer.session.0.to_be_bytes());
            payload.extend(peer.last.to_be_bytes());
        }
        Some(payload)
    }

    /// Whether a master should tell everything now. Who asks this and is told yes begins.
    pub fn bulk_is_due(&self, now: Duration) -> bool {
        now >= self.rested && self.peers.iter().any(|peer| peer.proven && peer.wants)
    }

    /// Everything has been told, in so many messages: the contents of the envelope that says so.
    pub fn bulk_told(&mut self, messages: u64, now: Duration) -> Vec<u8> {
        self.rested = now + REST;
        self.peers.iter_mut().for_each(|peer| peer.wants = false);
        messages.to_be_bytes().to_vec()
    }

    /// Whether all that living masters know is known here, as far as one can tell: what to wait for before the role of
    /// master is taken from one that works.
    pub fn in_sync(&self, now: Duration) -> bool {
        let heard_out = now.saturating_sub(self.began) >= LISTEN;
        heard_out && self.peers.iter().filter(|peer| peer.is_master).all(|peer| peer.in_sync)
    }
}

impl Peer {
    fn take_beat(&mut self, payload: &[u8], own: Session) {
        let Some((&[flags, count, _, _], rest)) = payload.split_first_chunk() else { return };
        let (heard, _) = rest.as_chunks::<16>();
        let ours = heard.iter().take(usize::from(count)).find_map(|entry| {
            let (session, sequence) = entry.split_at(8);
            let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
            (number(session) == own.0).then(|| number(sequence))
        });
        if let Some(acknowledged) = ours {
            self.proven = true;
            self.acknowledged = acknowledged;
        }
        self.is_master = flags & MASTER != 0;
        self.wants = flags & WANTS != 0;
    }

    fn end_bulk(&mut self, payload: &[u8]) {
        let told = payload.try_into().map(u64::from_be_bytes).unwrap_or(u64::MAX);
        self.in_sync = self.bulk == told && !self.tainted;
        self.bulk = 0;
        self.tainted = false;
    }
}

#[cfg(test)]
mod tests;
