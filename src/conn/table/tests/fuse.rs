//! Atomics with a fuse: the death of a thread between any two writes to the table.

use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering;

/// What another thread does.
type Other = Box<dyn FnOnce()>;

thread_local! {
    /// How many writes this thread may still do; `None`: as many as it likes.
    static FUSE: Cell<Option<u32>> = const { Cell::new(None) };
    /// What another thread does after so many more loads of this one.
    static MEANWHILE: RefCell<Option<(u32, Other)>> = const { RefCell::new(None) };
    /// State of the generator that interrupts this thread now and then; 0: never.
    static JITTER: Cell<u64> = const { Cell::new(0) };
}

/// Makes this thread give way between two accesses now and then, as an interrupted one would; 0: no more.
pub(in crate::conn::table) fn jitter(seed: u64) {
    JITTER.set(seed);
}

/// Has `other` happen between two loads of this thread, after `loads` of them.
pub(in crate::conn::table) fn meanwhile(loads: u32, other: impl FnOnce() + 'static) {
    MEANWHILE.set(Some((loads, Box::new(other))));
}

/// Runs `work` until it has written `writes` times. False if it died of that.
pub(in crate::conn::table) fn survives(writes: u32, work: impl FnOnce() + std::panic::UnwindSafe) -> bool {
    FUSE.set(Some(writes));
    let outcome = std::panic::catch_unwind(work);
    FUSE.set(None);
    match outcome {
        Ok(()) => true,
        Err(panic) if panic.is::<Death>() => false,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

struct Death;

fn burn() {
    match FUSE.get() {
        Some(0) => std::panic::resume_unwind(Box::new(Death)),
        Some(left) => FUSE.set(Some(left - 1)),
        None => {}
    }
    falter();
}

fn interlude() {
    match MEANWHILE.take() {
        Some((0, other)) => other(),
        Some((loads, other)) => MEANWHILE.set(Some((loads - 1, other))),
        None => {}
    }
}

fn falter() {
    let jitter = JITTER.get();
    if jitter != 0 {
        JITTER.set(jitter.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1) | 1);
        if jitter >> 54 == 0 {
            std::thread::yield_now();
        }
    }
}

macro_rules! fused {
    ($($name:ident $value:ty),*) => {$(
        #[derive(Debug)]
        #[repr(transparent)]
        pub(in crate::conn::table) struct $name(std::sync::atomic::$name);

        #[allow(dead_code, reason = "one list of operations for all widths")]
        impl $name {
            #[inline]
            pub(in crate::conn::table) fn load(&self, order: Ordering) -> $value {
                falter();
                interlude();
                self.0.load(order)
            }

            pub(in crate::conn::table) fn store(&self, value: $value, order: Ordering) {
                burn();
                self.0.store(value, order);
            }

            pub(in crate::conn::table) fn compare_exchange(
                &self, seen: $value, new: $value, success: Ordering, failure: Ordering,
            ) -> Result<$value, $value> {
                burn();
                self.0.compare_exchange(seen, new, success, failure)
            }

            pub(in crate::conn::table) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                burn();
                self.0.fetch_add(value, order)
            }

            pub(in crate::conn::table) fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                burn();
                self.0.fetch_sub(value, order)
            }

            pub(in crate::conn::table) fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                burn();
                self.0.fetch_or(value, order)
            }

            pub(in crate::conn::table) fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                burn();
                self.0.fetch_and(value, order)
            }
        }
    )*};
}

fused!(AtomicU16 u16, AtomicU32 u32, AtomicU64 u64);
