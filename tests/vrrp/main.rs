//! Elections between the real binary and Debian's keepalived, on a switch in network namespaces.
//!
//! What was sent is judged by captures at the switch, with the kernel's own timestamps. Each test has its network, so
//! that they run side by side.

#[path = "../support/mod.rs"]
mod support;

mod announcements;
mod belongings;
mod capture;
mod crashes;
mod joining;
mod lab;
mod mail;
mod rejections;
mod reloads;
mod rows;
mod successors;
mod troubles;
mod verdicts;
mod virtual_mac;
