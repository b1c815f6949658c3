//! The supervisor's own death, alone and with its director, and its becoming a new program.

use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use crate::replacement::{another, runs};
use crate::support::eventually;
use crate::support::hosts::Family::{V4, V6};
use crate::support::lab::Lab;
use crate::support::netns;
use crate::{Scene, kill};

impl Scene {
    /// Waits until one more spare waits than these.
    fn until_spare_waits(&self, before: usize) {
        eventually("a spare waits", || self.spares() > before);
    }

    /// How many spares have waited so far.
    fn spares(&self) -> usize {
        self.director.log().matches("waits as a spare").count()
    }
}

#[test]
fn the_death_of_the_supervisor_harms_nobody() {
    if !netns::available() {
        return;
    }
    // One that keeps its rights has no helper to ask.
    for (lab, family, settings) in [(Lab::nat(), V6, "workers 1"), (Lab::dr(), V4, "workers 2\n    privileges keep")] {
        let scene = Scene::with(lab, family, settings, Vec::new());
        scene.until_spare_waits(0);
        let director = scene.director.process();
        // The second one dies a supervisor that has adopted.
        for _ in 0..2 {
            scene.director.kill_supervisor();
            scene.flow();
        }
        assert_eq!(scene.director.process(), director, "it has gone on");
        assert_eq!(scene.spares(), 1, "the spare has, too");
        for _ in 0..3 {
            let spares = scene.spares();
            scene.until_followed(kill);
            let waited = format!("process {} waits as a spare", scene.director.process().as_raw_nonzero());
            scene.director.says(&waited);
            scene.until_spare_waits(spares);
        }
        scene.end();
    }
}

/// Nobody has time to start another supervisor.
#[test]
fn the_spare_goes_on_alone() {
    if !netns::available() {
        return;
    }
    for (lab, family, workers) in [(Lab::dr(), V6, 1), (Lab::nat(), V4, 2)] {
        let scene = Scene::new(lab, family, workers);
        for round in 0..2 {
            scene.until_spare_waits(round);
            let supervisor = scene.director.pid();
            scene.until_followed(|director| {
                kill(supervisor);
                kill(director);
            });
            scene.director.find_supervisor(supervisor);
        }
        scene.end();
    }
}

#[test]
fn who_ends_a_director_without_its_supervisor_ends_all() {
    if !netns::available() {
        return;
    }
    let mut scene = Scene::new(Lab::nat(), V4, 1);
    scene.until_spare_waits(0);
    scene.director.kill_supervisor();
    kill_process(scene.director.pid(), Signal::USR2).expect("it is there");
    eventually("there is nobody to leave anything to", || scene.director.has_logged("nothing is done"));
    scene.flow();
    let outcome = scene.stream.stop();
    assert_eq!(outcome.lost, 0);
    kill_process(scene.director.process(), Signal::TERM).expect("it is there");
    scene.director.wait();
    scene.director.says("SIGTERM: stopping");
    assert!(!scene.director.has_logged("died ("), "nobody took it for a death");
}

/// A copy of the program that understands no other supervisor.
fn stranger(directory: &Path) -> PathBuf {
    let (ours, theirs) = (b"ringmaster-legacy-1", b"ringmaster-legacy-9");
    let path = another(directory, "stranger");
    let mut bytes = std::fs::read(&path).expect("it was copied");
    let places: Vec<_> = bytes.windows(ours.len()).enumerate().filter(|(_, window)| window == ours).collect();
    let places: Vec<_> = places.into_iter().map(|(place, _)| place).collect();
    assert!(!places.is_empty(), "the program names its layout");
    places.into_iter().for_each(|place| bytes[place..place + theirs.len()].copy_from_slice(theirs));
    std::fs::write(&path, bytes).expect("the lab's directory is writable");
    path
}

#[test]
fn the_supervisor_becomes_a_program_that_has_proved_itself() {
    if !netns::available() {
        return;
    }
    let scene = Scene::new(Lab::nat(), V6, 2);
    let supervisor = scene.director.pid();
    let first = runs(supervisor);
    let upgrade = |path: &Path| {
        scene.until_followed(|_| {
            let told = scene.director.upgrade(path);
            assert!(told.contains("has taken over"), "{told}");
        });
    };
    // A death soon after, by which the first program comes back, changes nothing.
    upgrade(&another(scene.lab.directory(), "mortal"));
    scene.until_followed(kill);
    assert_eq!(runs(scene.director.process()), first);
    // Nor does a program that cannot go on as supervisor.
    let strange = stranger(scene.lab.directory());
    upgrade(&strange);
    eventually("it is refused", || scene.director.has_logged("the supervisor stays the old program"));
    assert_eq!((runs(supervisor), runs(scene.director.process())), (first, strange));
    let proven = another(scene.lab.directory(), "proven");
    upgrade(&proven);
    eventually("it becomes that", || runs(supervisor) == proven);
    assert_eq!(scene.director.pid(), supervisor, "as the same process");
    // It still follows its director, and says how that died.
    let director = scene.director.process().as_raw_nonzero();
    scene.until_followed(kill);
    scene.director.says(&format!("director {director} died (signal: 9 (SIGKILL))"));
    eventually("nobody is left for it to wait for", || children_left(supervisor) == 0);
    scene.end();
}

#[test]
fn the_next_supervisor_knows_how_directors_have_died() {
    if !netns::available() {
        return;
    }
    let scene = Scene::new(Lab::dr(), V4, 1);
    // A life of more than a second.
    scene.until_spare_waits(0);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let die = || {
        let begun = scene.begun();
        kill(scene.director.process());
        eventually("the next director forwards", || scene.begun() > begun);
    };
    (0..4).for_each(|_| die());
    assert!(!scene.director.has_logged("again and again"));
    scene.director.kill_supervisor();
    // Either of these may be the fifth short life, by how long another supervisor takes.
    (0..2).for_each(|_| die());
    assert!(scene.director.has_logged("again and again"));
    scene.end_without_reckoning();
}

#[test]
fn a_new_program_stays_on_probation_under_the_next_supervisor() {
    if !netns::available() {
        return;
    }
    let scene = Scene::new(Lab::nat(), V6, 1);
    let first = runs(scene.director.process());
    let mortal = another(scene.lab.directory(), "mortal");
    let told = scene.director.upgrade(&mortal);
    assert!(told.contains("has taken over"), "{told}");
    assert_eq!(runs(scene.director.process()), mortal);
    scene.director.kill_supervisor();
    scene.until_followed(kill);
    assert!(scene.director.has_logged("the one before it takes over"));
    assert_eq!(runs(scene.director.process()), first);
    scene.end();
}

/// Zombies among its children.
fn children_left(process: Pid) -> usize {
    let id = process.as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).expect("it is there");
    let dead = |id: &&str| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|state| state.starts_with('Z'))
    };
    children.split_whitespace().filter(dead).count()
}
