//! How instances stand, in a file in memory that outlives the director: the next one goes on where this one was, with the
//! same role and the same times, so that nobody outside notices.
//!
//! Each instance has a slot of its own, written by one system call when its standing changes; a death leaves the one before
//! or the one after. The clock is the machine's, the same for all processes.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use crate::vrrp::{Spec, Standing};
use crate::wire::Family;

/// Bytes of a slot: JSON, and spaces.
const SLOT: usize = 256;

/// See the module documentation.
#[derive(Debug)]
pub struct Record {
    file: File,
    /// What each slot says.
    slots: Vec<Option<Slot>>,
}

/// An instance and its standing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Slot {
    interface: String,
    router: u8,
    /// Of its adverts.
    v6: bool,
    standing: Standing,
}

/// What a director before this one has left.
#[derive(Debug, Default)]
pub(in crate::control) struct Legacy(Vec<Slot>);

impl Legacy {
    /// Reads a record; what it does not understand is not known.
    pub(in crate::control) fn read(file: OwnedFd) -> io::Result<Self> {
        let file = File::from(file);
        let mut text = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(0)];
        file.read_exact_at(&mut text, 0)?;
        Ok(Self(text.chunks(SLOT).filter_map(|slot| serde_json::from_slice(slot).ok()).collect()))
    }

    /// How the instance of this virtual router stood.
    pub(in crate::control) fn standing(&self, spec: &Spec) -> Option<Standing> {
        self.0.iter().find(|slot| slot.is_of(spec)).map(|slot| slot.standing)
    }
}

impl Record {
    /// With what a director before this one has left: until instances are known to stand otherwise, they stand so.
    pub(in crate::control) fn new(legacy: &Legacy) -> io::Result<Self> {
        let file = memfd_create("ringmaster-elections", MemfdFlags::CLOEXEC)?.into();
        let mut record = Self { file, slots: legacy.0.iter().cloned().map(Some).collect() };
        record.write()?;
        Ok(record)
    }

    /// To be held for the next director.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// These instances have the slots from now on. What is known of them stays, whenever the director may die.
    pub(super) fn renumber<'a>(&mut self, specs: impl Iterator<Item = &'a Spec>) -> io::Result<()> {
        let before = std::mem::take(&mut self.slots);
        let known = |spec: &Spec| before.iter().flatten().find(|slot| slot.is_of(spec)).cloned();
        self.slots = specs.map(known).collect();
        self.write()
    }

    /// All slots at once, and then without what was behind them.
    fn write(&mut self) -> io::Result<()> {
        let text: Result<Vec<_>, _> = self.slots.iter().map(|slot| text(slot.as_ref())).collect();
        self.file.write_all_at(&text?.concat(), 0)?;
        self.file.set_len((self.slots.len() * SLOT) as u64)
    }

    /// Notes how an instance stands; `None` if it takes no part.
    pub(super) fn note(&mut self, instance: usize, spec: &Spec, standing: Option<Standing>) -> io::Result<()> {
        if self.slots[instance].as_ref().map(|slot| slot.standing) == standing {
            return Ok(());
        }
        let slot = standing.map(|standing| Slot {
            interface: spec.interface.clone(),
            router: spec.router,
            v6: spec.family == Family::V6,
            standing,
        });
        let text = text(slot.as_ref())?;
        self.slots[instance] = slot;
        self.file.write_all_at(&text, (instance * SLOT) as u64)
    }
}

fn text(slot: Option<&Slot>) -> io::Result<Vec<u8>> {
    let mut text = slot.map(serde_json::to_vec).transpose()?.unwrap_or_default();
    text.resize(SLOT, b' ');
    Ok(text)
}

impl Slot {
    fn is_of(&self, spec: &Spec) -> bool {
        (self.interface.as_str(), self.router, self.v6)
            == (spec.interface.as_str(), spec.router, spec.family == Family::V6)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_next_director_finds_what_was_noted_last() {
        let specs = [(51, Family::V4), (51, Family::V6), (52, Family::V4)]
            .map(|(router, family)| Spec::new("VI", "a-long-device-0", router, family));
        let master = |ms| Some(Standing::Master { advert_at: Duration::from_millis(ms) });
        let (interval, down_at) = (Duration::from_secs(40), Duration::MAX);
        let backup = Some(Standing::Backup { interval, down_at, preempt_at: Some(Duration::MAX) });
        let mut record = Record::new(&Legacy::default()).unwrap();
        record.renumber(specs.iter()).unwrap();
        let read = |record: &Record| {
            let legacy = Legacy::read(record.fd().try_clone_to_owned().unwrap()).unwrap();
            specs.each_ref().map(|spec| legacy.standing(spec))
        };
        assert_eq!(read(&record), [None; 3]);
        for (instance, standing) in
            [(0, master(5)), (2, backup), (1, master(7)), (0, backup), (0, master(9)), (1, None)]
        {
            record.note(instance, &specs[instance], standing).unwrap();
        }
        assert_eq!(read(&record), [master(9), None, backup]);
        record.renumber([&specs[2], &specs[1]].into_iter()).unwrap();
        assert_eq!(read(&record), [None, None, backup], "by other numbers");
        record.note(1, &specs[1], master(1)).unwrap();
        let legacy = Legacy::read(record.fd().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(read(&Record::new(&legacy).unwrap()), [None, master(1), backup], "before anything was noted");
    }
}
