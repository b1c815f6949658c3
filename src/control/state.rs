//! What a director knows that is not in the connection table, for the next one: a file in memory, written anew at every
//! change and held by the supervisor.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use super::admin::Change;
use super::ids::SavedIds;
use super::ledger::SavedLedger;
use crate::sys::memfd;
use crate::track::Reading;

/// The layout of [`State`]; another one is another number.
const LAYOUT: u32 = 1;
/// Longer than any director's: all pairs, with long names of checks.
const LONGEST: usize = 256 << 20;

/// See the module documentation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// What the ids in the connection table mean.
    pub(super) ids: SavedIds,
    /// What has been counted.
    pub(super) ledger: SavedLedger,
    /// What clients have made of the configuration since it was read.
    pub(super) changes: Vec<Change>,
    /// What trackers have read: their kinds and names, and the reading.
    #[serde(default)]
    pub(super) readings: Vec<(String, String, Reading)>,
    /// What checks have found: their specifications in words, and whether they pass.
    pub(super) checks: Vec<(String, bool)>,
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    layout: u32,
    state: T,
}

impl State {
    /// Writes it into a new file.
    pub(super) fn write(&self) -> io::Result<OwnedFd> {
        let mut file = File::from(memfd_create("ringmaster-state", MemfdFlags::CLOEXEC)?);
        file.write_all(&serde_json::to_vec(&Envelope { layout: LAYOUT, state: self })?)?;
        Ok(file.into())
    }

    /// Reads what another director wrote; an error if that had another layout.
    pub(super) fn read(file: OwnedFd) -> io::Result<Self> {
        #[derive(Deserialize)]
        struct Layout {
            layout: u32,
        }
        let text = memfd::read(file, LONGEST)?;
        // Before anything else is looked at, which may well be something else.
        let Layout { layout } = serde_json::from_slice(&text)?;
        if layout != LAYOUT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("layout {layout} instead of {LAYOUT}")));
        }
        let Envelope { state, .. } = serde_json::from_slice(&text)?;
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::control::{Ids, Ledger};
    use crate::service::Method;
    use crate::wire::{Addr, Endpoint, ServiceKey};

    #[test]
    fn what_was_written_is_read_and_another_layout_is_refused() {
        let state =
            State { readings: vec![("script".to_owned(), "s".to_owned(), Reading::Number(-7))], ..State::default() };
        let file = state.write().unwrap();
        assert_eq!(State::read(file.try_clone().unwrap()).unwrap(), state);
        assert_eq!(State::read(file).unwrap(), state, "as often as it is asked for");
        let mut other = File::from(memfd_create("ringmaster-state", MemfdFlags::CLOEXEC).unwrap());
        other.write_all(br#"{"layout":2,"state":[]}"#).unwrap();
        assert_eq!(State::read(other.into()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    proptest! {
        /// Whatever a director that died, or was taken over, has left: it is understood, or refused.
        #[test]
        fn nothing_that_was_left_breaks_the_next_one(
            edits in prop::collection::vec((any::<prop::sample::Index>(), ".{0,3}|[0-9]{1,12}|null|-1|\\[\\]"), 0..6),
        ) {
            let mut ids = Ids::default();
            let endpoint = |last: u32| Endpoint::new(Addr::v4(0x0a00_0000 + last), 80);
            let service = ServiceKey { protocol: 6, virtual_: endpoint(100) };
            ids.service(service);
            ids.pair(service, endpoint(1), Method::Nat);
            let state = State { ids: ids.save(), changes: vec![Change::Clear], ..State::default() };
            let mut text = serde_json::to_string(&Envelope { layout: LAYOUT, state }).unwrap();
            for (at, word) in edits {
                // In the place of one of its words.
                let mut words: Vec<&str> = text.split_inclusive([',', ':', '[', '{']).collect();
                let at = at.index(words.len());
                words[at] = &word;
                text = words.concat();
            }
            let file = memfd::finished("test", text.as_bytes()).unwrap();
            if let Ok(state) = State::read(file) {
                let mut config = crate::config::parse_str("x.conf", "").unwrap().config;
                let _ = Ids::restore(&state.ids);
                let _ = Ledger::restore(&state.ledger);
                state.changes.iter().for_each(|change| _ = crate::control::admin::apply(&mut config, change));
            }
        }
    }
}
