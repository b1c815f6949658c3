//! Who has used how much of the processors: `/proc/stat` and `/proc/PID/task/TID/schedstat` (proc(5)).

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// How long each core has been busy since boot, with whatever it was, by the core's number. It counts in the kernel's
/// ticks (`USER_HZ`, mostly of 10 ms). Empty if the kernel does not say.
pub fn busy_cores() -> HashMap<usize, Duration> {
    let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
    let busy = |line: &str| {
        let (core, ticks) = busy_ticks(line)?;
        Some((core, Duration::from_millis(ticks.saturating_mul(1000) / ticks_per_second)))
    };
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    stat.lines().filter_map(busy).collect()
}

/// The processor time that a thread has used. `None`: it is gone, or the kernel does not say.
pub fn used_by(process: u32, thread: u32) -> Option<Duration> {
    let schedstat = fs::read_to_string(format!("/proc/{process}/task/{thread}/schedstat")).ok()?;
    schedstat.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// The core and its busy ticks, of a line `cpuN user nice system idle iowait irq softirq ...`. Time that the hypervisor
/// has kept (`steal`) is nobody's.
fn busy_ticks(line: &str) -> Option<(usize, u64)> {
    let mut words = line.strip_prefix("cpu")?.split_ascii_whitespace();
    let core = words.next()?.parse().ok()?;
    if !line.as_bytes().get(3)?.is_ascii_digit() {
        return None;
    }
    let ticks: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, ..] = ticks[..] else { return None };
    Some((core, [user, nice, system, irq, softirq].into_iter().fold(0, u64::saturating_add)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_cores_are_told_from_all_others() {
        assert_eq!(busy_ticks("cpu1 10 1 5 900 7 2 3 50 0 0"), Some((1, 21)));
        assert_eq!(busy_ticks("cpu  10 1 5 900 7 2 3 50 0 0"), None, "of all cores together");
        assert_eq!(busy_ticks("cpu1 10 1 5"), None);
        assert_eq!(busy_ticks("cpux 1 2 3 4 5 6 7"), None);
        assert_eq!(busy_ticks("intr 1 2 3 4 5 6 7 8"), None);
        assert_eq!(busy_ticks(""), None);
    }

    #[test]
    fn a_thread_that_works_is_seen_to() {
        let (process, thread) = (std::process::id(), rustix::thread::gettid().as_raw_nonzero().get() as u32);
        let before = used_by(process, thread).expect("a thread of ours");
        let mut at = 0u64;
        while used_by(process, thread).unwrap() < before + Duration::from_millis(5) {
            at = std::hint::black_box(at + 1);
        }
        assert_eq!(used_by(process, 0), None);
        assert!(!busy_cores().is_empty());
    }
}
