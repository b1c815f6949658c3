//! What a director may do once it forwards, and what it may not: its threads as the kernel shows them, and what comes of a
//! worker that somebody else has taken over. Needs root.

#![expect(unsafe_code, reason = "makes system calls that nobody has wrappers for, since nobody should make them")]

#[path = "../support/mod.rs"]
mod support;

mod attempts;
mod planted;

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use rustix::process::{Pid, Signal};

use support::director::Director;
use support::eventually;
use support::hosts::Family::V4;
use support::lab::Lab;
use support::netns;

/// The threads of a process: their names, and what `/proc/PID/task/*/status` says of them.
fn threads(process: Pid) -> Vec<(String, BTreeMap<String, String>)> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero())).expect("it is there");
    let status = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("status")).expect("it is there");
        let fields = text.lines().filter_map(|line| line.split_once(":\t"));
        let fields: BTreeMap<_, _> = fields.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        (fields["Name"].clone(), fields)
    };
    tasks.map(|task| status(task.expect("it is there"))).collect()
}

/// Its numbers in `<linux/capability.h>`: `CAP_NET_BIND_SERVICE`, `CAP_NET_ADMIN`, `CAP_NET_RAW`, `CAP_SYS_NICE`, `CAP_BPF`.
const KEPT: u64 = 1 << 10 | 1 << 12 | 1 << 13 | 1 << 23 | 1 << 39;

#[test]
fn each_thread_has_what_was_promised() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let mut director = lab.start_with("workers 2", &[lab.service(V4)]);
    lab.ask(V4, 80, 0, 3);
    let check = |director: &Director| {
        let threads = threads(director.process());
        assert_eq!(threads.iter().filter(|(name, _)| name.starts_with("worker-")).count(), 2);
        assert!(threads.iter().any(|(name, _)| name == "vrrp"), "{threads:?}");
        for (name, status) in &threads {
            let worker = name.starts_with("worker-");
            let capabilities = if worker { 0 } else { KEPT };
            for set in ["CapEff", "CapPrm"] {
                assert_eq!(status[set], format!("{capabilities:016x}"), "{name}: {set}");
            }
            for set in ["CapInh", "CapAmb"] {
                assert_eq!(status[set], format!("{:016x}", 0), "{name}: {set}");
            }
            assert_eq!(status["Uid"], "65534\t65534\t65534\t65534", "{name}");
            assert_eq!(status["Gid"], "65534\t65534\t65534\t65534", "{name}");
            assert_eq!(status["Groups"].trim(), "", "{name}");
            assert_eq!((status["NoNewPrivs"].as_str(), status["Seccomp"].as_str()), ("1", "2"), "{name}");
            let filters = if worker { "3" } else { "2" };
            assert_eq!(status["Seccomp_filters"], filters, "{name}");
        }
    };
    check(&director);
    // The next one begins with all rights, and gives them up as well.
    let begun = director.log().matches("ready:").count();
    rustix::process::kill_process(director.process(), Signal::KILL).expect("it is there");
    eventually("the next director forwards", || director.log().matches("ready:").count() > begun);
    lab.ask(V4, 80, 0, 3);
    check(&director);
    assert!(director.end_by(Signal::TERM).success());
    assert!(!director.socket().exists(), "the helper removes what the director may not");
}

#[test]
fn what_only_root_may_read_is_read_again() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let director = lab.start(&[lab.service(V4)]);
    std::fs::set_permissions(lab.directory(), Permissions::from_mode(0o700)).expect("it is ours");
    let config = lab.config(&[support::config::Service { persistence: 50, ..lab.service(V4) }]);
    director.reload(&config);
    director.says("reloaded, 1 virtual services");
    assert!(director.list().contains("persistent 50"));
    // One that does not load is told by the helper, with its place.
    director.reload(&config.replace("lb_kind NAT", "lb_kind MAGIC"));
    director.says("MAGIC");
    director.says("does not load; nothing was changed");
}

#[test]
fn a_director_keeps_its_rights_if_it_is_told_to() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let director = lab.start_with("privileges keep", &[lab.service(V4)]);
    lab.ask(V4, 80, 0, 3);
    for (name, status) in threads(director.process()) {
        assert!(status["Uid"].starts_with("0\t") && status["Seccomp"] == "0" && status["NoNewPrivs"] == "0", "{name}");
    }
}

#[test]
fn who_is_not_there_is_named() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let config = lab.config(&[lab.service(V4)]) + "ringmaster {\n    user no-such-user-here\n}\n";
    let (status, log) = Director::run_to_end(&lab.director, lab.directory(), &config);
    assert!(!status.success() && log.contains("there is no user no-such-user-here to run as"), "{log}");
}
