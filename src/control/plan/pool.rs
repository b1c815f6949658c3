//! A service's list of real servers, changed step by step.
//!
//! The list and the scheduler behind it are what the kernel's would be after the `ipvsadm` commands that keepalived would
//! have given: removals, then edits, then additions, each at the head of the list (`ip_vs_ctl.c: __ip_vs_update_dest`).
//! Steps and not just the result, because the state of some schedulers depends on them (`ip_vs_wrr_dest_changed`).

use std::sync::Arc;

use crate::sched::{Member, Scheduler, Setup};
use crate::service::{Server, Service};

/// Servers in list order, and the scheduler that knows them.
pub(super) struct Pool {
    pub(super) servers: Vec<Server>,
    pub(super) scheduler: Arc<Scheduler>,
}

impl Pool {
    /// The pool as it was, which for a new service is empty. `seed` is for a scheduler that begins now.
    pub(super) fn of(previous: Option<&Service>, setup: impl Into<Setup>, seed: u64) -> Self {
        let setup = setup.into();
        let Some(previous) = previous else {
            return Self { servers: Vec::new(), scheduler: Arc::new(Scheduler::new(setup, &[]).seeded(seed)) };
        };
        let servers = previous.servers.clone();
        let scheduler = match previous.scheduler.setup() == setup {
            true => Arc::clone(&previous.scheduler),
            false => Arc::new(previous.scheduler.switched(setup, &members(&servers)).seeded(seed)),
        };
        Self { servers, scheduler }
    }

    /// The pool with exactly the `wanted` servers, which are given in the order of their addition.
    pub(super) fn with(mut self, wanted: &[Server]) -> Self {
        for at in (0..self.servers.len()).rev() {
            if !wanted.iter().any(|server| server.real == self.servers[at].real) {
                self.servers.remove(at);
                self.changed();
            }
        }
        for &server in wanted {
            match self.servers.iter_mut().find(|have| have.real == server.real) {
                Some(have) => {
                    let edited = *have != server;
                    *have = server;
                    // Whatever was edited (`ip_vs_ctl.c: __ip_vs_update_dest` calls `upd_dest`).
                    if edited {
                        self.changed();
                    }
                }
                None => {
                    self.servers.insert(0, server);
                    self.changed();
                }
            }
        }
        self
    }

    fn changed(&mut self) {
        self.scheduler = Arc::new(self.scheduler.changed(&members(&self.servers)));
    }
}

fn members(servers: &[Server]) -> Vec<Member> {
    servers.iter().map(|server| Member { real: server.real, weight: server.weight }).collect()
}
