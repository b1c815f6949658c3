//! Tracking: what besides adverts decides who is master. Scripts, processes, files, interfaces and BFD sessions add to the
//! priority of instances, or keep them from taking part.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`spec`] | what is watched, and who depends on it |
//! | [`weight`] | what a reading does to an instance that depends on it |
//! | [`table`] | all readings, and the effects that follow from a new one |
//! | [`script`] | when to run a script, and what its exits make of it |
//! | [`process`] | which processes count, and how many there must be |
//! | `file` | the number in a file |
//! | [`debounce`] | a change that must last before it counts |
//!
//! Nothing here does input or output, and everything is told the time, as a [`Duration`](std::time::Duration) since an
//! arbitrary start. The shell is `control::track`.

pub mod debounce;
pub mod file;
pub mod process;
pub mod script;
pub mod spec;
pub mod table;
pub mod weight;

pub use debounce::Debounce;
pub use spec::{Dependence, Spec, Tracker, Watch};
pub use table::{Order, Table};
pub use weight::{Effect, Reading, Weight};
