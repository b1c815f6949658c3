//! How an instance stands in its election: what another machine must know to go on in its place, so that a repaired crash is
//! no role change.
//!
//! Times are those of the clock that machines are told, which must be the same one for both.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The standing of an instance that takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It is master.
    Master {
        /// When its next advert is due.
        advert_at: Duration,
    },
    /// It is backup.
    Backup {
        /// The master's interval.
        interval: Duration,
        /// When the master counts as down; zero if it does already.
        down_at: Duration,
        /// When a lower master need not be respected any longer.
        preempt_at: Option<Duration>,
    },
}

impl Standing {
    /// Whether it is that of a master.
    pub fn is_master(&self) -> bool {
        matches!(self, Standing::Master { .. })
    }
}
