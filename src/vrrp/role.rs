//! What an instance may be, and why it became that.

use crate::wire::Addr;

/// What an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// It cannot take part: no link, no address to send from, a failed check.
    Fault,
    /// It waits for the master's silence.
    Backup,
    /// It holds the addresses.
    Master,
    /// It was stopped, with its director.
    Stopped,
}

impl Role {
    /// As keepalived writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Fault => "FAULT",
            Role::Backup => "BACKUP",
            Role::Master => "MASTER",
            Role::Stopped => "STOP",
        }
    }
}

/// Why a role changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It can take part.
    Usable,
    /// It cannot take part any more.
    Unusable,
    /// No advert came for the master-down time.
    Silence,
    /// The master gave its addresses up (priority 0).
    Released,
    /// The master was found dead.
    Lost,
    /// It owns the addresses and starts as master.
    Owner,
    /// It goes on with what this host was until now.
    Resumed,
    /// Another router leads.
    Higher(Addr, u8),
    /// It stood still for so long that another one may lead.
    Late,
    /// The group moved.
    Group,
    /// The director ends.
    Stop,
    /// The configuration has it no more.
    Removed,
}
