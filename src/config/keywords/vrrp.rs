//! Keywords of VRRP, its trackers and BFD.

use super::Support::Later;
use super::Takes::{Any, Choice, Number, Text};
use super::{Block, Keyword, MANY, Takes, acts, later, other, seconds, tunes};

pub(super) const INSTANCE: &[Keyword] = &[
    acts("interface", Text, "", "where the addresses are; an instance needs it, or `default_interface`"),
    acts("virtual_router_id", Number(1, 255), "", "number of the instance; an instance needs it"),
    acts("priority", Number(1, 255), "100", "the highest becomes master; 255 owns the addresses"),
    acts("virtual_ipaddress", Takes::Block(Block::Lines), "", "addresses to own: address/prefix dev, label, scope"),
    acts("virtual_ipaddress_excluded", Takes::Block(Block::Lines), "", "addresses to own that adverts leave out"),
    acts("no_virtual_ipaddress", Takes::None, "", "the addresses are kept elsewhere"),
    acts("state", Choice(&["MASTER", "BACKUP"]), "BACKUP", "a hint; MASTER with priority 255 starts without waiting"),
    acts("advert_int", seconds(10_000, 255), "1", "seconds between adverts; hundredths with version 3"),
    acts("version", Number(2, 3), "2; 3 for IPv6", "version of VRRP"),
    acts("authentication", Takes::Block(Block::Authentication), "", "password of adverts; version 2 only"),
    acts(
        "unicast_peer",
        Takes::Block(Block::Lines),
        "",
        "other directors, instead of multicast: address min_ttl max_ttl",
    ),
    acts("nopreempt", Takes::Flag, "", "stay backup when a lower master is there"),
    acts("preempt", Takes::Flag, "", "take over from a lower master"),
    acts("preempt_delay", seconds(0, 1000), "0", "seconds to respect a lower master before taking over"),
    acts("unicast_src_ip", Takes::Address, "the interface's", "address to send adverts from"),
    acts("mcast_src_ip", Takes::Address, "the interface's", "address to send adverts from"),
    acts("mcast_dst_ip", Takes::Address, "224.0.0.18, ff02::12", "multicast group"),
    acts("unicast_ttl", Number(1, 255), "255", "time to live of unicast adverts"),
    acts("check_unicast_src", Takes::Flag, "no", "adverts must come from a peer"),
    acts("lower_prio_no_advert", Takes::Flag, "no", "no answer to a lower advert"),
    acts("higher_prio_send_advert", Takes::Flag, "no", "a last advert before giving way to a higher one"),
    acts("owner_ignore_adverts", Takes::Flag, "no", "with priority 255, give way to nobody"),
    acts("down_timer_adverts", Number(1, 100), "3", "missed adverts until a master counts as down"),
    acts("skip_check_adv_addr", Takes::Flag, "no", "compare the addresses of a master's adverts once only"),
    acts("strict_mode", Takes::Flag, "no", "no answer to a lower advert; tell what the RFC does not know"),
    acts("native_ipv6", Takes::None, "", "an instance of IPv6, where no address tells"),
    acts("v3_checksum_as_v2", Takes::Flag, "no", "version 3 over IPv4: checksum without pseudo header"),
    acts("dont_track_primary", Takes::Flag, "no", "take part even while the interface is down"),
    tunes("garp_master_delay", seconds(0, 86400), "5", "seconds to the second burst of announcements; 0 for none"),
    tunes("garp_master_repeat", Number(1, MANY), "5", "how often each address is told in a burst"),
    tunes("garp_master_refresh", seconds(0, 86400), "0", "seconds between repetitions as master; 0 for none"),
    tunes("garp_master_refresh_repeat", Number(1, MANY), "1", "how often each address is told in a repetition"),
    tunes("garp_lower_prio_delay", seconds(0, 86400), "master's", "seconds to the second burst after a lower advert"),
    tunes("garp_lower_prio_repeat", Number(0, MANY), "master's", "how often each address is told in that burst"),
    later("unicast_fault_no_peer", "fault without peers"),
    later("old_unicast_checksum", "checksum of old versions"),
    later("track_src_ip", "fault when that address goes"),
    later("timer_expired_backup", "become backup when late"),
    later("kernel_rx_buf_size", "receive buffer"),
    later("linkbeat_use_polling", "ask for link state"),
    later("debug", "log more"),
    later("garp_extra_if", "announce on other interfaces too"),
    later("lvs_sync_daemon_interface", "interface of connection synchronisation"),
    later("promote_secondaries", "keep other addresses when one goes"),
    later("accept", "take packets for the addresses"),
    later("no_accept", "take no packets for the addresses"),
    later("use_vmac", "virtual MAC address"),
    later("use_vmac_addr", "virtual MAC address for addresses of other interfaces"),
    later("vmac_xmit_base", "adverts without the virtual MAC address"),
    later("use_ipvlan", "an ipvlan instead of a virtual MAC address"),
    later("vrf", "the VRF that the instance is in"),
    acts("virtual_routes", Takes::Block(Block::Lines), "", "routes of the master, in the words of `ip route`"),
    acts("virtual_rules", Takes::Block(Block::Lines), "", "rules of the master, in the words of `ip rule`"),
];

pub(super) const AUTHENTICATION: &[Keyword] = &[
    acts("auth_type", Choice(&["PASS", "AH"]), "", "kind of password; only PASS is done"),
    acts("auth_pass", Text, "", "the password; 8 characters"),
];

/// May stand in an instance and in a sync group.
pub(super) const TRACKING: &[Keyword] = &[
    later("track_interface", "interfaces that must be up").with_block(Block::Lines),
    later("track_script", "scripts that count").with_block(Block::Lines),
    later("track_process", "processes that count").with_block(Block::Lines),
    later("track_file", "files that count").with_block(Block::Lines),
    later("track_bfd", "BFD sessions that count").with_block(Block::Lines),
];

/// May stand in an instance and in a sync group.
pub(super) const NOTIFY: &[Keyword] = &[
    later("notify", "run on every change"),
    later("notify_master", "run as master"),
    later("notify_backup", "run as backup"),
    later("notify_fault", "run on fault"),
    later("notify_stop", "run on stop"),
    later("notify_deleted", "run when the instance is removed"),
    later("notify_master_rx_lower_pri", "run when a lower advert comes"),
    later("notify_priority_changes", "tell of changes of priority"),
    other("smtp_alert", Any, Later, "mail on every change"),
];

pub(super) const SYNC_GROUP: &[Keyword] = &[
    acts("group", Takes::Block(Block::Lines), "", "the instances"),
    later("global_tracking", "trackers move the group"),
    later("sync_group_tracking_weight", "trackers of the group may have weights"),
];

pub(super) const SCRIPT: &[Keyword] = &[
    later("script", "program to run"),
    later("interval", "seconds between runs"),
    later("timeout", "seconds a run may take"),
    later("weight", "what it adds to the priority"),
    later("rise", "successes until it counts as up"),
    later("fall", "failures until it counts as down"),
    later("user", "user to run it as"),
    later("init_fail", "down until it first passes"),
];

pub(super) const TRACK_PROCESS: &[Keyword] = &[
    later("process", "name of the process"),
    later("param_match", "how its arguments must match"),
    later("weight", "what it adds to the priority"),
    later("quorum", "how many must run"),
    later("quorum_max", "how many may run"),
    later("fork_delay", "seconds until a new one counts"),
    later("terminate_delay", "seconds until an ended one counts"),
    later("delay", "both of these"),
    later("full_command", "match the whole command line"),
];

pub(super) const TRACK_FILE: &[Keyword] = &[
    later("file", "path of the file"),
    later("weight", "what the number counts"),
    later("init_file", "make the file at start"),
];

pub(super) const BFD_INSTANCE: &[Keyword] = &[
    later("neighbor_ip", "address of the neighbour"),
    later("source_ip", "address to send from"),
    later("min_rx", "milliseconds between packets received"),
    later("min_tx", "milliseconds between packets sent"),
    later("idle_tx", "milliseconds between packets while down"),
    later("multiplier", "missed packets until it counts as down"),
    later("passive", "wait for the neighbour to start"),
    later("ttl", "time to live"),
    later("hoplimit", "hop limit"),
    later("max_hops", "how far away the neighbour may be"),
    later("multihop", "the neighbour is not on the link"),
    later("weight", "what it adds to the priority"),
];

pub(super) const GARP_GROUP: &[Keyword] = &[
    other("garp_interval", seconds(1, 4294), Later, "seconds between gratuitous ARPs"),
    other("gna_interval", seconds(1, 4294), Later, "seconds between unsolicited NAs"),
    later("interface", "the interface"),
    later("interfaces", "the interfaces").with_block(Block::Lines),
];
