//! The parts of the control thread.
//!
//! One thread, one event loop: netlink, health checks, virtual addresses, the control socket. What can be decided is
//! decided by functions without input or output ([`plan()`], [`rules`], [`Ids`]); around them stand thin shells that talk
//! to the kernel and to clients.

pub mod admin;
pub mod bfd;
mod configuration;
mod director;
pub mod helper;
mod ids;
mod keeper;
pub mod kernel;
mod ledger;
mod line;
pub mod notify;
mod plan;
pub mod programs;
pub mod protocol;
pub mod socket;
mod standings;
mod state;
mod steer_rules;
pub mod sync;
pub mod track;
pub mod view;
pub mod vrrp;

pub use configuration::{Given, Written, kept as kept_configuration};
pub use director::{Confinement, DirectorError, resign, run};
pub use ids::{Ids, PAIRS};
pub use ledger::{Counts, Ledger};
pub use plan::plan;
pub use steer_rules::{Locals, rules};
