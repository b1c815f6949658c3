//! Who comes second, or comes back: to a master that it may not replace, to one that is its equal, and before its time.

use std::time::Duration;

use ringmaster::sys::clock;
use rustix::process::Signal;

use crate::lab::{Lab, Program};
use crate::rows::{Form, V3, V3_TENTH, assert_about};
use crate::support::{eventually, shared};

const VIP: &str = "192.168.146.100";

/// At least one advert has been sent since, with tenths of a second some ten.
fn a_second_later(lab: &Lab, host: usize) {
    let since = lab.last(host).at;
    eventually("a second has passed", || lab.last(host).at > since + Duration::from_secs(1));
}

/// It waits until the master is gone, and then no longer than any other.
#[test]
fn who_shall_not_preempt_does_not_when_it_returns() {
    for ours in [0, 1] {
        let Some(mut lab) = Lab::new() else { return };
        let program = |host| if host == ours { Program::Ringmaster } else { Program::Keepalived };
        lab.start(1, program(1), &V3.config(1, 90));
        eventually("the lower one leads", || lab.holds(1, VIP));
        let patient = Form { extra: "nopreempt", ..V3 };
        lab.start(0, program(0), &patient.config(0, 100));
        a_second_later(&lab, 1);
        a_second_later(&lab, 1);
        assert!(lab.holds(1, VIP) && !lab.holds(0, VIP), "ours: {ours}");
        lab.end(1, Signal::TERM);
        let goodbye = lab.advert(1, 0, Duration::ZERO);
        let taken = lab.advert(0, 100, goodbye.at);
        assert_about("goodbye to takeover", taken.at - goodbye.at, Duration::from_micros(609_375));
    }
}

#[test]
fn a_delayed_preemption_takes_its_time() {
    let Some(mut lab) = Lab::new() else { return };
    lab.start(1, Program::Keepalived, &V3_TENTH.config(1, 90));
    eventually("the lower one leads", || lab.holds(1, VIP));
    let before = lab.last(1).at;
    let delayed = Form { extra: "preempt_delay 3", ..V3_TENTH };
    lab.start(0, Program::Ringmaster, &delayed.config(0, 100));
    eventually("it takes part", || lab.ours(0).has_logged("BACKUP"));
    let joined = lab.last(1).at;
    let taken = lab.advert(0, 100, joined);
    // From the first lower advert, and then a master-down time.
    let due = Duration::from_millis(3000 + 360);
    assert!(taken.at - before >= due, "{:?}", taken.at - before);
    assert!(taken.at - joined <= due + shared(Duration::from_millis(500)), "{:?}", taken.at - joined);
}

/// Who leads goes on before an equal. Only where both lead do addresses decide.
#[test]
fn of_equals_the_first_leads_on_and_of_two_masters_the_higher_address() {
    for ours in [0, 1] {
        let Some(mut lab) = Lab::new() else { return };
        let program = |host| if host == ours { Program::Ringmaster } else { Program::Keepalived };
        lab.start(0, program(0), &V3_TENTH.config(0, 100));
        eventually("the first one leads", || lab.holds(0, VIP));
        lab.start(1, program(1), &V3_TENTH.config(1, 100));
        a_second_later(&lab, 0);
        assert!(lab.holds(0, VIP) && !lab.holds(1, VIP), "ours: {ours}");
        lab.partition(true);
        eventually("both lead", || lab.holds(0, VIP) && lab.holds(1, VIP));
        lab.partition(false);
        eventually("the lower address gives way", || !lab.holds(0, VIP));
        a_second_later(&lab, 1);
        assert!(lab.holds(1, VIP) && !lab.holds(0, VIP), "ours: {ours}");
    }
}

#[test]
fn nobody_leads_before_the_startup_delay_is_over() {
    let Some(mut lab) = Lab::new() else { return };
    let config = format!("global_defs {{\n vrrp_startup_delay 3\n}}\n{}", V3_TENTH.config(0, 100));
    let begun = clock::wall();
    lab.start(0, Program::Ringmaster, &config);
    let first = lab.advert(0, 100, Duration::ZERO).at;
    assert!(first >= begun + Duration::from_secs(3), "{:?} after its start", first - begun);
}
