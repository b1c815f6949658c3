//! A director that is killed is followed by another one, and nobody outside sees a change of role: the next one goes on with
//! the role, the priority and the times of the last.

use std::time::Duration;

use ringmaster::sys::clock;
use rustix::process::{Signal, kill_process};

use crate::lab::{Lab, Program};
use crate::rows::{Form, V2_PASS, V3_TENTH};
use crate::support::{eventually, shared};

const VIP: &str = "192.168.146.100";
const TIMES: usize = 20;

/// Ours as host 0 with this priority, keepalived with 100 as host 1; both settled. Ours is master if it is higher.
fn settled(form: Form, priority: u8) -> Option<Lab> {
    let mut lab = Lab::new()?;
    lab.start(1, Program::Keepalived, &form.config(1, 100));
    lab.start(0, Program::Ringmaster, &form.config(0, priority));
    let master = usize::from(priority < 100);
    eventually("they have settled", || lab.holds(master, VIP) && !lab.holds(1 - master, VIP));
    Some(lab)
}

/// Kills our director, not its supervisor, and waits for the next one.
fn kill(lab: &Lab) {
    let begun = || lab.ours(0).log().matches("ready:").count();
    let before = begun();
    eventually("a spare waits", || lab.ours(0).log().matches("waits as a spare").count() >= before);
    kill_process(lab.ours(0).process(), Signal::KILL).expect("it is there");
    eventually("the next one is there", || begun() > before);
}

/// Many times in a row; each lives long enough not to count as one that dies at once.
fn kill_often(lab: &Lab) {
    for _ in 0..TIMES {
        kill(lab);
        std::thread::sleep(Duration::from_millis(1100));
    }
}

/// Times between adverts of a host after `since`.
fn gaps(lab: &Lab, host: usize, since: Duration) -> Vec<Duration> {
    let seen = lab.seen().into_iter().filter(|seen| seen.host == host && seen.priority().is_some() && seen.at >= since);
    let times: Vec<_> = seen.map(|seen| seen.at).collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// No crash makes the other one master, unless the machine itself kept us away for longer than its master-down time.
fn a_master_that_is_killed(form: Form, down: Duration) {
    let Some(lab) = settled(form, 110) else { return };
    let since = lab.last(0).at;
    kill_often(&lab);
    let ours = gaps(&lab, 0, since);
    let too_long = ours.iter().filter(|gap| **gap >= down).count();
    let led = lab.seen().iter().filter(|seen| seen.host == 1 && seen.at > since && seen.priority().is_some()).count();
    let longest = ours.iter().max().expect("there are some");
    println!("{TIMES} crashes of a master: {led} adverts of the other one; {longest:?} between ours at most");
    assert!(led == 0 || too_long > 0, "the other one led, though we were never silent for {down:?}");
    println!("{too_long} pauses were longer than {down:?}");
    let log = lab.ours(0).log();
    let followed = log.matches("MASTER with priority 110: this host was until now").count();
    assert!(followed + too_long >= TIMES, "{followed} of {TIMES} went on as master: {log}");
}

#[test]
fn a_master_with_an_advert_a_second() {
    a_master_that_is_killed(V2_PASS, Duration::from_micros(3_609_375));
}

#[test]
fn a_master_with_ten_adverts_a_second() {
    a_master_that_is_killed(V3_TENTH, Duration::from_micros(360_937));
}

/// Neither does a backup take over from a master that it could not hear for a while.
fn a_backup_that_is_killed(form: Form) {
    let Some(lab) = settled(form, 90) else { return };
    let since = lab.last(1).at;
    kill_often(&lab);
    let led = lab.seen().iter().filter(|seen| seen.host == 0 && seen.at > since && seen.priority().is_some()).count();
    println!("{TIMES} crashes of a backup: {led} adverts of ours");
    assert_eq!(led, 0, "it never led");
    assert!(!lab.ours(0).has_logged("MASTER"), "{}", lab.ours(0).log());
}

#[test]
fn a_backup_of_an_advert_a_second() {
    a_backup_that_is_killed(V2_PASS);
}

#[test]
fn a_backup_of_ten_adverts_a_second() {
    a_backup_that_is_killed(V3_TENTH);
}

/// The master dies, and two seconds later so does the backup's director: what it had waited already counts.
#[test]
fn a_backup_that_is_killed_while_it_waits_does_not_wait_anew() {
    let Some(mut lab) = settled(V2_PASS, 90) else { return };
    lab.end(1, Signal::KILL);
    std::thread::sleep(Duration::from_secs(2));
    let last = lab.last(1).at;
    kill(&lab);
    // Back again, it gives the master that it did not hear the time of one advert.
    let one_more = clock::wall() - last + Duration::from_micros(1_648_437);
    let theory = Duration::from_micros(3_648_437);
    let taken = lab.advert(0, 90, last).at - last;
    let latest = theory.max(one_more) + shared(Duration::from_millis(400));
    assert!(taken >= theory - Duration::from_millis(5) && taken <= latest, "{taken:?}, {latest:?} at the latest");
}

/// A weight that its script gives counts on: the script has not run again when the first advert goes out.
#[test]
fn the_priority_is_what_it_was() {
    let Some(mut lab) = Lab::new() else { return };
    lab.start(1, Program::Keepalived, &V3_TENTH.config(1, 100));
    let script = "vrrp_script well {\n script /bin/true\n interval 3600\n weight 30\n}\n";
    let tracked = V3_TENTH.config(0, 90).replace("virtual_ipaddress", "track_script {\n well\n }\n virtual_ipaddress");
    lab.start(0, Program::Ringmaster, &(script.to_owned() + &tracked));
    eventually("ours leads by its weight", || lab.holds(0, VIP) && !lab.holds(1, VIP));
    let since = lab.last(0).at;
    for _ in 0..3 {
        kill(&lab);
        std::thread::sleep(Duration::from_millis(1100));
    }
    let priorities: std::collections::BTreeSet<_> =
        lab.seen().into_iter().filter(|seen| seen.host == 0 && seen.at >= since).filter_map(|s| s.priority()).collect();
    assert_eq!(priorities.into_iter().collect::<Vec<_>>(), [120]);
}
