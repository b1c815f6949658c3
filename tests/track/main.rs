//! Tracking, notification and BFD of the real binary, in network namespaces and beside Debian's keepalived.
//!
//! Each test has its network and its files, so that they run side by side.

#[path = "../support/mod.rs"]
mod support;

mod bfd;
mod calls;
mod lab;
mod reloads;
mod trackers;
