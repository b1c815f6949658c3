//! Recordings of kernel IPVS, frame by frame, as an oracle for the director under [`Options::KERNEL`].
//!
//! Each recording is a folder with the set-up of a director, commands and frames in order of time, every frame that left,
//! and listings by `ipvsadm`. The real worker, the real plan and the real sweep go through it on virtual time, and what
//! they send and list is compared byte for byte (but for what nobody can predict). Commands and listings go through the
//! front end `ipvsadm`, which must give the recorded texts and exit codes.
//!
//! `IPVS_RECORDINGS` names the folder of recordings; without it they are looked for beside the source tree, and there
//! is nothing to do where there are none. `pending.txt` lists those that are known to differ, with the reason. The test
//! fails if any other differs, and if one of these does not.
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

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use scenario::Scenario;

/// Recordings that are known to differ: id and reason, a line each.
const PENDING: &str = include_str!("pending.txt");

#[test]
fn every_recording_passes_but_those_that_are_pending() {
    let Some(folder) = folder() else {
        println!("no recordings here: set IPVS_RECORDINGS to their folder");
        return;
    };
    let pending = pending();
    let (mut passed, mut faults) = (0, Vec::new());
    for scenario in scenarios(&folder) {
        let report = director::replay(&scenario);
        match (report.differences.as_slice(), pending.get(scenario.id.as_str())) {
            ([], None) => passed += 1,
            ([], Some(reason)) => faults.push(format!("{} passes, but is pending: {reason}", scenario.id)),
            (_, Some(_)) => {}
            (all, None) => faults.push(format!("{} ({})\n    {}", scenario.id, scenario.title, all.join("\n    "))),
        }
    }
    println!("{passed} recordings pass, {} are pending", pending.len());
    assert!(faults.is_empty(), "{} recordings:\n{}", faults.len(), faults.join("\n"));
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

fn pending() -> BTreeMap<&'static str, &'static str> {
    let lines = PENDING.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').expect("an id and a reason")).map(|(id, why)| (id, why.trim())).collect()
}
