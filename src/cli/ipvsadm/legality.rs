//! Which options go with which commands, and with which kinds of tunnels.

use super::fault::Fault;
use crate::control::admin::TunnelKind;

/// The commands, in the order of [`LEGAL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Command {
    AddService,
    EditService,
    DeleteService,
    Clear,
    List,
    AddServer,
    DeleteServer,
    EditServer,
    Set,
    StartDaemon,
    StopDaemon,
    Restore,
    Save,
    Zero,
}

/// What the commands are called in messages.
const COMMANDS: [&str; 14] = [
    "add-service",
    "edit-service",
    "delete-service",
    "flush",
    "list",
    "add-server",
    "delete-server",
    "edit-server",
    "set",
    "start-daemon",
    "stop-daemon",
    "restore",
    "save",
    "zero",
];

/// The options that count, in the order of the columns of [`LEGAL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Given {
    Numeric,
    Connection,
    Service,
    Scheduler,
    Persistent,
    Netmask,
    Server,
    Method,
    Weight,
    Upper,
    Lower,
    McastInterface,
    Timeout,
    Daemon,
    Stats,
    Rate,
    Thresholds,
    PersistentConn,
    NoSort,
    SyncId,
    Exact,
    OnePacket,
    Engine,
    SchedFlags,
    McastGroup,
    McastPort,
    McastTtl,
    SyncMaxlen,
    TunInfo,
    TunType,
    TunPort,
    TunNocsum,
    TunCsum,
    TunRemcsum,
}

/// What the options are called in messages.
const OPTIONS: [&str; 34] = [
    "numeric",
    "connection",
    "service-address",
    "scheduler",
    "persistent",
    "netmask",
    "real-server",
    "forwarding-method",
    "weight",
    "u-threshold",
    "l-threshold",
    "mcast-interface",
    "timeout",
    "daemon",
    "stats",
    "rate",
    "thresholds",
    "persistent-conn",
    "nosort",
    "syncid",
    "exact",
    "ops",
    "pe",
    "sched-flags",
    "mcast-group",
    "mcast-port",
    "mcast-ttl",
    "sync-maxlen",
    "tun-info",
    "tun-type",
    "tun-port",
    "tun-nocsum",
    "tun-csum",
    "tun-remcsum",
];

/// A row a command, a column an option: `+` it must be there, `x` it must not, `1` at most one of these, a dot: as you
/// like.
#[rustfmt::skip]
const LEGAL: [&[u8; 34]; 14] = [
    b"xx+...xxxxxxxxxxxxxxx...xxxxxxxxxx", // add-service
    b"xx+...xxxxxxxxxxxxxxx...xxxxxxxxxx", // edit-service
    b"xx+xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", // delete-service
    b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", // clear
    b".11xxxxxxxxx11.......xxxxxxx.xxxxx", // list
    b"xx+xxx+....xxxxxxxxxxxxxxxxxx.....", // add-server
    b"xx+xxx+xxxxxxxxxxxxxxxxxxxxxxxxxxx", // delete-server
    b"xx+xxx+....xxxxxxxxxxxxxxxxxx.....", // edit-server
    b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", // set
    b"xxxxxxxxxxx.xxxxxxx.xxxx....xxxxxx", // start-daemon
    b"xxxxxxxxxxxxxxxxxxx.xxxxxxxxxxxxxx", // stop-daemon
    b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", // restore
    b".xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", // save
    b"xx.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", // zero
];

/// The same for tunnels: port, nocsum, csum, remcsum.
const TUNNELS: [(TunnelKind, &str, &[u8; 4]); 3] =
    [(TunnelKind::Ipip, "ipip", b"xxxx"), (TunnelKind::Gue, "gue", b"+111"), (TunnelKind::Gre, "gre", b"x11x")];

/// The options that were given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GivenSet(u64);

impl GivenSet {
    /// Adds one; twice is a fault.
    pub(super) fn add(&mut self, option: Given) -> Result<(), Fault> {
        if self.has(option) {
            return Err(Fault::usage(format!("multiple '{}' options specified", OPTIONS[option as usize])));
        }
        self.0 |= 1 << option as usize;
        Ok(())
    }

    pub(super) fn has(self, option: Given) -> bool {
        self.has_at(option as usize)
    }

    pub(super) fn has_any(self, options: &[Given]) -> bool {
        options.iter().any(|&option| self.has(option))
    }

    fn has_at(self, at: usize) -> bool {
        self.0 >> at & 1 != 0
    }

    /// Whether they go with the command.
    pub(super) fn check(self, command: Command) -> Result<(), Fault> {
        let of = format!("'{}' command", COMMANDS[command as usize]);
        self.check_row(LEGAL[command as usize], 0, &of)
    }

    /// Whether they go with the kind of tunnel.
    pub(super) fn check_tunnel(self, kind: TunnelKind) -> Result<(), Fault> {
        let row = TUNNELS.iter().find(|(its, ..)| *its == kind);
        row.map_or(Ok(()), |(_, name, row)| {
            self.check_row(*row, Given::TunPort as usize, &format!("'{name}' tunnel type"))
        })
    }

    fn check_row(self, row: &[u8], first: usize, of: &str) -> Result<(), Fault> {
        let mut exclusive: Option<&str> = None;
        for (at, legal) in (first..).zip(row) {
            let (name, given) = (OPTIONS[at], self.has_at(at));
            match (legal, given, exclusive) {
                (b'+', false, _) => {
                    return Err(Fault::usage(format!("You need to supply the '{name}' option for the {of}")));
                }
                (b'x', true, _) => return Err(Fault::usage(format!("Illegal '{name}' option with the {of}"))),
                (b'1', true, Some(other)) => {
                    let text = format!("The option '{name}' conflicts with the '{other}' option in the {of}");
                    return Err(Fault::usage(text));
                }
                (b'1', true, None) => exclusive = Some(name),
                _ => {}
            }
        }
        Ok(())
    }
}
