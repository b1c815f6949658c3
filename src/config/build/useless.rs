//! Combinations that can be loaded and do not do what they look like: each value is legal, and together they move nothing.
//!
//! What can be known is what stands in one file. Whether a weight is larger than the distance to another director's priority is
//! not; that an instance's priority never changes at all is.

use super::*;
use crate::track::{Spec, Watch, Weight};
use crate::vrrp;
use crate::vrrp::priority::Priority;
use crate::vrrp::spec::Preempt;

impl Builder<'_> {
    /// Weights of one instance: its dependences from `first` on. `at` is where it tracks.
    pub(super) fn useless_weights(&mut self, at: Span, election: &vrrp::Spec, first: usize, tracking: &Spec) {
        let own = || tracking.dependences[first..].iter();
        let weighs = own().any(|dependence| dependence.weight.value != 0);
        if !weighs || election.priority == u8::MAX {
            return;
        }
        let is_file = |tracker: usize| matches!(tracking.trackers[tracker].watch, Watch::File(_));
        // A number in a file may be anything.
        if own().any(|dependence| is_file(dependence.tracker)) {
            return;
        }
        let (lowest, highest) = range(election.priority, own().map(|dependence| dependence.weight));
        if lowest == highest {
            let message = format!("the priority of `{}` is {lowest} whatever becomes of these", election.name);
            let hint = "it lies within 1 to 254: choose one that leaves room for the weights";
            return self.reports.warning(at, message, hint);
        }
        let conditions = own().any(|dependence| dependence.weight.value == 0);
        if election.preempt == Preempt::Never && !conditions {
            let message = format!(
                "`{}` has `nopreempt`: if the others have it too, none of them takes over from a master of lower priority",
                election.name
            );
            self.reports.warning(at, message, "without a weight, a failure is a fault, and the next one leads");
        }
    }

    /// Members that take over from lower masters, and members that do not: the group waits for all of them.
    pub(super) fn useless_preemption(&mut self, at: Span, members: &[usize], config: &Config) {
        let election = |member: &usize| &config.instances[*member].election;
        let never = |member: &&usize| election(member).preempt == Preempt::Never;
        let (stubborn, other) = (members.iter().find(never), members.iter().find(|member| !never(member)));
        if let (Some(stubborn), Some(other)) = (stubborn, other) {
            let (stubborn, other) = (&election(stubborn).name, &election(other).name);
            let message = format!("`{stubborn}` has `nopreempt` and `{other}` has not: their group preempts nobody");
            self.reports.warning(at, message, "give it to all members or to none");
        }
    }

    /// An interface that counts as up for longer than the backups wait: they lead before this director gives way.
    pub(super) fn useless_delays(&mut self, config: &Config) {
        for (interface, at) in std::mem::take(&mut self.delayed) {
            let down = config.tracking.delays.get(&interface).map_or(Duration::ZERO, |delays| delays.down);
            let all = config.instances.iter().map(|instance| &instance.election);
            let patience = |election: &vrrp::Spec| election.interval * u32::from(election.down_adverts.max(1) - 1);
            let beaten = all.filter(|election| election.interface == interface);
            let Some(beaten) = beaten.filter(|election| down > patience(election)).min_by_key(|one| patience(one))
            else {
                continue;
            };
            let message = format!(
                "`{}` has other masters after {} s without an advert, before `{interface}` counts as down",
                beaten.name,
                patience(beaten).as_secs_f64()
            );
            self.reports.warning(at, message, "shorten the delay, or raise `advert_int` or `down_timer_adverts`");
        }
    }
}

/// The lowest and the highest priority that these weights can make of `base`.
fn range(base: u8, weights: impl Iterator<Item = Weight> + Clone) -> (u8, u8) {
    let sum = |best: fn(i32, i32) -> i32| -> i32 {
        weights
            .clone()
            .map(|weight| if weight.reverse { -weight.value } else { weight.value })
            .map(|w| best(w, 0))
            .sum()
    };
    let with = |sum: i32| {
        let mut priority = Priority::new(base);
        priority.weigh("all", sum.clamp(-253, 253) as i16);
        priority.effective()
    };
    (with(sum(i32::min)), with(sum(i32::max)))
}
