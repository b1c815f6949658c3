//! However workers, queues and the program's place are chosen, traffic gets through.

use crate::support::hosts::Family::{V4, V6};
use crate::support::lab::Lab;
use crate::support::netns;
use crate::{alike, shares};

#[test]
fn one_worker_serves_both_queues() {
    forwards("workers 1", |_| ());
}

#[test]
fn two_workers_meet_the_replies_to_each_others_requests() {
    forwards("workers 2", |_| ());
}

#[test]
fn a_dedicated_worker_never_sleeps() {
    forwards("poll spin", |_| ());
}

/// In generic mode the kernel does not cut super-frames up for the program: senders must not make any.
#[test]
fn generic_mode_forwards_what_is_not_offloaded() {
    forwards("attach generic", |lab| {
        for host in lab.servers.iter().map(|server| &server.host).chain([&lab.client]) {
            host.exec("ethtool -K eth0 tso off gso off");
        }
    });
}

/// Both families, both directions, and on both queues: each connection has a port, hence a queue, of its own.
fn forwards(settings: &str, prepare: fn(&Lab)) {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    prepare(&lab);
    lab.offer_file(20 << 20);
    let _director = lab.start_with(settings, &[lab.service(V4), lab.service(V6)]);
    for family in [V4, V6] {
        assert_eq!(shares(&lab.ask(family, 80, 0, 60)), alike(20), "{settings}, {family:?}");
        lab.download(family);
    }
}
