//! What whoever has taken over a director cannot leave to the next one, which begins with all rights: programs to be run, be it
//! by a configuration or in the director's place.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::chown;
use std::path::Path;
use std::time::Duration;

use ringmaster::config::{LoadOptions, Reading};
use ringmaster::supervisor::{CONFIGURATION, Channel, Message};
use ringmaster::sys::memfd;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open};

use crate::support::director::{Director, own_settings, program};
use crate::support::hosts::Family::V4;
use crate::support::lab::Lab;
use crate::support::netns;
use crate::support::{self, eventually};

/// Whom a director runs as.
const NOBODY: u32 = 65534;

/// The present director's end of the channel to its supervisor.
fn voice(director: &Director) -> Channel {
    let process = director.process();
    let line = std::fs::read_to_string(format!("/proc/{}/cmdline", process.as_raw_nonzero())).expect("it is there");
    let number = line.split('\0').find_map(|word| word.strip_prefix("--supervised=")?.parse().ok());
    let pidfd = pidfd_open(process, PidfdFlags::empty()).expect("it is there");
    let socket = pidfd_getfd(&pidfd, number.expect("it has a supervisor"), PidfdGetfdFlags::empty());
    Channel::over(socket.expect("root may"))
}

/// The spare of the present director, once it waits.
fn spare(director: &Director) -> Pid {
    let present = director.process().as_raw_nonzero().get();
    let waiting = || {
        let log = director.log();
        let line = log.lines().rfind(|line| line.contains("waits as a spare"))?.to_owned();
        let number = line.split(' ').rev().nth(4)?.parse().ok()?;
        Pid::from_raw(number).filter(|_| number != present)
    };
    eventually("a spare waits", || waiting().is_some());
    // A director that lives shorter is taken for one that cannot live.
    std::thread::sleep(Duration::from_millis(1100));
    waiting().expect("as above")
}

/// The words of a configuration that has root's hand leave a mark when the director leads.
fn words(lab: &Lab, mark: &Path) -> Vec<u8> {
    let told = format!("    notify_master \"/usr/bin/touch {}\" root\n", mark.display());
    let config = lab.config(&[lab.service(V4)]);
    let at = config.find("vrrp_instance ").expect("it has one");
    let at = at + config[at..].find('\n').expect("as above") + 1;
    let settings = own_settings(lab.directory(), &config);
    let file = lab.directory().join("planted.conf");
    std::fs::write(&file, format!("{}{told}{}\n{settings}", &config[..at], &config[at..])).expect("it is ours");
    let (_, reading) = Reading::load(&file, &LoadOptions::default()).expect("it is sound");
    serde_json::to_vec(&reading).expect("it is plain data")
}

fn by_nobody(bytes: Vec<u8>) -> OwnedFd {
    let write = move || {
        // SAFETY: it changes who owns the files that this thread makes, and nothing else.
        unsafe { libc::syscall(libc::SYS_setfsuid, NOBODY) };
        memfd::finished("ringmaster-configuration", &bytes).expect("everybody may")
    };
    std::thread::spawn(write).join().expect("it does not panic")
}

fn open_to_changes(bytes: &[u8]) -> OwnedFd {
    let mut file = File::from(memfd_create("ringmaster-configuration", MemfdFlags::CLOEXEC).expect("as above"));
    file.write_all(bytes).expect("there is room");
    file.into()
}

#[test]
fn a_configuration_is_taken_from_nobody_without_all_rights() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let director = lab.start(&[lab.service(V4)]);
    let mark = lab.directory().join("root-was-here");
    let words = words(&lab, &mark);
    let leave = |file: OwnedFd| {
        let hold = Message::Hold(CONFIGURATION.to_owned());
        voice(&director).send(&hold, Some(file.as_fd())).expect("it listens");
        // A spare would follow with what it has read before.
        kill_process(spare(&director), Signal::KILL).expect("it is there");
        let begun = director.log().matches("ready:").count();
        kill_process(director.process(), Signal::KILL).expect("it is there");
        eventually("the next director leads", || {
            director.log().matches("ready:").count() > begun && director.vrrp().contains("MASTER")
        });
        lab.ask(V4, 80, 0, 3);
    };
    for (file, refusals) in [(by_nobody(words.clone()), 1), (open_to_changes(&words), 2)] {
        leave(file);
        let refused = "wants held as configuration is not: it was not made by somebody with all rights";
        director.says_times(refused, refusals);
        assert!(!mark.exists());
    }
    // From somebody with all rights it would have been: what is above has not been refused for another reason.
    leave(memfd::finished("ringmaster-configuration", &words).expect("everybody may"));
    eventually("root leaves its mark", || mark.exists());
}

#[test]
fn a_program_that_is_not_roots_is_no_successor() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let director = lab.start(&[lab.service(V4)]);
    let (process, path) = (director.process(), lab.directory().join("another"));
    support::copy_program(&program(), &path);
    chown(&path, Some(NOBODY), None).expect("root may");
    for odd in ["/usr/bin/env", "/dev/zero"] {
        let told = director.upgrade(Path::new(odd));
        assert!(told.contains("cannot start"), "{told}");
    }
    let told = director.upgrade(&path);
    assert!(told.contains("others than root may write to it"), "{told}");
    assert_eq!(director.process(), process);
    chown(&path, Some(0), None).expect("root may");
    let told = director.upgrade(&path);
    assert!(told.contains("has taken over"), "{told}");
}
