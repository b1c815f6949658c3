//! BFD with keepalived, and with ourselves.

use std::time::Duration;

use ringmaster::sys::clock;
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::lab::Lab;
use crate::support::director::{Director, program};
use crate::support::{eventually, keepalived, shared};

/// Host `number`'s configuration; an instance of its own besides, whose priority follows the session.
fn config(number: usize, addresses: [&str; 2], extra: &str) -> String {
    let (own, peer) = (addresses[number], addresses[1 - number]);
    format!(
        "global_defs {{\n router_id H{number}\n}}\n\
         bfd_instance peer {{\n neighbor_ip {peer}\n source_ip {own}\n min_rx 50\n min_tx 50\n multiplier 4\n {extra}\n}}\n\
         vrrp_instance VI_{number} {{\n interface eth0\n virtual_router_id 6{number}\n priority 100\n version 3\n \
         advert_int 0.1\n virtual_ipaddress {{\n 192.0.2.10{number}/24\n }}\n track_bfd {{\n peer weight 5\n }}\n}}\n"
    )
}

const V4: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
const V6: [&str; 2] = ["2001:db8::1", "2001:db8::2"];

fn session(director: &Director) -> Value {
    serde_json::from_str(&director.ask("bfd --json")).expect("one session")
}

fn priority(director: &Director) -> Value {
    serde_json::from_str::<Value>(&director.vrrp()).expect("one instance")["priority"].clone()
}

fn is_up(director: &Director) -> bool {
    let session = session(director);
    session["state"] == "Up" && session["remote_state"] == "Up"
}

/// From `begin` until `holds`, looked at as often as can be.
fn took(begin: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    while !holds() {
        assert!(clock::now() - begin < shared(Duration::from_secs(10)), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
    clock::now() - begin
}

fn with_keepalived(addresses: [&str; 2], extra: &str) {
    if !keepalived::available() {
        return;
    }
    let Some(lab) = Lab::new() else { return };
    let mut ours = lab.ours(0, &config(0, addresses, extra));
    eventually("it is down without a neighbour", || session(&ours)["state"] == "Down");
    assert_eq!(priority(&ours), 100);
    let mut theirs = lab.keepalived(1, &config(1, addresses, extra));
    eventually("both are up", || is_up(&ours));
    eventually("the priority has risen", || priority(&ours) == 105);
    eventually("keepalived sees us", || theirs.log().contains("Changing effective priority from 100 to 105"));
    eventually("the pace is agreed on", || {
        session(&ours)["interval"] == 50_000 && session(&ours)["detection"] == 200_000
    });

    // A dead neighbour is seen within its detection time. What is measured includes the loop that looks.
    let dead = clock::now();
    theirs.kill();
    let noticed = took(dead, "the neighbour is dead", || ours.has_logged("bfd peer: down"));
    assert!(noticed < shared(Duration::from_millis(700)), "{noticed:?} where 200 ms are due");
    println!("a dead keepalived was noticed after {noticed:?}");
    eventually("the priority has sunk", || priority(&ours) == 100);
    assert_eq!(session(&ours)["diagnostic"], 1);

    // It comes back, and then we die.
    let theirs = lab.keepalived(1, &config(1, addresses, extra));
    eventually("both are up again", || is_up(&ours));
    eventually("keepalived sees us", || theirs.log().contains("Changing effective priority from 100 to 105"));
    ours.end_by(Signal::KILL);
    eventually("keepalived has noticed", || theirs.log().contains("Changing effective priority from 105 to 100"));

    // A director that comes back has another name for the session.
    let mut ours = lab.ours(0, &config(0, addresses, extra));
    eventually("both are up once more", || is_up(&ours));
    ours.end_by(Signal::TERM);
    eventually("an orderly end is told", || theirs.log().contains("Remote diagnostic - Administratively Down"));
}

#[test]
fn with_keepalived_over_ipv4() {
    with_keepalived(V4, "");
}

/// keepalived sends with a hop limit of 64 unless told otherwise, which RFC 5881 forbids.
#[test]
fn with_keepalived_over_ipv6() {
    with_keepalived(V6, "hoplimit 255");
}

#[test]
fn between_ourselves_and_in_the_form_of_the_rfc() {
    let Some(lab) = Lab::new() else { return };
    let file = lab.file("bfd.pcap").display().to_string();
    let mut capture = lab.hosts[1].command(&format!("tcpdump -i eth0 -n -U -c 40 -w {file} udp port 3784"));
    let mut capture = capture.stderr(std::process::Stdio::null()).spawn().expect("tcpdump is installed");
    let one = lab.ours(0, &config(0, V4, ""));
    let mut other = lab.ours(1, &config(1, V4, "passive"));
    eventually("both are up", || is_up(&one) && is_up(&other));
    eventually("enough was captured", || capture.try_wait().expect("it is our child").is_some());
    let text = lab.hosts[1].exec(&format!("tcpdump -n -v -r {file}"));
    let headers = text.lines().filter(|line| line.contains("proto UDP")).count();
    assert_eq!(text.matches("ttl 255").count(), headers, "every packet has come from next door:\n{text}");
    assert_eq!(text.matches("BFDv1, length: 24").count(), headers, "tcpdump understands them:\n{text}");
    for line in text.lines().filter(|line| line.contains(".3784: BFDv1")) {
        let source: u32 =
            line.trim().split(' ').next().and_then(|end| end.rsplit('.').next()?.parse().ok()).expect("a port");
        assert!(source >= 49152, "RFC 5881 4: {line}");
    }
    let dead = clock::now();
    other.end_by(Signal::KILL);
    let noticed = took(dead, "the neighbour is dead", || one.has_logged("bfd peer: down"));
    println!("a dead director was noticed after {noticed:?}");
    assert!(noticed < shared(Duration::from_millis(700)), "{noticed:?} where 200 ms are due");
}

/// Nor of one that makes way for another program: the session has the same name, and its sockets have never been closed.
#[test]
fn a_neighbour_sees_nothing_of_a_director_that_is_followed() {
    if !keepalived::available() {
        return;
    }
    let Some(lab) = Lab::new() else { return };
    // 400 ms of silence are allowed: many times the pause, of which a busy machine may make more.
    let patient = |number| config(number, V4, "").replace("multiplier 4", "multiplier 8");
    let ours = lab.ours(0, &patient(0));
    let theirs = lab.keepalived(1, &patient(1));
    eventually("both are up", || is_up(&ours));
    eventually("keepalived sees us", || theirs.log().contains("Changing effective priority from 100 to 105"));
    eventually("the priority has risen", || priority(&ours) == 105);
    for fault in 1..=4 {
        eventually("a spare waits", || ours.log().matches("waits as a spare").count() >= fault);
        std::thread::sleep(Duration::from_millis(1100));
        let begun = ours.log().matches("ready:").count();
        if fault == 4 {
            let told = ours.upgrade(&program());
            assert!(told.contains("has taken over"), "{told}");
        } else {
            kill_process(ours.process(), Signal::KILL).expect("it is there");
        }
        eventually("the next director is ready", || ours.log().matches("ready:").count() > begun);
        eventually("it goes on", || is_up(&ours) && priority(&ours) == 105);
    }
    std::thread::sleep(Duration::from_millis(500));
    assert!(!theirs.log().contains("Changing effective priority from 105 to 100"), "{}", theirs.log());
    assert_eq!(ours.log().matches("bfd peer: up").count(), 1, "it came up once");
    assert!(!ours.has_logged("bfd peer: down"));

    // A reload ends it, and what was held of it is let go.
    let elsewhere = patient(0).replace("neighbor_ip 192.0.2.2", "neighbor_ip 192.0.2.77");
    ours.reload(&format!("{elsewhere}ringmaster {{\n interfaces eth0\n}}\n"));
    eventually("it is another session", || session(&ours)["neighbour"] == "192.0.2.77");
    // It says so in its packets, which is no failure: keepalived keeps its priority (RFC 5882, 4.2).
    eventually("keepalived was told", || theirs.log().contains("Remote diagnostic - Administratively Down"));
}

/// Also to whoever has asked before it was ready.
#[test]
fn the_first_answer_is_the_truth() {
    let Some(lab) = Lab::new() else { return };
    let socket = lab.place("ours-0").join("ringmaster.sock");
    let ask = |what: &str| loop {
        let answer = std::process::Command::new(program()).args([what, "--json", "--socket"]).arg(&socket).output();
        let answer = answer.expect("the binary is built");
        if answer.status.success() {
            return String::from_utf8_lossy(&answer.stdout).into_owned();
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    for _ in 0..3 {
        std::thread::scope(|scope| {
            let first = ["vrrp", "bfd"].map(|what| scope.spawn(move || ask(what)));
            let _ours = lab.ours(0, &config(0, V4, ""));
            let [instances, sessions] = first.map(|answer| answer.join().expect("it answers"));
            assert!(instances.contains("\"VI_0\"") && sessions.contains("\"peer\""), "{instances}{sessions}");
        });
    }
}

/// With adverts every second, a master's silence takes three of them and more to be noticed.
#[test]
fn a_dead_master_is_replaced_at_once() {
    let Some(lab) = Lab::new() else { return };
    let config = |number: usize| {
        let (peer, priority) = (V4[1 - number], 150 - 50 * number);
        format!(
            "bfd_instance peer {{\n neighbor_ip {peer}\n min_rx 50\n min_tx 50\n multiplier 3\n}}\n\
             vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 60\n priority {priority}\n \
             virtual_ipaddress {{\n 192.0.2.100/24\n }}\n}}\n"
        )
    };
    let mut master = lab.ours(0, &config(0));
    eventually("it is master", || master.has_logged("addresses in place"));
    let backup = lab.ours(1, &config(1));
    eventually("both are up", || is_up(&master) && is_up(&backup));
    eventually("the master was heard", || backup.vrrp().contains("\"master\":\"192.0.2.1\""));
    let dead = clock::now();
    master.end_by(Signal::KILL);
    let replaced = took(dead, "the backup leads", || backup.has_logged("addresses in place"));
    backup.says("MASTER with priority 100: BFD has lost the master");
    println!("a dead master was replaced after {replaced:?}");
    assert!(replaced < shared(Duration::from_millis(800)), "{replaced:?} where 226 ms are due");
}

/// RFC 5882, 4.2, and keepalived: what `track_bfd` made of a neighbour holds when that ends the session on purpose, and through
/// a reload and a crash; it fails as any other once it has come back.
#[test]
fn a_neighbour_that_says_admin_down_has_not_failed() {
    let Some(lab) = Lab::new() else { return };
    let tracking = config(0, V4, "").replace(" peer weight 5\n", " peer\n");
    let ours = lab.ours(0, &tracking);
    eventually("it waits for its neighbour", || ours.vrrp().contains("FAULT"));
    let mut other = lab.ours(1, &config(1, V4, ""));
    eventually("it leads", || is_up(&ours) && ours.vrrp().contains("MASTER"));

    other.end_by(Signal::TERM);
    eventually("it was told", || session(&ours)["remote_state"] == "AdminDown" && session(&ours)["excused"] == true);
    // Longer than a neighbour may be silent, and than one may take to come up after a reload.
    let patience = Duration::from_millis(4500);
    std::thread::sleep(patience);
    ours.reload(&format!("{}ringmaster {{\n interfaces eth0\n}}\n", tracking.replace("priority 100", "priority 101")));
    eventually("the reload holds", || priority(&ours) == 101);
    std::thread::sleep(patience);
    eventually("a spare waits", || ours.has_logged("waits as a spare"));
    kill_process(ours.process(), Signal::KILL).expect("it is there");
    eventually("the next director is ready", || ours.log().matches("ready:").count() == 2);
    std::thread::sleep(patience);
    assert!(session(&ours)["excused"] == true && ours.vrrp().contains("MASTER"), "{}", ours.log());
    assert!(!ours.has_logged("FAULT"), "{}", ours.log());

    let mut other = lab.ours(1, &config(1, V4, ""));
    eventually("it is back", || is_up(&ours) && session(&ours)["excused"] == false);
    other.end_by(Signal::KILL);
    eventually("it has failed", || ours.vrrp().contains("FAULT"));
}

/// Packets that anybody could have sent change nothing.
#[test]
fn packets_from_afar_and_broken_ones_do_not_count() {
    let Some(lab) = Lab::new() else { return };
    let ours = lab.ours(0, &config(0, V4, ""));
    let good = {
        let neighbour = ringmaster::wire::Addr::v4(1);
        let mut session =
            ringmaster::bfd::Session::new(ringmaster::bfd::Spec::new("x", neighbour), 7, 1, Duration::ZERO);
        session.fire(Duration::ZERO);
        session.take_packets()[0].emit()
    };
    let mut short = good.to_vec();
    short.pop();
    for (ttl, bytes, counter) in
        [(64, good.to_vec(), "rejected-ttl"), (255, short, "rejected-length"), (255, good.to_vec(), "received")]
    {
        lab.hosts[1].enter(|| {
            let socket = std::net::UdpSocket::bind("192.0.2.2:50000").expect("the address is ours");
            socket.set_ttl(ttl).expect("any will do");
            socket.send_to(&bytes, "192.0.2.1:3784").expect("the way is there");
        });
        eventually(counter, || session(&ours)["counters"][counter] == 1);
        let state = if counter == "received" { "Init" } else { "Down" };
        assert_eq!(session(&ours)["state"], state, "{counter}");
    }
}
