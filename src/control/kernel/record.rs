//! A file that says what of the kernel's state is ours.
//!
//! It is written before the kernel is told, so that after a `kill -9` the next director knows what was left.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::KernelError;
use crate::control::helper;

/// A record of one kind of things; see the module documentation.
#[derive(Debug)]
pub(super) struct Record(PathBuf);

impl Record {
    /// The record in this file, or no file yet.
    pub(super) fn new(file: PathBuf) -> Self {
        Self(file)
    }

    /// What it says; an absent one is empty.
    pub(super) fn read<T: DeserializeOwned + Default>(&self) -> Result<T, KernelError> {
        match std::fs::read(&self.0) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| self.failed(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Replaces it whole, so that a crash leaves the old one or the new one. An empty record is no file.
    pub(super) fn write<T: Serialize + Default + PartialEq>(&self, ours: &T) -> Result<(), KernelError> {
        let text = if *ours == T::default() { Ok(Vec::new()) } else { serde_json::to_vec(ours) };
        let replaced = text.map_err(io::Error::from).and_then(|text| match helper::get() {
            Some(helper) => helper.record(&self.0, &text),
            None => replace(&self.0, &text),
        });
        replaced.map_err(|error| self.failed(error))
    }

    fn failed(&self, source: io::Error) -> KernelError {
        KernelError::Record { file: self.0.clone(), source }
    }
}

/// Whether a file is one of the records that are kept beside this control socket.
pub fn is_beside(file: &Path, socket: &Path) -> bool {
    ["addresses", "settings", "interfaces"].iter().any(|kind| file == socket.with_extension(kind))
}

/// Replaces a record whole, so that a crash leaves the old one or the new one. No text is no file.
pub fn replace(file: &Path, text: &[u8]) -> io::Result<()> {
    if text.is_empty() {
        return match std::fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    file.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    let mut fresh = file.as_os_str().to_owned();
    fresh.push(".new");
    std::fs::write(&fresh, text)?;
    std::fs::rename(Path::new(&fresh), file)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_survives_and_an_empty_one_is_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("run/ringmaster.addresses");
        let record = Record::new(file.clone());
        assert_eq!(record.read::<BTreeSet<String>>().unwrap(), BTreeSet::new());
        let ours = BTreeSet::from(["10.0.0.1".to_owned()]);
        record.write(&ours).unwrap();
        assert_eq!(record.read::<BTreeSet<String>>().unwrap(), ours);
        record.write(&BTreeSet::<String>::new()).unwrap();
        assert!(!file.exists());
        record.write(&BTreeSet::<String>::new()).unwrap();
        std::fs::write(&file, "not ours").unwrap();
        assert!(record.read::<BTreeSet<String>>().is_err(), "a damaged record is reported, not overwritten");
    }
}
