//! However workers, queues and the program's place are chosen, traffic gets through.

use std::process::{Child, Command, Stdio};

use crate::support::director::Director;
use crate::support::hosts::Family::{V4, V6};
use crate::support::lab::Lab;
use crate::support::{eventually, netns};
use crate::{alike, shares};

#[test]
fn two_workers_meet_the_replies_to_each_others_requests() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let director = forwards(&lab, "workers 2");
    assert!(director.log().contains("2 workers on eth0 and eth1"), "{}", director.log());
    for interface in ["eth0", "eth1"] {
        assert!(
            received(&lab, interface).iter().all(|&frames| frames > 100),
            "both queues of {interface}: {:?}",
            received(&lab, interface)
        );
    }
}

#[test]
fn one_worker_serves_both_queues() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let director = forwards(&lab, "workers 1");
    assert!(director.log().contains("1 worker on"), "{}", director.log());
    assert!(received(&lab, "eth0").iter().all(|&frames| frames > 100));
}

#[test]
fn dedicated_workers_never_sleep() {
    if !netns::available() {
        return;
    }
    forwards(&Lab::nat(), "poll spin");
}

#[test]
fn receive_processing_may_happen_on_the_workers_cores() {
    if !netns::available() {
        return;
    }
    forwards(&Lab::nat(), "busy_poll 50");
}

#[test]
fn xsk_rs_may_drive_the_rings() {
    if !netns::available() {
        return;
    }
    forwards(&Lab::nat(), "rings xsk-rs");
}

/// In generic mode the kernel does not cut super-frames up for the program: senders must not make any.
#[test]
fn generic_mode_forwards_what_is_not_offloaded() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    for host in lab.servers.iter().map(|server| &server.host).chain([&lab.client]) {
        host.exec("ethtool -K eth0 tso off gso off");
    }
    let director = forwards(&lab, "attach generic");
    assert!(director.log().contains("port eth0: generic, copy"), "{}", director.log());
}

#[test]
fn a_worker_knows_whether_others_use_its_core() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let director = forwards(&lab, "cpus 0");
    let other = Busy::on_core_0();
    eventually("the worker has company", || director.ask("status").contains("on a core that others use too"));
    assert_eq!(shares(&lab.ask(V4, 80, 0, 60)), alike(20), "with company");
    drop(other);
}

#[test]
fn workers_on_one_core_are_each_others_company() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let director = forwards(&lab, "workers 2\ncpus 0\npoll spin");
    eventually("both have company", || director.ask("status").contains("2 on a core that others use too"));
}

/// A process that uses all of a core that it gets, as long as the value lives.
struct Busy(Child);

impl Busy {
    fn on_core_0() -> Self {
        let mut command = Command::new("taskset");
        command.args(["-c", "0", "yes"]).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("taskset is there"))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Both families in both directions. Each connection has a port, hence a queue, of its own.
fn forwards(lab: &Lab, settings: &str) -> Director {
    lab.offer_file(20 << 20);
    let director = lab.start_with(settings, &[lab.service(V4), lab.service(V6)]);
    for family in [V4, V6] {
        assert_eq!(shares(&lab.ask(family, 80, 0, 60)), alike(20), "{settings}, {family:?}");
        lab.download(family);
    }
    director
}

/// How many frames the program has seen on each queue of one of the director's interfaces, in native mode.
fn received(lab: &Lab, interface: &str) -> [u64; 2] {
    let counters = lab.director.exec(&format!("ethtool -S {interface}"));
    [0, 1].map(|queue| {
        let name = format!("rx_queue_{queue}_xdp_packets:");
        let count = counters.lines().find_map(|line| line.trim().strip_prefix(&name)?.trim().parse().ok());
        count.unwrap_or_else(|| panic!("`{name}` is not in:\n{counters}"))
    })
}
