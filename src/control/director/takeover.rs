//! Going on where another director has stopped or died: what was held for this one becomes its parts, and its parts are
//! held for the next one.
//!
//! Each part that does not fit (another layout, other ports, other queues) is let go and made anew, and that is said.

use std::io;
use std::path::Path;

use super::heir::Inheritance;
use crate::config::Config;
use crate::conn::Table;
use crate::control::helper;
use crate::control::keeper::{Estate, Keeper};
use crate::control::state::State;
use crate::control::vrrp::{Legacy, Record};
use crate::control::{Ids, Ledger, admin};
use crate::forward::{Shared, lifecycle};
use crate::io::pcap::{Resolution, Writer};
use crate::io::xdp::steer::{self, AttachMode, Steering};
use crate::io::xdp::{Descriptors, KernelPort, Mapped, Own, PortSetup, Rings, SetupError, XdpIo};
use crate::supervisor::RINGS;
use crate::sys::clock;
use crate::sys::interface::Interface;

pub(super) const TABLE: &str = "table";
pub(super) const STATE: &str = "state";
const ELECTIONS: &str = "elections";
pub(super) const MAPS: &str = "steer.map.";
pub(super) const LINKS: &str = "steer.link.";
pub(super) const STEERING: &str = "steer.";
/// Below [`RINGS`], so that it goes with them.
pub(super) const WAY_BACK: &str = "rings.way.";

/// What a director before this one knew, and the connections that it is about.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) state: State,
    pub(super) ids: Ids,
    pub(super) ledger: Ledger,
    pub(super) shared: Shared,
}

/// The connections, repaired, and what their ids mean; neither is of use without the other.
pub(super) fn memory(inheritance: &mut Inheritance, workers: usize) -> Option<Memory> {
    let (shared, state) = (inheritance.shared.take()?, inheritance.estate.take(STATE)?);
    let refused = |why: &dyn std::fmt::Display| tracing::error!("connections are lost: {why}");
    let state = State::read(state).inspect_err(|error| refused(&format_args!("what the last director knew: {error}")));
    let state = state.ok()?;
    let Some(ids) = Ids::restore(&state.ids) else {
        refused(&"what the last director knew contradicts itself");
        return None;
    };
    let shared = shared.inspect_err(|error| refused(error)).ok()?;
    if shared.table.workers() != workers {
        refused(&format_args!("their table is for {} workers, not {workers}", shared.table.workers()));
        return None;
    }
    // In the lane of the sweeper.
    let recovered = shared.table.recover(|connection| lifecycle::resume(&shared, workers, connection));
    tracing::info!("connections: {} kept, {} slots repaired", recovered.kept, recovered.freed);
    let ledger = Ledger::restore(&state.ledger);
    Some(Memory { state, ids, ledger, shared })
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

/// The steering program as it is attached; `None` if there is none, or another one, which is then let go. It needs nothing of
/// what else was left: whatever is lost, the kernel gets no packet of a service meanwhile.
pub(super) fn steering(adopted: Option<io::Result<Steering>>, keeper: &mut Keeper) -> Option<Steering> {
    let adopted = adopted?;
    if let Err(error) = &adopted {
        tracing::warn!("the steering program is attached anew, which loses packets: {error}");
        keeper.release(STEERING);
    }
    adopted.ok()
}

/// Frames that a director had in hand.
type InHand = Vec<Vec<u8>>;

/// The rings of all workers, with the frames that the last director had in hand when it died; `None` if there are none, or
/// they do not fit, and are let go.
pub(super) fn rings(
    mapped: Option<Result<Vec<Mapped>, SetupError>>,
    setups: &[Vec<PortSetup>],
    keeper: &mut Keeper,
) -> Option<(Vec<XdpIo<Own>>, InHand)> {
    let mut in_hand = Vec::new();
    let go_on = |(mut mapped, ports): (Mapped, &Vec<_>)| {
        in_hand.extend(mapped.in_hand());
        XdpIo::go_on(mapped, ports)
    };
    match mapped?.and_then(|mapped| mapped.into_iter().zip(setups).map(go_on).collect()) {
        Ok(rings) => Some((rings, in_hand)),
        Err(error) => {
            tracing::warn!("rings are opened anew, which loses packets: {error}");
            keeper.release(RINGS);
            None
        }
    }
}

/// Has the workers give packets to the kernel by the way that there is; says whether there is one.
pub(super) fn way_back<R: Rings>(left: Option<(Vec<Mapped>, [Interface; 2])>, rings: &mut [XdpIo<R>]) -> bool {
    let Some((mapped, [ours, kernels])) = left else { return false };
    let go_on = |(mapped, queue)| KernelPort::go_on(mapped, &ours, queue, kernels.mac);
    // Of all workers or of none.
    let Ok(ports) = mapped.into_iter().zip(0..).map(go_on).collect::<Result<Vec<_>, _>>() else { return false };
    rings.iter_mut().zip(ports).for_each(|(io, port)| io.pass_by(port));
    true
}

/// Keeps the frames that the last director had in hand when it died: one of them may be what killed it.
pub(super) fn save_frames(frames: &[Vec<u8>], file: &Path) {
    if frames.is_empty() {
        return;
    }
    let write = || -> io::Result<()> {
        let mut writer = Writer::new(Vec::new(), Resolution::Nano)?;
        let now = clock::wall();
        frames.iter().try_for_each(|frame| writer.write(now, frame))?;
        let capture = writer.finish()?;
        match helper::get() {
            Some(helper) => helper.black_box(&capture),
            None => std::fs::write(file, capture),
        }
    };
    match write() {
        Ok(()) => tracing::warn!("{} packets were in hand when it died: see {}", frames.len(), file.display()),
        Err(error) => {
            tracing::warn!("{} packets were in hand when it died, and cannot be saved: {error}", frames.len())
        }
    }
}

/// Has the steering program held.
pub(super) fn hold_steering(keeper: &mut Keeper, steering: &Steering) -> io::Result<()> {
    if !keeper.holds() {
        return Ok(());
    }
    let steer::Descriptors { maps, links } = steering.descriptors()?;
    maps.iter().for_each(|(name, map)| keeper.hold(&format!("{MAPS}{name}"), map));
    for (index, (mode, link)) in &links {
        keeper.hold(&format!("{LINKS}{}", name_of_port(*index, *mode)), link);
    }
    Ok(())
}

/// How a link is called that attaches this build's program to a port: with the program's fingerprint, for another one can do
/// nothing with it.
fn name_of_port(interface: u32, mode: AttachMode) -> String {
    format!("{interface}.{mode}.{:016x}", Steering::fingerprint())
}

/// The port whose link is called so, and how the program is attached to it; `None` if that is another build's.
pub(super) fn port_of(name: &str) -> Option<(u32, AttachMode)> {
    let interface = name.split('.').next()?.parse().ok()?;
    [AttachMode::Native, AttachMode::Generic]
        .into_iter()
        .find(|&mode| name == name_of_port(interface, mode))
        .map(|mode| (interface, mode))
}

/// Has the rings of a worker held.
pub(super) fn hold_rings(keeper: &mut Keeper, worker: usize, io: &XdpIo<Own>) -> io::Result<()> {
    if !keeper.holds() {
        return Ok(());
    }
    hold_descriptors(keeper, &format!("{RINGS}{worker}."), &io.descriptors()?);
    Ok(())
}

/// Has a worker's way to the kernel held.
pub(super) fn hold_way_back(keeper: &mut Keeper, worker: usize, way: &KernelPort) -> io::Result<()> {
    if keeper.holds() {
        hold_descriptors(keeper, &format!("{WAY_BACK}{worker}."), &way.descriptors()?);
    }
    Ok(())
}

fn hold_descriptors(keeper: &mut Keeper, beginning: &str, descriptors: &Descriptors) {
    let Descriptors { slots, ledger, sockets } = descriptors;
    keeper.hold(&format!("{beginning}slots"), slots);
    keeper.hold(&format!("{beginning}ledger"), ledger);
    for (number, socket) in sockets.iter().enumerate() {
        keeper.hold(&format!("{beginning}socket.{number:04}"), socket);
    }
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
