//! Changes that clients ask for at run time, and the book of what was counted.

use super::Director;
use crate::control::Counts;
use crate::control::admin::{self, Change, Refusal, Removed};
use crate::sys::clock;

impl Director {
    /// Carries out changes in their order: each holds or is refused, and workers see them all at once. If the steering
    /// program has no room for the result, nothing has happened.
    pub(super) fn carry_out(&mut self, changes: &[Change]) -> Vec<Option<Refusal>> {
        let before = self.config.clone();
        let mut removed = Removed::default();
        let outcome: Vec<_> = changes.iter().map(|change| self.apply(change, &mut removed).err()).collect();
        if outcome.iter().all(Option::is_some) {
            return outcome;
        }
        self.watch();
        self.work_out();
        self.confirm_soon = true;
        let Err(error) = self.publish() else { return outcome };
        tracing::error!("a change is taken back, since the steering program refuses it: {error}");
        self.config = before;
        self.watch();
        self.replan();
        vec![Some(Refusal::NoRoom); changes.len()]
    }

    fn apply(&mut self, change: &Change, removed: &mut Removed) -> Result<(), Refusal> {
        if removed.comes_back(change) {
            self.work_out();
            *removed = Removed::default();
        }
        admin::apply(&mut self.config, change)?;
        removed.note(change);
        if let Change::Zero(only) = change {
            self.work_out();
            let only = only.as_ref().and_then(|name| admin::service_id(&self.services, name));
            self.ledger.zero(&self.services, only);
        }
        Ok(())
    }

    /// Has the checks made that the servers of now ask for.
    pub(super) fn watch(&mut self) {
        let servers = self.config.services.iter().flat_map(|service| &service.servers);
        self.health.watch(servers.flat_map(|server| &server.checks), clock::now());
    }

    /// Books what workers have counted.
    pub(super) fn tally(&mut self) {
        let Self { ledger, workers, services, .. } = self;
        ledger.read(services, |id| Counts::sum(workers.counters().filter_map(|counters| counters.pair(id))));
    }

    /// Moves the rates.
    pub(super) fn estimate(&mut self) {
        self.tally();
        self.ledger.estimate();
        self.save();
    }
}
