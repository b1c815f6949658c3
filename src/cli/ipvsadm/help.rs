//! What `-h` and `-v` say.

use std::io::{self, Write};

/// The version that is spoken, and who speaks it.
pub(super) fn version(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "ipvsadm v1.31 (ringmaster {}, as IPVS v1.2.1)", env!("CARGO_PKG_VERSION"))
}

/// All commands and options.
pub(super) fn usage(out: &mut dyn Write, program: &str) -> io::Result<()> {
    version(out)?;
    writeln!(out, "Usage:")?;
    for line in USAGE {
        writeln!(out, "  {program} {line}")?;
    }
    out.write_all(DETAILS.as_bytes())
}

const USAGE: [&str; 12] = [
    "-A|-E SERVICE [-s SCHEDULER] [-p [SECONDS]] [-M NETMASK] [-o] [-b FLAGS]",
    "-D SERVICE",
    "-C",
    "-a|-e SERVICE -r SERVER [-g|-i|-m] [-w WEIGHT] [-x UPPER] [-y LOWER] [TUNNEL]",
    "-d SERVICE -r SERVER",
    "-L|-l [SERVICE | -c | --timeout | --daemon] [LISTING]",
    "-Z [SERVICE]",
    "--set TCP TCPFIN UDP",
    "-S [-n]",
    "-R",
    "--start-daemon|--stop-daemon master|backup [DAEMON]",
    "-h | -v",
];

const DETAILS: &str = "
The command comes first; its options follow in any order. Without a command: -L.
In front of it `--socket PATH` names the control socket of another director.

Commands:
  -A, --add-service       add a virtual service
  -E, --edit-service      change one: what is not given gets its default
  -D, --delete-service    remove one with its servers
  -C, --clear             remove all
  -a, --add-server        add a real server to a service
  -e, --edit-server       change one: what is not given gets its default
  -d, --delete-server     remove one
  -L, -l, --list          list services, connections, timeouts or daemons
  -Z, --zero              begin counters and rates at 0, of one service or of all
      --set               set timeouts in seconds; 0 leaves one as it is
  -S, --save              write the services as commands that make them
  -R, --restore           carry out such commands from the standard input
      --start-daemon      start a daemon for connection synchronization
      --stop-daemon       stop it
  -h, --help              this text
  -v, --version           the version

SERVICE:
  -t, --tcp-service HOST:PORT       HOST is an address, [IPv6] in brackets, or a name
  -u, --udp-service HOST:PORT       PORT is a number or a name; 0 stands for all ports
      --sctp-service HOST:PORT
  -f, --fwmark-service MARK         packets with a firewall mark; -6 behind it: of IPv6

Options of a service:
  -s, --scheduler NAME    rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh twos none; default wlc
  -p, --persistent [SEC]  clients stay with their server; default 360 seconds
  -M, --netmask MASK      clients of one network count as one; IPv6: a prefix length
  -o, --ops               every datagram is scheduled by itself (UDP)
  -b, --sched-flags LIST  sh-fallback sh-port mh-fallback mh-port flag-1 flag-2 flag-3
      --pe NAME           persistence engine

SERVER:
  -r, --real-server HOST[:PORT]     without a port: that of the service

Options of a server:
  -g, --gatewaying        direct routing (default)
  -i, --ipip              tunneling
  -m, --masquerading      NAT
  -w, --weight N          share of new connections; default 1, 0 takes none
  -x, --u-threshold N     full with so many connections
  -y, --l-threshold N     no longer full with fewer

TUNNEL:
      --tun-type TYPE     ipip (default), gue, gre
      --tun-port PORT     UDP port of gue
      --tun-nocsum, --tun-csum, --tun-remcsum

LISTING:
  -n, --numeric           addresses and ports as numbers
  -c, --connection        the connection table
      --timeout           the timeouts
      --daemon            the daemons
      --stats             what services and servers have carried
      --rate              how much of it in a second
  -X, --exact             do not shorten large numbers
      --thresholds        thresholds of servers
      --persistent-conn   clients that persistence holds
      --tun-info          tunnels
      --nosort            servers in the order of the scheduler

DAEMON:
      --syncid N  --sync-maxlen N  --mcast-interface NAME
      --mcast-group ADDRESS  --mcast-port N  --mcast-ttl N
";
