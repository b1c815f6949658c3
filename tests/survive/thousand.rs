//! A thousand faults, in eight networks side by side: by NAT and by direct routing, over IPv4 and IPv6, with one worker and
//! with two. Through each pass numbered datagrams; clients open connections; files are downloaded.
//!
//! What is lost was in the hands of a director that died, and is in what it saved. Nothing comes twice or out of turn,
//! nobody is refused, connections stay with their servers, files arrive unchanged, and in the end every slot of packet memory
//! is back where it belongs.
//!
//! `SURVIVE_FAULTS=N`: so many instead of a thousand. `SURVIVE_SEED=N`: in another order; the seed is printed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::clients::{Visits, download, visit};
use crate::schedule::{Fault, Schedule};
use crate::support::director::{Director, program};
use crate::support::hosts::Family::{self, V4, V6};
use crate::support::lab::Lab;
use crate::support::{eventually, netns};
use crate::traffic::{Outcome, dropped_between_hosts};
use crate::{Scene, black_box, kill};

/// So many faults, if nothing else is said.
const FAULTS: u64 = 1000;
/// Bytes of the file that is downloaded.
const FILE: u32 = 1 << 20;
/// For so long the rings have room for what comes.
const BRIDGED: Duration = Duration::from_secs(2);
/// A worker has a batch in hand at most.
const BATCH: u64 = ringmaster::io::BATCH as u64;

#[test]
fn a_thousand_faults_lose_what_was_in_hand_and_nothing_else() {
    if !netns::available() {
        return;
    }
    let (seed, faults) = (setting("SURVIVE_SEED").unwrap_or(1), setting("SURVIVE_FAULTS").unwrap_or(FAULTS));
    println!("SURVIVE_SEED={seed}");
    let networks: Vec<_> = [false, true]
        .into_iter()
        .flat_map(|direct| [(direct, V4, 1), (direct, V4, 2), (direct, V6, 1), (direct, V6, 2)])
        .collect();
    let each = faults.div_ceil(networks.len() as u64);
    std::thread::scope(|scope| {
        let run = |(number, &(direct, family, workers))| {
            let seed = seed * 1000 + number;
            scope.spawn(move || {
                let lab = if direct { Lab::dr() } else { Lab::nat() };
                try_out(lab, family, workers, seed, each);
            })
        };
        let trials: Vec<_> = (0..).zip(&networks).map(run).collect();
        let ended: Vec<bool> = trials.into_iter().map(|trial| trial.join().is_ok()).collect();
        assert!(ended.iter().all(|&ended| ended), "SURVIVE_SEED={seed}: {networks:?} ended {ended:?}");
    });
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// So many faults of one director, while clients do what they do.
fn try_out(lab: Lab, family: Family, workers: usize, seed: u64, faults: u64) {
    lab.offer_file(FILE);
    let scene = Scene::with(lab, family, &format!("workers {workers}\nconnections 20000"), Vec::new());
    let (lab, to, from) = (&scene.lab, SocketAddr::new(scene.lab.vip(family), 80), scene.lab.clients(family));
    let (offer, stop) = (lab.offer(), AtomicBool::new(false));
    let dropped = dropped_between_hosts();
    let mut trial = Trial::of(&scene, workers, seed);
    let (visits, downloads) = std::thread::scope(|scope| {
        let visits = scope.spawn(|| lab.client.enter(|| visit(from[2], to, &stop)));
        let downloads = scope.spawn(|| lab.client.enter(|| download(from[3], to, &offer, &stop)));
        let end = End(&stop);
        (0..faults).for_each(|_| trial.inflict());
        drop(end);
        let ended = "clients do not panic";
        (visits.join().expect(ended), downloads.join().expect(ended))
    });
    let Trial { faults, in_hand, .. } = trial;
    let what = format!("{} {family:?}, {workers} workers: {faults:?}", scene.lab.method());
    reckon(&what, scene, &in_hand, dropped, &visits, downloads);
}

/// Dropped, also by a panic, it has clients stop.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A director that is to survive all this.
struct Trial<'a> {
    scene: &'a Scene,
    workers: usize,
    schedule: Schedule,
    /// How often each fault was.
    faults: BTreeMap<Fault, u64>,
    /// Numbered datagrams that died with a director.
    in_hand: BTreeSet<(u16, u64)>,
    /// How many deaths have told of packets in hand.
    told: usize,
}

impl<'a> Trial<'a> {
    fn of(scene: &'a Scene, workers: usize, seed: u64) -> Self {
        let (faults, in_hand) = Default::default();
        Self { scene, workers, schedule: Schedule::new(seed), faults, in_hand, told: 0 }
    }

    /// The next fault, and all that follows from it.
    fn inflict(&mut self) {
        let fault = self.schedule.next();
        *self.faults.entry(fault).or_default() += 1;
        match fault {
            Fault::Kill => self.until_followed(|_, process| kill(process)),
            Fault::Abort => self.until_followed(|scene, _| scene.cast("abort")),
            Fault::Hang => self.until_followed(|scene, _| scene.cast("spin")),
            Fault::Upgrade => self.until_followed(|scene, _| {
                let told = scene.director.upgrade(&program());
                assert!(told.contains("has taken over"), "{told}");
            }),
            Fault::Supervisor => self.scene.director.kill_supervisor(),
            Fault::Pause => {
                let process = self.scene.director.process();
                kill_process(process, Signal::STOP).expect("it is there");
                std::thread::sleep(self.schedule.moment());
                kill_process(process, Signal::CONT).expect("it is there");
            }
        }
    }

    fn until_followed(&mut self, fault: impl FnOnce(&Scene, Pid)) {
        let begun = self.scene.begun();
        fault(self.scene, self.scene.director.process());
        eventually("the next director forwards", || self.scene.begun() > begun);
        assert_eq!(self.scene.begun(), begun + 1, "one fault, one successor");
        self.schedule.begun();
        self.open_black_box();
    }

    /// Takes in what the last director had in hand, if anything.
    fn open_black_box(&mut self) {
        let told = self.scene.told();
        let new = &told[self.told..];
        self.told = told.len();
        assert!(new.len() <= 1, "one fault, one death");
        for &packets in new {
            let file = self.scene.director.socket().with_extension("died.pcap");
            let (numbered, saved) = black_box::read(&file);
            assert_eq!(saved, packets, "what is told of is saved");
            assert!(packets <= BATCH * self.workers as u64, "{packets} in hand");
            self.in_hand.extend(numbered);
        }
    }
}

/// Holds what has come of it against what may. What waited in the rings leaves in a burst, which a busy machine may have no
/// room for behind the director: nobody is to blame for `dropped_before` and what came since.
fn reckon(
    what: &str,
    scene: Scene,
    in_hand: &BTreeSet<(u16, u64)>,
    dropped_before: u64,
    visits: &Visits,
    downloads: usize,
) {
    let Scene { lab: _lab, mut director, stream, .. } = scene;
    let account = stream.account();
    let Outcome { sent, lost, .. } = account.outcome;
    let overrun = status(&director)["counters"]["lost-ring-full"].as_u64().expect("it is told");
    let dropped = dropped_between_hosts() - dropped_before;
    println!(
        "{what}: {sent} sent, {lost} lost of {} in hand, {overrun} without room, {dropped} between hosts at most; {} connections opened, the slowest in \
         {:?}; {downloads} downloads; nothing for {:?} at most",
        in_hand.len(),
        visits.answered,
        visits.longest,
        account.gap,
    );
    let strangers: Vec<_> = account.lost.difference(in_hand).collect();
    let shown = || director.ask("status");
    assert!(
        strangers.len() as u64 <= overrun + dropped,
        "{what}: lost, and in nobody's hands: {strangers:?}\n{}",
        shown()
    );
    assert!(overrun == 0 || account.gap > BRIDGED, "{what}: {overrun} found no room after {:?}", account.gap);
    assert_eq!(account.outcome, Outcome { sent, lost, ..Outcome::default() }, "{what}");
    assert!(visits.failed.is_empty(), "{what}: {:?}", visits.failed);
    assert!(visits.answered > 0 && downloads > 0, "{what}: {} visits, {downloads} downloads", visits.answered);
    eventually("every slot is where it belongs", || {
        let status = status(&director);
        let slots = |place: &str| status["slots"][place].as_u64().expect("it is told");
        let (free, receive) = (slots("free"), slots("receive"));
        (slots("in_hand"), slots("transmit")) == (0, 0) && free == receive && free > 0
    });
    assert!(director.end_by(Signal::TERM).success());
}

fn status(director: &Director) -> Value {
    serde_json::from_str(&director.status()).expect("it is JSON")
}
