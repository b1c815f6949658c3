//! Reloads while elections are held: nobody outside notices more than was changed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::capture::{Seen, What};
use crate::lab::{Lab, Program};
use crate::rows::assert_steady;
use crate::support::eventually;
use crate::support::netns::Namespace;

const INTERVAL: Duration = Duration::from_millis(100);

/// An instance of adverts every 0.1 s: router id, priority, last bytes of its addresses in 192.168.146.0/24.
fn instance(router: u8, priority: u8, addresses: &[u8]) -> String {
    let addresses: String = addresses.iter().map(|last| format!("  192.168.146.{last}/24\n")).collect();
    format!(
        "vrrp_instance VI_{router} {{\n interface eth0\n virtual_router_id {router}\n priority {priority}\n version 3\n \
         advert_int 0.1\n virtual_ipaddress {{\n{addresses} }}\n}}\n"
    )
}

fn adverts(lab: &Lab, host: usize, router: u8, since: Duration) -> Vec<Seen> {
    let of = |seen: &Seen| matches!(&seen.what, What::Advert(advert) if advert.router == router);
    lab.seen().into_iter().filter(|seen| seen.host == host && seen.at > since && of(seen)).collect()
}

/// Waits for some more adverts of an instance, and gives all since `since`.
fn more_adverts(lab: &Lab, host: usize, router: u8, since: Duration) -> Vec<Seen> {
    let now = lab.last(host).at;
    eventually("five more adverts", || adverts(lab, host, router, now).len() >= 5);
    adverts(lab, host, router, since)
}

fn steady(adverts: &[Seen]) {
    assert_steady(&adverts.iter().map(|seen| seen.at).collect::<Vec<_>>(), INTERVAL);
}

/// `ip monitor address` on a host.
struct Monitor(Child, Arc<Mutex<Vec<String>>>);

impl Monitor {
    fn start(host: &Namespace) -> Self {
        let mut child = host.command("ip -o monitor address").stdout(Stdio::piped()).spawn().expect("`ip` is there");
        let lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&seen);
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| writer.lock().expect("no panic").push(line));
        });
        let monitor = Self(child, seen);
        eventually("the monitor sees what happens", || {
            let _ = host.try_exec("ip address add 198.51.100.9/32 dev lo");
            let _ = host.try_exec("ip address del 198.51.100.9/32 dev lo");
            monitor.saw("198.51.100.9", true)
        });
        monitor
    }

    /// Whether an address was put on, or taken off.
    fn saw(&self, address: &str, gone: bool) -> bool {
        let seen = self.1.lock().expect("no panic");
        seen.iter().any(|line| line.contains(&format!("{address}/")) && line.contains("Deleted") == gone)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

/// Ours as host 0 with two instances, keepalived as host 1 with a lower one of the first.
fn settled() -> Option<Lab> {
    let mut lab = Lab::new()?;
    lab.start(1, Program::Keepalived, &instance(51, 90, &[100]));
    lab.start(0, Program::Ringmaster, &(instance(51, 100, &[100]) + &instance(52, 100, &[101])));
    eventually("ours leads both", || {
        lab.holds(0, "192.168.146.100") && lab.holds(0, "192.168.146.101") && !lab.holds(1, "192.168.146.100")
    });
    Some(lab)
}

#[test]
fn what_is_not_changed_goes_on_as_if_nothing_had_been() {
    let Some(lab) = settled() else { return };
    eventually("the first bursts are over", || lab.announcements(0, Duration::ZERO).len() >= 10);
    let since = more_adverts(&lab, 0, 51, Duration::ZERO).last().expect("there are some").at;
    let (same, other) = (instance(51, 100, &[100]), instance(52, 110, &[101]));
    for config in [&(same.clone() + &other), &same, &(instance(53, 50, &[102]) + &same), &(same.clone() + &other)] {
        lab.ours(0).reload(config);
        assert!(
            lab.ours(0).log().lines().last().is_some_and(|line| !line.contains("nothing")),
            "{}",
            lab.ours(0).log()
        );
    }
    steady(&more_adverts(&lab, 0, 51, since));
    assert!(adverts(&lab, 1, 51, since).is_empty(), "the other one never led");
    let announced = lab.announcements(0, since).into_iter().filter(|seen| seen.frame.ends_with(&[146, 100]));
    assert_eq!(announced.count(), 0, "nothing was to be said of its address");
    let log = lab.ours(0).log();
    assert_eq!(log.matches("instance VI_51: MASTER").count(), 1, "{log}");
}

#[test]
fn instances_go_come_and_change() {
    let Some(lab) = settled() else { return };
    let since = lab.last(0).at;
    lab.ours(0).reload(&instance(51, 100, &[100]));
    eventually("it says goodbye", || adverts(&lab, 0, 52, since).iter().any(|seen| seen.priority() == Some(0)));
    eventually("its address is gone", || !lab.holds(0, "192.168.146.101"));
    lab.ours(0).says("instance VI_52: STOP with priority 100: the configuration has it no more");
    lab.ours(0).reload(&(instance(53, 100, &[103]) + &instance(51, 80, &[100])));
    eventually("the other one takes over from a lower one", || {
        lab.holds(1, "192.168.146.100") && !lab.holds(0, "192.168.146.100")
    });
    eventually("the new one leads", || lab.holds(0, "192.168.146.103"));
    assert!(lab.holds(0, "192.168.146.103"), "by a number that was another's");
    lab.ours(0).reload(&(instance(51, 120, &[100, 104])));
    eventually("it is back, with another address", || {
        lab.holds(0, "192.168.146.100") && lab.holds(0, "192.168.146.104") && !lab.holds(0, "192.168.146.103")
    });
}

#[test]
fn a_vip_added_on_one_node_and_then_on_the_other_splits_nobody() {
    let Some(mut lab) = Lab::new() else { return };
    lab.start(1, Program::Ringmaster, &instance(51, 90, &[100]));
    lab.start(0, Program::Ringmaster, &instance(51, 100, &[100]));
    eventually("the first one leads", || lab.holds(0, "192.168.146.100") && !lab.holds(1, "192.168.146.100"));
    let since = lab.last(0).at;
    let announced = |last: u8| {
        let about = lab.announcements(0, since).into_iter().filter(move |seen| seen.frame.ends_with(&[146, last]));
        about.count()
    };
    lab.ours(0).reload(&instance(51, 100, &[100, 105]));
    eventually("it holds both, and says so", || lab.holds(0, "192.168.146.105") && announced(105) >= 5);
    eventually("the other one has noticed", || lab.ours(1).has_logged("list other addresses"));
    more_adverts(&lab, 0, 51, since);
    lab.ours(1).reload(&instance(51, 90, &[100, 105]));
    let all = more_adverts(&lab, 0, 51, since);
    steady(&all);
    assert!(adverts(&lab, 1, 51, since).is_empty(), "the other one never led");
    // And off again, the other way about.
    lab.ours(1).reload(&instance(51, 90, &[100]));
    lab.ours(0).reload(&instance(51, 100, &[100]));
    eventually("it is gone", || !lab.holds(0, "192.168.146.105"));
    steady(&more_adverts(&lab, 0, 51, since));
    assert!(adverts(&lab, 1, 51, since).is_empty());
}

#[test]
fn a_vip_that_moves_between_instances_does_not_blink() {
    let Some(lab) = settled() else { return };
    let monitor = Monitor::start(&lab.hosts[0]);
    // To an instance that leads already, and then to one that there was not.
    lab.ours(0).reload(&(instance(51, 100, &[100]) + &instance(52, 100, &[106]) + &instance(54, 100, &[101])));
    eventually("the new one leads at once", || lab.ours(0).has_logged("instance VI_54: MASTER"));
    let since = lab.last(0).at;
    lab.ours(0).reload(&(instance(51, 100, &[100]) + &instance(54, 100, &[107]) + &instance(52, 100, &[101])));
    eventually("others have come", || monitor.saw("192.168.146.107", false));
    more_adverts(&lab, 0, 54, since);
    assert!(lab.holds(0, "192.168.146.101"));
    assert!(!monitor.saw("192.168.146.101", true), "{:?}", monitor.1);
    assert!(!monitor.saw("192.168.146.100", true));
    assert!(monitor.saw("192.168.146.106", true), "what nobody has is taken off");
}

#[test]
fn what_cannot_be_is_refused_with_the_reason_and_changes_nothing() {
    let Some(lab) = settled() else { return };
    let since = lab.last(0).at;
    let elsewhere = instance(52, 100, &[101]).replace("eth0", "eth7");
    let cases = [
        (instance(51, 50, &[108]) + &elsewhere, "there is no interface eth7 for instance VI_52"),
        (instance(51, 50, &[108]) + "ringmaster {\n workers 7\n}\n", "cannot change while the director runs"),
        (instance(51, 50, &[108]) + "vrrp_instance X {\n}\n", "does not load"),
    ];
    for (config, why) in cases {
        lab.ours(0).reload(&config);
        lab.ours(0).says(why);
    }
    steady(&more_adverts(&lab, 0, 51, since));
    assert!(lab.holds(0, "192.168.146.101") && !lab.holds(0, "192.168.146.108"));
}

/// The data path follows: an instance that another director leads takes its services along.
#[test]
fn elections_come_to_a_director_that_had_none_and_go_again() {
    let Some(mut lab) = Lab::new() else { return };
    lab.start(0, Program::Ringmaster, "ringmaster {\n interfaces eth0\n}\n");
    assert!(!lab.holds(0, "192.168.146.100"));
    let ports = "ringmaster {\n interfaces eth0\n}\n";
    lab.ours(0).reload(&(instance(51, 100, &[100]) + ports));
    eventually("it leads", || lab.holds(0, "192.168.146.100"));
    lab.ours(0).reload(ports);
    eventually("it is gone", || !lab.holds(0, "192.168.146.100"));
    eventually("it has said goodbye", || lab.last(0).priority() == Some(0));
    lab.ours(0).reload(&(instance(52, 100, &[100]) + ports));
    eventually("it leads again", || lab.holds(0, "192.168.146.100"));
}
