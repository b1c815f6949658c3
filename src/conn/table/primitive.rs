//! The atomics of the table, imported here alone, so that a checker can put its own in their place.
//!
//! Tests get atomics with a fuse: after a set number of writes the thread "dies", between any two writes of the code as
//! it ships (`tests/fuse.rs`). With the feature `loom` they are loom's, which tries the interleavings and the orders in
//! which writes may be seen (`tests/interleavings.rs`).

#[cfg(not(any(test, feature = "loom")))]
pub(super) use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, fence};

#[cfg(all(test, not(feature = "loom")))]
pub(super) use super::tests::fuse::{AtomicU16, AtomicU32, AtomicU64};
#[cfg(all(test, not(feature = "loom")))]
pub(super) use std::sync::atomic::fence;

#[cfg(feature = "loom")]
pub(super) use loom::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, fence};

#[cfg(feature = "loom")]
pub(super) use loom::hint::spin_loop;
#[cfg(not(feature = "loom"))]
pub(super) use std::hint::spin_loop;

// Which members have been given out is no part of the protocol.
pub(super) use std::sync::atomic::{AtomicBool, Ordering};
