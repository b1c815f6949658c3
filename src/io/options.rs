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

/// Whose code drives the rings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Driver {
    /// Ours.
    #[default]
    Own,
    /// The crate `xsk-rs`, over libxdp.
    XskRs,
}

/// Receive processing on the worker's core, in the worker's system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusyPoll {
    /// How long a call that would sleep asks the driver first (`SO_BUSY_POLL`).
    pub microseconds: u16,
}

/// How a worker's rings are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingOptions {
    /// Entries of each ring: 4096 unless memory is short; rounded up to a power of two. There are two buffers for each.
    pub frames: usize,
    /// How frames reach the rings.
    pub transfer: Transfer,
    /// Busy polling, where it is wanted.
    pub busy_poll: Option<BusyPoll>,
}
