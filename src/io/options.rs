//! What an operator may choose about ports and rings.

/// How the steering program is attached to a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attach {
    /// Native if the driver can, else generic.
    #[default]
    Auto,
    /// Native, or fail.
    Native,
    /// Generic (skb) mode.
    Generic,
}

/// How frames pass between driver and ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transfer {
    /// Zero-copy if the driver can, else copy.
    #[default]
    Auto,
    /// Zero-copy, or fail.
    ZeroCopy,
    /// Copy.
    Copy,
}

/// What a worker does when nothing arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Poll {
    /// Spins a little, then sleeps until a frame arrives.
    #[default]
    Adaptive,
    /// Never sleeps: for cores that do nothing else.
    Spin,
}

/// How many rules for marks the steering program has room for (`MOST_RULES` in `steer.c`).
pub const MOST_MARK_RULES: usize = 64;
