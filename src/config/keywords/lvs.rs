//! Keywords of virtual and real servers.

use super::Support::{Later, Removed, Unchecked};
use super::Takes::{Any, Choice, Flag, None, Number, Text, Words};
use super::{Block, Keyword, MANY, Takes, acts, later, other};

pub(super) const VIRTUAL_SERVER: &[Keyword] = &[
    acts("lvs_sched", Text, "wlc", "scheduler: rr, wrr, lc, wlc, lblc, lblcr, sed, nq, fo, ovf, dh, sh, mh or twos"),
    acts("lb_algo", Text, "wlc", "other name of `lvs_sched`"),
    acts("protocol", Text, "UDP, with a warning", "TCP, UDP or SCTP"),
    acts("persistence_timeout", Any, "off; 360 without a value", "seconds that a client stays with its server"),
    acts("persistence_granularity", Text, "one address", "netmask (IPv4) or prefix length (IPv6) of one client"),
    acts("real_server", Takes::Block(Block::RealServer), "", "address and port of a server"),
    acts("sorry_server", Words, "", "address and port that serve when no real server is left"),
    acts("sorry_server_inhibit", Flag, "no", "`inhibit_on_failure` of the sorry server"),
    acts("sorry_server_lvs_method", Words, "lvs_method", "`lvs_method` of the sorry server"),
    acts("quorum", Number(1, MANY), "1", "weight that must be up; only 1 is done yet"),
    acts("hysteresis", Number(0, MANY), "0", "distance of quorum gained and lost; only 0 is done yet"),
    later("quorum_up", "run when the quorum is gained"),
    later("quorum_down", "run when the quorum is lost"),
    later("omega", "run the hooks on stop too"),
    later("ha_suspend", "no checks while the VIP is elsewhere"),
    acts("ip_family", Choice(&["inet", "inet6"]), "that of the servers", "family of a firewall-mark service"),
    later("hashed", "internal to keepalived"),
    acts("ops", Flag, "no", "schedule every UDP packet for itself"),
    acts("persistence_engine", Any, "none", "`sip`: persistence by SIP call, for UDP"),
    acts("flag-1", None, "", "`sh-fallback` or `mh-fallback`"),
    acts("flag-2", None, "", "`sh-port` or `mh-port`"),
    acts("flag-3", None, "", "listed; means nothing to any scheduler"),
    acts("sh-port", None, "", "sh: hash the client's port too"),
    acts("sh-fallback", None, "", "sh: another server where the hashed one is down"),
    acts("mh-port", None, "", "mh: hash the client's port too"),
    acts("mh-fallback", None, "", "mh: another server where the hashed one is down"),
    acts("laddr_group_name", Text, "", "the `local_address_group` that FNAT connects to servers from"),
    acts(
        "proxy_protocol",
        Choice(&["disable", "v1", "v2"]),
        "disable",
        "FNAT: client's address in front of the stream",
    ),
    acts("toa", Flag, "yes", "FNAT: client's address in TCP option 254, unless `proxy_protocol` says it"),
    other("nat_mask", Any, Removed("NAT needs no mask; leave the line out"), "mask of NAT, in old versions"),
    other("net_mask", Any, Removed("NAT needs no mask; leave the line out"), "never was one"),
];

pub(super) const REAL_SERVER: &[Keyword] = &[
    acts("weight", Number(0, 65535), "1", "share of new connections; 0 takes none"),
    acts("TCP_CHECK", Takes::Block(Block::TcpCheck), "", "up if a TCP connection opens"),
    acts("HTTP_GET", Takes::Block(Block::HttpGet), "", "up if every URL answers as it should"),
    other("SSL_GET", Takes::Block(Block::SslGet), Unchecked, "as HTTP_GET, over TLS"),
    other("SMTP_CHECK", Takes::Block(Block::SmtpCheck), Unchecked, "up if a mail server greets"),
    other("DNS_CHECK", Takes::Block(Block::DnsCheck), Unchecked, "up if a name is answered"),
    other("UDP_CHECK", Takes::Block(Block::UdpCheck), Unchecked, "up unless ICMP says no"),
    other("PING_CHECK", Takes::Block(Block::PingCheck), Unchecked, "up if it answers ping"),
    other("MISC_CHECK", Takes::Block(Block::MiscCheck), Unchecked, "up if a program says so"),
    other("FILE_CHECK", Takes::Block(Block::FileCheck), Unchecked, "up if a file says so"),
    other("BFD_CHECK", Takes::Block(Block::BfdCheck), Unchecked, "up if a BFD session is"),
    acts("uthreshold", Number(0, MANY), "0: no limit", "connections with which it takes no new ones"),
    acts("lthreshold", Number(0, MANY), "three quarters", "connections below which it takes new ones again"),
    later("notify_up", "run when the server comes up"),
    later("notify_down", "run when the server goes down"),
];

/// May stand in a virtual server and in a real server; that of the real server holds.
pub(super) const SERVER: &[Keyword] = &[
    acts("lvs_method", Words, "NAT", "how requests reach the server: NAT, DR, FNAT, or TUN with the kind of tunnel"),
    acts("lb_kind", Words, "NAT", "other name of `lvs_method`"),
    acts("inhibit_on_failure", Flag, "no", "weight 0 instead of removal while a check fails"),
    acts("virtualhost", Text, "the address", "Host header of HTTP_GET, where that has none"),
    other("smtp_alert", Any, Later, "mail when the server goes up or down"),
    later("snmp_name", "name in SNMP"),
];
