//! How a director begins and ends: nothing is left behind, and what goes wrong is said in one sentence.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rustix::process::Signal;

use crate::support::config::Service;
use crate::support::director::{Director, program};
use crate::support::eventually;
use crate::support::hosts::Family::{V4, V6};
use crate::support::lab::Lab;
use crate::support::netns::{self, Namespace};
use crate::{alike, shares};

#[test]
fn it_leaves_nothing_behind_when_asked_to_end() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let before = settled_state_of(&lab.director);
    for signal in [Signal::TERM, Signal::INT] {
        let mut director = lab.start(&[lab.service(V4), lab.service(V6)]);
        assert_eq!(shares(&lab.ask(V4, 80, 0, 3)), alike(1));
        let during = state_of(&lab.director);
        assert!(["xdp", "10.0.0.100", "rmk-"].iter().all(|what| during.contains(what)), "{during}");
        let status = director.end_by(signal);
        assert!(status.success(), "{signal:?}: {status}");
        assert_eq!(state_of(&lab.director), before, "{signal:?}");
        assert!(!director.socket().exists(), "{signal:?}: the control socket is left");
    }
}

#[test]
fn after_a_kill_the_next_start_works_and_cleans_up() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let before = settled_state_of(&lab.director);
    let mut director = lab.start(&[lab.service(V4), lab.service(V6)]);
    assert_eq!(shares(&lab.ask(V4, 80, 0, 3)), alike(1));
    director.end_by(Signal::KILL);
    assert!(state_of(&lab.director).contains("rmk-"), "something is left");
    let mut director = lab.start(&[lab.service(V4), lab.service(V6)]);
    assert_eq!(shares(&lab.ask(V4, 80, 0, 3)), alike(1));
    assert!(!director.has_logged("WARN"), "what was left was in the way:\n{}", director.log());
    assert!(director.end_by(Signal::TERM).success());
    assert_eq!(state_of(&lab.director), before, "the killed director's leftovers are gone too");
}

#[test]
fn a_hangup_reloads_services_and_loses_no_connection() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    lab.offer_file(100 << 20);
    let mut director = lab.start(&[lab.service(V4)]);
    // The first connection is the last server's, which stays.
    let two = Service { servers: lab.service(V4).servers[1..].to_vec(), ..lab.service(V4) };
    std::thread::scope(|scope| {
        let download = scope.spawn(|| lab.download(V4));
        eventually("the download has begun", || director.connections().contains("ESTABLISHED"));
        director.reload(&lab.config(&[two.clone(), lab.service(V6)]));
        download.join().expect("the download arrives unchanged");
    });
    director.says("reloaded, 2 virtual services");
    assert_eq!(shares(&lab.ask(V4, 80, 0, 4)), [("server-2", 2), ("server-3", 2)].into());
    assert_eq!(shares(&lab.ask(V6, 80, 0, 3)), alike(1));
    // A file with an error, and one that asks for what only a start can do, change nothing.
    for (config, why) in [
        ("virtual_server 10.0.0.100 80 {\n    lb_algo none_such\n}\n".to_owned(), "does not load"),
        (format!("{}ringmaster {{\n    frames 512\n}}\n", lab.config(&[two])), "restart it"),
    ] {
        director.reload(&config);
        director.says(why);
        assert_eq!(shares(&lab.ask(V6, 80, 0, 3)), alike(1));
    }
    assert!(director.end_by(Signal::TERM).success());
}

#[test]
fn tables_are_listed_as_by_ipvsadm() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let director = lab.start(&[Service { persistence: 50, ..lab.service(V4) }]);
    lab.ask(V4, 80, 0, 2);
    let list = director.list();
    assert!(list.contains("TCP  10.0.0.100:80 rr persistent 50"), "{list}");
    for server in &lab.servers {
        assert!(list.contains(&format!("  -> {}:80", server.address(V4))), "{list}");
    }
    let connections = director.connections();
    let of_client = connections.lines().filter(|line| line.contains("198.51.100.11:")).count();
    assert_eq!(of_client, 3, "two connections and the persistence template:\n{connections}");
}

#[test]
fn a_user_without_rights_is_told_what_is_missing() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let file = lab.directory().join("readable.conf");
    std::fs::write(&file, lab.config(&[lab.service(V4)])).expect("the lab's directory is writable");
    std::fs::set_permissions(lab.directory(), Permissions::from_mode(0o755)).expect("it is ours");
    // Root without capabilities, and a user who may not even make the control socket.
    for user in ["--inh-caps=-all", "--reuid 65534 --clear-groups"] {
        let program = program();
        let command = format!("setpriv --bounding-set=-all {user} {} run -f {}", program.display(), file.display());
        let output = lab.director.try_exec(&command);
        assert_one_sentence(output.status.success(), &String::from_utf8_lossy(&output.stderr), "CAP_NET_ADMIN");
    }
}

#[test]
fn the_rights_that_are_asked_for_are_enough() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let config = lab.config(&[lab.service(V4)]);
    let rights = "-all,+net_admin,+net_raw,+bpf,+perfmon,+ipc_lock";
    let command = format!("setpriv --bounding-set={rights} --inh-caps={rights}");
    let mut director = Director::start_by(&command, &lab.director, lab.directory(), &config);
    assert!(!director.has_logged("WARN"), "{}", director.log());
    assert_eq!(shares(&lab.ask(V4, 80, 0, 3)), alike(1));
    assert!(director.end_by(Signal::TERM).success());
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let config = lab.config(&[lab.service(V4)]).replace("interface eth0", "interface eth7");
    let (status, log) = Director::run_to_end(&lab.director, lab.directory(), &config);
    assert_one_sentence(status.success(), &log, "eth7");
}

#[test]
fn a_table_beyond_the_memory_is_refused_before_it_is_made() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let config = lab.config(&[lab.service(V4)]) + "ringmaster {\n    connections 1073741824\n}\n";
    let (status, log) = Director::run_to_end(&lab.director, lab.directory(), &config);
    assert_one_sentence(status.success(), &log, "MiB are available; set `connections`");
}

#[test]
fn a_second_director_is_refused_and_the_first_goes_on() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let _first = lab.start(&[lab.service(V4)]);
    let elsewhere = tempfile::tempdir().expect("the temporary directory is writable");
    let (status, log) = Director::run_to_end(&lab.director, elsewhere.path(), &lab.config(&[lab.service(V4)]));
    assert_one_sentence(status.success(), &log, "stop the other director");
    assert_eq!(shares(&lab.ask(V4, 80, 0, 3)), alike(1), "the first still forwards");
}

#[test]
fn a_missing_file_is_named() {
    let output = Command::new(program()).args(["run", "-f", "/nonexistent.conf"]).output().expect("it is built");
    assert_one_sentence(output.status.success(), &String::from_utf8_lossy(&output.stderr), "/nonexistent.conf");
}

/// The director failed, and exactly one line of its log is an error, which says this.
fn assert_one_sentence(success: bool, log: &str, what: &str) {
    assert!(!success, "it should have failed:\n{log}");
    // As of the configuration (`error:`) or of the log (`ERROR`), after a note or a time.
    let is_error = |line: &&str| line.split_whitespace().any(|word| ["error:", "ERROR"].contains(&word));
    let errors: Vec<_> = log.lines().filter(is_error).collect();
    assert_eq!(errors.len(), 1, "one error is wanted:\n{log}");
    assert!(errors[0].contains(what), "it should mention {what:?}: {}", errors[0]);
}

/// Links with their flags and programs, and addresses; counters and timers left out.
fn state_of(host: &Namespace) -> String {
    host.exec("ip -details link show") + &host.exec("ip address show")
}

/// The same, once the links have carrier and with it their link-local addresses.
fn settled_state_of(host: &Namespace) -> String {
    eventually("the links settle", || {
        let state = state_of(host);
        !state.contains("NO-CARRIER") && state.matches("inet6 fe80:").count() == 2
    });
    state_of(host)
}
