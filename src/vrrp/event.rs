//! What happened: one ordered list, for the log, for listings and for whoever is to be told.

use std::fmt;
use std::time::Duration;

use super::accept::Rejection;
use super::role::{Cause, Role};
use crate::wire::Addr;

/// Something that happened to an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Duration,
    /// The number of the instance, in the order of the configuration.
    pub instance: usize,
    /// What.
    pub what: Happening,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// Another role.
    Role {
        /// Before.
        from: Role,
        /// Now.
        to: Role,
        /// Why.
        cause: Cause,
        /// The effective priority.
        priority: u8,
    },
    /// No advert counted while the master-down time ran out, but some came: why they did not count.
    Deaf {
        /// How many.
        adverts: u64,
        /// Who sent the last one.
        from: Addr,
        /// What was wrong with it.
        why: Rejection,
    },
    /// The effective priority moved.
    Priority(u8),
    /// A lower master was heard while we are master (`notify_master_rx_lower_pri`).
    Lower(Addr, u8),
    /// Two masters: another one keeps sending though it hears us, or does not hear us.
    SplitBrain(Addr),
    /// The other master has fallen silent or given way.
    Healed(Addr),
    /// The master's list of addresses is not ours.
    Mismatch(Addr),
    /// The loop came late by so much: the machine or the process stood still.
    Stalled(Duration),
}

impl Happening {
    /// Whether somebody should look at it.
    pub fn is_alarming(&self) -> bool {
        match self {
            Happening::Role { to, .. } => *to == Role::Fault,
            Happening::Deaf { .. } | Happening::SplitBrain(_) | Happening::Mismatch(_) | Happening::Stalled(_) => true,
            Happening::Priority(_) | Happening::Lower(..) | Happening::Healed(_) => false,
        }
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Happening::Role { to, cause, priority, .. } => {
                write!(f, "{} with priority {priority}: {cause}", to.name())
            }
            Happening::Deaf { adverts, from, why } => {
                write!(f, "{adverts} adverts did not count, the last from {from} because of {}", why.reason())
            }
            Happening::Priority(priority) => write!(f, "priority is now {priority}"),
            Happening::Lower(from, priority) => write!(f, "{from} is master too, with the lower priority {priority}"),
            Happening::SplitBrain(from) => {
                write!(f, "SPLIT BRAIN: {from} does not give way; does it hear our adverts? (protocol 112)")
            }
            Happening::Healed(from) => write!(f, "{from} is master no longer: one master again"),
            Happening::Mismatch(from) => {
                write!(f, "adverts of {from} list other addresses than virtual_ipaddress here; they count all the same")
            }
            Happening::Stalled(late) => write!(f, "woke {} ms late: the machine stood still", late.as_millis()),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Usable => f.write_str("it can take part"),
            Cause::Unusable => {
                f.write_str("the interface is down or has no address to send from, or what it tracks is down")
            }
            Cause::Silence => f.write_str("no master was heard"),
            Cause::Released => f.write_str("the master gave the addresses up"),
            Cause::Lost => f.write_str("BFD has lost the master"),
            Cause::Owner => f.write_str("it owns the addresses"),
            Cause::Resumed => f.write_str("this host was until now"),
            Cause::Higher(from, priority) => write!(f, "{from} leads with priority {priority}"),
            Cause::Late => f.write_str("it stood still for so long that another one may lead"),
            Cause::Group => f.write_str("its group moved"),
            Cause::Stop => f.write_str("the director ends"),
            Cause::Removed => f.write_str("the configuration has it no more"),
        }
    }
}
