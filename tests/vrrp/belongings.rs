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
        198.51.102.0/24 nexthop via 192.168.146.13 dev eth0 weight 3 nexthop via 10.9.9.9 dev eth0 onlink
        2001:db8:10::/48 nexthop via fd00:146::13 dev eth0 nexthop via fd00:146::14 dev eth0 weight 2
        198.51.103.0/24 encap ip id 7 dst 192.0.2.9 src 192.0.2.1 ttl 9 tos 4 via 192.168.146.13
        2001:db8:11::/48 encap ip6 id 7 dst fd00::9 hoplimit 9 via fd00:146::13 dev eth0
        198.51.104.0/24 nexthop via 192.168.146.13 dev eth0 nexthop via 192.168.146.14 dev eth0 encap ip dst 192.0.2.9
        198.51.105.0/24 via inet6 fd00:146::13 dev eth0
        198.51.106.0/24 dev eth0 table 101 tos 0x04 protocol static no_track scope link metric 12 mtu 1000 hoplimit 100 advmss 101 rtt 2s rttvar 1s reordering 104 window 105 cwnd 106 ssthresh lock 107 realms 3/4 rto_min 300ms initcwnd 109 initrwnd 110 features ecn quickack 1 congctl reno fastopen_no_cookie 1
        throw 198.51.107.0/24 table 101
        2001:db8:12::/48 via fd00:146::13 dev eth0 expires 1000 pref high
    }
    virtual_rules {
        from 192.0.2.0/24 table 100 priority 77
        to 2001:db8::/32 lookup main priority 78
        not from 192.0.8.0/24 to 192.0.9.0/26 table 101 iif eth0 tos 0x10 fwmark 24/12 preference 79 realms 30/20
        to fd00:9::/64 l3mdev protocol zebra no_track ipproto udp sport 10-20 dport 20 uidrange 10-19 priority 80
        from all suppress_prefixlength 3 suppress_ifgroup 4 table 9 priority 81
        to 192.0.9.0/26 goto 32766 priority 82
        fwmark 0x10 unreachable priority 83
        inet6 from all nop priority 84
    }
}
";

/// A command, and lines or parts of lines that it shows while the director is master, and at no other time.
const SHOWN: [(&str, &[&str]); 8] = [
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
            "198.51.102.0/24 proto keepalived \n\tnexthop via 192.168.146.13 dev eth0 weight 3 \n\tnexthop via 10.9.9.9 dev eth0 \
             weight 1 onlink",
            "198.51.103.0/24  encap ip id 7 src 192.0.2.1 dst 192.0.2.9 ttl 9 tos 4 via 192.168.146.13 dev eth0 proto keepalived",
            "198.51.104.0/24 proto keepalived \n\tnexthop via 192.168.146.13 dev eth0 weight 1 \n\tnexthop  encap ip id 0 src \
             0.0.0.0 dst 192.0.2.9 ttl 0 tos 0 via 192.168.146.14 dev eth0 weight 1",
            "198.51.105.0/24 via inet6 fd00:146::13 dev eth0 proto keepalived",
        ],
    ),
    ("ip route show table 100", &["blackhole 203.0.113.0/24 proto keepalived", "default via 192.168.146.13 dev eth0"]),
    (
        "ip route show table 101",
        &[
            "198.51.106.0/24 tos 0x04 dev eth0 proto static scope link metric 12 realms 3/4 mtu 1000 window 105 rtt 2s rttvar 1s \
             ssthresh lock 107 cwnd 106 advmss 101 reordering 104 hoplimit 100 initcwnd 109 features ecn rto_min 300ms \
             initrwnd 110 quickack 1 congctl reno fastopen_no_cookie 1",
            "throw 198.51.107.0/24 proto keepalived",
        ],
    ),
    (
        "ip -6 route show",
        &[
            "2001:db8:9::/48 via fd00:146::13 dev eth0 proto keepalived",
            "2001:db8:10::/48 proto keepalived metric 1024 pref medium\n\tnexthop via fd00:146::13 dev eth0 weight 1 \n\tnexthop via \
             fd00:146::14 dev eth0 weight 2",
            "2001:db8:11::/48  encap ip6 id 7 src :: dst fd00::9 hoplimit 9 tc 0 via fd00:146::13 dev eth0 proto keepalived",
            "2001:db8:12::/48 via fd00:146::13 dev eth0 proto keepalived metric 1024 expires ",
        ],
    ),
    (
        "ip -6 rule show",
        &[
            "78:\tfrom all to 2001:db8::/32 lookup main proto keepalived",
            "80:\tfrom all to fd00:9::/64 lookup [l3mdev-table] uidrange 10-19 ipproto udp sport 10-20 dport 20 proto zebra",
            "84:\tfrom all nop proto keepalived",
        ],
    ),
    (
        "ip rule show",
        &[
            "77:\tfrom 192.0.2.0/24 lookup 100 proto keepalived",
            "79:\tnot from 192.0.8.0/24 to 192.0.9.0/26 tos 0x10 fwmark 0x18/0xc iif eth0 lookup 101 realms 30/20 proto keepalived",
            "81:\tfrom all lookup 9 suppress_prefixlength 3 suppress_ifgroup 4 proto keepalived",
            "82:\tfrom all to 192.0.9.0/26 goto 32766 proto keepalived",
            "83:\tfrom all fwmark 0x10 unreachable proto keepalived",
        ],
    ),
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

#[test]
fn a_route_of_the_administrators_is_there_again_when_the_masters_goes() {
    let Some(mut lab) = Lab::new() else { return };
    lab.hosts[0].exec("ip route add 198.51.100.0/24 via 192.168.146.12 proto static");
    let config = "vrrp_instance VI_1 {
    state MASTER
    interface eth0
    virtual_router_id 51
    priority 255
    virtual_ipaddress {
        192.168.146.100/24
    }
    virtual_routes {
        198.51.100.0/24 via 192.168.146.13
    }
}
";
    let way = |lab: &Lab| lab.hosts[0].exec("ip route get 198.51.100.1");
    lab.start(0, Program::Ringmaster, config);
    eventually("the master's route is used", || way(&lab).contains("via 192.168.146.13"));
    lab.end(0, Signal::TERM);
    assert!(way(&lab).contains("via 192.168.146.12"), "{}", way(&lab));
}
