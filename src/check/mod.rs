//! Health checks: what to ask a real server, how often, and when its answers make it up or down.
//!
//! [`Spec`] is what the configuration asks for. [`Checker`] turns answers into up and down and [`Health`] is the table of
//! all checks; neither does input or output nor reads a clock. [`probe()`] asks the question.

mod failure;
mod health;
mod machine;
mod probe;
mod spec;

pub use failure::Failure;
pub use health::{Change, Health};
pub use machine::{Action, Checker, Input};
pub use probe::probe;
pub use spec::{HttpGet, Probe, Spec, StatusCodes, Url};
