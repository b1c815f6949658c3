//! Going on where another director has stopped or died: what was held for this one becomes its parts, and its parts are
//! held for the next one.
//!
//! Each part that does not fit (another layout, other ports, other queues) is let go and made anew, and that is said.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use crate::config::Config;
use crate::conn::Table;
use crate::control::keeper::{Estate, Keeper};
use crate::control::state::State;
use crate::control::vrrp::{Legacy, Record};
use crate::control::{Ids, Ledger, admin};
use crate::io::pcap::{Resolution, Writer};
use crate::io::xdp::steer::{self, AttachMode, Steering};
use crate::io::xdp::{Descriptors, Own, PortSetup, SetupError, XdpIo, in_hand};
use crate::supervisor::RINGS;
use crate::sys::clock;
use crate::sys::interface::Interface;

const TABLE: &str = "table";
const STATE: &str = "state";
const ELECTIONS: &str = "elections";
const MAPS: &str = "steer.map.";
const LINKS: &str = "steer.link.";
const STEERING: &str = "steer.";

/// What a director before this one knew, and the connections that it is about.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) state: State,
    pub(super) ids: Ids,
    pub(super) ledger: Ledger,
    pub(super) table: Arc<Table>,
}

/// The connections and what their ids mean; neither is of use without the other.
pub(super) fn memory(estate: &mut Estate, workers: usize) -> Option<Memory> {
    let (table, state) = (estate.take(TABLE)?, estate.take(STATE)?);
    let refused = |why: &dyn std::fmt::Display| tracing::error!("connections are lost: {why}");
    let state = State::read(state).inspect_err(|error| refused(&format_args!("what the last director knew: {error}")));
    let state = state.ok()?;
    let Some(ids) = Ids::restore(&state.ids) else {
        refused(&"what the last director knew contradicts itself");
        return None;
    };
    let (table, recovered) = Table::attach(table).inspect_err(|error| refused(error)).ok()?;
    if table.workers() != workers {
        refused(&format_args!("their table is for {} workers, not {workers}", table.workers()));
        return None;
    }
    tracing::info!("connections: {} kept, {} slots repaired", recovered.kept, recovered.freed);
    let ledger = Ledger::restore(&state.ledger);
    Some(Memory { state, ids, ledger, table: Arc::new(table) })
}

/// How elections stood; nothing, if there is no knowing.
pub(super) fn elections(estate: &mut Estate) -> Legacy {
    let left = estate.take(ELECTIONS).map(Legacy::read).transpose();
    left.inspect_err(|error| tracing::error!("elections begin anew: {error}")).ok().flatten().unwrap_or_default()
}

/// Has a record of elections held.
pub(super) fn hold_elections(keeper: &mut Keeper, record: &Record) {
    keeper.hold(ELECTIONS, record.fd());
}

/// Carries out what clients had changed before.
pub(super) fn repeat_changes(config: &mut Config, state: &State) {
    for change in &state.changes {
        if let Err(refusal) = admin::apply(config, change) {
            tracing::warn!("a change of before does not fit any more: {refusal}");
        }
    }
}

/// The steering program as it is attached; `None` if there is none, or another one, which is then let go.
pub(super) fn steering(
    estate: &mut Estate,
    keeper: &mut Keeper,
    interfaces: &[Interface],
    memory: Option<&Memory>,
) -> Option<Steering> {
    let (maps, links) = (estate.take_all(MAPS), estate.take_all(LINKS));
    if links.is_empty() {
        return None;
    }
    let links = links.into_iter().filter_map(|(name, link)| {
        let (index, mode) = name.split_once('.')?;
        let mode = if mode == NATIVE { AttachMode::Native } else { AttachMode::Generic };
        Some((index.parse().ok()?, (mode, link)))
    });
    let same = memory.is_some_and(|memory| memory.state.steering == Steering::fingerprint());
    let descriptors = steer::Descriptors { maps, links: links.collect() };
    let adopted = if same { Steering::adopt(descriptors, interfaces) } else { Err(io::ErrorKind::InvalidData.into()) };
    if let Err(error) = &adopted {
        tracing::warn!("the steering program is attached anew, which loses packets: {error}");
        keeper.release(STEERING);
    }
    adopted.ok()
}

/// The rings of all workers; `None` if there are none, or they do not fit, and are let go.
pub(super) fn rings(
    estate: &mut Estate,
    keeper: &mut Keeper,
    ports: &[Vec<PortSetup>],
    frames: usize,
    black_box: &Path,
) -> Option<Vec<XdpIo<Own>>> {
    let things = estate.take_all(RINGS);
    if things.is_empty() {
        return None;
    }
    let mut things: Vec<_> = things.into_iter().collect();
    let mut lost = Vec::new();
    let attached: Result<Vec<_>, SetupError> = (0..)
        .zip(ports)
        .map(|(worker, ports)| {
            let left = descriptors(&mut things, worker)?;
            lost.extend(in_hand(ports, frames, &left).unwrap_or_default());
            XdpIo::attach(ports, frames, left)
        })
        .collect();
    save_frames(&lost, black_box);
    match attached {
        Ok(_) if !things.is_empty() => {
            tracing::warn!("rings are opened anew, which loses packets: there were more workers before");
            drop((attached, things));
            keeper.release(RINGS);
            None
        }
        Ok(rings) => Some(rings),
        Err(error) => {
            tracing::warn!("rings are opened anew, which loses packets: {error}");
            drop(things);
            keeper.release(RINGS);
            None
        }
    }
}

/// Takes the things of one worker out: `0.slots`, `0.ledger`, `0.socket.0000`, …
fn descriptors(things: &mut Vec<(String, OwnedFd)>, worker: usize) -> Result<Descriptors, SetupError> {
    let missing = || SetupError::NotTakenOver { source: io::ErrorKind::NotFound.into() };
    let own = format!("{worker}.");
    let (mine, others) = std::mem::take(things).into_iter().partition(|(name, _)| name.starts_with(&own));
    *things = others;
    let (mut slots, mut ledger, mut sockets) = (None, None, Vec::new());
    let mine: Vec<(String, OwnedFd)> = mine;
    // By name, so that sockets come in their order.
    for (name, thing) in mine {
        match &name[own.len()..] {
            "slots" => slots = Some(thing),
            "ledger" => ledger = Some(thing),
            _ => sockets.push(thing),
        }
    }
    Ok(Descriptors { slots: slots.ok_or_else(missing)?, ledger: ledger.ok_or_else(missing)?, sockets })
}

/// Keeps the frames that the last director had in hand when it died: one of them may be what killed it.
fn save_frames(frames: &[Vec<u8>], file: &Path) {
    if frames.is_empty() {
        return;
    }
    let write = || -> io::Result<()> {
        let mut writer = Writer::new(std::fs::File::create(file)?, Resolution::Nano)?;
        let now = clock::wall();
        frames.iter().try_for_each(|frame| writer.write(now, frame))?;
        writer.finish().map(drop)
    };
    match write() {
        Ok(()) => tracing::warn!("{} packets were in hand when it died: see {}", frames.len(), file.display()),
        Err(error) => {
            tracing::warn!("{} packets were in hand when it died, and cannot be saved: {error}", frames.len())
        }
    }
}

const NATIVE: &str = "native";

/// Has the steering program held.
pub(super) fn hold_steering(keeper: &mut Keeper, steering: &Steering) -> io::Result<()> {
    if !keeper.is_there() {
        return Ok(());
    }
    let steer::Descriptors { maps, links } = steering.descriptors()?;
    maps.iter().for_each(|(name, map)| keeper.hold(&format!("{MAPS}{name}"), map));
    for (index, (mode, link)) in &links {
        let mode = if *mode == AttachMode::Native { NATIVE } else { "generic" };
        keeper.hold(&format!("{LINKS}{index}.{mode}"), link);
    }
    Ok(())
}

/// Has the rings of a worker held.
pub(super) fn hold_rings(keeper: &mut Keeper, worker: usize, io: &XdpIo<Own>) -> io::Result<()> {
    if !keeper.is_there() {
        return Ok(());
    }
    let Descriptors { slots, ledger, sockets } = io.descriptors()?;
    keeper.hold(&format!("{RINGS}{worker}.slots"), &slots);
    keeper.hold(&format!("{RINGS}{worker}.ledger"), &ledger);
    for (number, socket) in sockets.iter().enumerate() {
        keeper.hold(&format!("{RINGS}{worker}.socket.{number:04}"), socket);
    }
    Ok(())
}

/// Has the connections held.
pub(super) fn hold_table(keeper: &mut Keeper, table: &Table) {
    keeper.hold(TABLE, table.fd());
}

/// Has what the director knows held.
pub(super) fn hold_state(keeper: &mut Keeper, state: &State) {
    match state.write() {
        Ok(file) => keeper.hold(STATE, &file),
        Err(error) => tracing::error!("what the next director must know cannot be written: {error}"),
    }
}
