//! The sweep of the connection table, in slices, and what it learns about removed pairs.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::conn::table::{Fate, Pace, Slot, Sweeper};
use crate::control::Ids;
use crate::control::sync::Synchronisation;
use crate::forward::{Culling, Shared, farewell, lifecycle};
use crate::service::{Options, PairFlags, PairId, Services};
use crate::time::Tick;

/// How many times the usual pace while the table is all but full: places that were ended are free again the sooner.
const HURRY: u32 = 4;

/// The sweeper with its place in the rhythm of the control thread.
#[derive(Debug)]
pub(super) struct Sweep {
    sweeper: Sweeper,
    shared: Shared,
    /// The sweeper's lane in the loads.
    lane: usize,
    last: Tick,
    pace: Pace,
    /// What goes to make room.
    culling: Culling,
    /// Removed pairs that were met in the present walk.
    met: BTreeSet<PairId>,
    /// Removed pairs when the present walk began.
    candidates: BTreeSet<(PairId, u32)>,
    /// Removed pairs of which a whole walk has met no entry.
    empty: BTreeSet<(PairId, u32)>,
    /// Entries that the present step has found ended.
    ended: Vec<Slot>,
}

impl Sweep {
    pub(super) fn new(sweeper: Sweeper, shared: Shared, lane: usize) -> Self {
        let nothing = BTreeSet::new;
        Self {
            sweeper,
            shared,
            lane,
            last: Tick::default(),
            pace: Pace::default(),
            culling: Culling::default(),
            met: nothing(),
            candidates: BTreeSet::new(),
            empty: BTreeSet::new(),
            ended: Vec::new(),
        }
    }

    /// Sweeps one slice a tick, however often it is called, and shows what it meets to `sync`. `settled`: every worker
    /// knows `services`.
    pub(super) fn step(
        &mut self,
        services: &Services,
        options: &Options,
        settled: bool,
        sync: &mut Synchronisation,
        time: Duration,
    ) {
        let now = Tick::at(time);
        if now == self.last {
            return;
        }
        self.last = now;
        let Self { sweeper, shared, lane, met, culling, ended, .. } = self;
        culling.step(shared, options, now);
        let times = if culling.is_urgent() { HURRY } else { 1 };
        let groups = self.pace.step(sweeper.groups()) * times;
        let decide = |slot, entry: &_| {
            note(services, entry, met);
            let fate = match lifecycle::fate(&shared.table, services, options, entry, now) {
                Fate::Keep if culling.takes(shared, entry, now) => Fate::Kill,
                Fate::Keep => Fate::Keep,
                Fate::Kill => farewell::on_expiry(shared, *lane, (services, options), (slot, entry), now),
            };
            if fate == Fate::Keep {
                sync.met(slot, time);
            }
            fate
        };
        let swept = sweeper.sweep(groups, decide, |slot, entry| {
            lifecycle::ended(shared, *lane, entry);
            ended.push(slot);
        });
        // Their slots are not free before the next step.
        ended.drain(..).for_each(|slot| sync.ended(slot, time));
        if swept.wrapped {
            self.culling.walk(now);
            self.pace.walked();
            self.walk_ended(services, settled);
        }
    }

    /// Adds to the processor time that sweeping has cost, which is the measure of its pace.
    pub(super) fn cost(&mut self, processor: Duration) {
        self.pace.spend(processor);
    }

    fn walk_ended(&mut self, services: &Services, settled: bool) {
        let met = std::mem::take(&mut self.met);
        self.empty = std::mem::take(&mut self.candidates);
        self.empty.retain(|(id, _)| !met.contains(id));
        // A worker that does not know yet may still open a connection behind the walk's back.
        self.candidates = if settled { removed(services) } else { BTreeSet::new() };
    }

    /// Frees the ids of removed pairs that no connection has any more; says whether there were any. Only to be called
    /// when every worker knows that they are removed.
    pub(super) fn vacate(&mut self, services: &Services, ids: &mut Ids) -> bool {
        let empty = std::mem::take(&mut self.empty);
        let still_removed = removed(services);
        let mut any = false;
        for (id, generation) in empty.intersection(&still_removed) {
            any |= ids.vacate(*id, *generation);
        }
        any
    }
}

fn note(services: &Services, entry: &crate::conn::table::Entry, met: &mut BTreeSet<PairId>) {
    let id = PairId(entry.pair());
    if services.pair(id).is_some_and(|pair| pair.flags.has(PairFlags::REMOVED)) {
        met.insert(id);
    }
}

fn removed(services: &Services) -> BTreeSet<(PairId, u32)> {
    let pairs = (0..).map(PairId).zip(&services.pairs);
    pairs
        .filter(|(_, pair)| pair.generation != 0 && pair.flags.has(PairFlags::REMOVED))
        .map(|(id, pair)| (id, pair.generation))
        .collect()
}
