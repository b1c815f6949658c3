//! What a worker does between its batches: look again, give way, doze, or sleep.
//!
//! On a core of its own, a worker looks again for some tens of microseconds before it sleeps: whoever sleeps is woken by the
//! sender's core, which costs both of them more than a look. On a core that others use too (clients and servers on the same
//! machine, a director in a small virtual machine) each look is taken from them, and each wake-up takes the core from them for
//! a packet or two. There it gives way after each batch: the others go on until they have to wait, mostly for packets that
//! have gathered meanwhile, and the core is never idle. If they leave nothing to do either, the worker soon sleeps.
//!
//! Others that never wait would keep the core for milliseconds each time. Once that has happened, the worker dozes for a
//! while: it sleeps after each batch for a fixed moment, in which packets gather as behind a NIC that coalesces interrupts,
//! and has the core again after it.

use std::time::Duration;

use crate::io::options::Poll;

/// Looks in vain before a worker sleeps that has its core for itself: a few tens of microseconds.
const LOOKS: u32 = 200;
/// Looks in vain, each after giving way, before a worker sleeps that has company.
const LOOKS_IN_COMPANY: u32 = 5;
/// How long others may keep the core that was left to them. A core's other threads answer a batch in half of it.
const PATIENCE: Duration = Duration::from_millis(1);
/// How often a worker dozes once others have kept the core for too long, before it gives way again: a second or more.
const DOZES: u32 = 8192;
/// How long packets gather meanwhile. Twice as much adds more delay than it saves work.
pub(super) const DOZE: Duration = Duration::from_micros(100);

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The next batch, at once.
    GoOn,
    /// Another look at the rings, which were empty.
    Look,
    /// Leave the core to others that want it, and then look.
    GiveWay,
    /// Sleep for [`DOZE`], whatever comes.
    Doze,
    /// Sleep until a packet comes.
    Sleep,
}

/// What has been found so far.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// Looks in vain since the last batch.
    empty: u32,
    /// How often to doze before giving way is tried again.
    dozes: u32,
}

impl Rest {
    /// What follows on a look that was in vain or not.
    #[inline(always)]
    pub(super) fn next(&mut self, in_vain: bool, poll: Poll, has_company: bool) -> Next {
        self.empty = if in_vain { self.empty.saturating_add(1) } else { 0 };
        match (poll, in_vain) {
            (Poll::Adaptive, _) if has_company => self.next_in_company(),
            (_, false) => Next::GoOn,
            (Poll::Adaptive, true) if self.empty > LOOKS => Next::Sleep,
            (Poll::Adaptive | Poll::Spin, true) => Next::Look,
        }
    }

    fn next_in_company(&mut self) -> Next {
        match (self.dozes, self.empty) {
            (0, 0..LOOKS_IN_COMPANY) => Next::GiveWay,
            (0, _) => Next::Sleep,
            (_, 0) => Next::GoOn,
            (_, 1) => {
                self.dozes -= 1;
                Next::Doze
            }
            (_, _) => Next::Sleep,
        }
    }

    /// The worker has given way, and had the core again after so long.
    #[inline(always)]
    pub(super) fn gave_way(&mut self, away: Duration) {
        if away > PATIENCE {
            self.dozes = DOZES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What follows on a batch, and then on one look in vain after another.
    fn course(rest: &mut Rest, poll: Poll, has_company: bool) -> impl Iterator<Item = Next> {
        std::iter::once(false).chain(std::iter::repeat(true)).map(move |in_vain| rest.next(in_vain, poll, has_company))
    }

    #[test]
    fn on_a_core_of_its_own_a_worker_looks_for_a_while_and_then_sleeps() {
        let steps: Vec<_> = course(&mut Rest::default(), Poll::Adaptive, false).take(2 + LOOKS as usize).collect();
        assert_eq!(steps[0], Next::GoOn);
        assert!(steps[1..=LOOKS as usize].iter().all(|&next| next == Next::Look));
        assert_eq!(steps[1 + LOOKS as usize], Next::Sleep);
    }

    #[test]
    fn a_worker_that_is_told_to_spin_never_rests() {
        for has_company in [false, true] {
            let mut rest = Rest::default();
            let mut steps = course(&mut rest, Poll::Spin, has_company);
            assert_eq!(steps.next(), Some(Next::GoOn));
            assert!(steps.take(2 * LOOKS as usize).all(|next| next == Next::Look));
        }
    }

    #[test]
    fn in_company_it_gives_way_after_each_batch_and_soon_sleeps() {
        let mut rest = Rest::default();
        for _ in 0..3 {
            let steps: Vec<_> = course(&mut rest, Poll::Adaptive, true).take(7).collect();
            assert_eq!(steps[..LOOKS_IN_COMPANY as usize], [Next::GiveWay; LOOKS_IN_COMPANY as usize]);
            assert_eq!(steps[LOOKS_IN_COMPANY as usize..], [Next::Sleep; 2]);
            rest.gave_way(PATIENCE);
        }
    }

    #[test]
    fn others_that_keep_the_core_get_no_more_than_a_moment_for_a_while() {
        let mut rest = Rest::default();
        rest.gave_way(PATIENCE + Duration::from_micros(1));
        for _ in 0..DOZES {
            let steps: Vec<_> = course(&mut rest, Poll::Adaptive, true).take(3).collect();
            assert!(matches!(steps[..], [Next::GoOn, Next::Doze, Next::Sleep | Next::GiveWay]), "{steps:?}");
        }
        assert_eq!(course(&mut rest, Poll::Adaptive, true).next(), Some(Next::GiveWay), "another trial");
    }
}
