//! What belongs to the master besides its addresses, and what becomes of all of it.

use rustix::process::Signal;

use crate::lab::{Lab, Program};
use crate::support::eventually;

const CONFIG: &str = "vrrp_instance VI_1 {
    state MASTER
    interface eth0
    virtual_router_id 51
    priority 255
    garp_master_refresh 1
    virtual_ipaddress {
        192.168.146.100/24 dev eth0 label eth0:2
        192.168.146.101/32 scope link
    }
    virtual_ipaddress_excluded {
        fd00:146::100/64
    }
    virtual_routes {
        198.51.100.0/24 via 192.168.146.13 dev eth0 src 192.168.146.100 metric 7
        blackhole 203.0.113.0/24 table 100
        default via 192.168.146.13 table 100
        198.51.101.0/24 via 10.9.9.9 dev eth0 onlink
        2001:db8:9::/48 via fd00:146::13 dev eth0
    }
    virtual_rules {
        from 192.0.2.0/24 table 100 priority 77
        to 2001:db8::/32 lookup main priority 78
    }
}
";

/// A command, and lines or parts of lines that it shows while the director is master, and at no other time.
const SHOWN: [(&str, &[&str]); 7] = [
    (
        "ip -o -4 address show dev eth0",
        &["inet 192.168.146.100/24 scope global secondary eth0:2", "inet 192.168.146.101/32 scope link eth0"],
    ),
    ("ip -o -6 address show dev eth0", &["inet6 fd00:146::100/64 scope global nodad"]),
    (
        "ip route show",
        &[
            "198.51.100.0/24 via 192.168.146.13 dev eth0 proto keepalived src 192.168.146.100 metric 7",
            "198.51.101.0/24 via 10.9.9.9 dev eth0 proto keepalived onlink",
        ],
    ),
    ("ip route show table 100", &["blackhole 203.0.113.0/24 proto keepalived", "default via 192.168.146.13 dev eth0"]),
    ("ip -6 route show", &["2001:db8:9::/48 via fd00:146::13 dev eth0 proto keepalived"]),
    ("ip -6 rule show", &["78:\tfrom all to 2001:db8::/32 lookup main proto keepalived"]),
    ("ip rule show", &["77:\tfrom 192.0.2.0/24 lookup 100 proto keepalived"]),
];

fn shown(lab: &Lab) -> Vec<(&'static str, bool)> {
    let rows = SHOWN.iter().flat_map(|(command, parts)| {
        // A table that nothing is in does not exist.
        let output = lab.hosts[0].try_exec(command);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        parts.iter().map(move |part| (*part, text.contains(part)))
    });
    rows.collect()
}

fn all(lab: &Lab, there: bool) -> bool {
    shown(lab).iter().all(|(_, shown)| *shown == there)
}

#[test]
fn routes_rules_and_addresses_come_and_go_with_the_role() {
    let Some(mut lab) = Lab::new() else { return };
    lab.start(0, Program::Ringmaster, CONFIG);
    eventually("everything is in place", || {
        lab.ours(0).has_logged("addresses in place") && {
            assert!(all(&lab, true), "{:?}", shown(&lab));
            true
        }
    });

    // The burst of five rounds, and two repetitions.
    eventually("addresses are told again", || lab.announcements(0, std::time::Duration::ZERO).len() >= 15 + 6);

    lab.end(0, Signal::TERM);
    assert!(all(&lab, false), "{:?}", shown(&lab));

    // A crash leaves all; the next start removes it before it takes part.
    lab.start(0, Program::Ringmaster, CONFIG);
    eventually("everything is in place again", || all(&lab, true));
    lab.end(0, Signal::KILL);
    assert!(all(&lab, true), "{:?}", shown(&lab));
    lab.cable(0, false);
    lab.start(0, Program::Ringmaster, CONFIG);
    assert!(all(&lab, false), "{:?}", shown(&lab));
    assert!(lab.hosts[0].exec("ip -o -4 address show dev eth0").contains("192.168.146.11/24"), "its own stays");
}

#[test]
fn static_addresses_routes_and_rules_are_there_from_start_to_end() {
    let Some(mut lab) = Lab::new() else { return };
    let config = "static_ipaddress {
    192.168.146.201/24 dev eth0
}
static_routes {
    blackhole 198.51.100.0/24
}
static_rules {
    from 192.0.2.0/24 table 100 priority 77
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    virtual_ipaddress {
        192.168.146.100/24
    }
}
";
    let there = |lab: &Lab| {
        [
            lab.holds(0, "192.168.146.201"),
            lab.hosts[0].exec("ip route").contains("blackhole 198.51.100.0/24 proto keepalived"),
            lab.hosts[0].exec("ip rule").contains("77:\tfrom 192.0.2.0/24 lookup 100 proto keepalived"),
        ]
    };
    lab.cable(0, false);
    lab.start(0, Program::Ringmaster, config);
    assert_eq!(there(&lab), [true; 3], "whatever its role");
    lab.end(0, Signal::KILL);
    lab.start(0, Program::Ringmaster, config);
    assert_eq!(there(&lab), [true; 3], "those of the killed one were taken over");
    lab.end(0, Signal::TERM);
    assert_eq!(there(&lab), [false; 3]);
}
