//! Resource limits.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Allows this process to lock `bytes` more memory than it may now, if it is privileged to raise its own limit.
///
/// The kernel counts packet buffers (and, before 5.11, BPF maps) as locked memory, unless the process has CAP_IPC_LOCK.
/// Failing here is no error yet: the kernel says so when the memory is asked for.
pub fn raise_locked_memory(bytes: u64) {
    let limit = getrlimit(Resource::Memlock);
    let Some(current) = limit.current else { return };
    let wanted = current.saturating_add(bytes);
    let maximum = limit.maximum.map(|maximum| maximum.max(wanted));
    if setrlimit(Resource::Memlock, Rlimit { current: Some(wanted), maximum }).is_err() {
        // Without CAP_SYS_RESOURCE a process may go up to its hard limit, and no further.
        let _ = setrlimit(Resource::Memlock, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

/// How many bytes this process may lock; `None` means any number.
pub fn locked_memory() -> Option<u64> {
    getrlimit(Resource::Memlock).current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_rises_by_what_is_asked_for_or_as_far_as_it_may() {
        let before = getrlimit(Resource::Memlock);
        let low = Rlimit { current: Some(65_536), maximum: before.maximum };
        setrlimit(Resource::Memlock, low).unwrap();
        raise_locked_memory(4096);
        assert_eq!(locked_memory(), Some(69_632));
        raise_locked_memory(1 << 40);
        let after = getrlimit(Resource::Memlock);
        assert!(after.current == after.maximum || after.current == Some(69_632 + (1 << 40)));
        raise_locked_memory(u64::MAX);
    }
}
