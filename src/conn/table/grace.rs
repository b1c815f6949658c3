//! Grace by batches: when an entry that was taken out may be used again.
//!
//! Each worker counts its batches. What was taken out of the index may be reused once every worker has ended the batch it
//! was in at that time, or was parked: a worker keeps no slot from one batch to the next.
//!
//! # Why the fences
//!
//! ```text
//!   worker, a batch begins              sweep, an entry is dying
//!   counter := n + 2                    index byte := 255   (perhaps by another worker; the sweep has read it)
//!   fence(SeqCst)                       fence(SeqCst)
//!   reads the index …                   notes the counters
//! ```
//!
//! One fence comes first in the order of all. If the worker's does, the sweep notes the new count and will wait for this
//! batch; if the sweep's does, the worker reads 255 and never looks at the entry. Without them both could miss each other.
//! The counter has one writer, so a store and a fence do what a sequentially consistent read-modify-write would.
//!
//! A hung worker only stops reclaiming; its counter is taken over with the worker, and parked by [`super::Table::attach`].

use std::sync::Arc;

use super::Table;
use super::layout::BatchCounter;
use super::primitive::{Ordering, fence};

/// Lowest bit of a counter: the worker is parked. The bits above count batches.
const PARKED: u64 = 1;
const BATCH: u64 = 2;

/// A worker's membership in the table. It begins parked.
///
/// A worker looks at the table only between [`Member::unpark`] and [`Member::park`], and forgets every slot and entry at
/// [`Member::end_batch`].
#[derive(Debug)]
pub struct Member {
    table: Arc<Table>,
    worker: usize,
}

impl Table {
    /// The membership of one worker, counted from 0. `None` if there is no such worker or it has been given out.
    pub fn member(self: &Arc<Self>, worker: usize) -> Option<Member> {
        let taken = self.members.get(worker)?.swap(true, Ordering::AcqRel);
        (!taken).then(|| Member { table: Arc::clone(self), worker })
    }

    /// Notes every worker's counter into `notes`. What was seen dying before this call may be reused once
    /// [`Table::has_passed`] says so about the notes.
    pub(super) fn note_batches(&self, notes: &mut Vec<u64>) {
        fence(Ordering::SeqCst);
        notes.clear();
        notes.extend(self.mapping.counters().iter().map(BatchCounter::load));
    }

    /// Whether every worker has ended the batch it was in when the notes were taken.
    pub(super) fn has_passed(&self, notes: &[u64]) -> bool {
        let over = |(counter, noted): (&BatchCounter, &u64)| noted & PARKED != 0 || counter.load() != *noted;
        self.mapping.counters().iter().zip(notes).all(over)
    }

    /// Parks every worker, for a table whose workers are gone.
    pub(super) fn park_all(&self) {
        for counter in self.mapping.counters() {
            counter.0.store(counter.load() | PARKED, Ordering::Relaxed);
        }
    }
}

impl Member {
    /// The table.
    #[inline(always)]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Ends a batch and begins the next.
    #[inline]
    pub fn end_batch(&self) {
        let counter = self.counter();
        counter.set((counter.load() & !PARKED) + BATCH);
    }

    /// Ends a batch; the worker will not look at the table for some time (it sleeps in poll).
    pub fn park(&self) {
        let counter = self.counter();
        counter.set(counter.load() | PARKED);
    }

    /// Begins a batch after [`Member::park`].
    pub fn unpark(&self) {
        self.end_batch();
    }

    #[inline(always)]
    fn counter(&self) -> &BatchCounter {
        &self.table.mapping.counters()[self.worker]
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.park();
        self.table.members[self.worker].store(false, Ordering::Release);
    }
}

impl BatchCounter {
    /// Acquire: what the worker did in batches that this count says are over happened before.
    #[inline(always)]
    fn load(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    #[inline(always)]
    fn set(&self, value: u64) {
        self.0.store(value, Ordering::Release);
        fence(Ordering::SeqCst);
    }
}
