//! Packets that never reached a ring, as the kernel has counted them.

use std::io;
use std::ops::Add;
use std::os::fd::AsFd;

use rustix::net::sockopt;

/// `struct xdp_statistics` of `<linux/if_xdp.h>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Packets lost because the receive ring was full: the worker was too slow.
    pub ring_full: u64,
    /// Times that a packet came and the kernel had no slot to put it in.
    pub no_slot: u64,
    /// Packets lost for want of a slot, or for being longer than one.
    pub dropped: u64,
    /// Descriptors of ours that the kernel found wrong.
    pub invalid: u64,
}

impl Losses {
    /// Those of one socket, since it was bound.
    pub(super) fn of(socket: impl AsFd) -> io::Result<Self> {
        let counted = sockopt::xdp_statistics(socket)?;
        // Kernels before 5.9 do not tell the reasons apart.
        Ok(Self {
            ring_full: counted.rx_ring_full.unwrap_or(0),
            no_slot: counted.rx_fill_ring_empty_descs.unwrap_or(0),
            dropped: counted.rx_dropped,
            invalid: counted.rx_invalid_descs + counted.tx_invalid_descs,
        })
    }
}

impl Add for Losses {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            ring_full: self.ring_full + other.ring_full,
            no_slot: self.no_slot + other.no_slot,
            dropped: self.dropped + other.dropped,
            invalid: self.invalid + other.invalid,
        }
    }
}
