//! `use_vmac`: clients reach the services by a MAC address that moves with the role.

use rustix::process::Signal;

use crate::support::director::Director;
use crate::support::eventually;
use crate::support::hosts::Family::{V4, V6};
use crate::support::lab::Lab;
use crate::support::netns::{self, Namespace};

/// Of the instances of [`Lab::config`].
const MACS: [&str; 2] = ["00:00:5e:00:01:33", "00:00:5e:00:02:34"];

/// A director for services of both families; NAT needs servers that answer by `gateway`.
fn start(lab: &Lab, host: &Namespace, name: &str, priority: u8, gateway: bool) -> Director {
    let directory = lab.directory().join(name);
    std::fs::create_dir_all(&directory).expect("the lab's directory is writable");
    let own = format!("priority {priority}\n    use_vmac\n    version 3\n    advert_int 0.1");
    let mut config = lab.config(&[lab.service(V4), lab.service(V6)]).replace("priority 255", &own);
    for family in [V4, V6] {
        let (vip, inside) = (lab.vip(family).to_string(), lab.gateway(family));
        // The first address of IPv6 is a link-local one. The servers' gateway moves too, without a MAC address of its own.
        let first = if family == V6 { "fe80::100\n        " } else { "" };
        let gateway = if gateway { format!("\n        {inside} dev eth1") } else { String::new() };
        config = config.replace(&format!("        {vip}\n    }}"), &format!("        {first}{vip}{gateway}\n    }}"));
    }
    let config = config.replace("state MASTER", "state BACKUP");
    let group = "vrrp_sync_group G {\n    group {\n        VI_4\n        VI_6\n    }\n}\n";
    Director::start_electing(host, &directory, &format!("{config}{group}"))
}

/// The client knows each VIP by its virtual MAC address for good, and never learns another one.
fn fix(lab: &Lab) {
    for (family, mac) in [V4, V6].into_iter().zip(MACS) {
        let vip = lab.vip(family);
        let shown = lab.client.exec(&format!("ip neigh show {vip}"));
        assert!(shown.contains(mac), "{shown}");
        lab.client.exec(&format!("ip neigh replace {vip} lladdr {mac} dev eth0 nud permanent"));
    }
}

fn takes_over(lab: &Lab, second: &Namespace, gateway: bool) {
    let mut first = start(lab, &lab.director, "first", 150, gateway);
    eventually("the first is master", || first.log().matches("addresses in place").count() == 2);
    let successor = start(lab, second, "second", 100, gateway);
    let both = || [V4, V6].map(|family| lab.ask(family, 80, 0, 6).len());
    assert_eq!(both(), [6, 6]);
    fix(lab);
    assert_eq!(both(), [6, 6]);
    assert!(first.end_by(Signal::TERM).success());
    eventually("the second is master", || successor.log().matches("addresses in place").count() == 2);
    assert_eq!(both(), [6, 6]);
}

#[test]
fn a_takeover_by_dr_leaves_the_clients_entries_valid() {
    if !netns::available() {
        return;
    }
    let (lab, second) = Lab::dr_with_second_director();
    takes_over(&lab, &second, false);
}

#[test]
fn a_takeover_by_nat_leaves_the_clients_entries_valid() {
    if !netns::available() {
        return;
    }
    let (lab, second) = Lab::nat_with_second_director();
    takes_over(&lab, &second, true);
}
