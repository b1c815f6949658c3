//! What a worker does when its rings are empty: look again, doze, or sleep.
//!
//! On a core of its own, a worker looks again for some tens of microseconds before it sleeps: whoever sleeps is woken by the
//! sender's core, which costs both of them more than a look. On a core that others use too (clients and servers on the same
//! machine, a director in a small virtual machine) each look is taken from them, and each wake-up takes the core from them for
//! a packet or two. There it sleeps for a fixed moment instead, in which packets gather, as behind a NIC that coalesces
//! interrupts; if none came, it sleeps until one does.

use std::time::Duration;

use crate::io::options::Poll;

/// Looks in vain before a worker sleeps that has its core for itself: a few tens of microseconds.
const LOOKS: u32 = 200;
/// How long packets gather on a shared core. Twice as much adds more delay than it saves work.
pub(super) const DOZE: Duration = Duration::from_micros(100);

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another look at the rings.
    Look,
    /// Sleep for [`DOZE`], whatever comes.
    Doze,
    /// Sleep until a packet comes.
    Sleep,
}

/// How long there has been nothing to do.
#[derive(Debug, Default)]
pub(super) struct Rest {
    empty: u32,
}

impl Rest {
    /// There was something to do.
    #[inline(always)]
    pub(super) fn end(&mut self) {
        self.empty = 0;
    }

    /// A look at the rings was in vain.
    #[inline(always)]
    pub(super) fn next(&mut self, poll: Poll, shares_core: bool) -> Next {
        self.empty = self.empty.saturating_add(1);
        match poll {
            Poll::Spin => Next::Look,
            Poll::Adaptive if !shares_core => {
                if self.empty <= LOOKS {
                    Next::Look
                } else {
                    Next::Sleep
                }
            }
            Poll::Adaptive if self.empty == 1 => Next::Doze,
            Poll::Adaptive => Next::Sleep,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(looks: u32, poll: Poll, shares_core: bool) -> Next {
        let mut rest = Rest::default();
        (0..looks).map(|_| rest.next(poll, shares_core)).last().expect("at least one look")
    }

    #[test]
    fn on_a_core_of_its_own_a_worker_looks_for_a_while_and_then_sleeps() {
        assert_eq!(after(1, Poll::Adaptive, false), Next::Look);
        assert_eq!(after(LOOKS, Poll::Adaptive, false), Next::Look);
        assert_eq!(after(LOOKS + 1, Poll::Adaptive, false), Next::Sleep);
        assert_eq!(after(LOOKS + 1, Poll::Spin, false), Next::Look);
    }

    #[test]
    fn on_a_shared_core_it_lets_packets_gather_once_after_each_batch() {
        let mut rest = Rest::default();
        for _ in 0..3 {
            assert_eq!(rest.next(Poll::Adaptive, true), Next::Doze);
            assert_eq!(rest.next(Poll::Adaptive, true), Next::Sleep);
            assert_eq!(rest.next(Poll::Adaptive, true), Next::Sleep);
            rest.end();
        }
        assert_eq!(after(9, Poll::Spin, true), Next::Look, "as it was told to");
    }
}
