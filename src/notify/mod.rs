//! Notification: who is told when an instance or a group changes its role, and in what words.
//!
//! [`spec`] is what the configuration asks for. [`herald`] turns events of the elections into programs to run and lines to
//! write, in the order in which they are due; it does neither. The shell is `control::notify`.

pub mod herald;
pub mod spec;

pub use herald::{Herald, Notice};
pub use spec::{Hooks, Pipe};
