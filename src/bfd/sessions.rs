//! All sessions of a director: which of them a packet is for, and what is counted.

use std::time::Duration;

use super::session::{Change, Session};
use super::spec::Spec;
use super::standing::Standing;
use super::wire::{Packet, Rejection};
use crate::wire::Addr;

/// Sessions, by their place in the configuration.
#[derive(Debug, Default)]
pub struct Sessions {
    sessions: Vec<Counted>,
    /// What is nobody's.
    strangers: [u64; Rejection::ALL.len()],
}

#[derive(Debug)]
struct Counted {
    session: Session,
    counters: Counters,
}

/// What is counted of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets sent.
    pub sent: u64,
    /// Packets that counted.
    pub received: u64,
    /// Packets that did not, by [`Rejection`].
    pub rejected: [u64; Rejection::ALL.len()],
    /// Times it went up.
    pub ups: u64,
    /// Times it was up no longer.
    pub downs: u64,
}

/// Where a packet came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its source.
    pub from: Addr,
    /// The TTL or hop limit that it arrived with.
    pub ttl: u8,
    /// Whether it came to the port of sessions over several hops.
    pub multihop: bool,
}

impl Sessions {
    /// Begins the sessions of a configuration. `random` gives numbers that nobody can guess.
    pub fn new(specs: impl IntoIterator<Item = Spec>, random: impl FnMut() -> u32, now: Duration) -> Self {
        let mut sessions = Self::default();
        sessions.adopt(specs, random, |_| None, now);
        sessions
    }

    /// Ends the sessions that are not `kept`. Packets and changes that follow still have the numbers of before: to be
    /// asked for before [`adopt`](Self::adopt).
    pub fn retire(&mut self, kept: impl Fn(&Spec) -> bool, now: Duration) {
        let gone = self.sessions.iter_mut().filter(|counted| !kept(counted.session.spec()));
        gone.for_each(|counted| counted.session.stop(now));
    }

    /// Goes over to these sessions, numbered by their order. Those with a neighbour of before go on, and so do those that
    /// another process has `left`.
    pub fn adopt(
        &mut self,
        specs: impl IntoIterator<Item = Spec>,
        mut random: impl FnMut() -> u32,
        left: impl Fn(&Spec) -> Option<Standing>,
        now: Duration,
    ) {
        let mut before = std::mem::take(&mut self.sessions);
        for spec in specs {
            let known = before.iter().position(|counted| counted.session.spec().is_same_session(&spec));
            if let Some(known) = known {
                let mut counted = before.swap_remove(known);
                counted.session.configure(spec, now);
                self.sessions.push(counted);
                continue;
            }
            let is_free = |number| {
                let all = self.sessions.iter().chain(&before);
                number != 0 && all.into_iter().all(|other| other.session.discriminator() != number)
            };
            let resumed = left(&spec).filter(|standing| is_free(standing.discriminator));
            let resumed = resumed.and_then(|standing| Session::resume(spec.clone(), standing, random(), now));
            let session = resumed.unwrap_or_else(|| {
                let discriminator = std::iter::repeat_with(&mut random).find(|&number| is_free(number));
                let discriminator = discriminator.expect("numbers do not run out");
                Session::new(spec, discriminator, random(), now)
            });
            self.sessions.push(Counted { session, counters: Counters::default() });
        }
    }

    /// All sessions with what is counted of them.
    pub fn iter(&self) -> impl Iterator<Item = (&Session, &Counters)> {
        self.sessions.iter().map(|counted| (&counted.session, &counted.counters))
    }

    /// Packets that belonged to no session, by [`Rejection`].
    pub fn strangers(&self) -> &[u64; Rejection::ALL.len()] {
        &self.strangers
    }

    /// When [`fire`](Self::fire) is due.
    pub fn deadline(&self) -> Option<Duration> {
        self.sessions.iter().filter_map(|counted| counted.session.deadline()).min()
    }

    /// The payload of a datagram.
    pub fn received(&mut self, origin: Origin, bytes: &[u8], now: Duration) {
        let at = self.sessions.iter().position(|counted| is_for(counted.session.spec(), origin));
        let refused = match at {
            None => Some(Rejection::Stranger),
            Some(at) => {
                let Counted { session, counters } = &mut self.sessions[at];
                match judge(session, origin, bytes) {
                    Ok(packet) => {
                        counters.received += 1;
                        session.received(&packet, now);
                        None
                    }
                    Err(why) => Some(why),
                }
            }
        };
        if let Some(why) = refused {
            let counters = at.map_or(&mut self.strangers, |at| &mut self.sessions[at].counters.rejected);
            counters[why as usize] += 1;
        }
    }

    /// Time has passed. All that was received before must have been handed over.
    pub fn fire(&mut self, now: Duration) {
        self.sessions.iter_mut().for_each(|counted| counted.session.fire(now));
    }

    /// The director ends.
    pub fn stop(&mut self, now: Duration) {
        self.sessions.iter_mut().for_each(|counted| counted.session.stop(now));
    }

    /// Packets to be sent, with the number of their session. Counts them as sent.
    pub fn take_packets(&mut self) -> Vec<(usize, Packet)> {
        let mut packets = Vec::new();
        for (number, Counted { session, counters }) in self.sessions.iter_mut().enumerate() {
            let of_it = session.take_packets();
            counters.sent += of_it.len() as u64;
            packets.extend(of_it.into_iter().map(|packet| (number, packet)));
        }
        packets
    }

    /// Sessions that went up or down since this was last asked.
    pub fn take_changes(&mut self) -> Vec<(usize, Change)> {
        let mut changes = Vec::new();
        for (number, Counted { session, counters }) in self.sessions.iter_mut().enumerate() {
            let Some(change) = session.take_change() else { continue };
            let up = change == Change::Up;
            counters.ups += u64::from(up);
            counters.downs += u64::from(!up);
            changes.push((number, change));
        }
        changes
    }
}

/// There is one session for an address and a kind (RFC 5881 3).
fn is_for(spec: &Spec, origin: Origin) -> bool {
    spec.neighbour == origin.from && spec.multihop == origin.multihop
}

fn judge(session: &Session, origin: Origin, bytes: &[u8]) -> Result<Packet, Rejection> {
    if !session.spec().admits(origin.ttl) {
        return Err(Rejection::Ttl);
    }
    let packet = Packet::parse(bytes)?;
    // 6.8.6: a name that is not ours, perhaps of a session before our restart.
    if packet.yours != 0 && packet.yours != session.discriminator() {
        return Err(Rejection::Discriminator);
    }
    Ok(packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bfd::wire::State;

    const NEIGHBOUR: Addr = Addr::v4(0x0a00_0001);
    const NOW: Duration = Duration::from_secs(7);

    fn sessions() -> Sessions {
        let mut numbers = [0, 5, 1, 5, 6, 2].into_iter();
        let other = Spec { max_hops: 255, multihop: true, ..Spec::new("far", NEIGHBOUR) };
        Sessions::new([Spec::new("near", NEIGHBOUR), other], move || numbers.next().unwrap(), NOW)
    }

    fn down(yours: u32) -> Packet {
        let mut neighbour = Session::new(Spec::new("us", Addr::v4(2)), 77, 1, NOW);
        neighbour.fire(NOW);
        Packet { yours, ..neighbour.take_packets()[0] }
    }

    #[test]
    fn names_are_unique_and_not_zero() {
        let names: Vec<_> = sessions().iter().map(|(session, _)| session.discriminator()).collect();
        assert_eq!(names, [5, 6]);
    }

    #[test]
    fn a_packet_reaches_the_session_of_its_sender_or_is_counted() {
        let near = Origin { from: NEIGHBOUR, ttl: 255, multihop: false };
        let far = Origin { multihop: true, ttl: 3, ..near };
        let stranger = Origin { from: Addr::v4(9), ..near };
        let cases = [
            (near, 0, [State::Init, State::Down], None),
            (near, 5, [State::Init, State::Down], None),
            (far, 0, [State::Down, State::Init], None),
            (near, 6, [State::Down, State::Down], Some(Rejection::Discriminator)),
            (Origin { ttl: 254, ..near }, 0, [State::Down, State::Down], Some(Rejection::Ttl)),
            (stranger, 0, [State::Down, State::Down], Some(Rejection::Stranger)),
        ];
        for (origin, yours, states, why) in cases {
            let mut sessions = sessions();
            sessions.received(origin, &down(yours).emit(), NOW);
            let seen: Vec<_> = sessions.iter().map(|(session, _)| session.state()).collect();
            assert_eq!(seen, states, "{origin:?}");
            let counted = |why: Rejection| {
                let own: u64 = sessions.iter().map(|(_, counters)| counters.rejected[why as usize]).sum();
                own + sessions.strangers()[why as usize]
            };
            let refused: Vec<_> = Rejection::ALL.into_iter().filter(|&why| counted(why) > 0).collect();
            assert_eq!(refused, Vec::from_iter(why), "{origin:?}");
        }
    }

    #[test]
    fn a_stop_is_told_to_the_neighbour() {
        let mut sessions = sessions();
        sessions.fire(NOW);
        sessions.take_packets();
        sessions.stop(NOW);
        let told: Vec<_> = sessions.take_packets().into_iter().map(|(_, packet)| packet.state).collect();
        assert_eq!(told, [State::AdminDown, State::AdminDown]);
        assert_eq!(sessions.deadline(), None);
    }
}
