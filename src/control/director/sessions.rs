//! Sessions of BFD over a director's life: they begin, follow a reload, and go on where another director has died. For that
//! their standings are held, and their sockets, in which packets of neighbours wait meanwhile.

use super::DirectorError;
use super::roles::Roles;
use super::start::numbers;
use crate::bfd::{Spec, Standing};
use crate::config::Config;
use crate::control::bfd::{BfdError, Kept, Legacy, Neighbours, Prepared, Record};
use crate::control::keeper::{Estate, Keeper};
use crate::sys::clock;

const RECORD: &str = "bfd.record";
const SOCKETS: &str = "bfd.socket.";

/// What a director before this one has left.
#[derive(Debug, Default)]
pub(super) struct Left {
    legacy: Legacy,
    sockets: Kept,
}

impl Left {
    /// Takes it out of what was held.
    pub(super) fn of(estate: &mut Estate) -> Self {
        let legacy = estate.take(RECORD).map(Legacy::read).transpose();
        let legacy = legacy.inspect_err(|error| tracing::error!("sessions of BFD begin anew: {error}"));
        Self { legacy: legacy.ok().flatten().unwrap_or_default(), sockets: estate.take_all(SOCKETS) }
    }

    /// Whether there are sockets to go on with. Others cannot be had while the dead director still has its own.
    pub(super) fn has_sockets(&self) -> bool {
        !self.sockets.is_empty()
    }

    /// The names of the sessions that go on, and count as up.
    pub(super) fn up(&self, config: &Config) -> Vec<String> {
        let is_up = |standing: Standing| standing.counts_as_up() && standing.is_sound(clock::now());
        let up = config.bfd.iter().filter(|spec| self.legacy.standing(spec).is_some_and(is_up));
        up.map(|spec| spec.name.clone()).collect()
    }
}

impl Roles {
    /// Begins to speak BFD, or goes on with it.
    pub(super) async fn start_bfd(
        &mut self,
        config: &Config,
        left: Left,
        keeper: &mut Keeper,
    ) -> Result<(), DirectorError> {
        if !config.bfd.is_empty() && self.neighbours.is_none() {
            let neighbours = hold_sessions(keeper, &left.legacy)?;
            let prepared = Prepared::resume(&config.bfd, left.legacy, left.sockets)?;
            self.speak_bfd(prepared, Some(neighbours), keeper).await;
        }
        Ok(())
    }

    /// Speaks BFD with these neighbours from now on, by a thread that there is or by this one.
    pub(super) async fn speak_bfd(&mut self, prepared: Prepared, fresh: Option<Neighbours>, keeper: &mut Keeper) {
        for (name, socket) in prepared.sockets() {
            keeper.hold(&format!("{SOCKETS}{name}"), socket);
        }
        if let Some(mut fresh) = fresh {
            fresh.take_changes().into_iter().for_each(|changes| self.trackers.hear(changes));
            self.neighbours = Some(fresh);
        }
        if let Some(neighbours) = &self.neighbours {
            neighbours.follow(prepared, numbers()).await;
        }
    }
}

/// Starts the thread that speaks BFD, with a record that is held for the next director.
pub(super) fn hold_sessions(keeper: &mut Keeper, legacy: &Legacy) -> Result<Neighbours, BfdError> {
    let record = Record::new(legacy).map_err(|source| BfdError::System { what: "keep a record", source })?;
    keeper.hold(RECORD, record.fd());
    Neighbours::start(record)
}

/// Has the sockets let go of that sessions of before had and these have not.
pub(super) fn release_sockets(keeper: &mut Keeper, before: &[Spec], now: &[Spec]) {
    let kept: Vec<_> = Prepared::names(now).collect();
    for name in Prepared::names(before).filter(|name| !kept.contains(name)) {
        keeper.release(&format!("{SOCKETS}{name}"));
    }
}
