//! Health checks: what to ask a real server, how often, and when its answers make it up or down.
//!
//! [`Spec`] is what the configuration asks for. The machine that turns answers into up and down does no input or
//! output and reads no clock.

mod spec;

pub use spec::{HttpGet, Probe, Spec, StatusCodes, Url};
