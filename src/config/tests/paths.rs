//! Routes and rules in the words of `ip`.

use super::parse_str;
use crate::config::model::{
    Encapsulation, Metric, NextHop, Outer, Prefix, Realms, RouteKind, RouterPreference, RuleAction, VirtualRoute,
    VirtualRule,
};
use crate::config::{Loaded, Problems};
use crate::wire::Family;

fn load(routes: &str, rules: &str) -> Result<Loaded, Problems> {
    parse_str("x.conf", &format!("static_routes {{\n{routes}\n}}\nstatic_rules {{\n{rules}\n}}\n"))
}

fn routes(lines: &str) -> Vec<VirtualRoute> {
    load(lines, "").unwrap_or_else(|problems| panic!("{problems}")).config.static_routes
}

fn rule(line: &str) -> VirtualRule {
    let mut config = load("", line).unwrap_or_else(|problems| panic!("{problems}")).config;
    config.static_rules.pop().unwrap_or_else(|| panic!("{line}: a rule"))
}

#[test]
fn routes_are_read_as_by_ip() {
    let lines = "src 192.0.2.1 to 198.51.100.0/24 via 192.0.2.254 dev eth0 metric 5 mtu lock 1400 rtt 100ms rttvar 7 congctl reno\n\
                 blackhole default table 9 no_track protocol static tos 0x10\n\
                 default via fe80::1 dev eth0 scope link expires 9 pref high append\n\
                 inet6 throw default table main";
    let [first, second, third, fourth] = &routes(lines)[..] else { panic!("four routes") };
    assert_eq!(first.destination, Some(Prefix { address: "198.51.100.0".parse().unwrap(), length: 24 }));
    let hop = NextHop { via: "192.0.2.254".parse().ok(), device: Some("eth0".to_owned()), ..NextHop::default() };
    assert_eq!((&first.hops, first.source), (&vec![hop], "192.0.2.1".parse().ok()));
    assert_eq!((first.metric, first.table, first.protocol, first.family), (Some(5), 254, 18, Family::V4));
    assert_eq!(first.metrics, [(Metric::Mtu, 1400), (Metric::RoundTrip, 800), (Metric::RoundTripVariance, 7)]);
    assert_eq!((&first.locked[..], &first.congestion), (&[Metric::Mtu][..], &Some(("reno".to_owned(), false))));
    assert_eq!((second.kind, second.destination, second.table), (RouteKind::Blackhole, None, 9));
    assert_eq!((second.protocol, second.tos, second.hops.len()), (4, 16, 0));
    assert_eq!((third.family, third.scope, third.expires), (Family::V6, Some(253), Some(9)));
    assert_eq!((third.preference, third.appended), (Some(RouterPreference::High), true));
    assert_eq!((fourth.family, fourth.kind), (Family::V6, RouteKind::Throw));
}

#[test]
fn a_route_may_lead_several_ways() {
    let lines = "198.51.100.0/24 metric 7 nexthop via 192.0.2.2 dev eth0 weight 256 onlink \
                 nexthop via inet6 fd00::2 dev eth1 realms 3/4 nexthop dev eth2 no_track";
    let [route] = &routes(lines)[..] else { panic!("one route") };
    let hop = |via: &str, device: &str| NextHop {
        via: via.parse().ok(),
        device: Some(device.to_owned()),
        ..NextHop::default()
    };
    let first = NextHop { extra_weight: 255, onlink: true, ..hop("192.0.2.2", "eth0") };
    let second = NextHop { realms: Some(Realms { source: 3, destination: 4 }), ..hop("fd00::2", "eth1") };
    assert_eq!(route.hops, [first, second, hop("", "eth2")]);
    assert_eq!((route.metric, route.family), (Some(7), Family::V4));
}

#[test]
fn a_route_may_put_headers_around_packets() {
    let lines = "10.1.0.0/16 via 192.0.2.2 encap mpls 100/200 ttl 9\n\
                 10.2.0.0/16 encap ip id 7 dst 192.0.2.9 src 192.0.2.1 ttl 9 tos 4 flags 4 dev eth0\n\
                 10.3.0.0/16 nexthop dev eth0 encap ip6 dst fd00::9 hoplimit 9 tc 4 nexthop dev eth1";
    let all = routes(lines);
    let of = |at: usize| all[at].hops[0].encapsulation.clone().expect("it has one");
    assert_eq!(of(0), Encapsulation::Mpls { labels: vec![100, 200], ttl: Some(9) });
    let outer = Outer {
        family: Family::V4,
        id: Some(7),
        destination: "192.0.2.9".parse().ok(),
        source: "192.0.2.1".parse().ok(),
        hops: Some(9),
        class: Some(4),
        flags: Some(4),
    };
    assert_eq!(of(1), Encapsulation::Ip(outer.clone()));
    let destination = "fd00::9".parse().ok();
    let six = Outer { family: Family::V6, id: None, destination, source: None, flags: None, ..outer };
    assert_eq!(of(2), Encapsulation::Ip(six));
}

#[test]
fn rules_are_read_as_by_ip() {
    let first = rule("not from 192.0.2.0/24 iif eth0 oif eth1 fwmark 0x7/0xff lookup 9 pref 50 tos 8 realms 30/20");
    assert_eq!(
        (first.inverted, first.incoming.as_deref(), first.outgoing.as_deref()),
        (true, Some("eth0"), Some("eth1"))
    );
    assert_eq!((first.mark, first.tos, first.priority), (Some((7, Some(255))), 8, 50));
    assert_eq!((first.action, first.realms), (RuleAction::Table(9), Some(Realms { source: 30, destination: 20 })));
    let second = rule("to fd00::/64 l3mdev protocol 12 no_track ipproto UDP sport 10-20 dport 53 uidrange 1000-1999");
    assert_eq!((second.family, second.action, second.protocol), (Family::V6, RuleAction::MasterTable, 12));
    assert_eq!((second.transport, second.source_ports), (Some(17), Some((10, 20))));
    assert_eq!((second.destination_ports, second.users), (Some((53, 53)), Some((1000, 1999))));
    let third = rule("inet6 suppress_prefixlength 0 suppress_ifgroup 3 table main");
    assert_eq!((third.family, third.suppressed_length, third.suppressed_group), (Family::V6, Some(0), Some(3)));
    for (line, action) in [
        ("to all prohibit", RuleAction::Prohibit),
        ("to all goto 80 priority 79", RuleAction::Goto(80)),
        ("to all nop", RuleAction::Nop),
        ("to all blackhole", RuleAction::Blackhole),
    ] {
        assert_eq!(rule(line).action, action, "{line}");
    }
    let loaded =
        load("", "from 192.0.2.0/24 table 9\nto fd00::/8 table 9\npriority 7 table 9\nto 10.0.0.0/8 table 9").unwrap();
    let priorities: Vec<_> = loaded.config.static_rules.iter().map(|rule| rule.priority).collect();
    assert_eq!(priorities, [16384, 16384, 7, 16383], "as keepalived numbers them");
    assert_eq!(loaded.problems.0.len(), 3, "and says so");
    let loaded = load("", "from 192.0.2.0/24").unwrap();
    assert_eq!((loaded.config.static_rules.len(), loaded.problems.0.len()), (0, 1), "as keepalived ignores it");
}

#[test]
fn what_a_route_cannot_be_is_refused() {
    for line in [
        "10.0.0.0/8",
        "10.0.0.0/8 via",
        "10.0.0.0/8 via x",
        "10.0.0.0/8 via 1.2.3.4 nexthop",
        "10.0.0.0/8 via 1.2.3.4 nexthop via 1.2.3.5",
        "10.0.0.0/8 realms 5 nexthop via 1.2.3.4 nexthop via 1.2.3.5",
        "10.0.0.0/8 nexthop weight 3",
        "10.0.0.0/8 nexthop via 1.2.3.4 weight 257",
        "10.0.0.0/8 nexthop via 1.2.3.4 metric 5",
        "blackhole 10.0.0.0/8 nexthop via 1.2.3.4 nexthop via 1.2.3.5",
        "10.0.0.0/8 via 1.2.3.4 or 1.2.3.5",
        "10.0.0.0/8 via 1.2.3.4 encap seg6 mode encap segs fd00::9",
        "10.0.0.0/8 via 1.2.3.4 encap ip id 7",
        "10.0.0.0/8 via 1.2.3.4 encap ip dst fd00::9",
        "10.0.0.0/8 via 1.2.3.4 encap mpls 1048576",
        "10.0.0.0/8 via 1.2.3.4 pref high",
        "10.0.0.0/8 via 1.2.3.4 quickack 2",
        "10.0.0.0/8 via 1.2.3.4 table 0",
        "10.0.0.0/8 via 1.2.3.4 table no-such-table",
        "10.0.0.0/8 via 1.2.3.4 vrf blue",
        "10.0.0.0/8 via 1.2.3.4 src fd00::1",
        "2001:db8::/32 via 1.2.3.4",
        "2001:db8::/32 via fd00::1 realms 5",
        "nat 10.0.0.0/8 via 1.2.3.4",
        "to dev eth0 table x",
    ] {
        assert!(load(line, "").is_err(), "{line}");
    }
    for line in [
        "from 10.0.0.0/8 to fd00::/8 table 9",
        "goto 8 priority 8",
        "table 9 sport 9-8",
        "table 9 sport 0-5",
        "table 9 dport 65535",
        "table 9 uidrange 0-4294967295",
        "tun_id 7 table 9",
        "inet6 realms 3 nop",
    ] {
        assert!(load("", line).is_err(), "{line}");
    }
}
