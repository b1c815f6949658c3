//! Recordings of kernel IPVS, frame by frame, as an oracle for the director under [`Options::KERNEL`].
//!
//! Each recording is a folder with the set-up of a director, commands and frames in order of time, every frame that left,
//! and listings by `ipvsadm`. The real worker, the real plan and the real sweep go through it on virtual time, and what
//! they send and list is compared byte for byte (but for what nobody can predict). Commands and listings go through the
//! front end `ipvsadm`, which must give the recorded texts and exit codes.
//!
//! `IPVS_RECORDINGS` names the folder of recordings; without it they are looked for beside the source tree, and there
//! is nothing to do where there are none. Two are known to differ, for reasons that `docs/differences.md` gives; they must
//! differ in just what `differing/ID.txt` says.
//!
//! [`Options::KERNEL`]: ringmaster::service::Options::KERNEL

#![allow(
    unreachable_pub,
    dead_code,
    reason = "a test program has no outside; recordings say more than is asked of them"
)]

mod compare;
mod control;
mod director;
mod front;
mod marks;
mod network;
mod scenario;
mod stack;

use std::fs;
use std::path::PathBuf;

use scenario::Scenario;

/// Recordings that are known to differ, and how.
const DIFFERING: [(&str, &str); 2] = [
    ("dr4-no-neighbour", include_str!("differing/dr4-no-neighbour.txt")),
    ("nat4-local-server", include_str!("differing/nat4-local-server.txt")),
];

#[test]
fn every_recording_is_followed_but_for_the_known_differences() {
    let Some(folder) = folder() else {
        println!("no recordings here: set IPVS_RECORDINGS to their folder");
        return;
    };
    let (mut passed, mut faults) = (0, Vec::new());
    for scenario in scenarios(&folder) {
        let found = director::replay(&scenario).differences.join("\n");
        let known = DIFFERING.iter().find(|(id, _)| *id == scenario.id).map_or("", |(_, known)| known.trim_end());
        match (lines(&found) == lines(known), known) {
            (true, _) => passed += 1,
            (false, "") => faults.push(format!("{} ({})\n{found}", scenario.id, scenario.title)),
            (false, _) => {
                faults.push(format!("{} differs from its recording, but not as known:\n{found}", scenario.id))
            }
        }
    }
    println!("{passed} recordings are followed, {} of them with known differences", DIFFERING.len());
    assert!(faults.is_empty(), "{} recordings:\n{}", faults.len(), faults.join("\n"));
}

/// In any order, as connections are listed, and without the blanks at the ends of lines, which editors take away.
fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    lines
}

fn folder() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/ipvs-recordings");
    let folder = std::env::var_os("IPVS_RECORDINGS").map_or_else(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

fn scenarios(folder: &PathBuf) -> Vec<Scenario> {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    folders.retain(|folder| folder.join("scenario.json").is_file());
    folders.sort();
    let load =
        |folder: &PathBuf| Scenario::load(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    folders.iter().map(load).collect()
}
