//! Reloads of what is tracked: what is the same goes on, what is new counts once it is known.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::lab::{Lab, toggle};
use crate::support::director::Director;
use crate::support::eventually;

fn config(blocks: &str, body: &str) -> String {
    format!(
        "{blocks}vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n priority 100\n version 3\n \
         advert_int 0.1\n virtual_ipaddress {{\n 192.0.2.100/24\n }}\n {body}\n}}\nringmaster {{\n interfaces eth0\n}}\n"
    )
}

fn priority(director: &Director) -> u64 {
    serde_json::from_str::<Value>(&director.vrrp()).expect("one instance")["priority"].as_u64().expect("a number")
}

#[test]
fn trackers_come_and_go_without_a_change_of_role() {
    let Some(lab) = Lab::new() else { return };
    let (flag, runs) = (lab.file("flag"), lab.file("runs"));
    let (flags, counts) = (
        lab.script("flags", &format!("test -e {}", flag.display())),
        lab.script("counts", &format!("echo >>{}", runs.display())),
    );
    let counts = format!("vrrp_script counts {{\n script {}\n interval 100\n weight 3\n}}\n", counts.display());
    let flags = |weight: i32| {
        format!("vrrp_script flags {{\n script {}\n interval 1\n timeout 60\n weight {weight}\n}}\n", flags.display())
    };
    let director = lab.ours(0, &config(&counts, "track_script {\n counts\n }"));
    eventually("it leads with its weight", || director.has_logged("addresses in place") && priority(&director) == 103);

    director.reload(&config(&(counts.clone() + &flags(-20)), "track_script {\n counts\n flags\n }"));
    eventually("the new one takes its weight off", || priority(&director) == 83);
    toggle(&flag, true);
    eventually("and gives it back", || priority(&director) == 103);
    director.reload(&config(&(flags(-30) + &counts), "track_script {\n flags\n counts\n }"));
    toggle(&flag, false);
    eventually("by another weight and from another place", || priority(&director) == 73);
    director.reload(&config(&counts, "track_script {\n counts\n }"));
    assert_eq!(priority(&director), 103, "what is gone counts no more");
    // A condition that is not known yet is no fault of a master; one that fails is.
    toggle(&flag, true);
    director.reload(&config(&flags(0), "track_script {\n flags\n }"));
    eventually("it is known", || director.ask("trackers").contains("up"));
    assert!(!director.has_logged("FAULT"), "{}", director.log());
    assert_eq!(director.log().matches("instance VI_1: MASTER").count(), 1, "{}", director.log());
    toggle(&flag, false);
    eventually("it fails", || director.has_logged("instance VI_1: FAULT"));
    let ran = fs::read_to_string(&runs).expect("it ran").len();
    assert_eq!(ran, 1, "an unchanged script was started once");
}

/// Two of ours: sessions stay up while their times change, end when they are gone and begin when they come.
#[test]
fn bfd_sessions_stay_up() {
    let Some(lab) = Lab::new() else { return };
    let bfd = |neighbour: u8, ms: u32| {
        format!(
            "bfd_instance peer {{\n neighbor_ip 192.0.2.{neighbour}\n min_rx {ms}\n min_tx {ms}\n multiplier 5\n}}\n"
        )
    };
    let ours = lab.ours(0, &config(&bfd(2, 40), "track_bfd {\n peer weight 5\n }"));
    let theirs = lab.ours(1, &(bfd(1, 40) + "vrrp_instance VI_2 {\n interface eth0\n virtual_router_id 52\n}\n"));
    let session =
        |director: &Director| -> Value { serde_json::from_str(&director.ask("bfd --json")).expect("one session") };
    eventually("it is up", || session(&ours)["state"] == "Up" && priority(&ours) == 105);
    eventually("times are agreed on", || session(&theirs)["interval"] == 40_000);
    for (ms, interval) in [(100, 100_000), (30, 40_000), (200, 200_000)] {
        ours.reload(&config(&bfd(2, ms), "track_bfd {\n peer weight 5\n }"));
        eventually("the pace has changed", || {
            session(&ours)["interval"] == interval && session(&theirs)["interval"] == interval.max(ms * 1000)
        });
        std::thread::sleep(Duration::from_millis(700));
    }
    for director in [&ours, &theirs] {
        assert_eq!(session(director)["counters"]["went-down"], 0, "{}", director.log());
        assert_eq!(session(director)["state"], "Up");
    }
    assert_eq!(priority(&ours), 105);
    ours.reload(&config("", ""));
    eventually("the neighbour was told", || theirs.has_logged("bfd peer: ended by the neighbour on purpose"));
    assert_eq!(priority(&ours), 100);
    ours.reload(&config(&bfd(2, 40), "track_bfd {\n peer weight 5\n }"));
    eventually("it is up again", || priority(&ours) == 105);
}

/// The words and the absence of `notify_fault` are those seen of keepalived 2.2.7.
#[test]
fn instances_that_a_reload_takes_out_are_told_of() {
    let Some(lab) = Lab::new() else { return };
    let calls = lab.file("calls");
    let call = lab.script("call", &format!("echo \"$@\" >>{}", calls.display()));
    let call = call.display();
    let instance = |name: &str, router: u8, deleted: &str| {
        format!(
            "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {router}\n priority 100\n version 3\n advert_int 0.1\n \
             virtual_ipaddress {{\n 192.0.2.{router}\n }}\n notify \"{call} any\"\n notify_fault \"{call} fault\"\n \
             notify_stop \"{call} stop\"\n {deleted}\n}}\n"
        )
    };
    let global = "global_defs {\n script_user root\n}\n";
    let kept = format!("{global}{}", instance("D", 104, ""));
    let gone = instance("A", 101, "")
        + &instance("B", 102, "notify_deleted")
        + &instance("C", 103, &format!("notify_deleted \"{call} deleted C\""));
    let director = lab.ours(0, &format!("{kept}{gone}"));
    let heard = || lab.read("calls");
    eventually("all lead", || heard().matches("MASTER").count() == 4);
    fs::write(&calls, "").expect("the directory is writable");
    director.reload(&format!("{kept}ringmaster {{\n interfaces eth0\n}}\n"));
    let expected =
        ["any INSTANCE A FAULT 100", "any INSTANCE B DELETED 100", "deleted C", "any INSTANCE C DELETED 100"];
    eventually("it is told", || heard().lines().count() >= expected.len());
    assert_eq!(heard().lines().collect::<Vec<_>>(), expected);
}
