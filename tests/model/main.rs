//! A reference of the director, made of plain maps, beside the real one.
//!
//! Random sequences of packets, of time with and without sweeps, and of changes go through both: the real worker on ports
//! in memory with the real plan, ledger and sweep, and [`reference`], which was written from the rules of LVS and shares no
//! code with the engine. After every step all that can be seen must be the same: what became of the packet, to which
//! server and with which ends, all counters, all loads, every connection with its state and its end.
//!
//! A sequence is made from a seed. `MODEL_SEED=N` begins with another seed than 1, `MODEL_SEQUENCES=N` plays so many. A
//! failure prints its seed and the fewest steps that still fail.

#![allow(unreachable_pub, dead_code, reason = "a test program has no outside, and shares parts of others")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod changes;
#[path = "../recordings/control.rs"]
mod control;
mod draw;
mod frames;
mod listing;
#[path = "../support/offline.rs"]
mod offline;
#[path = "../support/packets.rs"]
mod packets;
mod places;
mod reference;
#[path = "../support/sctp.rs"]
mod sctp_packets;
mod seen;
mod steps;
mod world;

use seen::Seen;
use steps::{Profile, Step};

/// Steps of a sequence.
const STEPS: usize = 300;
/// Sequences of a test that is told nothing else: half under each profile.
const SEQUENCES: u64 = 120;
/// Shortened sequences that are tried to find a short one.
const ATTEMPTS: usize = 1000;

#[test]
fn the_director_does_what_the_reference_does() {
    let first = setting("MODEL_SEED").unwrap_or(1);
    let sequences = setting("MODEL_SEQUENCES").unwrap_or(SEQUENCES);
    let mut seen = Seen::default();
    for seed in first..first + sequences {
        let profile = Profile::of(seed);
        let steps = draw::sequence(seed, STEPS);
        if let Err(fault) = world::play(profile, &steps, &mut seen) {
            let (steps, fault) = shortened(profile, steps[..=fault.step].to_vec(), fault);
            let list: Vec<String> = steps.iter().map(|step| format!("    {step:?}")).collect();
            panic!("MODEL_SEED={seed}, {profile:?}:\n{}\n{}", list.join("\n"), fault.difference);
        }
    }
    println!("{sequences} sequences from seed {first}: {seen}");
    assert!(seen.is_rich(sequences), "these sequences do not show enough: {seen}");
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

/// Fewer steps that differ as well: parts are left out, large ones first, as long as something still differs.
fn shortened(profile: Profile, mut steps: Vec<Step>, mut fault: world::Fault) -> (Vec<Step>, world::Fault) {
    let mut part = steps.len() / 2;
    let mut attempts = 0;
    while part > 0 {
        let mut at = 0;
        while at < steps.len() && attempts < ATTEMPTS {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + part).min(steps.len()));
            attempts += 1;
            match world::play(profile, &fewer, &mut Seen::default()) {
                Err(still) => {
                    fewer.truncate(still.step + 1);
                    (steps, fault) = (fewer, still);
                }
                Ok(()) => at += part,
            }
        }
        part /= 2;
    }
    (steps, fault)
}
