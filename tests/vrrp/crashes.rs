//! A director that dies while it is master: repaired, nobody notices; again and again, and the backup leads without waiting
//! for adverts that do not come.

use std::time::Duration;

use rustix::process::{Signal, kill_process};

use crate::lab::{Lab, Program};
use crate::rows::{V3_TENTH, assert_about};
use crate::support::eventually;

const VIP: &str = "192.168.146.100";

/// Ours as host 0 with priority 100 and keepalived as host 1 with 90, with adverts every second.
fn settled() -> Option<Lab> {
    let mut lab = Lab::new()?;
    let config = |host, priority| V3_TENTH.config(host, priority).replace("advert_int 0.1", "advert_int 1");
    lab.start(1, Program::Keepalived, &config(1, 90));
    lab.start(0, Program::Ringmaster, &config(0, 100));
    eventually("ours is master", || lab.holds(0, VIP) && !lab.holds(1, VIP));
    Some(lab)
}

/// Kills our director, and waits until another one has begun or will not for a while.
fn kill(lab: &Lab) {
    let begun = || lab.ours(0).log().matches("ready:").count();
    let before = begun();
    kill_process(lab.ours(0).process(), Signal::KILL).expect("it runs");
    eventually("it is followed, or given up", || begun() > before || given_up(lab));
}

fn given_up(lab: &Lab) -> bool {
    lab.ours(0).has_logged("die again and again")
}

#[test]
fn a_crash_that_is_repaired_changes_no_role() {
    let Some(lab) = settled() else { return };
    let master = lab.last(0);
    for kills in 1..=3 {
        eventually("a spare waits", || lab.ours(0).log().matches("waits as a spare").count() >= kills);
        std::thread::sleep(Duration::from_millis(1100));
        kill(&lab);
    }
    eventually("adverts go on", || lab.last(0).at > master.at + Duration::from_secs(4));
    let others = lab.seen().into_iter().filter(|seen| seen.at > master.at && seen.host == 1);
    assert_eq!(others.filter(|seen| seen.priority().is_some()).count(), 0, "the backup led");
    let goodbyes = lab.seen().into_iter().filter(|seen| seen.priority() == Some(0));
    assert_eq!(goodbyes.count(), 0);
    assert!(lab.holds(0, VIP) && !lab.holds(1, VIP));
}

#[test]
fn a_loop_of_crashes_gives_the_role_up_at_once() {
    let Some(lab) = settled() else { return };
    let since = lab.last(0).at;
    for _ in 0..8 {
        if !given_up(&lab) {
            kill(&lab);
        }
    }
    let goodbye = lab.advert(0, 0, since);
    let taken = lab.advert(1, 90, goodbye.at);
    assert_about("goodbye to takeover", taken.at - goodbye.at, Duration::from_micros(648_437));
    eventually("the backup has the address alone", || lab.holds(1, VIP) && !lab.holds(0, VIP));
    let back = lab.advert(0, 100, goodbye.at);
    assert!(back.at > goodbye.at + Duration::from_secs(3), "it comes back as a backup");
    eventually("ours leads again, alone", || lab.holds(0, VIP) && !lab.holds(1, VIP));
}
