//! `use_vmac`: the MAC address moves with the role, also between us and keepalived, and back.

use std::time::Duration;

use rustix::process::Signal;

use crate::lab::{Lab, Program};
use crate::support::eventually;

/// 00:00:5e:00:01:33, and of IPv6 00:00:5e:00:02:34.
const MACS: [&str; 2] = ["00:00:5e:00:01:33", "00:00:5e:00:02:34"];
const VIPS: [&str; 2] = ["192.168.146.100", "fd00:146::100"];

fn config(host: usize, priority: u8, lines: &str) -> String {
    format!(
        "global_defs {{\n router_id HOST_{host}\n}}\nvrrp_instance VI_4 {{\n state BACKUP\n interface eth0\n \
         virtual_router_id 51\n priority {priority}\n {lines}\n virtual_ipaddress {{\n {}/24\n }}\n}}\n\
         vrrp_instance VI_6 {{\n state BACKUP\n interface eth0\n virtual_router_id 52\n priority {priority}\n {lines}\n \
         virtual_ipaddress {{\n fe80::146:100/64\n {}/64\n }}\n}}\n",
        VIPS[0], VIPS[1]
    )
}

/// The address that a host has on `device`.
fn has(lab: &Lab, host: usize, device: &str, vip: &str) -> bool {
    let shown = lab.hosts[host].try_exec(&format!("ip -o address show dev {device}"));
    String::from_utf8_lossy(&shown.stdout).contains(&format!(" {vip}/"))
}

fn hold(lab: &Lab, host: usize) -> bool {
    has(lab, host, "vrrp.51", VIPS[0]) && has(lab, host, "vrrp.52", VIPS[1])
}

/// The bystander has an answer of both addresses.
fn ping(lab: &Lab) {
    for vip in VIPS {
        eventually(&format!("{vip} answers"), || {
            lab.hosts[2].try_exec(&format!("ping -c 1 -W 1 {vip}")).status.success()
        });
    }
}

/// What it then knows of them.
fn known(lab: &Lab) -> [String; 2] {
    VIPS.map(|vip| {
        let shown = lab.hosts[2].exec(&format!("ip neigh show {vip}"));
        shown.split("lladdr ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned()
    })
}

/// The source addresses of all that host sent for a role: adverts and announcements.
fn sources(lab: &Lab, host: usize) -> Vec<String> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":");
    let mut sources: Vec<String> =
        lab.seen().iter().filter(|seen| seen.host == host).map(|seen| hex(&seen.frame[6..12])).collect();
    sources.sort();
    sources.dedup();
    sources
}

fn setting(lab: &Lab, key: &str) -> String {
    lab.hosts[0].exec(&format!("cat /proc/sys/net/ipv4/conf/eth0/{key}")).trim().to_owned()
}

#[test]
fn the_mac_address_moves_with_the_role_and_neighbours_need_not_learn() {
    let Some(mut lab) = Lab::new() else { return };
    lab.start(1, Program::Keepalived, &config(1, 90, "use_vmac"));
    // Its neighbours may know its own address as well: its kernel asks for them by the virtual IP address.
    eventually("keepalived holds the addresses", || hold(&lab, 1));
    ping(&lab);

    lab.start(0, Program::Ringmaster, &config(0, 100, "use_vmac"));
    let link = || lab.hosts[0].exec("ip -d -o link show vrrp.51");
    assert!(link().contains("macvlan mode private"), "{}", link());
    assert!(link().contains("state DOWN"), "a backup takes no packets for the virtual MAC address: {}", link());
    eventually("the addresses have moved", || hold(&lab, 0) && !hold(&lab, 1));
    assert!(link().contains("UP"), "{}", link());
    // What is known stays known, since nobody may learn anything else from now on.
    for (vip, mac) in VIPS.iter().zip(MACS) {
        lab.hosts[2].exec(&format!("ip neigh replace {vip} lladdr {mac} dev eth0 nud permanent"));
    }
    ping(&lab);
    assert_eq!(sources(&lab, 0), MACS, "adverts and announcements are sent from the virtual MAC addresses");
    assert_eq!([setting(&lab, "arp_ignore"), setting(&lab, "arp_announce")], ["1", "2"]);

    // Whoever asks anew is answered by the virtual one, and by nobody else.
    for vip in VIPS {
        lab.hosts[2].exec(&format!("ip neigh del {vip} dev eth0"));
    }
    ping(&lab);
    assert_eq!(known(&lab), MACS);
    // Nor does a neighbour learn another one when we look for it.
    lab.hosts[0].exec("ip neigh flush dev eth0");
    ping(&lab);
    assert_eq!(known(&lab), MACS);

    let before = lab.seen().last().map(|seen| seen.at).unwrap_or_default();
    lab.end(0, Signal::TERM);
    lab.advert(1, 90, before);
    eventually("the addresses have moved back", || hold(&lab, 1));
    assert!(!lab.hosts[0].exec("ip -o link").contains("vrrp."), "nothing stays behind");
    assert_eq!([setting(&lab, "arp_ignore"), setting(&lab, "arp_announce")], ["0", "0"]);
    ping(&lab);
}

#[test]
fn two_masters_with_one_mac_address_hear_each_other() {
    let Some(mut lab) = Lab::new() else { return };
    lab.start(0, Program::Ringmaster, &config(0, 90, "use_vmac"));
    lab.start(1, Program::Keepalived, &config(1, 100, "use_vmac"));
    eventually("keepalived holds the addresses", || hold(&lab, 1));
    let gave_way = || lab.ours(0).log().matches("leads with priority 100").count();
    eventually("both instances are backup", || !hold(&lab, 0) && !lab.ours(0).vrrp().contains("MASTER"));
    let before = gave_way();
    lab.partition(true);
    eventually("both do", || hold(&lab, 0));
    lab.partition(false);
    eventually("one does", || hold(&lab, 1) && !hold(&lab, 0));
    eventually("both instances have heard the other one", || gave_way() >= before + 2);
    assert!(hold(&lab, 1), "the higher one never gave way");
}

#[test]
fn what_a_killed_director_left_is_taken_over_or_removed() {
    let Some(mut lab) = Lab::new() else { return };
    lab.start(0, Program::Ringmaster, &config(0, 100, "use_vmac\n vmac_xmit_base"));
    eventually("it holds the addresses", || hold(&lab, 0));
    assert_eq!(lab.last(0).frame[6..12], [2, 0, 0, 0, 0, 1], "adverts go without the virtual MAC address");
    lab.end(0, Signal::KILL);
    assert!(hold(&lab, 0), "a killed director leaves the addresses");

    lab.start(
        0,
        Program::Ringmaster,
        &config(0, 100, "use_vmac").replace("use_vmac\n virtual_ipaddress {\n fe80", "virtual_ipaddress {\n fe80"),
    );
    let links = lab.hosts[0].exec("ip -o link");
    assert!(links.contains("vrrp.51") && !links.contains("vrrp.52"), "{links}");
    eventually("it holds the addresses again", || has(&lab, 0, "vrrp.51", VIPS[0]) && has(&lab, 0, "eth0", VIPS[1]));
    lab.end(0, Signal::TERM);
    assert!(!lab.hosts[0].exec("ip -o link").contains("vrrp."));
    assert_eq!([setting(&lab, "arp_ignore"), setting(&lab, "arp_announce")], ["0", "0"], "as before the first one");
}

#[test]
fn addresses_of_other_interfaces_get_their_own() {
    let Some(mut lab) = Lab::new() else { return };
    lab.hosts[0].exec("ip link add eth1 type veth peer name eth2");
    lab.hosts[0].exec("ip link set eth1 up");
    lab.hosts[0].exec("ip link set eth2 up");
    let config = "vrrp_instance VI_4 {\n state MASTER\n interface eth0\n virtual_router_id 51\n priority 255\n \
                  use_vmac router0\n use_vmac_addr\n virtual_ipaddress {\n 192.168.146.100/24\n \
                  192.168.147.100/24 dev eth1\n }\n virtual_ipaddress_excluded {\n fd00:146::100/64\n }\n}\n";
    lab.start(0, Program::Ringmaster, config);
    for (device, below, vip, mac) in [
        ("router0", "eth0", "192.168.146.100", "00:00:5e:00:01:33"),
        ("vrrp.51", "eth1", "192.168.147.100", "00:00:5e:00:01:33"),
        ("vrrp6.51", "eth0", "fd00:146::100", "00:00:5e:00:02:33"),
    ] {
        eventually(&format!("{vip} is on {device}"), || has(&lab, 0, device, vip));
        let link = lab.hosts[0].exec(&format!("ip -o link show {device}"));
        assert!(link.contains(mac) && link.contains(&format!("@{below}:")), "{link}");
    }
    assert_eq!(lab.advert(0, 255, Duration::ZERO).frame[6..12], [0, 0, 0x5e, 0, 1, 0x33]);
}
