//! Who else uses the workers' cores: a worker that has company lets packets gather, and leaves the core to it meanwhile.
//!
//! A worker cannot see it itself without asking the kernel. The control thread compares how busy a core was with what its
//! workers have used.

use std::time::Duration;

use super::workers::Workers;
use crate::sys::usage;

/// How often to look. The kernel counts a core's use in ticks of 10 ms.
pub(super) const LOOK: Duration = Duration::from_millis(500);

/// What was found at the last look.
#[derive(Debug, Default)]
pub(super) struct Company {
    looked: Duration,
    cores: Vec<Core>,
}

#[derive(Debug)]
struct Core {
    number: usize,
    /// How long the core has been busy, and how long its workers have run on it.
    busy: Duration,
    workers: Duration,
    shared: bool,
}

impl Company {
    /// Looks, and tells the workers.
    pub(super) fn look(&mut self, workers: &Workers, now: Duration) {
        let elapsed = now.saturating_sub(std::mem::replace(&mut self.looked, now));
        let used = workers.used_cores();
        let busy = usage::busy_cores();
        let find = |number| busy.iter().find(|&&(core, _)| core == number).map(|&(_, busy)| busy);
        let before = std::mem::take(&mut self.cores);
        for (number, busy) in used.iter().filter_map(|&(number, _)| Some((number, find(number)?))) {
            if self.cores.iter().any(|core| core.number == number) {
                continue;
            }
            let workers = used.iter().filter(|(core, _)| *core == number).map(|(_, used)| *used).sum();
            let shared = before.iter().find(|core| core.number == number).is_some_and(|core| {
                let others = (busy.saturating_sub(core.busy)).saturating_sub(workers - core.workers.min(workers));
                is_shared(core.shared, others, elapsed)
            });
            self.cores.push(Core { number, busy, workers, shared });
        }
        workers.share_cores(|number| self.cores.iter().any(|core| core.number == number && core.shared));
    }
}

/// Whether a core counts as shared of which others have used so much. Between a sixteenth and an eighth of it, it counts as
/// what it was before.
fn is_shared(before: bool, others: Duration, elapsed: Duration) -> bool {
    others > elapsed / if before { 16 } else { 8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_of_others_is_no_company_and_a_little_less_no_end_of_it() {
        let ms = Duration::from_millis;
        assert!(!is_shared(false, ms(0), ms(500)));
        assert!(!is_shared(false, ms(50), ms(500)));
        assert!(is_shared(false, ms(70), ms(500)));
        assert!(is_shared(true, ms(50), ms(500)));
        assert!(!is_shared(true, ms(30), ms(500)));
        assert!(!is_shared(true, ms(0), ms(0)), "nothing has passed, nothing is known");
    }
}
