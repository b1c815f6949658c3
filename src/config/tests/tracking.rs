//! What a valid file means for tracking, notification and BFD.

use std::time::Duration;

use super::*;
use crate::bfd;
use crate::notify::Pipe;
use crate::program::{Program, User};
use crate::track::process::{self, Matching, Pattern};
use crate::track::spec::Delays;
use crate::track::{Watch, Weight, file, script};
use crate::wire::Addr;

const FILE: &str = r#"
global_defs {
    enable_script_security
    script_user keeper keepers
    dynamic_interfaces
    vrrp_notify_priority_changes yes
    notify_fifo /run/all root
    notify_fifo_script "/bin/reader -v" nobody
    vrrp_notify_fifo /run/vrrp
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    track_interface {
        eth1
        eth2 weight -7 reverse
    }
    track_script {
        check
    }
    track_process {
        proxy
        silent weight 0 reverse
    }
    track_file {
        switch weight -1 noreverse
    }
    track_bfd {
        near weight 5
    }
    notify_master "/bin/tell 'the boss'" nobody
    notify /bin/any
    notify_priority_changes no
    virtual_ipaddress {
        192.0.2.1
    }
}
vrrp_instance VI_2 {
    interface eth0
    virtual_router_id 52
    virtual_ipaddress {
        192.0.2.2
    }
}
vrrp_instance VI_3 {
    interface eth3
    virtual_router_id 53
    virtual_ipaddress {
        192.0.2.3
    }
}
vrrp_sync_group G {
    group {
        VI_1
        VI_2
    }
    track_script {
        check weight 3
    }
    sync_group_tracking_weight
    notify_fault /bin/alarm
}
vrrp_script check {
    script "/bin/check -q"
    interval 2
    timeout 1.5
    rise 3
    fall 4
    weight -20
    user checker
    init_fail
}
vrrp_track_process proxy {
    process haproxy
    delay 0.5
    fork_delay 2
}
vrrp_track_process silent {
    process "/usr/bin/my daemon" -x
    param_match partial
    quorum_max 0
}
track_file switch {
    file "/run/switch"
    weight 10 reverse
    init_file 5 overwrite
}
bfd_instance near {
    neighbor_ip 192.0.2.9
    source_ip 192.0.2.8
    min_rx 50
    min_tx 33.25
    idle_tx 2000
    multiplier 3
    passive
    ttl 64
    max_hops 2
}
bfd_instance far {
    neighbor_ip 2001:db8::9
    multihop
}
interface_up_down_delays {
    eth0 1.5 2
    eth5 0.25
}
linkbeat_interfaces {
    eth3 MII
}
"#;

fn config() -> Config {
    let loaded = parse_str("x.conf", FILE).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.problems.worst(), None, "{}", loaded.problems);
    loaded.config
}

fn user(name: &str, group: Option<&str>) -> Option<User> {
    Some(User { name: name.to_owned(), group: group.map(str::to_owned) })
}

#[test]
fn what_is_watched() {
    let config = config();
    let watch = |name: &str, kind: &str| {
        let mut all = config.tracking.trackers.iter();
        let found = all.find(|tracker| tracker.name == name && tracker.watch.kind() == kind);
        found.unwrap_or_else(|| panic!("{kind} {name}")).watch.clone()
    };
    let millis = Duration::from_millis;
    let check = script::Spec {
        program: Program { user: user("checker", None), ..Program::parse("/bin/check -q").unwrap() },
        interval: millis(2000),
        timeout: millis(1500),
        rise: 3,
        fall: 4,
        starts_down: true,
    };
    assert_eq!(watch("check", "script"), Watch::Script(check));
    let proxy = process::Spec {
        pattern: Pattern::Name("haproxy".to_owned()),
        least: 1,
        most: u32::MAX,
        fork_delay: millis(2000),
        terminate_delay: millis(500),
    };
    assert_eq!(watch("proxy", "process"), Watch::Process(proxy));
    let words = ["/usr/bin/my daemon", "-x"].map(str::to_owned).to_vec();
    let silent = process::Spec {
        pattern: Pattern::CommandLine { words, matching: Matching::Partial },
        least: 0,
        most: 0,
        fork_delay: Duration::ZERO,
        terminate_delay: Duration::ZERO,
    };
    assert_eq!(watch("silent", "process"), Watch::Process(silent));
    let initial = Some(file::Initial { value: 5, overwrite: true });
    assert_eq!(watch("switch", "file"), Watch::File(file::Spec { path: "/run/switch".into(), initial }));
    let delays = &config.tracking.delays;
    assert_eq!(delays["eth0"], Delays { down: millis(1500), up: millis(2000) });
    assert_eq!(delays["eth5"], Delays { down: millis(250), up: millis(250) });
    assert!(config.tracking.polled.contains("eth3"));
}

#[test]
fn who_depends_on_it_and_with_what_weight() {
    let config = config();
    let lines = config.tracking.dependences.iter().map(|dependence| {
        let tracker = &config.tracking.trackers[dependence.tracker];
        let Weight { value, reverse } = dependence.weight;
        (tracker.name.as_str(), dependence.instances.clone(), value, reverse, dependence.group.as_deref())
    });
    let expected = [
        // Their own interfaces: one has delays, the other is polled.
        ("eth0", vec![0], 0, false, None),
        ("eth0", vec![1], 0, false, None),
        ("eth3", vec![2], 0, false, None),
        ("eth1", vec![0], 0, false, None),
        ("eth2", vec![0], -7, true, None),
        ("check", vec![0], -20, false, None),
        ("proxy", vec![0], 1, false, None),
        ("silent", vec![0], 0, true, None),
        ("switch", vec![0], -1, false, None),
        ("near", vec![0], 5, false, None),
        ("check", vec![0, 1], 3, false, Some("G")),
    ];
    assert_eq!(Vec::from_iter(lines), expected);
    let needs_link: Vec<_> = config.instances.iter().map(|instance| instance.election.needs_link).collect();
    assert_eq!(needs_link, [false; 3], "the tracker tells them");
}

#[test]
fn who_is_notified() {
    let config = config();
    let hooks = &config.instances[0].hooks;
    let master = hooks.master.as_ref().unwrap();
    assert_eq!(
        (&master.words[..], &master.user),
        (&["/bin/tell".into(), "the boss".into()][..], &user("nobody", None))
    );
    assert_eq!(hooks.any.as_ref().unwrap().name(), "/bin/any");
    assert!(!hooks.priorities && config.instances[1].hooks.priorities);
    assert_eq!(config.groups[0].hooks.fault.as_ref().unwrap().name(), "/bin/alarm");
    let global = &config.global;
    assert!(global.script_security && global.dynamic_interfaces);
    assert_eq!(global.script_user, user("keeper", Some("keepers")));
    let reader = Program { user: user("nobody", None), ..Program::parse("/bin/reader -v").unwrap() };
    let pipes = [
        Pipe { path: "/run/all".into(), owner: user("root", None), reader: Some(reader) },
        Pipe { path: "/run/vrrp".into(), owner: None, reader: None },
    ];
    assert_eq!(global.pipes, pipes);
}

#[test]
fn sessions_of_bfd() {
    let address = |text: &str| Addr::from(text.parse::<std::net::IpAddr>().unwrap());
    let near = bfd::Spec {
        source: Some(address("192.0.2.8")),
        min_rx: Duration::from_millis(50),
        min_tx: Duration::from_micros(33_250),
        idle_tx: Duration::from_secs(2),
        multiplier: 3,
        passive: true,
        ttl: 64,
        max_hops: 2,
        ..bfd::Spec::new("near", address("192.0.2.9"))
    };
    let far = bfd::Spec { multihop: true, max_hops: 255, ..bfd::Spec::new("far", address("2001:db8::9")) };
    assert_eq!(config().bfd, [near, far]);
}
