//! Settings of interfaces that are other than the machine's for as long as a director lives.
//!
//! Below an interface with a virtual MAC address, ARP requests are answered only for addresses that the interface has itself
//! (`arp_ignore` 1), and asked only by them (`arp_announce` 2): otherwise its own MAC address would get into the neighbours'
//! caches as that of a virtual address. `promote_secondaries` is what an instance asks for by that name.
//!
//! What they were before is recorded, and comes back at the end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::record::Record;
use super::{KernelError, sysctl};
use crate::config::Config;

/// All settings that are ever changed.
const KEYS: [&str; 3] = ["arp_ignore", "arp_announce", "promote_secondaries"];

/// The settings of a director; see the module documentation.
#[derive(Debug)]
pub struct Tuning {
    record: Record,
    /// What was changed, and what it was before.
    before: BTreeMap<PathBuf, String>,
    wanted: BTreeMap<PathBuf, &'static str>,
}

impl Tuning {
    /// None changed, but for what the record beside the control socket says.
    pub fn load(config: &Config) -> Result<Self, KernelError> {
        let record = Record::new(config.settings.socket.with_extension("settings"));
        let mut before: BTreeMap<PathBuf, String> = record.read()?;
        // A director may have been made to write it. Nothing else is ever set back.
        before.retain(|file, _| sysctl::is_of_interface(file, &KEYS));
        Ok(Self { before, record, wanted: wanted(config) })
    }

    /// Goes over to another configuration: what it does not ask for is set back, what it asks for is to be
    /// [applied](Self::apply).
    pub fn follow(&mut self, config: &Config) -> Result<(), KernelError> {
        self.wanted = wanted(config);
        let before = std::mem::take(&mut self.before);
        let (kept, gone) = before.into_iter().partition(|(file, _)| self.wanted.contains_key(file));
        self.before = kept;
        set_back(gone);
        self.record.write(&self.before)
    }

    /// Changes what is not as wanted, as far as the interfaces are there.
    pub fn apply(&mut self) -> Result<(), KernelError> {
        let mut changes = Vec::new();
        for (file, value) in &self.wanted {
            let Ok(present) = std::fs::read_to_string(file) else { continue };
            if present.trim() != *value {
                self.before.entry(file.clone()).or_insert_with(|| present.trim().to_owned());
                changes.push((file, *value));
            }
        }
        if !changes.is_empty() {
            self.record.write(&self.before)?;
        }
        changes.into_iter().try_for_each(|(file, value)| sysctl::write(file, value).map_err(KernelError::Setting))
    }

    /// Sets back what was changed.
    pub fn restore(&mut self) -> Result<(), KernelError> {
        set_back(std::mem::take(&mut self.before));
        self.record.write(&self.before)
    }
}

fn wanted(config: &Config) -> BTreeMap<PathBuf, &'static str> {
    let below = config.virtual_macs.iter().flat_map(|virtual_| {
        [("arp_ignore", "1"), ("arp_announce", "2")].map(|(key, value)| (virtual_.parent.as_str(), key, value))
    });
    let promoting = config.instances.iter().filter(|instance| instance.promotes);
    let promoted = promoting.flat_map(|instance| &instance.addresses).map(|address| address.device.as_str());
    let all = below.chain(promoted.map(|device| (device, "promote_secondaries", "1")));
    all.map(|(device, key, value)| (sysctl::path("ipv4", device, key), value)).collect()
}

fn set_back(settings: BTreeMap<PathBuf, String>) {
    for (file, before) in settings {
        // The interface may be gone.
        let _ = sysctl::write(Path::new(&file), &before);
    }
}
