//! Settings of single interfaces, below `/proc/sys/net`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where a setting of an interface is; `family` is `ipv4` or `ipv6`.
pub(super) fn path(family: &str, device: &str, key: &str) -> PathBuf {
    ["/proc/sys/net", family, "conf", device, key].iter().collect()
}

/// Whether a file is a setting of an interface with this key.
pub(super) fn is_of_interface(file: &Path, keys: &[&str]) -> bool {
    let words: Vec<_> = file.iter().filter_map(|word| word.to_str()).collect();
    match words[..] {
        [.., family, _, device, key] => {
            keys.contains(&key) && !matches!(device, "." | "..") && file == path(family, device, key)
        }
        _ => false,
    }
}

/// Sets one. A kernel without IPv6 has none of its settings, and needs none.
pub(super) fn set(family: &str, device: &str, key: &str, value: &str) -> io::Result<()> {
    match write(&path(family, device, key), value) {
        Err(error) if family == "ipv6" && error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Writes one; the error names it.
pub(super) fn write(file: &Path, value: &str) -> io::Result<()> {
    fs::write(file, value)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot set {}: {error}", file.display())))
}

/// Whether one is on; not if it is not there.
pub(super) fn is_on(family: &str, device: &str, key: &str) -> bool {
    let value = fs::read(path(family, device, key));
    value.is_ok_and(|value| value.first().is_some_and(|&value| value != b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_no_settings_of_interfaces() {
        let keys = ["arp_ignore"];
        assert!(is_of_interface(&path("ipv4", "eth0.7", "arp_ignore"), &keys));
        for other in [
            "/proc/sys/kernel/core_pattern",
            "/proc/sys/net/ipv4/conf/eth0/forwarding",
            "/proc/sys/net/ipv4/conf/../arp_ignore",
            "/proc/sys/net/../net/conf/eth0/arp_ignore",
            "/etc/arp_ignore",
            "arp_ignore",
        ] {
            assert!(!is_of_interface(Path::new(other), &keys), "{other}");
        }
    }
}
