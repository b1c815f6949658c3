//! One instance with everything that is known of it besides its election.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Deaf, Entry, Influence};
use crate::vrrp::accept::{self, Heard, Rejection};
use crate::vrrp::event::Happening;
use crate::vrrp::machine::{Input, Machine};
use crate::vrrp::packet::Packet;
use crate::vrrp::priority::Priority;
use crate::vrrp::proof::Proof;
use crate::vrrp::proof::header::protect;
use crate::vrrp::proof::sequences::Sequences;
use crate::vrrp::role::{Cause, Role};
use crate::vrrp::spec::{Peers, Spec};
use crate::vrrp::standing::Standing;
use crate::vrrp::wire::{Advert, Checksum};
use crate::wire::Addr;

/// A rival counts as split brain after so many adverts that ours did not silence.
const STUBBORN: u32 = 3;

/// An instance.
#[derive(Debug)]
pub struct Member {
    spec: Spec,
    pub(super) group: Option<usize>,
    pub(super) machine: Machine,
    pub(super) priority: Priority,
    /// Where adverts are sent from, while the interface lets us.
    own: Option<Addr>,
    /// Conditions that are not met.
    unmet: BTreeSet<String>,
    since: Duration,
    /// Who was last heard as master.
    master: Option<Addr>,
    rival: Option<Rival>,
    /// What did not count since the last advert that did.
    deaf: Option<Deaf>,
    /// The last master whose addresses were compared, and whether they differed.
    compared: Option<(Addr, bool)>,
    /// The form of the checksum that a peer of old age needs.
    learned: Option<Checksum>,
    sequences: Sequences,
    /// Identification of the next IPv4 header.
    id: u16,
    counters: Counters,
}

/// What is counted of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Adverts sent.
    pub sent: u64,
    /// Of them, with priority 0.
    pub released: u64,
    /// Adverts that counted.
    pub received: u64,
    /// Of them, with priority 0.
    pub goodbyes: u64,
    /// Adverts that did not count, by [`Rejection`].
    pub rejected: [u64; Rejection::ALL.len()],
    /// Times it became master.
    pub became_master: u64,
    /// Times it was master no longer.
    pub left_master: u64,
    /// Adverts that counted though their addresses differ from ours.
    pub mismatched: u64,
    /// Times that there were two masters and the other did not give way at once.
    pub split_brains: u64,
    /// The latest that a timer was served.
    pub latest: Duration,
}

/// Another master, while we are master too.
#[derive(Clone, Copy, Debug)]
struct Rival {
    from: Addr,
    adverts: u32,
    last: Duration,
}

impl Member {
    pub(super) fn new(entry: Entry, group: Option<usize>, now: Duration) -> Self {
        let Entry { spec, own, influences, standing } = entry;
        let mut machine = Machine::new(&spec, group.is_some());
        if let Some(standing) = standing {
            machine.resume(standing);
        }
        let mut member = Self {
            machine,
            priority: Priority::new(spec.priority),
            group,
            own,
            unmet: BTreeSet::new(),
            since: now,
            master: None,
            rival: None,
            deaf: None,
            compared: None,
            learned: None,
            sequences: Sequences::default(),
            id: 0,
            counters: Counters::default(),
            spec,
        };
        member.is_influenced(influences);
        member.machine.handle(Input::Priority(member.priority.effective()), now);
        member
    }

    /// Goes on under another configuration.
    pub(super) fn configure(&mut self, entry: Entry, group: Option<usize>, now: Duration) {
        let Entry { spec, own, influences, .. } = entry;
        if spec.addresses != self.spec.addresses {
            // Whether they differ from the master's is to be told anew.
            self.compared = None;
        }
        (self.own, self.group) = (own, group);
        self.priority = Priority::new(spec.priority);
        self.is_influenced(influences);
        self.machine.configure(&spec, group.is_some(), self.priority.effective(), now);
        self.spec = spec;
    }

    fn is_influenced(&mut self, influences: Vec<Influence>) {
        self.unmet.clear();
        for Influence { tracker, met, weight } in influences {
            self.priority.weigh(&tracker, weight);
            self.require(&tracker, met);
        }
    }

    /// What it is configured to do.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// What it is.
    pub fn role(&self) -> Role {
        self.machine.role()
    }

    /// Its effective priority.
    pub fn priority(&self) -> u8 {
        self.machine.priority()
    }

    /// What another machine must know to go on in its place; `None` if it takes no part.
    pub fn standing(&self) -> Option<Standing> {
        self.machine.standing()
    }

    /// Since when it has its role.
    pub fn since(&self) -> Duration {
        self.since
    }

    /// Where it sends from, while it can.
    pub fn own(&self) -> Option<Addr> {
        self.own
    }

    /// The master, as far as it is known: ourselves, or who was heard last.
    pub fn master(&self) -> Option<Addr> {
        if self.role() == Role::Master { self.own } else { self.master }
    }

    /// What is counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether another master does not give way.
    pub fn is_split(&self) -> bool {
        self.rival.is_some_and(|rival| rival.adverts >= STUBBORN)
    }

    pub(super) fn set_own(&mut self, own: Option<Addr>) {
        self.own = own;
    }

    pub(super) fn require(&mut self, name: &str, met: bool) {
        if met {
            self.unmet.remove(name);
        } else {
            self.unmet.insert(name.to_owned());
        }
    }

    /// Whether nothing of its own keeps it from taking part.
    pub(super) fn able(&self) -> bool {
        self.own.is_some() && self.unmet.is_empty()
    }

    pub(super) fn refuse(&mut self, from: Addr, why: Rejection) {
        self.counters.rejected[why as usize] += 1;
        let before = self.deaf.map_or(0, |(adverts, ..)| adverts);
        self.deaf = Some((before + 1, from, why));
    }

    /// Whether the addresses of an advert differ from ours and nobody was told so far.
    pub(super) fn differs(&mut self, advert: &Advert, from: Addr) -> bool {
        let before = self.compared.filter(|(master, _)| *master == from).map(|(_, differed)| differed);
        let differs = match before {
            Some(differed) if self.spec.compares_once => differed,
            _ => advert.priority != 0 && !accept::same_addresses(&self.spec, advert),
        };
        self.compared = Some((from, differs));
        self.counters.mismatched += u64::from(differs);
        differs && before != Some(true)
    }

    /// Notes an advert that counts, before the election sees it.
    pub(super) fn hear(&mut self, heard: Heard, now: Duration) -> Option<Happening> {
        self.deaf = None;
        self.counters.received += 1;
        if heard.checksum == Checksum::Group {
            self.learned = Some(Checksum::Group);
        }
        if heard.priority == 0 {
            self.counters.goodbyes += 1;
            return None;
        }
        self.master = Some(heard.from);
        let leads = self.own.is_some_and(|own| (self.priority(), own) > (heard.priority, heard.from));
        (self.role() == Role::Master && leads).then(|| self.meet_rival(heard, now)).flatten()
    }

    fn meet_rival(&mut self, heard: Heard, now: Duration) -> Option<Happening> {
        let before = self.rival.filter(|rival| rival.from == heard.from);
        // What queued up during a stall is old news: it was sent before our answer.
        if before.is_some_and(|rival| now < rival.last + self.spec.interval / 2) {
            return None;
        }
        let before = before.map_or(0, |rival| rival.adverts);
        self.rival = Some(Rival { from: heard.from, adverts: before + 1, last: now });
        match before + 1 {
            1 => Some(Happening::Lower(heard.from, heard.priority)),
            STUBBORN => {
                self.counters.split_brains += 1;
                Some(Happening::SplitBrain(heard.from))
            }
            _ => None,
        }
    }

    /// A rival that has been silent for as long as a master may be is none. Gives it if it had been told of.
    pub(super) fn forget_rival(&mut self, now: Duration) -> Option<Addr> {
        let patience = self.spec.interval * (u32::from(self.spec.down_adverts) + 1);
        let gone = self.rival.take_if(|rival| now > rival.last + patience)?;
        (gone.adverts >= STUBBORN).then_some(gone.from)
    }

    /// Notes a new role. Gives what was heard in vain, and the rival that it gave way to.
    pub(super) fn entered(
        &mut self,
        from: Role,
        to: Role,
        cause: Cause,
        now: Duration,
    ) -> (Option<Deaf>, Option<Addr>) {
        self.since = now;
        self.counters.became_master += u64::from(to == Role::Master);
        self.counters.left_master += u64::from(from == Role::Master);
        let deaf = self.deaf.take().filter(|_| cause == Cause::Silence);
        let rival = self.rival.take().filter(|rival| rival.adverts >= STUBBORN).map(|rival| rival.from);
        (deaf, rival)
    }

    /// How late a timer is served, if that is worth a word: a quarter of an interval or more.
    pub(super) fn lateness(&mut self, now: Duration) -> Option<Duration> {
        let late = now.checked_sub(self.machine.deadline()?)?;
        self.counters.latest = self.counters.latest.max(late);
        (late >= self.spec.interval / 4).then_some(late)
    }

    /// Whether what proves an advert has not been used before. `wall` is the time of day.
    pub(super) fn admit(&mut self, packet: &Packet<'_>, wall: Duration) -> Result<(), Rejection> {
        let from = packet.ends.source;
        match (&self.spec.proof, packet.header, accept::parts(&self.spec, packet).1) {
            (Proof::Header(_), Some(header), _) => self.sequences.admit_header(from, header.sequence),
            (Proof::Trailer(trailer), _, Some(received)) => {
                self.sequences.admit_trailer(trailer, from, received.sequence(), wall)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn datagrams(&mut self, priority: u8, wall: Duration) -> Vec<(Addr, Vec<u8>)> {
        let Some(own) = self.own else { return Vec::new() };
        let (destinations, ttl): (Vec<Addr>, u8) = match &self.spec.peers {
            Peers::Multicast(group) => (vec![*group], u8::MAX),
            Peers::Unicast { peers, ttl, .. } => (peers.iter().map(|peer| peer.address).collect(), *ttl),
        };
        self.counters.sent += 1;
        self.counters.released += u64::from(priority == 0);
        let advert = self.advert(priority);
        // The same for all who get this advert.
        let sequence = match &self.spec.proof {
            Proof::Header(_) => self.sequences.next_of_header(wall).into(),
            Proof::Trailer(trailer) if trailer.is_sent() => self.sequences.next_of_trailer(trailer, wall),
            _ => 0,
        };
        let unicast = matches!(self.spec.peers, Peers::Unicast { .. });
        let checksum = self.learned.unwrap_or(self.spec.checksum);
        let datagram = |destination| {
            // 0 would let the kernel choose.
            self.id = self.id.checked_add(1).unwrap_or(1);
            let ends = super::ends(own, destination);
            let mut payload = advert.emit(ends, checksum);
            if let Proof::Trailer(trailer) = &self.spec.proof
                && trailer.is_sent()
            {
                payload = trailer.protect(payload, sequence, ends);
            }
            let packet = Packet { ends, ttl, payload: &payload, header: None }.emit(self.id);
            match &self.spec.proof {
                // It was a number of 32 bits.
                Proof::Header(password) => (destination, protect(packet, password, sequence as u32, unicast)),
                _ => (destination, packet),
            }
        };
        destinations.into_iter().map(datagram).collect()
    }

    fn advert(&self, priority: u8) -> Advert {
        Advert {
            version: self.spec.version,
            router: self.spec.router,
            priority,
            interval: self.spec.interval,
            authentication: self.spec.proof.within(),
            addresses: self.spec.addresses.clone(),
        }
    }
}
