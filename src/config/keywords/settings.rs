//! Keywords of the `ringmaster` block. keepalived skips the block with a warning, so one file serves both.

use super::Takes::{Choice, Number, Text, Words, YesNo};
use super::{Keyword, acts};

pub(super) const RINGMASTER: &[Keyword] = &[
    acts("workers", Number(1, 1024), "one a queue, at most the cores", "worker threads"),
    acts("cpus", Words, "all that the process may use", "the cores that workers are pinned to, in turn"),
    acts("interfaces", Words, "those that VIPs and real servers are reached by", "the ports to attach to"),
    acts("attach", Choice(&["auto", "native", "generic"]), "auto", "how the steering program is attached"),
    acts("transfer", Choice(&["auto", "zero-copy", "copy"]), "auto", "how frames reach the rings"),
    acts("poll", Choice(&["adaptive", "spin"]), "adaptive", "sleep when nothing arrives, or never"),
    acts("connections", Number(1024, 1 << 28), "1048576", "how many connections the table holds"),
    acts("frames", Number(64, 1 << 15), "4096", "entries of each queue's rings, two buffers for each; a power of two"),
    acts("socket", Text, "/run/ringmaster.sock", "path of the control socket"),
    acts("profile", Choice(&["ringmaster", "kernel"]), "ringmaster", "sets all choices below at once"),
    acts("expire_nodest_conn", YesNo, "yes", "a connection of a removed server ends with its next packet"),
    acts("expire_quiescent_template", YesNo, "yes", "clients leave a server of weight 0 despite persistence"),
    acts("conn_reuse_mode", Number(0, 3), "3", "when a SYN on a finished connection schedules anew; see sysctl of LVS"),
    acts("flagless_segment_closes", YesNo, "no", "a TCP segment without flags closes the connection, as in the kernel"),
    acts("template_keeps_timeout", YesNo, "yes", "persistence goes on with its own timeout, not with 60 s"),
    acts("sloppy_tcp", YesNo, "no", "any TCP segment but a RST opens a connection"),
    acts("last_service_ends_all", YesNo, "no", "connections are forgotten with the last service, as in the kernel"),
    acts("reset_unknown", YesNo, "yes", "a TCP packet of no connection is answered with RST"),
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
