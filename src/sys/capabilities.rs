//! What this process may do.

use rustix::thread::{CapabilitySet, capabilities};

/// What a director needs, by name, and the capabilities of which any one will do.
const NEEDED: [(&str, CapabilitySet); 4] = [
    ("CAP_NET_ADMIN", CapabilitySet::NET_ADMIN),
    ("CAP_NET_RAW", CapabilitySet::NET_RAW),
    ("CAP_BPF", CapabilitySet::BPF.union(CapabilitySet::SYS_ADMIN)),
    // The verifier lets only such a process reckon with packet pointers (`bpf_allow_ptr_leaks` of <linux/bpf.h>).
    ("CAP_PERFMON", CapabilitySet::PERFMON.union(CapabilitySet::SYS_ADMIN)),
];

/// The capabilities that a director needs and the calling thread does not have.
pub fn missing() -> Vec<&'static str> {
    // A kernel that does not say what we have will say what we lack when it refuses.
    capabilities(None).map(|sets| missing_from(sets.effective)).unwrap_or_default()
}

fn missing_from(effective: CapabilitySet) -> Vec<&'static str> {
    NEEDED.iter().filter(|(_, any_of)| !effective.intersects(*any_of)).map(|&(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let cases = [
            (CapabilitySet::empty(), vec!["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF", "CAP_PERFMON"]),
            (CapabilitySet::NET_ADMIN | CapabilitySet::BPF, vec!["CAP_NET_RAW", "CAP_PERFMON"]),
            (CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW | CapabilitySet::SYS_ADMIN, vec![]),
        ];
        for (effective, missing) in cases {
            assert_eq!(missing_from(effective), missing);
        }
    }
}
