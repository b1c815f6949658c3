//! How much memory a new allocation can hope for.

use std::fs;
use std::path::Path;

/// Bytes that can be had without swapping: what the machine has available, or what is left of the control groups' limits
/// if that is less. `None` if the kernel does not say.
pub fn available() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| mem_available(&text))?;
    let group = fs::read_to_string("/proc/self/cgroup").ok();
    let path = group.as_deref().and_then(unified_group).unwrap_or("/");
    Some(machine.min(room_in_groups(Path::new("/sys/fs/cgroup"), path)))
}

/// `MemAvailable` of `/proc/meminfo` (`proc(5)`), in bytes.
fn mem_available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The path of the version 2 control group in `/proc/self/cgroup` (`cgroups(7)`).
fn unified_group(groups: &str) -> Option<&str> {
    groups.lines().find_map(|line| line.strip_prefix("0::"))
}

/// The least that is left below the limits of a group and of those above it.
fn room_in_groups(root: &Path, group: &str) -> u64 {
    let group = root.join(group.trim_start_matches('/'));
    let within = group.ancestors().take_while(|path| path.starts_with(root));
    within.filter_map(room_in_group).min().unwrap_or(u64::MAX)
}

/// A group without a limit says `max`, which is no number.
fn room_in_group(group: &Path) -> Option<u64> {
    let number = |file| fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok();
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read() {
        let text = "MemTotal:       24610528 kB\nMemFree:         9000 kB\nMemAvailable:   23000000 kB\n";
        assert_eq!(mem_available(text), Some(23_000_000 * 1024));
        assert_eq!(mem_available("MemAvailable: lots kB\n"), None);
        assert_eq!(mem_available("MemTotal: 1 kB\n"), None);
        assert_eq!(unified_group("1:name=systemd:/x\n0::/system.slice/a.service\n"), Some("/system.slice/a.service"));
        assert!(available().is_some_and(|bytes| bytes > 0));
    }

    #[test]
    fn the_tightest_group_counts() {
        let root = tempfile::tempdir().unwrap();
        let group = |path: &str, max: &str, current: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("memory.max"), max).unwrap();
            fs::write(path.join("memory.current"), current).unwrap();
        };
        group("a", "1000\n", "400\n");
        group("a/b", "max\n", "300\n");
        group("a/b/c", "900\n", "1000\n");
        assert_eq!(room_in_groups(root.path(), "/a/b"), 600);
        assert_eq!(room_in_groups(root.path(), "/a/b/c"), 0, "over its limit already");
        assert_eq!(room_in_groups(root.path(), "/none"), u64::MAX);
    }
}
