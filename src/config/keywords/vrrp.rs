//! Keywords of VRRP, its trackers and BFD.

use super::Support::{Elections, Later};
use super::Takes::{Any, Choice, Number, Text};
use super::{Block, Keyword, Takes, acts, later, other, seconds};

/// A keyword of elections.
const fn elections(name: &'static str, doc: &'static str) -> Keyword {
    other(name, Any, Elections, doc)
}

pub(super) const INSTANCE: &[Keyword] = &[
    acts("interface", Text, "", "where the addresses are; an instance needs it"),
    acts("virtual_router_id", Number(1, 255), "", "number of the instance; an instance needs it"),
    acts("priority", Number(1, 255), "100", "the highest becomes master"),
    acts("virtual_ipaddress", Takes::Block(Block::Lines), "", "addresses to own: address/prefix dev, label, scope"),
    acts("virtual_ipaddress_excluded", Takes::Block(Block::Lines), "", "addresses to own that adverts leave out"),
    other("state", Choice(&["MASTER", "BACKUP"]), Elections, "what to start as"),
    other("advert_int", seconds(10_000, 255), Elections, "seconds between adverts"),
    other("version", Number(2, 3), Elections, "version of VRRP"),
    elections("authentication", "password of adverts").with_block(Block::Authentication),
    elections("unicast_peer", "other directors, instead of multicast").with_block(Block::Lines),
    elections("nopreempt", "stay backup when a lower master is there"),
    elections("preempt", "take over from a lower master"),
    elections("preempt_delay", "seconds before taking over"),
    elections("unicast_src_ip", "address to send adverts from"),
    elections("check_unicast_src", "adverts must come from a peer"),
    elections("unicast_ttl", "time to live of unicast adverts"),
    elections("unicast_fault_no_peer", "fault without peers"),
    elections("old_unicast_checksum", "checksum of old versions"),
    elections("mcast_src_ip", "address to send adverts from"),
    elections("mcast_dst_ip", "multicast group"),
    elections("track_src_ip", "fault when that address goes"),
    elections("lower_prio_no_advert", "no answer to a lower advert"),
    elections("higher_prio_send_advert", "answer a higher advert"),
    elections("owner_ignore_adverts", "the owner of the addresses ignores adverts"),
    elections("timer_expired_backup", "become backup when late"),
    elections("down_timer_adverts", "missed adverts until a master counts as down"),
    elections("skip_check_adv_addr", "compare the addresses of a master's adverts once only"),
    elections("strict_mode", "hold to the RFC strictly"),
    elections("native_ipv6", "instance of IPv6"),
    elections("v3_checksum_as_v2", "checksum without pseudo header"),
    elections("kernel_rx_buf_size", "receive buffer"),
    elections("linkbeat_use_polling", "ask for link state"),
    elections("debug", "log more"),
    later("no_virtual_ipaddress", "the addresses are kept elsewhere"),
    later("garp_master_delay", "seconds to the second burst of gratuitous ARP"),
    later("garp_master_repeat", "how many in a burst"),
    later("garp_master_refresh", "seconds between repetitions as master"),
    later("garp_master_refresh_repeat", "how many in a repetition"),
    later("garp_lower_prio_delay", "seconds to the second burst after a lower advert"),
    later("garp_lower_prio_repeat", "how many in that burst"),
    later("garp_extra_if", "announce on other interfaces too"),
    later("lvs_sync_daemon_interface", "interface of connection synchronisation"),
    later("dont_track_primary", "ignore the link of the interface"),
    later("promote_secondaries", "keep other addresses when one goes"),
    later("accept", "take packets for the addresses"),
    later("no_accept", "take no packets for the addresses"),
    later("use_vmac", "virtual MAC address"),
    later("use_vmac_addr", "virtual MAC address for addresses of other interfaces"),
    later("vmac_xmit_base", "adverts without the virtual MAC address"),
    later("use_ipvlan", "an ipvlan instead of a virtual MAC address"),
    later("vrf", "the VRF that the instance is in"),
    later("virtual_routes", "routes of the master").with_block(Block::Lines),
    later("virtual_rules", "rules of the master").with_block(Block::Lines),
];

pub(super) const AUTHENTICATION: &[Keyword] = &[
    other("auth_type", Choice(&["PASS", "AH"]), Elections, "kind of password"),
    other("auth_pass", Text, Elections, "the password; 8 characters"),
];

/// May stand in an instance and in a sync group.
pub(super) const TRACKING: &[Keyword] = &[
    elections("track_interface", "interfaces that must be up").with_block(Block::Lines),
    elections("track_script", "scripts that count").with_block(Block::Lines),
    elections("track_process", "processes that count").with_block(Block::Lines),
    elections("track_file", "files that count").with_block(Block::Lines),
    elections("track_bfd", "BFD sessions that count").with_block(Block::Lines),
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
    later("group", "the instances").with_block(Block::Lines),
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
