//! What is watched, and who depends on it: the tracking blocks after their values are checked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{file, process, script, weight::Weight};

/// All tracking of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    /// What is watched; only what something depends on.
    pub trackers: Vec<Tracker>,
    /// Who depends on it.
    pub dependences: Vec<Dependence>,
    /// `interface_up_down_delays`, by interface.
    pub delays: BTreeMap<String, Delays>,
    /// `linkbeat_interfaces`: their link is asked for instead of being told.
    pub polled: BTreeSet<String>,
}

/// Something that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracker {
    /// The name of its block, or of the interface.
    pub name: String,
    /// What it is.
    pub watch: Watch,
}

/// What a tracker watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// `vrrp_script`.
    Script(script::Spec),
    /// `vrrp_track_process`.
    Process(process::Spec),
    /// `track_file`.
    File(file::Spec),
    /// An interface, by its name.
    Interface,
    /// A `bfd_instance`, by its name.
    Bfd,
}

impl Watch {
    /// What it is called in messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Watch::Script(_) => "script",
            Watch::Process(_) => "process",
            Watch::File(_) => "file",
            Watch::Interface => "interface",
            Watch::Bfd => "bfd",
        }
    }
}

/// Instances that depend on a tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependence {
    /// Its place in [`Spec::trackers`].
    pub tracker: usize,
    /// The instances, by their place in the configuration: one, or the members of a sync group.
    pub instances: Vec<usize>,
    /// The group's name, if it is the group that depends on it.
    pub group: Option<String>,
    /// What it counts.
    pub weight: Weight,
}

/// How long an interface must be down or up before that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delays {
    /// After it went down.
    pub down: Duration,
    /// After it came up.
    pub up: Duration,
}

impl Spec {
    /// The place of a tracker, which is added if it is not there.
    pub fn place(&mut self, name: &str, watch: impl FnOnce() -> Watch, is_kind: impl Fn(&Watch) -> bool) -> usize {
        let known = self.trackers.iter().position(|tracker| tracker.name == name && is_kind(&tracker.watch));
        known.unwrap_or_else(|| {
            self.trackers.push(Tracker { name: name.to_owned(), watch: watch() });
            self.trackers.len() - 1
        })
    }
}
