//! What the director survives: it is killed, stopped, made to hang and replaced while numbered packets pass through it.
//! Needs root.

#[path = "../support/mod.rs"]
mod support;

mod black_box;
mod clients;
mod crowd;
mod manager;
mod pace;
mod replacement;
mod restart;
mod schedule;
mod spare;
mod spell;
mod supervisor;
mod thousand;
mod traffic;

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use support::config::Service;
use support::director::Director;
use support::eventually;
use support::hosts::Family::{self, V4, V6};
use support::lab::Lab;
use support::netns;
use traffic::{Outcome, Stream, dropped_between_hosts};

const PORT: u16 = 7000;

/// A director under traffic.
struct Scene {
    lab: Lab,
    director: Director,
    stream: Stream,
    family: Family,
    /// Datagrams that were sent for the sake of a fault, and are lost with it.
    spells: std::cell::Cell<u64>,
    /// What the machine's kernel had dropped between hosts before.
    dropped: u64,
}

impl Scene {
    fn new(lab: Lab, family: Family, workers: usize) -> Self {
        Self::with(lab, family, &format!("workers {workers}"), Vec::new())
    }

    /// With these lines in the `ringmaster` block, and more services.
    fn with(lab: Lab, family: Family, settings: &str, services: Vec<Service>) -> Self {
        let director = lab.start_with(settings, &Self::services(&lab, family, services));
        Self::around(lab, family, director)
    }

    /// What is served, and more.
    fn services(lab: &Lab, family: Family, mut more: Vec<Service>) -> Vec<Service> {
        let service = Service { port: PORT, real_port: PORT, protocol: "UDP", ..lab.service(family) };
        more.extend([service, lab.service(family)]);
        more
    }

    /// With a director that runs already.
    fn around(lab: Lab, family: Family, director: Director) -> Self {
        let to = SocketAddr::new(lab.vip(family), PORT);
        let client = lab.clients(family)[0];
        // A host whose hardware address is not known yet has room for a few waiting packets only.
        lab.ask(family, 80, 0, lab.servers.len());
        let servers: Vec<_> = lab.servers.iter().map(|server| &server.host).collect();
        let stream = Stream::start((&lab.client, client), to, (&servers, PORT));
        let scene =
            Self { lab, director, stream, family, spells: Default::default(), dropped: dropped_between_hosts() };
        scene.flow();
        scene
    }

    /// Waits until some more has been sent.
    fn flow(&self) {
        let enough = self.stream.sent() + 200;
        eventually("packets are sent", || self.stream.sent() > enough);
    }

    /// How many directors have begun to forward.
    fn begun(&self) -> usize {
        self.director.log().matches("ready:").count()
    }

    /// Does something to the present director that has another one follow it, and waits for that.
    fn until_followed(&self, fault: impl FnOnce(Pid)) {
        let begun = self.begun();
        fault(self.director.process());
        eventually("the next director forwards", || self.begun() > begun);
        self.flow();
    }

    /// How many packets each director had in hand that died so, as its successor tells.
    fn told(&self) -> Vec<u64> {
        let log = self.director.log();
        let told = log.lines().filter_map(|line| line.split_once(" packets were in hand"));
        told.filter_map(|(before, _)| before.rsplit(' ').next()?.parse().ok()).collect()
    }

    /// Has the worker that the datagram reaches do what it says.
    fn cast(&self, word: &str) {
        let client = self.lab.clients(self.family)[1];
        spell::cast((&self.lab.client, client), SocketAddr::new(self.lab.vip(self.family), PORT), word);
        self.spells.set(self.spells.get() + 1);
    }

    /// The datagrams of faults were forwarded, and are not among what was in hand.
    fn forget_spells(&self) {
        self.spells.set(0);
    }

    /// Ends everything in order. Other packets than numbered ones were lost, too.
    fn end_without_reckoning(mut self) {
        let outcome = self.stream.stop();
        assert!(self.director.end_by(Signal::TERM).success());
        assert_eq!((outcome.duplicated, outcome.reordered), (0, 0));
    }

    /// Ends everything in order, and tells what became of the packets. For what the machine's kernel has dropped between
    /// hosts, when a burst of what had waited met one that other tests keep busy, the director is not to blame.
    fn end(mut self) -> Outcome {
        let in_hand = self.told().iter().sum::<u64>() - self.spells.get();
        self.lab.ask(self.family, 80, 0, 3);
        let outcome = self.stream.stop();
        assert!(self.director.end_by(Signal::TERM).success());
        let dropped = dropped_between_hosts() - self.dropped;
        println!("{outcome:?}, {in_hand} in hand, {dropped} dropped between hosts");
        let Outcome { sent, lost, .. } = outcome;
        assert!((in_hand..=in_hand + dropped).contains(&lost), "{lost} lost of {in_hand} in hand");
        assert_eq!(Outcome { sent, lost, ..Outcome::default() }, outcome);
        outcome
    }
}

fn kill(process: Pid) {
    kill_process(process, Signal::KILL).expect("it is there");
}

#[test]
fn a_director_that_is_killed_loses_what_it_had_in_hand() {
    if !netns::available() {
        return;
    }
    for (lab, family, workers) in [(Lab::nat(), V4, 1), (Lab::dr(), V6, 2)] {
        let scene = Scene::new(lab, family, workers);
        for _ in 0..4 {
            scene.until_followed(kill);
        }
        assert!(scene.end().sent > 1000);
    }
}

#[test]
fn a_packet_that_kills_a_worker_kills_it_once() {
    if !netns::available() {
        return;
    }
    for (lab, family, workers) in [(Lab::nat(), V6, 2), (Lab::dr(), V4, 1)] {
        let scene = Scene::new(lab, family, workers);
        for _ in 0..3 {
            scene.until_followed(|_| scene.cast("abort"));
        }
        assert_eq!(scene.begun(), 4, "the first one, and one for each packet");
        scene.end();
    }
}

#[test]
fn an_upgrade_loses_nothing() {
    if !netns::available() {
        return;
    }
    for (lab, family, workers) in [(Lab::nat(), V6, 2), (Lab::dr(), V4, 1)] {
        let scene = Scene::new(lab, family, workers);
        for _ in 0..4 {
            scene.until_followed(|_| {
                let told = scene.director.upgrade(&support::director::program());
                assert!(told.contains("has taken over"), "{told}");
            });
        }
        assert_eq!(scene.end().lost, 0);
    }
}

#[test]
fn a_program_that_does_not_start_replaces_nothing() {
    if !netns::available() {
        return;
    }
    let scene = Scene::new(Lab::nat(), V4, 2);
    let process = scene.director.process();
    // One of ours, as far as can be seen, that does nothing.
    let idle = scene.lab.directory().join("idle");
    std::fs::write(&idle, "#!/bin/false\nthis program is a director, and its supervisor: Ringmaster")
        .expect("it is ours");
    std::fs::set_permissions(&idle, Permissions::from_mode(0o755)).expect("it is ours");
    for (program, why) in [(&*idle, "ended before"), (Path::new("/bin/false"), "no program of Ringmaster")] {
        let told = scene.director.upgrade(program);
        assert!(told.contains(why), "{told}");
        scene.flow();
    }
    assert_eq!(scene.director.process(), process);
    assert_eq!(scene.end().lost, 0);
}

#[test]
fn a_director_that_stands_still_for_a_while_loses_nothing() {
    if !netns::available() {
        return;
    }
    let scene = Scene::new(Lab::dr(), V4, 2);
    let process = scene.director.process();
    for _ in 0..3 {
        kill_process(process, Signal::STOP).expect("it is there");
        scene.flow();
        kill_process(process, Signal::CONT).expect("it is there");
        scene.flow();
    }
    assert_eq!(scene.director.process(), process, "nobody took it for one that hangs");
    assert_eq!(scene.end().lost, 0);
}

/// As long as the rings have room, it does not matter how long nobody works.
#[test]
fn what_waits_for_seconds_is_lost_by_nobody() {
    if !netns::available() {
        return;
    }
    for (lab, family, workers) in [(Lab::dr(), V6, 2), (Lab::nat(), V4, 1)] {
        let scene = Scene::new(lab, family, workers);
        scene.until_followed(|process| {
            kill_process(scene.director.pid(), Signal::STOP).expect("it is there");
            kill(process);
            std::thread::sleep(std::time::Duration::from_secs(3));
            kill_process(scene.director.pid(), Signal::CONT).expect("it is there");
        });
        scene.end();
    }
}
