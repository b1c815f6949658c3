//! The atomics of the table, imported here alone, so that a checker can put its own in their place.
//!
//! Tests get atomics with a fuse: after a set number of writes the thread "dies", between any two writes of the code as
//! it ships (`tests/fuse.rs`).

#[cfg(not(test))]
pub(super) use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64};

#[cfg(test)]
pub(super) use super::tests::fuse::{AtomicU16, AtomicU32, AtomicU64};

pub(super) use std::hint::spin_loop;
pub(super) use std::sync::atomic::{AtomicBool, Ordering, fence};
