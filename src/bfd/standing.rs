//! How a session stands: what another process must know to go on with it, so that the neighbour does not notice.
//!
//! Not when packets were sent and received last: whoever goes on sends at once, and was deaf for a while, so that the neighbour
//! gets its whole detection time again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::wire::{Diagnostic, State};

/// The standing of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub(super) state: State,
    pub(super) diagnostic: Diagnostic,
    pub(super) since: Duration,
    /// It was up until the neighbour ended it on purpose.
    #[serde(default)]
    pub(super) excused: bool,
    /// Our name for it.
    pub(super) discriminator: u32,
    pub(super) remote: Remote,
    /// What we have told the neighbour.
    pub(super) times: Times,
    /// What it has confirmed, if that is something else.
    pub(super) before: Option<Times>,
    /// The neighbour is asked to confirm.
    pub(super) polling: bool,
    pub(super) detection: Duration,
}

/// What of our configuration the neighbour reckons with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Times {
    pub(super) min_tx: Duration,
    pub(super) min_rx: Duration,
}

/// What the neighbour last said of itself (the `Remote` variables of RFC 5880 6.8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remote {
    pub(super) discriminator: u32,
    pub(super) state: State,
    pub(super) min_rx: Duration,
    pub(super) demand: bool,
}

/// The longest time that a packet can name: 32 bits of microseconds.
const LONGEST: Duration = Duration::from_micros(u32::MAX as u64);

impl Standing {
    /// Whether the session is up, or would be, had the neighbour not ended it on purpose.
    pub fn counts_as_up(&self) -> bool {
        self.state == State::Up || self.excused
    }

    /// Whether a session can stand so: whoever wrote it may have been dying, or mean harm.
    pub fn is_sound(&self, now: Duration) -> bool {
        let times =
            [Some(self.times), self.before].into_iter().flatten().flat_map(|times| [times.min_tx, times.min_rx]);
        let short = times.chain([self.remote.min_rx]).all(|time| time <= LONGEST);
        short
            && self.detection <= LONGEST * u32::from(u8::MAX)
            && self.since <= now
            && self.discriminator != 0
            && self.state != State::AdminDown
            && (self.state == State::Down || self.remote.discriminator != 0)
    }
}
