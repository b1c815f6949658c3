//! What goes wrong in a network: a pulled cable, a partition, a process that stands still.

use std::time::Duration;

use rustix::process::{Signal, kill_process};

use crate::lab::{Lab, Program};
use crate::rows::{V2_PASS, V3_TENTH, assert_about};
use crate::support::eventually;

const VIP: &str = "192.168.146.100";

/// Ours as host 0 with priority 100 and keepalived as host 1 with 90, both settled.
fn settled() -> Option<Lab> {
    let mut lab = Lab::new()?;
    lab.start(1, Program::Keepalived, &V3_TENTH.config(1, 90));
    lab.start(0, Program::Ringmaster, &V3_TENTH.config(0, 100));
    eventually("ours is master", || lab.holds(0, VIP) && !lab.holds(1, VIP));
    Some(lab)
}

#[test]
fn a_pulled_cable_is_a_fault_and_heals() {
    let Some(lab) = settled() else { return };
    let last = lab.last(0);
    lab.cable(0, false);
    eventually("the address is given up at once", || !lab.holds(0, VIP));
    eventually("ours says so", || lab.ours(0).has_logged("FAULT"));
    let taken = lab.advert(1, 90, last.at);
    assert_about("last advert to takeover", taken.at - lab.last(0).at, Duration::from_micros(364_844));
    lab.cable(0, true);
    let back = lab.advert(0, 100, taken.at);
    eventually("the address is back", || lab.holds(0, VIP) && !lab.holds(1, VIP));
    assert!(!lab.announcements(0, back.at).is_empty());
}

#[test]
fn a_partition_heals_by_the_first_advert() {
    let Some(lab) = settled() else { return };
    eventually("the first bursts are over", || lab.announcements(0, Duration::ZERO).len() >= 5);
    lab.partition(true);
    eventually("both have the address", || lab.holds(0, VIP) && lab.holds(1, VIP));
    let apart = lab.last(1).at;
    lab.partition(false);
    eventually("one gives way", || !lab.holds(1, VIP));
    assert!(lab.holds(0, VIP));
    eventually("it stays so", || lab.last(0).at > apart + Duration::from_secs(1));
    assert!(lab.holds(0, VIP) && !lab.holds(1, VIP));
    assert_eq!(lab.ours(0).log().matches("MASTER").count(), 1, "ours led all the time");
}

/// The other one's firewall drops our adverts: it leads too, and does not hear that it should not.
#[test]
fn a_split_brain_is_told_counted_and_healed() {
    let Some(lab) = settled() else { return };
    if !std::path::Path::new("/usr/sbin/nft").exists() {
        println!("skipped: no nft here");
        return;
    }
    eventually("the first burst is over", || lab.announcements(0, Duration::ZERO).len() >= 5);
    let view = || serde_json::from_str::<serde_json::Value>(&lab.ours(0).vrrp()).expect("one instance");
    assert_eq!((&view()["split_brain"], &view()["counters"]["split-brains"]), (&false.into(), &0.into()));
    let since = lab.last(0).at;
    for line in [
        "table ip deaf",
        "chain ip deaf in { type filter hook input priority 0 ; }",
        "rule ip deaf in ip protocol 112 drop",
    ] {
        lab.hosts[1].exec(&format!("nft add {line}"));
    }
    eventually("it is told", || lab.ours(0).has_logged("SPLIT BRAIN: 192.168.146.12 does not give way"));
    assert!(lab.holds(0, VIP) && lab.holds(1, VIP));
    eventually("listings show it", || view()["split_brain"] == true);
    eventually("neighbours are told again where the address is", || lab.announcements(0, since).len() >= 10);
    lab.hosts[1].exec("nft delete table ip deaf");
    eventually("the other one gives way", || !lab.holds(1, VIP));
    eventually("that is told", || lab.ours(0).has_logged("192.168.146.12 is master no longer: one master again"));
    eventually("and listed", || view()["split_brain"] == false);
    assert_eq!(view()["counters"]["split-brains"], 1);
    assert_eq!(lab.ours(0).log().matches("MASTER with").count(), 1, "ours led all the time");
}

/// Twenty adverts that queued up while the process stood still are answered by one burst, where keepalived sends twenty.
#[test]
fn a_stall_multiplies_nothing() {
    let Some(lab) = settled() else { return };
    eventually("the first burst is over", || lab.announcements(0, Duration::ZERO).len() >= 5);
    let pid = lab.ours(0).process();
    kill_process(pid, Signal::STOP).expect("it runs");
    let rival = lab.advert(1, 90, lab.last(0).at);
    eventually("the other one has led for two seconds", || lab.last(1).at > rival.at + Duration::from_secs(2));
    kill_process(pid, Signal::CONT).expect("it is there");
    let back = lab.advert(0, 100, rival.at);
    eventually("the other one gives way", || !lab.holds(1, VIP));
    eventually("the neighbours are told", || lab.announcements(0, back.at).len() >= 5);
    eventually("a second of quiet", || lab.last(0).at > back.at + Duration::from_secs(1));
    // The burst for the lower adverts; and the second one of the beginning, if it was due meanwhile.
    let told = lab.announcements(0, back.at).len();
    assert!(told <= 10, "{told} announcements");
    lab.ours(0).says("the machine stood still");
}

/// Our adverts, whole frames, are those that keepalived sends from the same host.
#[test]
fn our_frames_are_those_of_keepalived() {
    let frames = [Program::Ringmaster, Program::Keepalived].map(|program| {
        let mut lab = Lab::new()?;
        lab.start(0, program, &V2_PASS.config(0, 100));
        let advert = lab.advert(0, 100, Duration::ZERO);
        eventually("it is told", || lab.announcements(0, advert.at).len() >= 5);
        let announcement = lab.announcements(0, advert.at).remove(0);
        lab.end(0, Signal::TERM);
        let mut goodbye = lab.advert(0, 0, advert.at).frame;
        // How many adverts went before is a matter of time: identification and header checksum.
        [18, 19, 24, 25].into_iter().for_each(|at| goodbye[at] = 0);
        Some([advert.frame, announcement.frame, goodbye])
    });
    let [ours, theirs] = frames;
    assert_eq!(ours, theirs);
}
