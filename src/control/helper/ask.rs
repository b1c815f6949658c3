//! What a director and its helper say to each other.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::program::Program;

/// What is asked for. Each names something of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ask {
    /// Go by the configuration that comes along, in its words. The first question of all, and never asked again.
    Begin,
    /// Start this program with further arguments. Its socket comes along with the answer.
    Start {
        /// As the configuration names it.
        program: Program,
        /// At the end of its line.
        added: Vec<String>,
    },
    /// Open this `track_file`; it comes along with the answer.
    Open(PathBuf),
    /// Write the `init_file` value of this `track_file`.
    Initialise(PathBuf),
    /// Open this pipe, which is made if it is not there; it comes along with the answer.
    Pipe(PathBuf),
    /// Remove this pipe.
    RemovePipe(PathBuf),
    /// Write what comes along into this record of what of the kernel's state is the director's.
    Record(PathBuf),
    /// Write what comes along beside the control socket: the packets that a director had in hand when it died.
    BlackBox,
    /// Listen on the control socket; it comes along with the answer.
    Listen {
        /// Whoever listened there before is known to be dead.
        known_dead: bool,
    },
    /// Remove the control socket, if it is still that one.
    RemoveSocket,
    /// Start a supervisor, for the director's own is gone; the channel to it comes along with the answer.
    Supervisor,
    /// Read the configuration anew; its words come along with the answer, if it loads.
    Configuration {
        /// Tell what does not keep it from loading, too.
        remarks: bool,
    },
}

/// What comes of it; what does not is told in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// It is done.
    Done,
    /// It is done, and there was no such pipe before.
    Made,
    /// The configuration does not load.
    Broken,
}
