//! Keywords of VRRP, its trackers and BFD.

use super::Support::{Deprecated, Otherwise};
use super::Takes::{Any, Choice, Number, Text, Words};
use super::{Block, Keyword, MANY, Takes, acts, later, millis, other, seconds, tunes};

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
        "auth_hmac",
        Takes::Block(Block::AuthHmac),
        "",
        "keys of adverts, of either version; as keepalived 2.4 has it",
    ),
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
    acts("unicast_fault_no_peer", Takes::None, "", "fault without peers, instead of multicast"),
    acts(
        "old_unicast_checksum",
        Any,
        "as peers have it",
        "unicast of version 3: checksum of old keepalived; or `never`",
    ),
    acts("track_src_ip", Takes::None, "", "fault while `unicast_src_ip` or `mcast_src_ip` is no address of this host"),
    acts(
        "timer_expired_backup",
        Any,
        "",
        "with `nopreempt`: a master that stood still for long is backup: others' priority",
    ),
    later("kernel_rx_buf_size", "receive buffer"),
    later("linkbeat_use_polling", "ask for link state"),
    later("debug", "log more"),
    acts(
        "garp_extra_if",
        Words,
        "0",
        "seconds between announcements on other interfaces with virtual MAC; `all` others",
    ),
    later("lvs_sync_daemon_interface", "interface of connection synchronisation"),
    acts("promote_secondaries", Takes::None, "", "the kernel keeps other addresses of a network when one goes"),
    acts("accept", Takes::None, "", "the addresses take what is no service's, as others of the host do"),
    acts("no_accept", Takes::None, "", "they do not: what comes by a port of the director is dropped"),
    acts("use_vmac", Any, "", "a virtual MAC address, on an interface of this name: name MAC"),
    acts("use_vmac_addr", Takes::None, "", "one too for addresses of other interfaces or of the other family"),
    acts("vmac_xmit_base", Takes::None, "", "adverts without the virtual MAC address"),
    other(
        "use_ipvlan",
        Any,
        Otherwise("adverts and addresses are on `interface` itself"),
        "an interface of its own, without a MAC address of its own",
    ),
    other("vrf", Any, Otherwise("put `interface` into the VRF yourself"), "the VRF of the instance's own interface"),
    acts("virtual_routes", Takes::Block(Block::Lines), "", "routes of the master, in the words of `ip route`"),
    acts("virtual_rules", Takes::Block(Block::Lines), "", "rules of the master, in the words of `ip rule`"),
];

pub(super) const AUTHENTICATION: &[Keyword] = &[
    acts(
        "auth_type",
        Choice(&["PASS", "AH"]),
        "",
        "PASS: in clear text; AH: what an authentication header is made with",
    ),
    acts("auth_pass", Text, "", "the password; 8 characters"),
];

pub(super) const AUTH_HMAC: &[Keyword] = &[
    acts("key", Words, "", "number and key of 32 to 64 bytes: text, hex:DIGITS or file:PATH"),
    acts("active_key", Number(1, 255), "", "number of the key to send with"),
    acts("anti_replay", Choice(&["time", "monotonic"]), "time", "whether clocks must agree, or numbers only grow"),
    acts("time_window", Number(1, 300), "3 adverts, at least 5", "seconds that clocks may differ"),
    acts(
        "mode",
        Choice(&["enforce", "permissive", "receive-only"]),
        "enforce",
        "what is sent, and whether it must be there",
    ),
];

/// May stand in an instance and in a sync group.
pub(super) const TRACKING: &[Keyword] = &[
    acts("track_interface", Takes::Block(Block::Lines), "", "interfaces that must be up: name weight"),
    acts("track_script", Takes::Block(Block::Lines), "", "scripts that count: name weight"),
    acts("track_process", Takes::Block(Block::Lines), "", "processes that count: name weight"),
    acts("track_file", Takes::Block(Block::Lines), "", "files that count: name weight"),
    acts("track_bfd", Takes::Block(Block::Lines), "", "BFD sessions that count: name weight"),
];

/// May stand in an instance and in a sync group.
pub(super) const NOTIFY: &[Keyword] = &[
    acts("notify", Words, "", "run on every change, with kind, name, state and priority; user and group may follow"),
    acts("notify_master", Words, "", "run as master; user and group may follow"),
    acts("notify_backup", Words, "", "run as backup; user and group may follow"),
    acts("notify_fault", Words, "", "run on fault; user and group may follow"),
    acts("notify_stop", Words, "", "run on stop; user and group may follow"),
    acts(
        "notify_deleted",
        Any,
        "",
        "tell DELETED, not FAULT, when a reload removes the instance; run this if it is there; user and group may follow",
    ),
    acts("notify_master_rx_lower_pri", Words, "", "run when a lower advert comes; user and group may follow"),
    acts("notify_priority_changes", Takes::Flag, "no", "tell the pipes of changes of priority"),
    tunes("smtp_alert", Takes::Flag, "no", "mail on every change"),
];

pub(super) const SYNC_GROUP: &[Keyword] = &[
    acts("group", Takes::Block(Block::Lines), "", "the instances"),
    acts("global_tracking", Takes::Flag, "no", "old name of `sync_group_tracking_weight`"),
    acts("sync_group_tracking_weight", Takes::Flag, "no", "trackers of the members may have weights"),
];

pub(super) const SCRIPT: &[Keyword] = &[
    acts("script", Text, "", "program to run, in quotes if it has arguments"),
    tunes("interval", seconds(1000, 4294), "1", "seconds from one run to the next"),
    tunes("timeout", seconds(1000, 4294), "the interval", "seconds a run may take; longer counts as failed"),
    acts("weight", Words, "0", "what it adds to the priority, -253 to 253; 0: fault without it; `reverse` may follow"),
    tunes("rise", Number(1, MANY), "1", "successes until it counts as up"),
    tunes("fall", Number(1, MANY), "1", "failures until it counts as down"),
    acts("user", Words, "", "user to run it as; a group may follow"),
    acts("init_fail", Takes::None, "", "down until it has passed `rise` times"),
];

pub(super) const TRACK_PROCESS: &[Keyword] = &[
    acts("process", Words, "", "name of the process, perhaps with arguments"),
    tunes("param_match", Choice(&["initial", "partial"]), "all alike", "how its arguments must match"),
    acts("weight", Words, "1", "what it adds to the priority, -254 to 254; 0: fault without it; `reverse` may follow"),
    tunes("quorum", Number(1, 65535), "1", "how many must run"),
    tunes("quorum_max", Number(0, 65535), "", "how many may run"),
    tunes("fork_delay", seconds(0, 3600), "0", "seconds until a new one counts"),
    tunes("terminate_delay", seconds(0, 3600), "0", "seconds until an ended one counts"),
    tunes("delay", seconds(0, 3600), "0", "both of these"),
    acts("full_command", Takes::None, "", "match the whole command line"),
];

pub(super) const TRACK_FILE: &[Keyword] = &[
    acts("file", Text, "", "path of the file"),
    acts("weight", Words, "1", "what the number counts; 0: fault while the number is not 0; `reverse` may follow"),
    acts("init_file", Any, "", "make the file at start: value overwrite"),
];

pub(super) const BFD_INSTANCE: &[Keyword] = &[
    acts("neighbor_ip", Takes::Address, "", "address of the neighbour; a session needs it"),
    other("neighbour_ip", Takes::Address, Deprecated("neighbor_ip"), "address of the neighbour"),
    acts("source_ip", Takes::Address, "the kernel's choice", "address to send from"),
    tunes("min_rx", millis(1000, 1000), "10", "milliseconds between packets that we can take"),
    tunes("min_tx", millis(1000, 1000), "10", "milliseconds between our packets"),
    tunes("idle_tx", millis(1_000_000, 10_000), "1000", "milliseconds between our packets while down"),
    tunes("multiplier", Number(1, 255), "5", "missed packets until the neighbour counts as down"),
    acts("passive", Takes::None, "", "wait for the neighbour to start"),
    tunes("ttl", Number(1, 255), "255", "time to live of packets, IPv4"),
    tunes("hoplimit", Number(1, 255), "255", "hop limit of packets, IPv6"),
    tunes("max_hops", Number(0, 255), "0", "hops that packets may have lost on their way; 255: any"),
    acts("multihop", Takes::None, "", "the neighbour is not on the link: port 4784"),
    acts("weight", Words, "0", "what it adds to the priority, -253 to 253; 0: fault without it; `reverse` may follow"),
    later("vrrp", "tell only VRRP"),
    later("checker", "tell only the checkers"),
];

pub(super) const GARP_GROUP: &[Keyword] = &[
    tunes("garp_interval", seconds(1, 4294), "0", "seconds between gratuitous ARPs on any of the interfaces"),
    tunes("gna_interval", seconds(1, 4294), "0", "seconds between unsolicited NAs on any of the interfaces"),
    acts("interface", Text, "", "the interface"),
    acts("interfaces", Takes::Block(Block::Lines), "", "the interfaces"),
];
