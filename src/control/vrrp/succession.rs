//! Who comes after a master that has said goodbye.
//!
//! A goodbye makes a backup wait no longer than its skew, which is less than an interval. A master that dropped its addresses
//! at once would leave them to nobody for so long. So it keeps them, and serves them, until it hears the advert of the next
//! one, and a moment more, since an advert is sent before the addresses are in place.

use std::time::Duration;

use crate::vrrp::Role;
use crate::vrrp::routers::Member;

/// From the advert of a new master until its neighbours know.
const SETTLING: Duration = Duration::from_millis(50);
/// The longest wait. Nobody waits for a director that ends longer than that, whatever its intervals.
const PATIENCE: Duration = Duration::from_millis(1100);

/// The wait for successors.
#[derive(Debug)]
pub(super) struct Succession {
    /// Instances that have none yet, and how many adverts they had heard at the goodbye.
    without: Vec<(usize, u64)>,
    ends: Duration,
}

impl Succession {
    /// Of the present masters. An owner that never waits for anybody has nobody who would wait for it.
    pub(super) fn new(members: &[Member], now: Duration) -> Self {
        let shared = |member: &Member| {
            let alone = member.spec().starts_as_master && member.spec().priority == u8::MAX;
            member.role() == Role::Master && !alone
        };
        let masters = || members.iter().enumerate().filter(|(_, member)| shared(member));
        let longest = masters().map(|(_, member)| member.spec().interval + SETTLING).max().unwrap_or_default();
        Self {
            without: masters().map(|(at, member)| (at, adverts(member))).collect(),
            ends: now + longest.min(PATIENCE),
        }
    }

    /// Until when to listen; `None` if it is time to go.
    pub(super) fn waits_until(&mut self, members: &[Member], now: Duration) -> Option<Duration> {
        let waiting = !self.without.is_empty();
        self.without.retain(|&(at, heard)| adverts(&members[at]) == heard);
        if waiting && self.without.is_empty() {
            self.ends = now + SETTLING;
        }
        (now < self.ends).then_some(self.ends)
    }
}

/// Adverts heard of masters, goodbyes apart.
fn adverts(member: &Member) -> u64 {
    member.counters().received - member.counters().goodbyes
}
