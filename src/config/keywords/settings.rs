//! Keywords of the `ringmaster` block. keepalived skips the block with a warning, so one file serves both.

use super::Takes::{Choice, Number, Text, Words, YesNo};
use super::{Block, Keyword, MANY, Takes, acts};

pub(super) const RINGMASTER: &[Keyword] = &[
    acts("workers", Number(1, 1024), "one a queue, at most the cores", "worker threads"),
    acts("cpus", Words, "all that the process may use", "the cores that workers are pinned to, in turn"),
    acts("interfaces", Words, "those that VIPs and real servers are reached by", "the ports to attach to"),
    acts("attach", Choice(&["auto", "native", "generic"]), "auto", "how the steering program is attached"),
    acts("transfer", Choice(&["auto", "zero-copy", "copy"]), "auto", "how frames reach the rings"),
    acts("rings", Choice(&["own", "xsk-rs"]), "own", "whose code drives the rings: ours, or the crate xsk-rs"),
    acts("busy_poll", Number(0, 10_000), "0, off", "microseconds that workers drive receive processing themselves"),
    acts("poll", Choice(&["adaptive", "spin"]), "adaptive", "sleep when nothing arrives, or never"),
    acts("connections", Number(1024, 1 << 30), "1048576", "how many connections the table holds"),
    acts("frames", Number(64, 1 << 15), "4096", "entries of each queue's rings, two buffers for each; a power of two"),
    acts("socket", Text, "/run/ringmaster.sock", "path of the control socket"),
    acts("mark", Takes::Block(Block::Mark), "", "packets that get the firewall mark that follows"),
    acts("profile", Choice(&["ringmaster", "kernel"]), "ringmaster", "sets all choices below at once"),
    acts("expire_nodest_conn", YesNo, "yes", "a connection of a removed server ends with its next packet"),
    acts("expire_quiescent_template", YesNo, "yes", "clients leave a server of weight 0 despite persistence"),
    acts("conn_reuse_mode", Number(0, 3), "3", "when a SYN on a finished connection schedules anew; see sysctl of LVS"),
    acts("flagless_segment_closes", YesNo, "no", "a TCP segment without flags closes the connection, as in the kernel"),
    acts("template_keeps_timeout", YesNo, "yes", "persistence goes on with its own timeout, not with 60 s"),
    acts("sloppy_tcp", YesNo, "no", "any TCP segment but a RST opens a connection"),
    acts("sloppy_sctp", YesNo, "no", "any SCTP packet but an ABORT opens a connection"),
    acts("drop_entry", Number(0, 3), "1", "when half-open and hardly used connections are ended at random"),
    acts("drop_packet", Number(0, 3), "0", "when some packets that would open a connection are dropped"),
    acts("secure_tcp", Number(0, 3), "0", "when TCP counts as established only once the server has said so"),
    acts(
        "amemthresh",
        Number(1, 1 << 28),
        "an eighth of the table",
        "with fewer free places the automatic defences begin",
    ),
    acts("am_droprate", Number(1, MANY), "10", "with `drop_packet 3` one new connection in so many is dropped"),
    acts("ftp_ports", Words, "21", "ports on which NAT services speak FTP: at most eight, or `none`"),
    acts("local_ports", Words, "1024 32767", "the first and the last port that full NAT connects to servers from"),
    acts("limit", Words, "", "connections, and new ones a second, that a virtual server may have"),
    acts("last_service_ends_all", YesNo, "no", "connections are forgotten with the last service, as in the kernel"),
    acts("reset_expired", YesNo, "no", "both ends of an established connection that expires are sent a RST"),
    acts("reset_unknown", YesNo, "yes", "a TCP packet of no connection is answered with RST, an SCTP packet by ICMP"),
    acts("pmtu_disc", YesNo, "yes", "packets with DF too big for a tunnel are refused, not cut; see sysctl of LVS"),
    acts("tunnel_error_tells_new_mtu", YesNo, "yes", "clients hear of a tunnel's smaller MTU with the first error"),
    acts("icmp_ratelimit", Number(0, 3_600_000), "1000", "milliseconds between ICMP errors to one host; 0: no limit"),
    acts("icmp_msgs_per_sec", Number(0, 1_000_000), "1000", "ICMP errors a second of one worker; 0: no limit"),
    acts("signed_sort", YesNo, "no", "listings in the order of ipvsadm, which does not compare addresses as numbers"),
    acts("save_limits", YesNo, "yes", "`ipvsadm -S` saves thresholds and timeouts too"),
    acts("sync_key", Text, "", "secret of directors that tell each other of connections under a seal"),
    acts("sync_peer_port", Number(1, 65535), "8948", "UDP port of messages under a seal"),
    acts("sync_kernel_peers", YesNo, "no", "despite `sync_key`, plain messages of LVS are sent and taken as well"),
    acts(
        "sync_refresh_period",
        Number(1, 3600),
        "60",
        "seconds until peers are told again of a connection that goes on",
    ),
    acts("sync_persist_mode", YesNo, "no", "of persistent services only the templates are told"),
];

/// Of several values any may match, of several keywords all must.
pub(super) const MARK: &[Keyword] = &[
    acts("source", Words, "any", "addresses or prefixes that they come from"),
    acts("destination", Words, "any but the director's own", "addresses or prefixes that they are addressed to"),
    acts("protocol", Words, "any", "TCP, UDP or SCTP"),
    acts("ports", Words, "any", "destination ports or ranges of them (8000-8010)"),
    acts("source_ports", Words, "any", "source ports or ranges of them"),
    acts("interface", Words, "any", "where they come in"),
];
