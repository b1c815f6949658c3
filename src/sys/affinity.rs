//! Cores, and pinning threads to them.

use core_affinity::CoreId;

/// The cores that this process may use, in ascending order.
pub fn cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}

/// Keeps the calling thread on `core`; false if the system refuses (no such core, or not ours).
#[must_use]
pub fn pin_to(core: usize) -> bool {
    core_affinity::set_for_current(CoreId { id: core })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_can_be_pinned_to_each_core_and_to_no_other() {
        let cores = cores();
        assert!(!cores.is_empty());
        std::thread::spawn(move || {
            for core in cores {
                assert!(pin_to(core));
                assert_eq!(super::cores(), [core], "a pinned thread sees its own core only");
            }
            assert!(!pin_to(1023));
        })
        .join()
        .unwrap();
    }
}
