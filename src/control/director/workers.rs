//! The worker threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::DirectorError;
use super::confinement::Confinement;
use crate::forward::Counters;
use crate::io::PacketIo;
use crate::io::options::Poll;
use crate::service::Snapshot;
use crate::sys::pulse::{Hold, Pulse, Pulses};
use crate::sys::{affinity, clock, scheduling, usage};
use crate::worker::{Mailbox, Observer, Worker};

/// All workers, from the control thread's side.
#[derive(Debug)]
pub(super) struct Workers {
    threads: Vec<Thread>,
    stop: Arc<AtomicBool>,
    /// Signs of life: the control thread's, and each worker's.
    pulses: Arc<Pulses>,
}

#[derive(Debug)]
struct Thread {
    handle: JoinHandle<()>,
    /// The core that it is pinned to.
    core: Option<usize>,
    mailbox: Mailbox,
    counters: Arc<Counters>,
}

impl Workers {
    /// None yet, with room for the signs of life of so many.
    pub(super) fn new(workers: usize) -> Result<Self, DirectorError> {
        let pulses = Pulses::create(1 + workers)
            .map_err(|source| DirectorError::System { what: "make a file for signs of life", source })?;
        Ok(Self { threads: Vec::new(), stop: Arc::new(AtomicBool::new(false)), pulses: Arc::new(pulses) })
    }

    /// The signs of life of all threads.
    pub(super) fn pulses(&self) -> &Pulses {
        &self.pulses
    }

    /// Has the calling thread give the control thread's.
    pub(super) fn control_pulse(&self) -> Result<Hold, DirectorError> {
        let pulse = Pulse::of(&self.pulses, 0).hold();
        pulse.map_err(|source| DirectorError::System { what: "have the kernel tell of this process's death", source })
    }

    /// Starts a worker on `core`, with the rights of a worker.
    pub(super) fn start<I: PacketIo + Send + 'static, O: Observer + Send + 'static>(
        &mut self,
        worker: Worker<I, O>,
        mailbox: Mailbox,
        core: Option<usize>,
        poll: Poll,
        confinement: Option<Arc<Confinement>>,
    ) -> Result<(), DirectorError> {
        let counters = Arc::clone(worker.forwarder().counters());
        let stop = Arc::clone(&self.stop);
        let number = self.threads.len();
        let pulse = Pulse::of(&self.pulses, 1 + number);
        let run = move || {
            if let Some(core) = core
                && !affinity::pin_to(core)
            {
                tracing::warn!("worker {number} cannot be pinned to core {core}; see `cpus` in the `ringmaster` block");
            }
            // The kernel forwards before any process gets a core. Without the right to it, packets wait their turn.
            let _ = scheduling::go_sooner();
            let held = pulse.clone().hold();
            if let Err(error) = &held {
                tracing::warn!("nobody will be told at once if worker {number} dies: {error}");
            }
            if let Some(confinement) = confinement {
                confinement.enter_as_worker();
            }
            worker.run(poll, clock::tick, &stop, &pulse).close();
            drop(held);
        };
        let handle = std::thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(run)
            .map_err(|source| DirectorError::System { what: "start a worker thread", source })?;
        self.threads.push(Thread { handle, core, mailbox, counters });
        Ok(())
    }

    /// Gives every worker a newer snapshot.
    pub(super) fn publish(&self, snapshot: &Arc<Snapshot>) {
        for thread in &self.threads {
            thread.mailbox.publish(Arc::clone(snapshot));
        }
    }

    /// Each pinned worker's number, its core, and the processor time that it has used.
    pub(super) fn used_cores(&self) -> impl Iterator<Item = (usize, usize, Duration)> {
        let used = |thread| usage::used_by(std::process::id(), thread);
        let threads = self.threads.iter().zip(self.pulses.signs().skip(1)).enumerate();
        threads.filter_map(move |(number, (thread, sign))| Some((number, thread.core?, used(sign.thread?)?)))
    }

    /// How many of them share their core with others, as far as that is known.
    pub(super) fn with_company(&self) -> usize {
        self.threads.iter().filter(|thread| thread.mailbox.shares_core()).count()
    }

    /// Tells each worker, by its number, whether its core is shared.
    pub(super) fn share_cores(&self, is_shared: impl Fn(usize) -> bool) {
        for (number, thread) in self.threads.iter().enumerate() {
            thread.mailbox.share_core(is_shared(number));
        }
    }

    /// Whether every worker has taken the newest snapshot.
    pub(super) fn all_up_to_date(&self) -> bool {
        self.threads.iter().all(|thread| thread.mailbox.is_taken())
    }

    pub(super) fn counters(&self) -> impl Iterator<Item = &Counters> {
        self.threads.iter().map(|thread| &*thread.counters)
    }

    pub(super) fn len(&self) -> usize {
        self.threads.len()
    }

    /// Ends all workers, waits for them, and gives what they have counted.
    pub(super) fn stop(&mut self) -> Vec<Arc<Counters>> {
        self.stop.store(true, Ordering::Relaxed);
        let end = |thread: Thread| {
            // A worker that panicked has already said so.
            let _ = thread.handle.join();
            thread.counters
        };
        self.threads.drain(..).map(end).collect()
    }
}
