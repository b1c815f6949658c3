//! What a director knows that is not in the connection table, for the next one: a file in memory, written anew at every
//! change and held by the supervisor.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use super::admin::Change;
use super::ids::SavedIds;
use super::ledger::SavedLedger;
use crate::track::Reading;

/// The layout of [`State`]; another one is another number.
const LAYOUT: u32 = 1;

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
        let (mut file, mut text) = (File::from(file), Vec::new());
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut text)?;
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
    use super::*;

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
}
