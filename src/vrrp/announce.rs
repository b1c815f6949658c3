//! When which address is announced.
//!
//! A burst goes round by round, each round telling of every address once (as keepalived does: .101 .100 .101 .100), so
//! that the first round is over soon however many addresses there are. A burst is repeated once after a while, in case
//! a switch was still learning. A new burst takes the place of what is left of the one before: bursts do not pile up
//! after a stall. Repetitions (`refresh`) go by time, not by adverts.
//!
//! Announcements of one kind on one interface keep their configured distance; where there is none, they go in
//! portions of [`PORTION`], a millisecond apart, so that a thousand addresses are no storm. Interfaces of a `garp_group` keep
//! it together. One that the kernel has no room for waits for the next portion, and those after it wait with it.
//!
//! Adverts keep switches aware of the interface that they are sent by; of others (`garp_extra_if`), one address each is
//! announced now and then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::spec::{Announcing, Burst};
use crate::wire::{Addr, Family};

/// How many announcements go out at once where no distance is configured.
pub const PORTION: u32 = 100;

/// Between portions.
const PAUSE: Duration = Duration::from_millis(1);

/// How many portions an announcement waits that there is no room for, before it is left out: a second.
const PATIENCE: u32 = 1000;

/// An address and the interface that it is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// The address.
    pub address: Addr,
    /// The interface's name.
    pub device: String,
    /// What its announcements keep their distance from: those with the same name here and of the same family.
    pub pace: String,
    /// That distance; zero if none is configured.
    pub gap: Duration,
    /// It is on an interface that is told of by itself (`garp_extra_if`).
    pub extra: bool,
}

/// The announcements of all instances.
#[derive(Debug, Default)]
pub struct Announcer {
    /// By instance.
    jobs: BTreeMap<usize, Job>,
    /// By [`Site::pace`] and family.
    paces: BTreeMap<(String, Family), Pace>,
}

#[derive(Debug)]
struct Job {
    sites: Vec<Site>,
    how: Announcing,
    /// Left of the present burst.
    rounds: u32,
    /// The next address of the present round.
    next: usize,
    /// The second burst.
    again: Option<(Duration, u32)>,
    refresh_at: Option<Duration>,
    extra_at: Option<Duration>,
}

#[derive(Debug, Default)]
struct Pace {
    /// Nothing may be sent before.
    free_at: Duration,
    /// Sent since then.
    sent: u32,
    /// How often the next one has been put off.
    put_off: u32,
}

impl Announcer {
    /// An instance has taken its addresses.
    pub fn taken(&mut self, instance: usize, sites: Vec<Site>, how: Announcing, now: Duration) {
        let refresh_at = (how.refresh > Duration::ZERO).then(|| now + how.refresh);
        let extra = how.extra > Duration::ZERO && sites.iter().any(|site| site.extra);
        let extra_at = extra.then(|| now + how.master.again + how.extra);
        let mut job = Job { sites, how, rounds: 0, next: 0, again: None, refresh_at, extra_at };
        job.burst(how.master, now);
        self.jobs.insert(instance, job);
    }

    /// Somebody else claims the addresses of an instance.
    pub fn contested(&mut self, instance: usize, now: Duration) {
        if let Some(job) = self.jobs.get_mut(&instance) {
            job.burst(job.how.lower, now);
        }
    }

    /// An instance has given its addresses up.
    pub fn left(&mut self, instance: usize) {
        self.jobs.remove(&instance);
    }

    /// Instances have other numbers: `now_is` tells an instance's, what it announces and how, unless it is gone.
    pub fn renumber(&mut self, now_is: impl Fn(usize) -> Option<(usize, Vec<Site>, Announcing)>, now: Duration) {
        for (before, mut job) in std::mem::take(&mut self.jobs) {
            let Some((instance, sites, how)) = now_is(before) else { continue };
            job.goes_on(sites, how, now);
            self.jobs.insert(instance, job);
        }
    }

    /// When [`Announcer::due`] has something to say again.
    pub fn deadline(&self) -> Option<Duration> {
        let jobs = self.jobs.values().filter(|job| !job.sites.is_empty());
        let next = |job: &Job| {
            let burst = (job.rounds > 0).then(|| self.pace(&job.sites[job.next]));
            [burst, job.again.map(|(at, _)| at), job.refresh_at, job.extra_at].into_iter().flatten().min()
        };
        jobs.filter_map(next).min()
    }

    /// Hands over all that is to be announced now. `send` says whether there was room for it.
    pub fn due(&mut self, now: Duration, mut send: impl FnMut(usize, &Site) -> bool) {
        for (&instance, job) in &mut self.jobs {
            job.wake(now);
            if job.is_extra_due(now) {
                job.extras().for_each(|site| _ = send(instance, site));
            }
            while job.rounds > 0 && !job.sites.is_empty() {
                let site = &job.sites[job.next];
                let pace = self.paces.entry((site.pace.clone(), site.address.family())).or_default();
                if pace.free_at > now {
                    break;
                }
                if !send(instance, site) && pace.put_off < PATIENCE {
                    pace.put_off(now);
                    break;
                }
                pace.count(site.gap, now);
                job.advance();
            }
        }
    }

    fn pace(&self, site: &Site) -> Duration {
        let pace = self.paces.get(&(site.pace.clone(), site.address.family()));
        pace.map_or(Duration::ZERO, |pace| pace.free_at)
    }
}

impl Job {
    fn burst(&mut self, burst: Burst, now: Duration) {
        (self.rounds, self.next) = (burst.rounds, 0);
        self.again = (burst.again > Duration::ZERO).then(|| (now + burst.again, burst.rounds));
    }

    /// With what is still there of its addresses. New ones are announced when they are in place.
    fn goes_on(&mut self, sites: Vec<Site>, how: Announcing, now: Duration) {
        if sites != self.sites {
            self.sites.retain(|site| sites.contains(site));
            self.next = 0;
        }
        if how.refresh != self.how.refresh {
            self.refresh_at = (how.refresh > Duration::ZERO).then(|| now + how.refresh);
        }
        let extra = how.extra > Duration::ZERO && self.sites.iter().any(|site| site.extra);
        self.extra_at = extra.then(|| self.extra_at.unwrap_or(now + how.extra).min(now + how.extra));
        self.how = how;
    }

    fn wake(&mut self, now: Duration) {
        if let Some((_, rounds)) = self.again.take_if(|(at, _)| *at <= now) {
            (self.rounds, self.next) = (rounds, 0);
        }
        if let Some(at) = self.refresh_at.filter(|at| *at <= now) {
            self.rounds = self.rounds.max(self.how.refresh_rounds);
            // In step, but without making up for a stall.
            self.refresh_at = Some((at + self.how.refresh).max(now + PAUSE));
        }
    }

    /// Whether other interfaces are to be told of now. In step, but without making up for a stall.
    fn is_extra_due(&mut self, now: Duration) -> bool {
        let due = self.extra_at.filter(|at| *at <= now);
        self.extra_at = due.map(|at| (at + self.how.extra).max(now + PAUSE)).or(self.extra_at);
        due.is_some()
    }

    /// The first address on each of them.
    fn extras(&self) -> impl Iterator<Item = &Site> {
        let mut told = BTreeSet::new();
        self.sites.iter().filter(move |site| site.extra && told.insert(&site.device))
    }

    fn advance(&mut self) {
        self.next += 1;
        if self.next == self.sites.len() {
            (self.next, self.rounds) = (0, self.rounds - 1);
        }
    }
}

impl Pace {
    /// There is no room for the next one.
    fn put_off(&mut self, now: Duration) {
        *self = Self { free_at: now + PAUSE, sent: 0, put_off: self.put_off + 1 };
    }

    fn count(&mut self, gap: Duration, now: Duration) {
        self.put_off = 0;
        if gap > Duration::ZERO {
            self.free_at = now + gap;
            return;
        }
        if now >= self.free_at + PAUSE {
            (self.free_at, self.sent) = (now, 0);
        }
        self.sent += 1;
        if self.sent == PORTION {
            (self.free_at, self.sent) = (now + PAUSE, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn sites(count: u8) -> Vec<Site> {
        (1..=count).map(|last| site(last, "eth0", "eth0")).collect()
    }

    fn site(last: u8, device: &str, pace: &str) -> Site {
        let address = Addr::v4(0x0a00_0000 | u32::from(last));
        Site { address, device: device.into(), pace: pace.into(), gap: Duration::ZERO, extra: device != "eth0" }
    }

    /// Runs to `end` and gives the times, in ms, and the last bytes of the addresses.
    fn run(announcer: &mut Announcer, end: Duration) -> Vec<(u128, u8)> {
        let mut sent = Vec::new();
        while let Some(now) = announcer.deadline().filter(|at| *at <= end) {
            announcer.due(now, |_, site| {
                sent.push((now.as_millis(), site.address.low32().to_be_bytes()[3]));
                true
            });
        }
        sent
    }

    fn started(count: u8, how: Announcing) -> Announcer {
        let mut announcer = Announcer::default();
        announcer.due(ms(1000), |_, _| unreachable!("nothing is held"));
        announcer.paces.insert(("eth0".into(), Family::V4), Pace { free_at: ms(1000), ..Pace::default() });
        announcer.taken(0, sites(count), how, ms(1000));
        announcer
    }

    #[test]
    fn five_rounds_and_five_more_after_five_seconds() {
        let sent = run(&mut started(2, Announcing::default()), ms(60_000));
        let round = |at| [(at, 1), (at, 2)].repeat(5);
        assert_eq!(sent, [round(1000), round(6000)].concat());
    }

    #[test]
    fn what_there_is_no_room_for_is_announced_when_there_is() {
        let (mut announcer, mut sent) = (started(200, Announcing::default()), Vec::new());
        let mut room = 0;
        while let Some(now) = announcer.deadline().filter(|at| *at <= ms(5000)) {
            announcer.due(now, |_, site| {
                room = if room == 0 { 30 } else { room - 1 };
                if room > 0 {
                    sent.push(site.address.low32().to_be_bytes()[3]);
                }
                room > 0
            });
        }
        assert_eq!(sent, (1..=200).collect::<Vec<u8>>().repeat(5));
        // A device that never has room does not keep the others waiting for ever.
        let (mut announcer, mut tried) = (started(2, Announcing::default()), 0);
        while let Some(now) = announcer.deadline().filter(|at| *at <= ms(60_000)) {
            announcer.due(now, |_, _| {
                tried += 1;
                false
            });
        }
        assert!(announcer.deadline().is_none() && tried > 10_000, "{tried}");
    }

    #[test]
    fn a_refresh_goes_by_time() {
        let none = Burst { rounds: 1, again: Duration::ZERO };
        let how = Announcing { master: none, refresh: ms(700), refresh_rounds: 2, ..Announcing::default() };
        let sent: Vec<_> = run(&mut started(1, how), ms(2500)).into_iter().map(|(at, _)| at).collect();
        assert_eq!(sent, [1000, 1700, 1700, 2400, 2400]);
    }

    #[test]
    fn announcements_keep_their_distance() {
        let master = Burst { rounds: 2, again: Duration::ZERO };
        let how = Announcing { master, ..Announcing::default() };
        let spaced = |pace| Site { gap: ms(30), ..site(2, "eth1", pace) };
        let first = || Site { gap: ms(30), ..site(1, "eth0", "eth0") };
        let mut one_group = started(0, how);
        one_group.taken(0, vec![first(), spaced("eth0")], how, ms(1000));
        assert_eq!(run(&mut one_group, ms(60_000)), [(1000, 1), (1030, 2), (1060, 1), (1090, 2)]);
        let mut each_alone = started(0, how);
        each_alone.paces.insert(("eth1".into(), Family::V4), Pace { free_at: ms(1000), ..Pace::default() });
        each_alone.taken(0, vec![first(), spaced("eth1")], how, ms(1000));
        assert_eq!(run(&mut each_alone, ms(60_000)), [(1000, 1), (1000, 2), (1030, 1), (1030, 2)]);
    }

    #[test]
    fn other_interfaces_are_told_of_by_one_address_each() {
        let once = Burst { rounds: 1, again: ms(500) };
        let how = Announcing { master: once, extra: ms(2000), ..Announcing::default() };
        let mut announcer = started(0, how);
        let sites =
            [site(1, "eth0", "eth0"), site(2, "eth1", "eth0"), site(3, "eth1", "eth0"), site(4, "eth2", "eth0")];
        announcer.taken(0, sites.to_vec(), how, ms(1000));
        run(&mut announcer, ms(3499));
        assert_eq!(run(&mut announcer, ms(6000)), [(3500, 2), (3500, 4), (5500, 2), (5500, 4)]);
        announcer.taken(0, vec![site(1, "eth0", "eth0")], how, ms(6000));
        run(&mut announcer, ms(6500));
        assert_eq!(announcer.deadline(), None, "there is no other interface");
    }

    #[test]
    fn many_addresses_are_no_storm() {
        let sent = run(&mut started(250, Announcing::default()), ms(5_000));
        assert_eq!(sent.len(), 1250);
        for at in sent.iter().map(|(at, _)| *at) {
            assert!(sent.iter().filter(|(other, _)| *other == at).count() <= PORTION as usize);
        }
        assert_eq!(sent.last().unwrap().0, 1012);
    }

    #[test]
    fn one_burst_cap_after_a_stall() {
        let mut announcer = started(1, Announcing::default());
        run(&mut announcer, ms(2000));
        (0..20).for_each(|_| announcer.contested(0, ms(3000)));
        assert_eq!(run(&mut announcer, ms(60_000)).len(), 10, "a burst and its second one");
    }

    #[test]
    fn who_has_left_is_silent() {
        let mut announcer = started(1, Announcing::default());
        run(&mut announcer, ms(2000));
        announcer.left(0);
        assert_eq!(announcer.deadline(), None);
    }
}
