//! Three hosts on a switch: two candidates, and a bystander.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::capture::{Capture, Seen};
use crate::support::director::Director;
use crate::support::eventually;
use crate::support::hosts::{Net, Switch, host};
use crate::support::keepalived::{self, GOES_FIRST};
use crate::support::netns::{self, Namespace};

/// The hosts' network: `.11`, `.12` and `.13`; the virtual address is `.100`.
const NET: Net = Net("192.168.146", "fd00:146:");

/// The network of one test.
pub(crate) struct Lab {
    candidates: [Option<Candidate>; 2],
    captures: Vec<Capture>,
    /// Candidates 0 and 1, bystander 2.
    pub(crate) hosts: Vec<Namespace>,
    pub(crate) switch: Switch,
    directory: TempDir,
}

/// Who runs on a host.
pub(crate) enum Candidate {
    Ours(Director),
    Keepalived(Keepalived),
}

/// Which program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Ringmaster,
    Keepalived,
}

impl Lab {
    /// `None` if namespaces or keepalived cannot be had here; says so.
    pub(crate) fn new() -> Option<Self> {
        if !netns::available() {
            return None;
        }
        if !keepalived::available() {
            return None;
        }
        let directory = TempDir::with_prefix("ringmaster-vrrp-").expect("the temporary directory is writable");
        let switch = Switch::new("switch");
        let (mut hosts, mut captures) = (Vec::new(), Vec::new());
        for (number, label) in ["a", "b", "c"].into_iter().enumerate() {
            let host = host(label);
            switch.plug(&host, "eth0", NET, &[11 + number as u8]);
            host.exec(&format!("ip link set eth0 address 02:00:00:00:00:0{}", number + 1));
            captures.push(Capture::start(&switch.0, &port(&switch.0, number), number, directory.path()));
            hosts.push(host);
        }
        Some(Self { candidates: [None, None], captures, hosts, switch, directory })
    }

    /// Starts a program on candidate `number`.
    pub(crate) fn start(&mut self, number: usize, program: Program, config: &str) {
        let place = self.directory.path().join(format!("{number}"));
        std::fs::create_dir_all(&place).expect("the lab's directory is writable");
        let host = &self.hosts[number];
        self.candidates[number] = Some(match program {
            Program::Ringmaster => Candidate::Ours(Director::start_electing(host, &place, config)),
            Program::Keepalived => Candidate::Keepalived(Keepalived::start(host, &place, config)),
        });
    }

    /// Ends a candidate by a signal: SIGTERM for an orderly end, SIGKILL for a crash.
    pub(crate) fn end(&mut self, number: usize, signal: Signal) {
        match self.candidates[number].take().expect("it was started") {
            Candidate::Ours(mut director) => _ = director.end_by(signal),
            Candidate::Keepalived(mut keepalived) => keepalived.end_by(signal),
        }
    }

    /// Our director on a host.
    pub(crate) fn ours(&self, number: usize) -> &Director {
        match &self.candidates[number] {
            Some(Candidate::Ours(director)) => director,
            _ => panic!("host {number} runs something else"),
        }
    }

    /// The capture of all hosts, in the order of time.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let mut seen: Vec<_> = self.captures.iter().flat_map(Capture::seen).collect();
        seen.sort_by_key(|seen| seen.at);
        seen
    }

    /// Waits until `host` sends an advert of this priority after `since`, and gives it.
    pub(crate) fn advert(&self, host: usize, priority: u8, since: Duration) -> Seen {
        let find =
            || self.seen().into_iter().find(|s| s.host == host && s.at > since && s.priority() == Some(priority));
        eventually(&format!("host {host} advertises {priority}"), || find().is_some());
        find().expect("it was there before")
    }

    /// The last advert of `host` so far.
    pub(crate) fn last(&self, host: usize) -> Seen {
        let find = || self.seen().into_iter().rfind(|seen| seen.host == host && seen.priority().is_some());
        eventually(&format!("host {host} advertises"), || find().is_some());
        find().expect("it was there before")
    }

    /// Announcements of `host` from `since` on.
    pub(crate) fn announcements(&self, host: usize, since: Duration) -> Vec<Seen> {
        let all = self.seen().into_iter();
        all.filter(|seen| seen.host == host && seen.at >= since && seen.priority().is_none()).collect()
    }

    /// Whether a host has an address.
    pub(crate) fn holds(&self, host: usize, address: &str) -> bool {
        self.hosts[host].exec("ip -o address show dev eth0").contains(&format!(" {address}/"))
    }

    /// Pulls a host's plug, or puts it in again.
    pub(crate) fn cable(&self, number: usize, up: bool) {
        let state = if up { "up" } else { "down" };
        self.switch.0.exec(&format!("ip link set {} {state}", port(&self.switch.0, number)));
    }

    /// Keeps the two candidates from hearing each other, without loss of carrier.
    pub(crate) fn partition(&self, apart: bool) {
        let state = if apart { "on" } else { "off" };
        for number in 0..2 {
            self.switch.0.exec(&format!("bridge link set dev {} isolated {state}", port(&self.switch.0, number)));
        }
    }
}

/// The switch's port to a host: `Switch::plug` numbers them after loopback and bridge.
fn port(switch: &Namespace, number: usize) -> String {
    let list = switch.exec("ip -o link show type veth");
    let names = list.lines().filter_map(|line| line.split(": ").nth(1)?.split('@').next().map(str::to_owned));
    let mut names: Vec<_> = names.collect();
    names.sort();
    names[number].clone()
}

/// keepalived's VRRP part.
pub(crate) struct Keepalived {
    child: Child,
    children: PathBuf,
}

impl Keepalived {
    fn start(host: &Namespace, place: &Path, config: &str) -> Self {
        let (file, pid, children) = (place.join("ka.conf"), place.join("ka.pid"), place.join("ka.vrrp.pid"));
        std::fs::write(&file, format!("{GOES_FIRST}{config}")).expect("the lab's directory is writable");
        let [file, pid] = [file, pid].map(|path| path.display().to_string());
        let line = format!("keepalived -P -n -l -D -f {file} -p {pid} -r {}", children.display());
        let log = std::fs::File::create(place.join("ka.log")).expect("as above");
        let output = Stdio::from(log.try_clone().expect("a file can be shared"));
        let child = host.command(&line).stdin(Stdio::null()).stdout(output).stderr(log).spawn().expect("as above");
        let keepalived = Self { child, children };
        eventually("keepalived runs", || keepalived.worker().is_some());
        keepalived
    }

    fn worker(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(&self.children).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }

    fn end_by(&mut self, signal: Signal) {
        if signal == Signal::KILL
            && let Some(worker) = self.worker()
        {
            let _ = kill_process(worker, signal);
            let _ = kill_process(Pid::from_child(&self.child), signal);
        } else {
            let _ = kill_process(Pid::from_child(&self.child), signal);
        }
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.children);
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        self.end_by(Signal::TERM);
    }
}
