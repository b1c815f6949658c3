//! What trackers do to the instances of the real binary, where keepalived cannot be asked.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::lab::Lab;
use crate::support::director::Director;
use crate::support::{self, eventually};

fn config(interface: &str, body: &str) -> String {
    format!(
        "vrrp_instance VI_1 {{\n interface {interface}\n virtual_router_id 51\n priority 100\n version 3\n advert_int 0.1\n \
         virtual_ipaddress {{\n 192.0.2.100/24\n }}\n {body}\n}}\n"
    )
}

fn instance(director: &Director) -> (String, u64) {
    let mut told = String::new();
    eventually("the instance is told of", || {
        told = director.vrrp();
        !told.is_empty()
    });
    let role: Value = serde_json::from_str(&told).expect("one instance");
    (role["state"].as_str().expect("a word").to_owned(), role["priority"].as_u64().expect("a number"))
}

fn becomes(director: &Director, state: &str, priority: u64) {
    eventually(&format!("{state} {priority}, not {:?}", instance(director)), || {
        instance(director) == (state.to_owned(), priority)
    });
}

#[test]
fn a_process_that_must_run() {
    let Some(lab) = Lab::new() else { return };
    // A name of its own, as /proc shows the processes of all namespaces.
    let name = format!("rm{}-proc", std::process::id());
    let program = lab.file(&name);
    support::copy_program(Path::new("/bin/sleep"), &program);
    let block = format!("vrrp_track_process p {{\n process {name}\n quorum 2\n weight 10\n}}\n");
    let director = lab.ours(0, &(block + &config("eth0", "track_process {\n p\n }")));
    becomes(&director, "MASTER", 100);
    let start = || std::process::Command::new(&program).arg("60").spawn().expect("it is a program");
    let mut one = start();
    let mut other = start();
    becomes(&director, "MASTER", 110);
    assert!(director.ask("trackers").contains("process  p        up       VI_1 +10"), "{}", director.ask("trackers"));
    one.kill().expect("it runs");
    // Not waited for: a zombie does not count.
    becomes(&director, "MASTER", 100);
    other.kill().expect("it runs");
    one.wait().expect("it is our child");
    other.wait().expect("it is our child");
}

#[test]
fn a_script_that_hangs_is_ended_with_its_children() {
    let Some(lab) = Lab::new() else { return };
    let pid = lab.file("child");
    let script = lab.script("hang", &format!("sleep 60 &\necho $! >{}\nwait", pid.display()));
    let block = format!("vrrp_script s {{\n script {}\n interval 1\n timeout 1\n}}\n", script.display());
    let director = lab.ours(0, &(block + &config("eth0", "track_script {\n s\n }")));
    eventually("it has counted as failed", || director.has_logged("script s takes longer than 1s"));
    eventually("it has begun", || pid.exists() && lab.read("child").ends_with('\n'));
    let child = lab.read("child");
    eventually("its child is gone", || {
        let status = fs::read_to_string(format!("/proc/{}/stat", child.trim()));
        status.map_or(true, |status| status.contains(" Z "))
    });
    becomes(&director, "FAULT", 100);
}

#[test]
fn a_script_of_another_user() {
    let Some(lab) = Lab::new() else { return };
    let out = lab.place("out");
    std::os::unix::fs::chown(&out, Some(65534), None).expect("root may");
    let script = lab.script("who", &format!("id -un >{}/who", out.display()));
    let block = format!("vrrp_script s {{\n script {}\n user nobody\n}}\n", script.display());
    let director = lab.ours(0, &(block + &config("eth0", "track_script {\n s\n }")));
    becomes(&director, "MASTER", 100);
    assert_eq!(lab.read("out/who"), "nobody\n");
}

#[test]
fn what_others_may_write_does_not_run_as_root() {
    let Some(lab) = Lab::new() else { return };
    let script = lab.script("open", &format!("touch {}", lab.file("ran").display()));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(&script, mode).expect("it is ours");
    let global = "global_defs {\n enable_script_security\n script_user root\n}\n";
    let body = format!("notify {}", script.display());
    let director = lab.ours(0, &(global.to_owned() + &config("eth0", &body)));
    becomes(&director, "MASTER", 100);
    let complaint = format!("{} has mode 0777 and owner 0", script.display());
    director.says(&complaint);
    director.says("was not run");
    assert!(!lab.file("ran").exists());
}

#[test]
fn an_interface_that_comes_later() {
    let Some(lab) = Lab::new() else { return };
    let body = config("eth7", "");
    let (status, log) = {
        let config = format!("{body}ringmaster {{\n interfaces eth0\n}}\n");
        Director::run_to_end(&lab.hosts[0], &lab.place("refused"), &config)
    };
    assert!(!status.success() && log.contains("no interface eth7"), "{log}");
    let director = lab.ours(0, &format!("global_defs {{\n dynamic_interfaces\n}}\n{body}"));
    assert_eq!(instance(&director).0, "FAULT");
    let add = || {
        lab.hosts[0].exec("ip link add eth7 type veth peer name far");
        lab.hosts[0].exec("ip link set far up");
        lab.hosts[0].exec("ip link set eth7 up");
        lab.hosts[0].exec("ip address add 192.0.2.7/24 dev eth7");
    };
    add();
    becomes(&director, "MASTER", 100);
    lab.hosts[0].exec("ip link del eth7");
    becomes(&director, "FAULT", 100);
    add();
    becomes(&director, "MASTER", 100);
    eventually("the address is there", || lab.hosts[0].exec("ip address show dev eth7").contains("192.0.2.100/24"));
}

#[test]
fn a_link_that_is_lost_for_a_moment() {
    let Some(lab) = Lab::new() else { return };
    let delays = "interface_up_down_delays {\n eth0 1.5 0\n}\n";
    let director = lab.ours(0, &(delays.to_owned() + &config("eth0", "")));
    becomes(&director, "MASTER", 100);
    let cable = |state: &str| lab.hosts[1].exec(&format!("ip link set eth0 {state}"));
    cable("down");
    std::thread::sleep(Duration::from_millis(300));
    cable("up");
    std::thread::sleep(Duration::from_millis(1800));
    assert!(!director.has_logged("FAULT"), "{}", director.log());
    cable("down");
    becomes(&director, "FAULT", 100);
    cable("up");
    becomes(&director, "MASTER", 100);
}

#[test]
fn an_interface_that_is_asked_for_its_link() {
    let Some(lab) = Lab::new() else { return };
    let director = lab.ours(0, &("linkbeat_interfaces {\n eth0\n}\n".to_owned() + &config("eth0", "")));
    becomes(&director, "MASTER", 100);
    assert!(director.ask("trackers").contains("interface"));
    lab.hosts[1].exec("ip link set eth0 down");
    becomes(&director, "FAULT", 100);
    lab.hosts[1].exec("ip link set eth0 up");
    becomes(&director, "MASTER", 100);
}

/// Longer than a director may stand still before it is taken for one that hangs.
#[test]
fn a_program_that_is_told_of_the_end_may_take_its_time() {
    let Some(lab) = Lab::new() else { return };
    let (called, done) = (lab.file("called"), lab.file("done"));
    let script = lab.script("slow", &format!("echo >{}\nsleep 4\necho >{}", called.display(), done.display()));
    let global = "global_defs {\n script_user root\n}\n";
    let body = format!("notify_stop {}", script.display());
    let mut director = lab.ours(0, &(global.to_owned() + &config("eth0", &body)));
    becomes(&director, "MASTER", 100);
    assert!(director.end_by(Signal::TERM).success(), "{}", director.log());
    assert!(called.exists() && !director.has_logged("hangs"), "{}", director.log());
    // A machine that gives the program no time may have it end later than it is waited for.
    eventually("it is done", || done.exists());
    assert!(!director.socket().exists(), "nothing stays behind");
}

#[test]
fn pipes_are_made_and_read_and_taken_away() {
    let Some(lab) = Lab::new() else { return };
    let (pipe, copy) = (lab.file("pipe"), lab.file("copy"));
    let reader = lab.script("reader", &format!("exec cat \"$1\" >>{}", copy.display()));
    let global = format!(
        "global_defs {{\n script_user root\n notify_fifo {}\n notify_fifo_script {}\n}}\n",
        pipe.display(),
        reader.display()
    );
    let mut director = lab.ours(0, &(global + &config("eth0", "")));
    becomes(&director, "MASTER", 100);
    eventually("the reader has it", || lab.read("copy").contains("INSTANCE \"VI_1\" MASTER 100\n"));
    assert!(pipe.exists());
    director.end_by(Signal::TERM);
    assert_eq!(lab.read("copy").lines().last(), Some("INSTANCE \"VI_1\" STOP 100"));
    assert!(!pipe.exists(), "whoever made it takes it away");
}
