//! How elections and sessions of BFD stand, each kind in a file in memory that outlives the director: the next one goes on
//! where this one was, with the same roles and the same times, so that nobody outside notices.
//!
//! Each subject (an instance, a session) has a slot of its own, written by one system call when its standing changes; a death
//! leaves the one before or the one after. The clock is the machine's, the same for all processes.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, memfd_create};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::sys::memfd;
use crate::wire::Family;
use crate::{bfd, vrrp};

/// Bytes of a slot: JSON, and spaces. A part of a page, for the kernel writes page by page: a process that is killed between
/// two of them would leave half of the one standing and half of the other.
const SLOT: usize = 1024;
const _: () = assert!(4096 % SLOT == 0, "no slot is on two pages");
/// Of a file: more subjects than any director has.
const LONGEST: usize = SLOT << 16;

/// What has a standing.
pub(in crate::control) trait Subject {
    /// How it stands.
    type Standing: Copy + Debug + PartialEq + Serialize + DeserializeOwned;
    /// What a file of their standings is called.
    const FILE: &'static str;

    /// What it is known by, also to a director with another configuration.
    fn name(&self) -> String;
}

impl Subject for vrrp::Spec {
    type Standing = vrrp::Standing;
    const FILE: &'static str = "ringmaster-elections";

    /// An instance by its virtual router.
    fn name(&self) -> String {
        format!("{} {} {}", self.interface, self.router, if self.family == Family::V6 { "IPv6" } else { "IPv4" })
    }
}

impl Subject for bfd::Spec {
    type Standing = bfd::Standing;
    const FILE: &'static str = "ringmaster-sessions";

    /// A session by its neighbour (RFC 5881 3).
    fn name(&self) -> String {
        format!("{}{}", self.neighbour, if self.multihop { " over hops" } else { "" })
    }
}

/// The file; see the module documentation.
#[derive(Debug)]
pub(in crate::control) struct Record<S: Subject> {
    file: File,
    slots: Vec<Slot<S::Standing>>,
}

/// A subject, and its standing if it takes part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Slot<T> {
    of: String,
    standing: Option<T>,
}

/// What a director before this one has left.
#[derive(Debug)]
pub(in crate::control) struct Legacy<S: Subject>(Vec<Slot<S::Standing>>);

impl<S: Subject> Default for Legacy<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S: Subject> Legacy<S> {
    /// Reads a record; what it does not understand is not known.
    pub(in crate::control) fn read(file: OwnedFd) -> io::Result<Self> {
        let text = memfd::read(file, LONGEST)?;
        Ok(Self(text.chunks(SLOT).filter_map(|slot| serde_json::from_slice(slot).ok()).collect()))
    }

    /// How it stood.
    pub(in crate::control) fn standing(&self, subject: &S) -> Option<S::Standing> {
        let name = subject.name();
        self.0.iter().find(|slot| slot.of == name)?.standing
    }
}

impl<S: Subject> Record<S> {
    /// With what a director before this one has left: until subjects are known to stand otherwise, they stand so.
    pub(in crate::control) fn new(legacy: &Legacy<S>) -> io::Result<Self> {
        let file = memfd_create(S::FILE, MemfdFlags::CLOEXEC)?.into();
        let mut record = Self { file, slots: legacy.0.clone() };
        record.write()?;
        Ok(record)
    }

    /// To be held for the next director.
    pub(in crate::control) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// These subjects have the slots from now on. What is known of them stays, whenever the director may die.
    pub(super) fn renumber<'a>(&mut self, subjects: impl Iterator<Item = &'a S>) -> io::Result<()>
    where
        S: 'a,
    {
        let before = Legacy(std::mem::take(&mut self.slots));
        self.slots = subjects.map(|subject| Slot { of: subject.name(), standing: before.standing(subject) }).collect();
        self.write()
    }

    /// All slots at once, and then without what was behind them.
    fn write(&mut self) -> io::Result<()> {
        let text: Result<Vec<_>, _> = self.slots.iter().map(text).collect();
        self.file.write_all_at(&text?.concat(), 0)?;
        self.file.set_len((self.slots.len() * SLOT) as u64)
    }

    /// Notes how a subject stands; `None` if it takes no part.
    pub(super) fn note(&mut self, number: usize, standing: Option<S::Standing>) -> io::Result<()> {
        let slot = &mut self.slots[number];
        if slot.standing == standing {
            return Ok(());
        }
        slot.standing = standing;
        self.file.write_all_at(&text(slot)?, (number * SLOT) as u64)
    }
}

fn text<T: Serialize>(slot: &Slot<T>) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(slot)?;
    if text.len() > SLOT {
        return Err(io::ErrorKind::InvalidData.into());
    }
    text.resize(SLOT, b' ');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::bfd::wire::{Packet, State};
    use crate::vrrp::{Spec, Standing};
    use crate::wire::Addr;

    fn read<S: Subject>(record: &Record<S>) -> Legacy<S> {
        Legacy::read(record.fd().try_clone_to_owned().unwrap()).unwrap()
    }

    #[test]
    fn the_next_director_finds_what_was_noted_last() {
        let specs = [(51, Family::V4), (51, Family::V6), (52, Family::V4)]
            .map(|(router, family)| Spec::new("VI", "a-long-device-0", router, family));
        let master = |ms| Some(Standing::Master { advert_at: Duration::from_millis(ms) });
        let (interval, down_at) = (Duration::from_secs(40), Duration::MAX);
        let backup = Some(Standing::Backup { interval, down_at, preempt_at: Some(Duration::MAX) });
        let mut record = Record::new(&Legacy::default()).unwrap();
        record.renumber(specs.iter()).unwrap();
        let found = |record: &Record<Spec>| specs.each_ref().map(|spec| read(record).standing(spec));
        assert_eq!(found(&record), [None; 3]);
        for (instance, standing) in
            [(0, master(5)), (2, backup), (1, master(7)), (0, backup), (0, master(9)), (1, None)]
        {
            record.note(instance, standing).unwrap();
        }
        assert_eq!(found(&record), [master(9), None, backup]);
        record.renumber([&specs[2], &specs[1]].into_iter()).unwrap();
        assert_eq!(found(&record), [None, None, backup], "by other numbers");
        record.note(1, master(1)).unwrap();
        assert_eq!(
            found(&Record::new(&read(&record)).unwrap()),
            [None, master(1), backup],
            "before anything was noted"
        );
    }

    /// The longest standing of a session has room in its slot, and comes back.
    #[test]
    fn a_session_is_found_as_it_stood() {
        let neighbour: std::net::Ipv6Addr = "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap();
        let spec = bfd::Spec { multihop: true, ..bfd::Spec::new("n", neighbour.into()) };
        let now = Duration::new(123_456_789, 123_456_789);
        let mut session = bfd::Session::new(spec.clone(), u32::MAX, 1, now);
        let longest = Duration::from_micros(u32::MAX.into());
        let mut other = bfd::Session::new(bfd::Spec::new("o", Addr::v4(1)), u32::MAX, 1, now);
        other.fire(now);
        let packet = Packet { min_rx: longest, min_tx: longest, multiplier: 255, ..other.take_packets()[0] };
        session.received(&packet, now);
        session.received(&Packet { state: State::Init, ..packet }, now);
        let slow = bfd::Spec { min_tx: longest, min_rx: longest, ..spec.clone() };
        session.configure(slow.clone(), now);
        let mut record = Record::new(&Legacy::default()).unwrap();
        record.renumber(std::iter::once(&spec)).unwrap();
        record.note(0, Some(session.standing())).unwrap();
        let found = read(&record).standing(&spec).unwrap();
        assert_eq!(found, session.standing());
        assert!(found.counts_as_up());
        assert_eq!(bfd::Session::resume(slow, found, 1, now).unwrap().standing(), found);
    }

    fn any_time() -> impl Strategy<Value = Duration> {
        prop_oneof![
            any::<Duration>(),
            Just(Duration::MAX),
            Just(Duration::ZERO),
            (0..90_u64).prop_map(Duration::from_secs)
        ]
    }

    fn any_standing() -> impl Strategy<Value = Standing> {
        prop_oneof![
            any_time().prop_map(|advert_at| Standing::Master { advert_at }),
            (any_time(), any_time(), prop::option::of(any_time()))
                .prop_map(|(interval, down_at, preempt_at)| Standing::Backup { interval, down_at, preempt_at }),
        ]
    }

    proptest! {
        #[test]
        fn nonsense_is_not_known(bytes in prop::collection::vec(any::<u8>(), 0..4 * SLOT)) {
            let read = |bytes: &[u8]| Legacy::<bfd::Spec>::read(memfd::finished("test", bytes).unwrap());
            prop_assert!(read(&bytes).unwrap().0.is_empty());
        }

        /// An election that goes on with nonsense leads in the end, as nobody else is there.
        #[test]
        fn an_election_bears_what_was_left(standing in any_standing(), v2 in any::<bool>()) {
            let version = if v2 { vrrp::spec::Version::V2 } else { vrrp::spec::Version::V3 };
            let spec = Spec { version, ..Spec::new("VI", "eth0", 51, Family::V4) };
            let mut machine = vrrp::machine::Machine::new(&spec, false);
            machine.resume(standing);
            let mut now = Duration::from_secs(60);
            machine.handle(vrrp::machine::Input::Usable(Some(Addr::v4(1))), now);
            for _ in 0..500 {
                now += Duration::from_millis(700);
                machine.handle(vrrp::machine::Input::Woke, now);
                machine.handle(vrrp::machine::Input::Deadline, now);
            }
            prop_assert!(machine.standing().is_some_and(|standing| standing.is_master()));
        }
    }
}
