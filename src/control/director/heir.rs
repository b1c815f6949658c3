//! The time before a director's turn. What is held for it comes bit by bit, and what can be made of that without disturbing
//! the director at work is made at once: files are mapped, maps and links opened, room for counters laid out. When the turn
//! comes, little is left to do: packets wait meanwhile.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::DirectorError;
use super::confinement::Confinement;
use super::start::{Prepared, ports_of_workers};
use super::takeover::{self, LINKS, MAPS, STATE, TABLE, WAY_BACK};
use crate::config::model::Settings;
use crate::conn::Table;
use crate::conn::table::TableError;
use crate::control::PAIRS;
use crate::control::keeper::{Estate, Gift, Keeper};
use crate::control::kernel::ReturnLink;
use crate::forward::{Counters, Shared};
use crate::io::options::Driver;
use crate::io::xdp::steer::{self, AttachMode, Steering};
use crate::io::xdp::{Descriptors, KernelPort, Mapped, SetupError};
use crate::supervisor::{Message, PULSES, RINGS};
use crate::sys::interface::Interface;
use crate::sys::pulse::Pulses;
use crate::sys::scheduling;

/// So long after the last change there will be no other for the moment.
const QUIET: Duration = Duration::from_millis(20);

/// What is held for this director, and what was made of it. A part that is `None` was not looked at yet, or is not there.
#[derive(Default)]
pub(super) struct Inheritance {
    pub(super) estate: Estate,
    /// The program as it is attached, and its rules.
    pub(super) steering: Option<io::Result<Steering>>,
    /// The rings of all workers.
    pub(super) rings: Option<Result<Vec<Mapped>, SetupError>>,
    /// The ways to the kernel of all workers, and the interfaces that they lead by: the workers' and the kernel's.
    pub(super) way_back: Option<(Vec<Mapped>, [Interface; 2])>,
    /// The connections, not yet repaired, with all that workers share beside them.
    pub(super) shared: Option<Result<Shared, TableError>>,
    /// Nothing counted yet, for each worker.
    pub(super) counters: Vec<Arc<Counters>>,
}

impl Prepared {
    /// Says that all is prepared, and waits for the word to begin. Follows the network meanwhile. `None`: nobody is there
    /// any more to give the word.
    pub(super) async fn inherit(&mut self, keeper: &mut Keeper) -> Result<Option<Inheritance>, DirectorError> {
        if keeper.prepared().is_err() {
            return Ok(None);
        }
        let mut inheritance = Inheritance::default();
        let mut looked = true;
        let mut watched = false;
        loop {
            tokio::select! {
                gift = keeper.receive(&mut inheritance.estate) => match gift {
                    Err(_) if inheritance.is_orphaned() => {
                        keeper.is_left();
                        return Ok(Some(inheritance));
                    }
                    Err(_) => return Ok(None),
                    Ok(Gift::Begin) => return Ok(Some(inheritance)),
                    // Who tells of a death does so by the channel of before.
                    Ok(Gift::Adopted) => (looked, watched) = (false, false),
                    // Written anew all the time, and soon read.
                    Ok(Gift::Changed(name)) if name == STATE => {}
                    Ok(Gift::Changed(_)) => {
                        inheritance.forget();
                        looked = false;
                    }
                },
                network = self.kernel.changed() => self.network = network?,
                () = sleep(QUIET), if !looked => {
                    inheritance.look_ahead(self);
                    looked = true;
                    if !std::mem::replace(&mut watched, true) {
                        wait_for_death(&inheritance.estate, keeper, self.confinement.clone());
                        // From the word to begin until packets are forwarded, nobody is more important.
                        let _ = scheduling::go_first();
                    }
                }
            }
        }
    }
}

impl Inheritance {
    /// Whether the director at work has died, and not ended in order.
    fn is_orphaned(&self) -> bool {
        let pages = self.estate.get(PULSES).and_then(|pages| pages.try_clone().ok());
        pages.is_some_and(|pages| Pulses::attach(pages).is_ok_and(|pulses| pulses.died()))
    }
}

/// Has the supervisor told as soon as the director at work has died.
fn wait_for_death(estate: &Estate, keeper: &Keeper, confinement: Option<Arc<Confinement>>) {
    let pulses = estate.get(PULSES).and_then(|file| Pulses::attach(file.try_clone().ok()?).ok());
    let (Some(pulses), Some(herald)) = (pulses, keeper.herald()) else { return };
    let wait = move || {
        let _ = scheduling::go_first();
        // It may outlive the time before the director's turn.
        if confinement.is_some_and(|confinement| confinement.enter().is_err()) {
            return;
        }
        pulses.wait_for_death();
        // Without a supervisor there is nobody to give the word.
        let _ = herald.send(&Message::Orphaned, None);
    };
    // Should there be no thread, the supervisor learns of the death all the same, a little later.
    let _ = std::thread::Builder::new().name("death-watch".to_owned()).spawn(wait);
}

impl Inheritance {
    /// Makes what is not made yet.
    pub(super) fn look_ahead(&mut self, director: &Prepared) {
        let Ok(mut things) = self.estate.copy() else { return };
        let Prepared { config, interfaces, workers, .. } = director;
        if self.counters.is_empty() {
            self.counters = (0..*workers).map(|_| Arc::new(Counters::new(PAIRS))).collect();
        }
        if self.steering.is_none() {
            self.steering = steering(&mut things, interfaces);
        }
        if self.way_back.is_none() {
            self.way_back = way_back(&mut things, &config.settings, *workers);
        }
        if self.rings.is_none() && config.settings.driver == Driver::Own {
            self.rings = rings(&mut things, director);
        }
        if self.shared.is_none()
            && let Some(table) = things.take(TABLE)
        {
            let map = |table: Table| {
                table.touch();
                Shared::new(Arc::new(table), *workers, PAIRS)
            };
            self.shared = Some(Table::map(table).map(map));
        }
    }

    /// What is held has changed.
    fn forget(&mut self) {
        let (estate, counters) = (std::mem::take(&mut self.estate), std::mem::take(&mut self.counters));
        *self = Self { estate, counters, ..Self::default() };
    }
}

fn steering(things: &mut Estate, interfaces: &[Interface]) -> Option<io::Result<Steering>> {
    let (maps, links) = (things.take_all(MAPS), things.take_all(LINKS));
    if links.is_empty() {
        return None;
    }
    let links = links.into_iter().map(|(name, link)| {
        let (index, mode) = takeover::port_of(&name).ok_or(io::ErrorKind::InvalidData)?;
        Ok((index, (mode, link)))
    });
    let links = links.collect::<io::Result<_>>();
    Some(links.and_then(|links| Steering::adopt(steer::Descriptors { maps, links }, interfaces)))
}

fn rings(things: &mut Estate, director: &Prepared) -> Option<Result<Vec<Mapped>, SetupError>> {
    let Prepared { config, interfaces, workers, .. } = director;
    drop(things.take_all(WAY_BACK));
    let mut things: Vec<_> = things.take_all(RINGS).into_iter().collect();
    if things.is_empty() {
        return None;
    }
    // How the program is attached makes no difference to them.
    let setups = ports_of_workers(interfaces, &vec![AttachMode::Generic; interfaces.len()], *workers);
    let map = |(worker, ports): (usize, &Vec<_>)| {
        Mapped::map(ports, config.settings.frames, descriptors(&mut things, &format!("{worker}."))?)
    };
    let mapped = setups.iter().enumerate().map(map).collect();
    if things.is_empty() {
        Some(mapped)
    } else {
        Some(Err(SetupError::NotTakenOver { source: io::ErrorKind::InvalidData.into() }))
    }
}

/// All of it or nothing: it is made anew without loss.
fn way_back(things: &mut Estate, settings: &Settings, workers: usize) -> Option<(Vec<Mapped>, [Interface; 2])> {
    let ends = ReturnLink::of(&settings.socket).ends().ok()?;
    let mut things: Vec<_> = things.take_all(WAY_BACK).into_iter().collect();
    let map = |worker: usize| {
        let kept = descriptors(&mut things, &format!("{worker}.")).ok()?;
        KernelPort::map(&ends[0], worker as u32, kept).ok()
    };
    let mapped: Option<Vec<_>> = (0..workers).map(map).collect();
    Some((mapped?, ends))
}

/// Takes the things out whose names begin so: `0.slots`, `0.ledger`, `0.socket.0000`, …
fn descriptors(things: &mut Vec<(String, OwnedFd)>, beginning: &str) -> Result<Descriptors, SetupError> {
    let missing = || SetupError::NotTakenOver { source: io::ErrorKind::NotFound.into() };
    let (mine, others) = std::mem::take(things).into_iter().partition(|(name, _)| name.starts_with(beginning));
    *things = others;
    let (mut slots, mut ledger, mut sockets) = (None, None, Vec::new());
    let mine: Vec<(String, OwnedFd)> = mine;
    // By name, so that sockets come in their order.
    for (name, thing) in mine {
        match &name[beginning.len()..] {
            "slots" => slots = Some(thing),
            "ledger" => ledger = Some(thing),
            _ => sockets.push(thing),
        }
    }
    Ok(Descriptors { slots: slots.ok_or_else(missing)?, ledger: ledger.ok_or_else(missing)?, sockets })
}
