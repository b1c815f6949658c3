//! What the keywords of elections come to mean.

use std::time::Duration;

use super::*;
use crate::vrrp::Spec;
use crate::vrrp::proof::Proof;
use crate::vrrp::proof::trailer::{Key, Mode, Trailer};
use crate::vrrp::spec::{Burst, Manners, Peer, Peers, Preempt, Version};
use crate::vrrp::wire::Checksum;
use crate::wire::{Addr, Family, Mac};

fn addr(text: &str) -> Addr {
    text.parse::<std::net::IpAddr>().unwrap().into()
}

/// The election of an instance with these lines, below these global ones.
fn spec(global: &str, lines: &str) -> Spec {
    let text = format!(
        "vrrp_instance VI {{\ninterface eth0\nvirtual_router_id 51\n{lines}\n}}\nglobal_defs {{\n{global}\n}}\n"
    );
    let loaded = parse_str("x.conf", &text).unwrap_or_else(|problems| panic!("{text}{problems}"));
    loaded.config.instances[0].election.clone()
}

const V4: &str = "virtual_ipaddress {\n192.0.2.1/24\n}";
const V6: &str = "virtual_ipaddress {\nfe80::1\n2001:db8::1/64\n}\nvirtual_ipaddress_excluded {\n192.0.2.1\n}";

#[test]
fn defaults_are_those_of_keepalived() {
    let expected = Spec { addresses: vec![addr("192.0.2.1")], ..Spec::new("VI", "eth0", 51, Family::V4) };
    assert_eq!(spec("", V4), expected);
    assert_eq!((expected.version, expected.priority, expected.down_adverts), (Version::V2, 100, 3));
    assert_eq!((expected.interval, expected.preempt), (Duration::from_secs(1), Preempt::After(Duration::ZERO)));
    let burst = Burst { rounds: 5, again: Duration::from_secs(5) };
    assert_eq!((expected.announcing.master, expected.announcing.lower), (burst, burst));
    let expected =
        Spec { addresses: vec![addr("fe80::1"), addr("2001:db8::1")], ..Spec::new("VI", "eth0", 51, Family::V6) };
    assert_eq!(spec("", V6), expected);
    assert_eq!((expected.version, expected.peers), (Version::V3, Peers::Multicast(addr("ff02::12"))));
}

fn trailer(mode: Mode, window: Option<u32>) -> Proof {
    let key = Key(b"0123456789abcdef0123456789abcdef".to_vec());
    Proof::Trailer(Trailer { keys: vec![(1, key)], active: 1, mode, window })
}

#[test]
fn each_keyword_changes_its_own_value() {
    let base = || Spec { addresses: vec![addr("192.0.2.1")], ..Spec::new("VI", "eth0", 51, Family::V4) };
    let v3 = || Spec { version: Version::V3, ..base() };
    let with = |manners: Manners| Spec { manners, ..base() };
    let cases: Vec<(&str, &str, Spec)> = vec![
        ("", "state MASTER\npriority 255", Spec { starts_as_master: true, priority: 255, ..base() }),
        ("", "version 3\nadvert_int 0.25", Spec { interval: Duration::from_millis(250), ..v3() }),
        ("vrrp_version 3", "", v3()),
        ("vrrp_version 3", "version 2", base()),
        (
            "",
            "authentication {\nauth_type AH\nauth_pass secret\n}",
            Spec { proof: Proof::Header(*b"secret\0\0"), ..base() },
        ),
        (
            "",
            "advert_int 2\nauth_hmac {\nkey 1 0123456789abcdef0123456789abcdef\nactive_key 1\n}",
            Spec { interval: Duration::from_secs(2), proof: trailer(Mode::Enforce, Some(6)), ..base() },
        ),
        (
            "",
            "auth_hmac {\nkey 1 hex:3031323334353637383961626364656630313233343536373839616263646566\nactive_key 1\n\
             mode receive-only\nanti_replay monotonic\n}",
            Spec { proof: trailer(Mode::ReceiveOnly, None), ..base() },
        ),
        ("", "advert_int 3", Spec { interval: Duration::from_secs(3), ..base() }),
        ("", "advert_int 2.4", Spec { interval: Duration::from_secs(2), ..base() }),
        ("", "nopreempt", Spec { preempt: Preempt::Never, ..base() }),
        ("", "preempt_delay 7", Spec { preempt: Preempt::After(Duration::from_secs(7)), ..base() }),
        (
            "",
            "nopreempt\ntimer_expired_backup 200",
            Spec { preempt: Preempt::Never, yields_after: Some(Duration::from_micros(3_218_750)), ..base() },
        ),
        ("", "timer_expired_backup", base()),
        ("", "unicast_fault_no_peer", Spec { lonely: true, ..base() }),
        (
            "",
            "mcast_src_ip 192.0.2.11\ntrack_src_ip",
            Spec { source: Some(addr("192.0.2.11")), needs_source: true, ..base() },
        ),
        ("", "use_vmac", Spec { mac: Some(Mac([0, 0, 0x5e, 0, 1, 51])), ..base() }),
        ("", "use_vmac vrrp0 02:11:22:33:44", Spec { mac: Some(Mac([2, 0x11, 0x22, 0x33, 0x44, 51])), ..base() }),
        ("", "use_vmac\nvmac_xmit_base", base()),
        ("", "down_timer_adverts 5", Spec { down_adverts: 5, ..base() }),
        ("vrrp_down_timer_adverts 5", "", Spec { down_adverts: 5, ..base() }),
        (
            "",
            "authentication {\nauth_type PASS\nauth_pass secret\n}",
            Spec { proof: Proof::Password(*b"secret\0\0"), ..base() },
        ),
        ("", "mcast_src_ip 192.0.2.9", Spec { source: Some(addr("192.0.2.9")), ..base() }),
        ("", "mcast_dst_ip 224.0.0.99", Spec { peers: Peers::Multicast(addr("224.0.0.99")), ..base() }),
        ("vrrp_mcast_group4 224.0.0.98", "", Spec { peers: Peers::Multicast(addr("224.0.0.98")), ..base() }),
        ("", "lower_prio_no_advert", with(Manners { answers_lower: false, ..Manners::default() })),
        ("vrrp_lower_prio_no_advert", "", with(Manners { answers_lower: false, ..Manners::default() })),
        ("vrrp_lower_prio_no_advert", "lower_prio_no_advert no", base()),
        ("vrrp_strict", "", with(Manners { answers_lower: false, ..Manners::default() })),
        ("vrrp_strict", "strict_mode no", base()),
        ("", "higher_prio_send_advert", with(Manners { answers_higher: true, ..Manners::default() })),
        ("", "owner_ignore_adverts", with(Manners { owner_stays: true, ..Manners::default() })),
        ("vrrp_skip_check_adv_addr", "", Spec { compares_once: true, ..base() }),
        ("", "version 3\nv3_checksum_as_v2", Spec { checksum: Checksum::Bare, ..v3() }),
        ("", "version 3\nold_unicast_checksum", Spec { checksum: Checksum::Group, ..v3() }),
        ("", "version 3\nold_unicast_checksum never", Spec { learns_checksum: false, ..v3() }),
        ("", "dont_track_primary", Spec { needs_link: false, ..base() }),
    ];
    for (global, lines, expected) in cases {
        assert_eq!(spec(global, &format!("{lines}\n{V4}")), expected, "{global} {lines}");
    }
}

#[test]
fn unicast_replaces_the_group() {
    let lines =
        "unicast_src_ip 192.0.2.11\nunicast_ttl 64\nunicast_peer {\n192.0.2.12\n192.0.2.13 min_ttl 60 max_ttl 64\n}";
    let got = spec("vrrp_check_unicast_src", &format!("{lines}\n{V4}"));
    let peer = |text, ttl| Peer { address: addr(text), ttl };
    let peers = vec![peer("192.0.2.12", (0, 255)), peer("192.0.2.13", (60, 64))];
    assert_eq!(got.peers, Peers::Unicast { peers, ttl: 64, only_peers: true });
    assert_eq!(got.source, Some(addr("192.0.2.11")));
}

#[test]
fn announcements_have_their_knobs() {
    let announcing = |global: &str, lines: &str| spec(global, &format!("{lines}\n{V4}")).announcing;
    let burst = |rounds, seconds| Burst { rounds, again: Duration::from_secs(seconds) };
    let got = announcing("vrrp_garp_master_delay 2\nvrrp_garp_master_repeat 3", "");
    assert_eq!((got.master, got.lower), (burst(3, 2), burst(3, 2)), "what holds for masters holds for lower adverts");
    let got = announcing("vrrp_garp_lower_prio_repeat 1\nvrrp_garp_lower_prio_delay 0", "garp_master_repeat 4");
    assert_eq!(got.master, burst(4, 5));
    let got = announcing("", "garp_master_delay 9\ngarp_lower_prio_delay 1\ngarp_lower_prio_repeat 2");
    assert_eq!((got.master, got.lower), (burst(5, 9), burst(2, 1)));
    let got = announcing("vrrp_min_garp", "garp_master_refresh 60\ngarp_master_refresh_repeat 2");
    assert_eq!((got.master, got.refresh, got.refresh_rounds), (burst(1, 0), Duration::from_secs(60), 2));
    let got = announcing("vrrp_garp_interval 0.001\nvrrp_gna_interval 0.000002", "");
    assert_eq!((got.arp_gap, got.na_gap), (Duration::from_millis(1), Duration::from_micros(2)));
}

#[test]
fn an_instance_may_take_its_interface_from_the_defaults() {
    let text = "global_defs {\ndefault_interface eth7\nvrrp_startup_delay 3\n}\nvrrp_instance VI {\nvirtual_router_id 1\n\
                virtual_ipaddress {\n192.0.2.1\n}\n}";
    let config = parse_str("x.conf", text).unwrap().config;
    assert_eq!(config.instances[0].election.interface, "eth7");
    assert_eq!(config.instances[0].addresses[0].device, "eth7");
    assert_eq!(config.global.startup_delay, Duration::from_secs(3));
}

#[test]
fn an_advert_lists_no_more_than_it_has_room_for() {
    let lines: String = (0..300).map(|n| format!("10.0.{}.{}\n", n / 200, n % 200)).collect();
    let text =
        format!("vrrp_instance VI {{\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {{\n{lines}}}\n}}\n");
    let loaded = parse_str("x.conf", &text).unwrap();
    let instance = &loaded.config.instances[0];
    assert_eq!((instance.election.addresses.len(), instance.addresses.len()), (255, 300));
    assert_eq!(loaded.problems.0.len(), 45);
}

#[test]
fn groups_hold_their_members() {
    let instance = |name: &str, id: u8| {
        format!("vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id {id}\nno_virtual_ipaddress\n}}\n")
    };
    let text = format!("vrrp_sync_group G {{\ngroup {{\nB A\n}}\n}}\n{}{}", instance("A", 1), instance("B", 2));
    let loaded = parse_str("x.conf", &text).unwrap();
    let groups: Vec<_> = loaded.config.groups.iter().map(|group| (group.name.as_str(), &group.members[..])).collect();
    assert_eq!(groups, [("G", &[1, 0][..])]);
    assert_eq!(loaded.problems.0, []);
}

/// The names of the interfaces that the addresses of instances come to be on, and what is below them.
fn places(global: &str, instances: &str) -> Vec<(String, String, String)> {
    let text = format!("global_defs {{\n{global}\n}}\n{instances}");
    let config = parse_str("x.conf", &text).unwrap_or_else(|problems| panic!("{text}{problems}")).config;
    let addresses = config.instances.iter().flat_map(|instance| &instance.addresses);
    let place = |address: &crate::config::model::VirtualAddress| {
        let mac = config.virtual_macs.iter().find(|mac| mac.name == address.device);
        let below = config.port_of(&address.device).to_owned();
        (address.device.clone(), below, mac.map(|mac| mac.mac.to_string()).unwrap_or_default())
    };
    addresses.map(place).collect()
}

#[test]
fn virtual_mac_addresses_take_the_addresses_that_keepalived_gives_them() {
    let instance = |name: &str, router: u8, lines: &str| {
        format!("vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id {router}\n{lines}\n}}\n")
    };
    let three = "virtual_ipaddress {\n192.0.2.1\n192.0.3.1 dev eth1\n}\nvirtual_ipaddress_excluded {\n2001:db8::1\n}";
    let v4 = "00:00:5e:00:01:33";
    let v6 = "00:00:5e:00:02:33";
    for (global, text, expected) in [
        ("", instance("A", 51, three), vec![("eth0", "eth0", ""), ("eth1", "eth1", ""), ("eth0", "eth0", "")]),
        (
            "",
            instance("A", 51, &format!("use_vmac\n{three}")),
            vec![("vrrp.51", "eth0", v4), ("eth1", "eth1", ""), ("eth0", "eth0", "")],
        ),
        (
            "vmac_prefix mac\nvmac_addr_prefix a-long-one",
            instance("A", 51, &format!("use_vmac\nuse_vmac_addr\n{three}")),
            vec![("mac.51", "eth0", v4), ("a-long-one.51", "eth1", v4), ("a-long-one6.51", "eth0", v6)],
        ),
        (
            "vmac_prefix sixteen-letters-",
            instance("A", 51, &format!("use_vmac_addr\n{}", three.replace("eth1", "eth1 use_vmac"))),
            vec![("eth0", "eth0", ""), ("sixteen-lett.51", "eth1", v4), ("sixteen-let6.51", "eth0", v6)],
        ),
        (
            "",
            instance("A", 51, "use_vmac\nvirtual_ipaddress {\n192.0.2.1\n}")
                + &instance("B", 51, "use_vmac\nvirtual_ipaddress {\nfe80::1\n}")
                + &instance("C", 51, "use_vmac\ninterface eth1\nvirtual_ipaddress {\n192.0.3.1\n}"),
            vec![("vrrp.51", "eth0", v4), ("vrrp6.51", "eth0", v6), ("vrrp1.51", "eth1", v4)],
        ),
    ] {
        let expected = expected.into_iter().map(|(name, below, mac)| (name.into(), below.into(), mac.into()));
        assert_eq!(places(global, &text), expected.collect::<Vec<(String, String, String)>>(), "{text}");
    }
}

#[test]
fn garp_groups_and_extra_interfaces_are_read() {
    let text = "global_defs {\nvrrp_garp_extra_if all 60\n}\ngarp_group {\ngarp_interval 0.5\ninterfaces {\neth0\neth1\n}\n}\n\
                vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n192.0.2.1\n}\n}\n\
                vrrp_instance B {\ninterface eth0\nvirtual_router_id 2\ngarp_extra_if 7\nvirtual_ipaddress {\n192.0.2.2\n}\n}\n";
    let config = parse_str("x.conf", text).unwrap().config;
    let [group] = &config.garp_groups[..] else { panic!("{:?}", config.garp_groups) };
    assert_eq!(group.interfaces, ["eth0", "eth1"]);
    assert_eq!((group.arp_gap, group.na_gap), (Duration::from_millis(500), Duration::ZERO));
    let extra = |at: usize| config.instances[at].election.announcing;
    assert_eq!((extra(0).extra, extra(0).extra_all), (Duration::from_secs(60), true));
    assert_eq!((extra(1).extra, extra(1).extra_all), (Duration::from_secs(7), true));
}
