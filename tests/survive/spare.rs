//! The spare director: how soon it takes over, from one that died and from one that hangs, and that it leaves one alone that
//! is only kept waiting.

use std::net::{IpAddr, SocketAddr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, setpriority_process};

use crate::pace::{Pace, now};
use crate::support::config::Service;
use crate::support::hosts::Family::{V4, V6};
use crate::support::lab::Lab;
use crate::support::{eventually, netns, shared};
use crate::{Scene, crowd, kill};

/// Where the steady datagrams go.
const PORT: u16 = 7001;
/// Where those go that make much to take over.
const CROWDED: u16 = 7002;

impl Scene {
    /// Waits until there is a spare again.
    fn until_spared(&self) {
        eventually("a spare waits", || self.director.log().matches("waits as a spare").count() >= self.begun());
    }
}

/// Has faults happen to a director beside a steady stream, and gives the gaps in it, the shortest first.
fn gaps(scene: &Scene, faults: usize, fault: impl Fn(Pid)) -> Vec<Duration> {
    let to = SocketAddr::new(scene.lab.vip(scene.family), PORT);
    let client = scene.lab.clients(scene.family)[2];
    let pace = Pace::start((&scene.lab.client, client), to, (&scene.lab.servers[0].host, PORT));
    let mut moments = Vec::new();
    for _ in 0..faults {
        scene.until_spared();
        // A life of more than a second: this is no loop of crashes.
        std::thread::sleep(Duration::from_millis(1100));
        moments.push(now());
        scene.until_followed(&fault);
    }
    let mut gaps = pace.gaps(&moments, Duration::from_secs(1));
    gaps.sort_unstable();
    println!("gaps: {gaps:?}");
    gaps
}

fn scene(lab: Lab, family: crate::support::hosts::Family, workers: usize) -> Scene {
    let paced = Service {
        port: PORT,
        real_port: PORT,
        protocol: "UDP",
        servers: vec![lab.servers[0].address(family).to_string()],
        ..lab.service(family)
    };
    let Some(crowd) = crowd::wanted() else {
        // Room for as many as there is by default: what a pause is measured with.
        return Scene::with(lab, family, &format!("workers {workers}\nconnections 1048576"), vec![paced]);
    };
    let vip = lab.vip(V4).to_string();
    let crowded =
        Service { vip, port: CROWDED, real_port: CROWDED, protocol: "UDP", persistence: 0, ..lab.service(V4) };
    let IpAddr::V4(to) = lab.vip(V4) else { unreachable!("it is one of the family") };
    // Nobody answers, nor says that nobody is there.
    let servers = lab.servers.iter().map(|server| server.host.enter(|| UdpSocket::bind(("0.0.0.0", CROWDED))));
    let silent: Vec<_> = servers.collect::<Result<_, _>>().expect("the port is free");
    let scene =
        Scene::with(lab, family, &format!("workers {workers}\n connections {}", crowd * 2), vec![paced, crowded]);
    crowd::gather(&scene, SocketAddrV4::new(to, CROWDED), crowd);
    drop(silent);
    scene
}

#[test]
fn a_spare_goes_on_within_milliseconds() {
    if !netns::available() {
        return;
    }
    let scene = scene(Lab::nat(), V4, 2);
    let gaps = gaps(&scene, 8, kill);
    // In a build without optimisation, on a machine that does other things. Without a spare it is 120 ms.
    assert!(gaps[gaps.len() / 2] < shared(Duration::from_millis(80)));
    // None was started anew.
    scene.director.says_times("the spare one has taken over", 8);
    scene.end_without_reckoning();
}

/// One that the machine gives no time is waited for, and then followed as one that was slow: what it began with is good.
#[test]
fn a_spare_that_does_not_get_on_is_followed_with_the_rings() {
    if !netns::available() {
        return;
    }
    // A small table, through which one needs little time.
    let scene = Scene::with(Lab::dr(), V4, "workers 1\nconnections 20000", Vec::new());
    scene.until_spared();
    std::thread::sleep(Duration::from_millis(1100));
    let log = scene.director.log();
    let spare =
        log.lines().rfind(|line| line.contains("waits as a spare")).and_then(|line| line.split(' ').rev().nth(4));
    let spare = spare.and_then(|number| Pid::from_raw(number.parse().ok()?)).expect("it says its number");
    scene.until_followed(|process| {
        kill_process(spare, Signal::STOP).expect("it is there");
        kill(process);
    });
    scene.director.says("does not begin: it is killed");
    assert!(!scene.director.has_logged("rings are opened anew") && !scene.director.has_logged("gave up"));
    assert!(!scene.director.has_logged("connections are lost"));
    scene.end_without_reckoning();
}

/// How often a worker is to hang: as often as it takes to measure the pause, or to see that there is one.
fn hangs(word: &str) -> usize {
    let wanted = std::env::var("SURVIVE_HANGS").ok().and_then(|number| number.parse().ok());
    wanted.filter(|_| word == "spin").unwrap_or(3)
}

#[test]
fn a_worker_that_hangs_is_replaced() {
    if !netns::available() {
        return;
    }
    for (word, told, family) in [("spin", "loops", V6), ("block", "is blocked", V4)] {
        let scene = scene(Lab::dr(), family, 1);
        let faults = hangs(word);
        let gaps = gaps(&scene, faults, |_| scene.cast(word));
        scene.director.says_times(told, faults);
        let limit = if word == "spin" { 100 } else { 1500 };
        assert!(gaps[faults / 2] < shared(Duration::from_millis(limit)), "half of them");
        scene.end_without_reckoning();
    }
}

#[test]
fn a_control_thread_that_hangs_is_replaced() {
    if !netns::available() {
        return;
    }
    let scene = scene(Lab::nat(), V4, 1);
    for (word, told) in
        [("spin-control", "its control thread loops"), ("block-control", "its control thread is blocked")]
    {
        scene.until_spared();
        scene.until_followed(|_| scene.cast(word));
        scene.director.says(told);
    }
    scene.forget_spells();
    scene.end();
}

/// So long is a director watched on a machine that is too busy for it.
fn watched() -> Duration {
    let seconds = std::env::var("STARVE_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(10))
}

/// How long the workers of a process have been ready to run, and have not run (`/proc/PID/task/TID/schedstat`).
fn kept_waiting(process: Pid) -> Vec<Duration> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero())).expect("it is there");
    let read = |task: &Path, name: &str| std::fs::read_to_string(task.join(name)).expect("it is there");
    let workers = tasks.map(|task| task.expect("it can be read").path());
    let workers = workers.filter(|task| read(task, "comm").starts_with("worker-"));
    let waited = |task: &Path| read(task, "schedstat").split(' ').nth(1)?.parse().ok().map(Duration::from_nanos);
    workers.map(|task| waited(&task).expect("it is a number")).collect()
}

/// Sixteen threads that take each core from whoever wants it, but for a hundredth.
#[test]
fn a_director_that_is_kept_waiting_does_not_hang() {
    if !netns::available() {
        return;
    }
    let scene = scene(Lab::nat(), V6, 2);
    let process = scene.director.process();
    let before = kept_waiting(process);
    let stop = Arc::new(AtomicBool::new(false));
    let greedy = |_| {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            setpriority_process(None, -20).expect("root may");
            while !stop.load(Ordering::Relaxed) {}
        })
    };
    let loops: Vec<_> = (0..16).map(greedy).collect();
    std::thread::sleep(watched());
    let after = kept_waiting(process);
    for signal in [Signal::STOP, Signal::CONT] {
        kill_process(process, signal).expect("it is there");
        std::thread::sleep(Duration::from_millis(1500));
    }
    stop.store(true, Ordering::Relaxed);
    loops.into_iter().for_each(|each| each.join().expect("it does nothing"));
    let waited: Vec<_> = after.iter().zip(&before).map(|(&after, &before)| after - before).collect();
    println!("the workers were kept waiting for {waited:?} of {:?}", watched());
    assert!(waited.len() == 2 && waited.iter().all(|&waited| waited > watched() / 8), "they have not starved");
    assert_eq!(scene.director.process(), process);
    assert!(!scene.director.has_logged("hangs"));
    scene.end();
}
