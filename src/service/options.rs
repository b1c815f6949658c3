//! Choices of behaviour that hold for the whole director.

use super::{Defences, Defend, FtpPorts};
use crate::conn::Timeouts;
use crate::sched::Expirations;
use crate::time::Ticks;

/// Timeouts and the named deviations from the kernel's behaviour; see `docs/differences.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long each state lasts (`lvs_timeouts`, `ipvsadm --set`).
    pub timeouts: Timeouts,
    /// A connection whose server was removed ends with its next packet (`net.ipv4.vs.expire_nodest_conn`), instead of
    /// losing its packets until it times out.
    pub expire_nodest_conn: bool,
    /// A persistence template whose server has weight 0 is given up (`net.ipv4.vs.expire_quiescent_template`).
    pub expire_quiescent_template: bool,
    /// When a SYN on a finished connection schedules anew (`net.ipv4.vs.conn_reuse_mode`): 0 never, bit 0 in TIME_WAIT
    /// and CLOSE, bit 1 also in FIN_WAIT where the server's side is not seen (DR and TUN).
    pub conn_reuse_mode: u8,
    /// A TCP segment with none of SYN, FIN, ACK and RST closes the connection, as in the kernel, instead of leaving its
    /// state alone.
    pub flagless_segment_closes: bool,
    /// A template that outlives its timeout because it still has connections goes on with its own timeout, instead of
    /// the kernel's 60 s.
    pub template_keeps_timeout: bool,
    /// Any TCP segment but a RST opens a connection, not only a SYN (`net.ipv4.vs.sloppy_tcp`).
    pub sloppy_tcp: bool,
    /// Any SCTP packet but an ABORT opens a connection, not only an INIT (`net.ipv4.vs.sloppy_sctp`).
    pub sloppy_sctp: bool,
    /// An ICMP error from a client's side about a packet of no known connection opens one by the ends that it quotes, and
    /// goes on to the server that is chosen (`net.ipv4.vs.schedule_icmp`).
    pub schedule_icmp: bool,
    /// What a NAT server sends without a connection from the port of its service is refused by an ICMP error, instead of
    /// left to the kernel (`net.ipv4.vs.nat_icmp_send`).
    pub nat_icmp_send: bool,
    /// A packet of a service by mark that no server can take goes on to its destination, instead of being refused
    /// (`net.ipv4.vs.cache_bypass`).
    pub cache_bypass: bool,
    /// After how long a destination is forgotten, and loses servers again.
    pub expirations: Expirations,
    /// Once the last service of an address family is removed, the connections left are no longer the director's business,
    /// as in the kernel, which then takes its hooks out; else they are treated as those of any removed server.
    pub last_service_ends_all: bool,
    /// When the director defends itself against floods, and how.
    pub defences: Defences,
    /// NAT services on these ports have their data connections translated too (module `ip_vs_ftp`).
    pub ftp_ports: FtpPorts,
    /// Both ends of an established TCP connection that expires are sent a RST, instead of none.
    pub reset_expired: bool,
    /// A packet of no known connection is answered as the local stack would, TCP with RST, SCTP with an ICMP error,
    /// instead of dropped.
    pub reset_unknown: bool,
    /// A packet too big for a tunnel is refused if it has DF, and the tunnel packet has it too; else tunnel packets are
    /// cut (`net.ipv4.vs.pmtu_disc`).
    pub pmtu_disc: bool,
    /// The "fragmentation needed" that a client is told when one comes back from its tunnel already carries the new size;
    /// the kernel's carries the old one.
    pub tunnel_error_tells_new_mtu: bool,
    /// The shortest pause between ICMP errors to one host, after the first six; 0 is none (`net.ipv4.icmp_ratelimit`).
    pub icmp_ratelimit: Ticks,
    /// The most ICMP errors a second that one worker sends, or 0 for any number (`net.ipv4.icmp_msgs_per_sec`).
    pub icmp_msgs_per_sec: u32,
    /// Listings in ipvsadm's form compare addresses as ipvsadm does, whose differences of two of them overflow, instead of
    /// as numbers.
    pub signed_sort: bool,
    /// What is saved (`ipvsadm -S`) has the thresholds of servers and the timeouts, which ipvsadm leaves out.
    pub save_limits: bool,
}

impl Options {
    /// The recorded kernel's behaviour.
    pub const KERNEL: Options = Options {
        timeouts: Timeouts::DEFAULT,
        expire_nodest_conn: false,
        expire_quiescent_template: false,
        conn_reuse_mode: 1,
        flagless_segment_closes: true,
        template_keeps_timeout: false,
        sloppy_tcp: false,
        sloppy_sctp: false,
        schedule_icmp: false,
        nat_icmp_send: false,
        cache_bypass: false,
        expirations: Expirations::DEFAULT,
        last_service_ends_all: true,
        defences: Defences::OFF,
        ftp_ports: FtpPorts::NONE,
        reset_expired: false,
        reset_unknown: true,
        pmtu_disc: true,
        tunnel_error_tells_new_mtu: false,
        icmp_ratelimit: Ticks::from_secs(1),
        icmp_msgs_per_sec: 1000,
        signed_sort: true,
        save_limits: false,
    };

    /// What people get: the kernel's behaviour without the quirks that hurt them.
    pub const RINGMASTER: Options = Options {
        expire_nodest_conn: true,
        expire_quiescent_template: true,
        conn_reuse_mode: 3,
        flagless_segment_closes: false,
        template_keeps_timeout: true,
        last_service_ends_all: false,
        tunnel_error_tells_new_mtu: true,
        signed_sort: false,
        save_limits: true,
        defences: Defences { drop_entry: Defend::Auto, ..Defences::OFF },
        ftp_ports: FtpPorts::STANDARD,
        ..Options::KERNEL
    };
}

impl Default for Options {
    fn default() -> Self {
        Self::RINGMASTER
    }
}
