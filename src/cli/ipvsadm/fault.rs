//! Why a command line was not carried out.

use std::fmt;

/// A message for stderr, and the exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    message: String,
    pub(super) exit: u8,
}

impl Fault {
    /// What was typed makes no sense.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit: 2 }
    }

    /// It made sense, and was refused.
    pub(super) fn refused(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), exit: 255 }
    }

    /// There is nothing to list.
    pub(super) fn nothing(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), exit: 1 }
    }

    /// Without a command there is only this.
    pub(super) fn try_help(program: &str) -> Self {
        Self::refused(format!("Try `{program} -h' or '{program} --help' for more information."))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
