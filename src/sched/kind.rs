//! The names of the schedulers, and the options they take.

use std::fmt;
use std::str::FromStr;

/// The scheduling algorithms of LVS (`lvs_sched`, ipvsadm `-s`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// No scheduler: every new connection is refused.
    None,
    /// Round robin.
    Rr,
    /// Weighted round robin.
    Wrr,
    /// Least connections.
    Lc,
    /// Weighted least connections, the default.
    #[default]
    Wlc,
    /// Locality-based least connections: destinations keep their server.
    Lblc,
    /// The same with several servers a destination.
    Lblcr,
    /// Shortest expected delay.
    Sed,
    /// Never queue: an idle server first, else shortest expected delay.
    Nq,
    /// Failover: the heaviest server takes all.
    Fo,
    /// Overflow: the heaviest server that is not full takes all.
    Ovf,
    /// Destination hashing.
    Dh,
    /// Source hashing.
    Sh,
    /// Maglev hashing.
    Mh,
    /// The better of two drawn by weight (power of two choices).
    Twos,
}

impl Kind {
    /// Every kind, in the order of the manual page.
    pub const ALL: [Kind; 15] = [
        Kind::Rr,
        Kind::Wrr,
        Kind::Lc,
        Kind::Wlc,
        Kind::Lblc,
        Kind::Lblcr,
        Kind::Sed,
        Kind::Nq,
        Kind::Fo,
        Kind::Ovf,
        Kind::Dh,
        Kind::Sh,
        Kind::Mh,
        Kind::Twos,
        Kind::None,
    ];

    /// Its name in `keepalived.conf` and ipvsadm.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::None => "none",
            Kind::Rr => "rr",
            Kind::Wrr => "wrr",
            Kind::Lc => "lc",
            Kind::Wlc => "wlc",
            Kind::Lblc => "lblc",
            Kind::Lblcr => "lblcr",
            Kind::Sed => "sed",
            Kind::Nq => "nq",
            Kind::Fo => "fo",
            Kind::Ovf => "ovf",
            Kind::Dh => "dh",
            Kind::Sh => "sh",
            Kind::Mh => "mh",
            Kind::Twos => "twos",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// There is no scheduler of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such scheduler")]
pub struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or(UnknownKind)
    }
}

/// Options of the hashing schedulers (ipvsadm `-b`); the others accept and ignore them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    /// `sh-fallback`, `mh-fallback` (`flag-1`): a client whose server is not usable is given another one.
    pub fallback: bool,
    /// `sh-port`, `mh-port` (`flag-2`): the client's port is hashed together with its address.
    pub port: bool,
    /// `flag-3`: means nothing to any scheduler, and is listed.
    pub third: bool,
}

/// All that a service says of its scheduler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Setup {
    /// The algorithm.
    pub kind: Kind,
    /// Its options.
    pub flags: Flags,
}

impl From<Kind> for Setup {
    fn from(kind: Kind) -> Self {
        Self { kind, flags: Flags::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for kind in Kind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!("".parse::<Kind>(), Err(UnknownKind));
        assert_eq!("RR".parse::<Kind>(), Err(UnknownKind));
    }
}
