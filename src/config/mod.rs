//! `keepalived.conf` to validated values, or to a list of problems.
//!
//! [`model`] holds what a valid configuration means; nothing in it can fail to run for a reason that the text alone
//! shows. Every problem of a file is reported at once, with its place and a hint.

pub mod model;

pub use model::Config;
