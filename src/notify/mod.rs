//! Notification: who is told when an instance or a group changes its role, and in what words.
//!
//! [`spec`] is what the configuration asks for. [`herald`] turns events of the elections into programs to run, lines to
//! write and mails to send, in the order in which they are due; it does none of this. [`mail`] knows how a mail is sent. The shell is `control::notify`.

pub mod herald;
pub mod mail;
pub mod spec;

pub use herald::{Herald, Notice};
pub use spec::{Hooks, Pipe};
