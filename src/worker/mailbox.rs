//! How a snapshot gets to a worker and the old one back, without either waiting; and what a worker cannot see itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam::queue::ArrayQueue;

use crate::service::Snapshot;

/// Old snapshots that may be on their way back at once.
const RETIRED: usize = 4;

#[derive(Debug)]
struct Shelf {
    newest: ArrayQueue<Arc<Snapshot>>,
    retired: ArrayQueue<Arc<Snapshot>>,
    core_is_shared: AtomicBool,
}

/// The control thread's end.
#[derive(Debug)]
pub struct Mailbox {
    shelf: Arc<Shelf>,
}

/// The worker's end.
#[derive(Debug)]
pub struct Inbox {
    shelf: Arc<Shelf>,
    current: Arc<Snapshot>,
    /// An old snapshot that found the way back full.
    parked: Option<Arc<Snapshot>>,
}

impl Mailbox {
    /// Both ends; the worker starts with `first`.
    pub fn new(first: Arc<Snapshot>) -> (Mailbox, Inbox) {
        let (newest, retired) = (ArrayQueue::new(1), ArrayQueue::new(RETIRED));
        let shelf = Arc::new(Shelf { newest, retired, core_is_shared: AtomicBool::new(false) });
        (Mailbox { shelf: Arc::clone(&shelf) }, Inbox { shelf, current: first, parked: None })
    }

    /// Makes `snapshot` the one that the worker takes next, and frees those it has handed back.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        drop(self.shelf.newest.force_push(snapshot));
        while self.shelf.retired.pop().is_some() {}
    }

    /// Whether the worker has taken the newest snapshot.
    pub fn is_taken(&self) -> bool {
        self.shelf.newest.is_empty()
    }

    /// What the worker was told last of its core.
    pub fn shares_core(&self) -> bool {
        self.shelf.core_is_shared.load(Ordering::Relaxed)
    }

    /// Tells the worker whether others make use of its core.
    pub fn share_core(&self, shared: bool) {
        self.shelf.core_is_shared.store(shared, Ordering::Relaxed);
    }
}

impl Inbox {
    /// The snapshot in force.
    #[inline(always)]
    pub fn current(&self) -> &Snapshot {
        &self.current
    }

    /// Adopts a newer snapshot, if there is one. Never blocks, never frees.
    #[inline]
    pub fn refresh(&mut self) -> bool {
        if self.parked.is_some() && !self.hand_back() {
            return false;
        }
        let Some(newer) = self.shelf.newest.pop() else { return false };
        self.parked = Some(std::mem::replace(&mut self.current, newer));
        self.hand_back();
        true
    }

    /// Whether others make use of the worker's core, by the latest look.
    #[inline(always)]
    pub fn shares_core(&self) -> bool {
        self.shelf.core_is_shared.load(Ordering::Relaxed)
    }

    /// Whether nothing is left to hand back.
    #[cold]
    fn hand_back(&mut self) -> bool {
        if let Some(old) = self.parked.take()
            && let Err(old) = self.shelf.retired.push(old)
        {
            self.parked = Some(old);
        }
        self.parked.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(generation: u64) -> Arc<Snapshot> {
        Arc::new(Snapshot { generation, ..Snapshot::default() })
    }

    #[test]
    fn the_worker_takes_the_newest_and_hands_the_old_one_back() {
        let first = numbered(1);
        let (mailbox, mut inbox) = Mailbox::new(Arc::clone(&first));
        assert!(!inbox.refresh());
        mailbox.publish(numbered(2));
        mailbox.publish(numbered(3));
        assert!(inbox.refresh());
        assert_eq!(inbox.current().generation, 3);
        assert_eq!(Arc::strong_count(&first), 2, "on its way back, not freed by the worker");
        mailbox.publish(numbered(4));
        assert_eq!(Arc::strong_count(&first), 1);
    }

    #[test]
    fn a_control_thread_that_never_collects_loses_nothing() {
        let (mailbox, mut inbox) = Mailbox::new(numbered(0));
        for generation in 1..=20 {
            mailbox.shelf.newest.force_push(numbered(generation));
            inbox.refresh();
        }
        assert!(inbox.current().generation <= 20 && inbox.parked.is_some());
        mailbox.publish(numbered(21));
        assert!(inbox.refresh());
        assert_eq!(inbox.current().generation, 21);
    }
}
