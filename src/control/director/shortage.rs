//! Telling that full NAT has run out of local ends: once when it begins, and once when it is over.

use std::fmt;

/// What to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shortage {
    /// So many connections were refused since the last look, and none before.
    Began(u64),
    /// None was refused since the last look; so many were in all of this shortage.
    Over(u64),
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Began(refused) => write!(
                f,
                "full NAT has no local address and port left to some server, {refused} new connections were dropped: add \
                 addresses to its local_address_group, or widen `local_ports`"
            ),
            Self::Over(refused) => {
                write!(f, "full NAT has local addresses and ports again, after {refused} dropped connections")
            }
        }
    }
}

/// Looks at a counter from time to time.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The count at the last look.
    last: u64,
    /// The count before the present shortage.
    before: Option<u64>,
}

impl Watch {
    /// The counter of refused connections stands at `refused` now.
    pub(super) fn look(&mut self, refused: u64) -> Option<Shortage> {
        let (last, more) = (self.last, refused.saturating_sub(self.last));
        self.last = refused;
        match (self.before, more) {
            (None, 0) => None,
            (None, more) => {
                self.before = Some(last);
                Some(Shortage::Began(more))
            }
            (Some(before), 0) => {
                self.before = None;
                Some(Shortage::Over(refused - before))
            }
            (Some(_), _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_told_of_when_it_begins_and_when_it_is_over() {
        let mut watch = Watch::default();
        let told = [0, 3, 5, 9, 9, 9, 10, 10].map(|count| watch.look(count));
        let (began, over) = (|count| Some(Shortage::Began(count)), |count| Some(Shortage::Over(count)));
        assert_eq!(told, [None, began(3), None, None, over(9), None, began(1), over(1)]);
    }
}
