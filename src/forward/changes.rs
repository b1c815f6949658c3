//! Connections that have just been established, or have begun to end: for who tells other directors of them.
//!
//! The sweep shows every entry within two seconds. This queue spares the changes that matter most the wait. It is bounded,
//! and a change that finds it full loses nothing but time. Pushed from the cold path alone, and only while wanted.

use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam::queue::ArrayQueue;

use crate::conn::table::Entry;
use crate::conn::{FlowKey, State};

/// Names the entry that has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its key.
    pub key: FlowKey,
    /// Its pair.
    pub pair: u32,
    /// And the pair's generation.
    pub generation: u32,
}

/// The queue of changes.
#[derive(Debug)]
pub struct Changes {
    wanted: AtomicBool,
    queue: ArrayQueue<Change>,
}

impl Changes {
    /// Room for so many changes; none is wanted yet.
    pub fn new(room: usize) -> Self {
        Self { wanted: AtomicBool::new(false), queue: ArrayQueue::new(room) }
    }

    /// From now on changes are wanted, or not.
    pub fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    /// Takes note of a change of state.
    pub(super) fn push(&self, entry: &Entry, from: State, to: State) {
        let matters = from.is_established() || to.is_established();
        if matters && self.wanted.load(Ordering::Relaxed) {
            // A full queue leaves it to the sweep.
            let _ = self.queue.push(Change { key: entry.key(), pair: entry.pair(), generation: entry.generation() });
        }
    }

    /// The next change.
    pub fn pop(&self) -> Option<Change> {
        self.queue.pop()
    }
}
