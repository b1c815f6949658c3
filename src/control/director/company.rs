//! Who else uses the workers' cores: a worker that has company leaves the core to it after each batch.
//!
//! A worker cannot see it itself without asking the kernel. The control thread compares how busy a core was with what its
//! worker has used. Workers on one core are each other's company.

use std::collections::HashMap;
use std::time::Duration;

use super::workers::Workers;
use crate::sys::usage;

/// How often to look. The kernel counts a core's use in ticks of 10 ms.
pub(super) const LOOK: Duration = Duration::from_millis(500);

/// What was found at the last look.
#[derive(Debug, Default)]
pub(super) struct Company {
    looked: Duration,
    /// By the worker's number.
    views: HashMap<usize, View>,
}

/// What is seen from one worker.
#[derive(Clone, Copy, Debug)]
struct View {
    /// How long its core has been busy, and how long the worker has run on it.
    busy: Duration,
    used: Duration,
    shared: bool,
}

impl Company {
    /// Looks, and tells the workers.
    pub(super) fn look(&mut self, workers: &Workers, now: Duration) {
        let elapsed = now.saturating_sub(std::mem::replace(&mut self.looked, now));
        let busy = usage::busy_cores();
        let seen = workers.used_cores().filter_map(|(worker, core, used)| {
            let view = View { busy: *busy.get(&core)?, used, shared: false };
            Some((worker, self.views.get(&worker).map_or(view, |before| view.after(before, elapsed))))
        });
        self.views = seen.collect();
        workers.share_cores(|worker| self.views.get(&worker).is_some_and(|view| view.shared));
    }
}

impl View {
    /// The same, judged by what has happened since it was `before`. Between a sixteenth and an eighth of a core that others
    /// have used, it counts as what it was.
    fn after(self, before: &Self, elapsed: Duration) -> Self {
        let used = self.used.saturating_sub(before.used);
        let others = self.busy.saturating_sub(before.busy).saturating_sub(used);
        Self { shared: others > elapsed / if before.shared { 16 } else { 8 }, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a core is shared that was `busy` for so many of 500 ms, and whose worker has `used` so many.
    fn is_shared(before: bool, busy: u64, used: u64) -> bool {
        let (ms, start) = (Duration::from_millis, Duration::from_secs(7));
        let first = View { busy: start, used: start, shared: before };
        let second = View { busy: first.busy + ms(busy), used: first.used + ms(used), shared: false };
        second.after(&first, ms(500)).shared
    }

    #[test]
    fn a_little_of_others_is_no_company_and_a_little_less_no_end_of_it() {
        assert!(!is_shared(false, 0, 0));
        assert!(!is_shared(false, 50, 0));
        assert!(is_shared(false, 70, 0));
        assert!(is_shared(true, 50, 0));
        assert!(!is_shared(true, 30, 0));
    }

    #[test]
    fn what_a_worker_uses_itself_is_no_company_and_what_another_worker_uses_is() {
        assert!(!is_shared(false, 500, 500));
        assert!(!is_shared(true, 490, 500), "the kernel's ticks are coarser than its thread times");
        assert!(is_shared(false, 500, 250));
    }
}
