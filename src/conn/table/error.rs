//! Why there is no table.

use std::io;

/// Why a table could not be made or taken over.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The number of connections is 0 or needs more slots than a slot number can name.
    #[error("a connection table for {0} connections cannot be made; between 1 and {max} are possible", max = super::layout::MAX_CONNECTIONS)]
    Connections(u32),
    /// The number of workers is 0 or absurd.
    #[error("a connection table for {0} workers cannot be made; between 1 and {max} are possible", max = super::layout::MAX_WORKERS)]
    Workers(u32),
    /// The kernel refused a step.
    #[error("cannot {step} of {bytes} bytes for the connection table")]
    System {
        /// What was asked of the kernel.
        step: &'static str,
        /// The size of the table.
        bytes: usize,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file does not begin as a table does.
    #[error("the file is no connection table")]
    NotATable,
    /// The file may still be cut short by somebody else, which would be fatal to us.
    #[error("the connection table's file is not sealed against resizing")]
    Unsealed,
    /// Another build laid the table out in another way.
    #[error("the connection table has layout {found}; this program needs layout {needed}")]
    Layout {
        /// The version in the file.
        found: u32,
        /// The version of this build.
        needed: u32,
    },
    /// The header contradicts the file's length, or itself.
    #[error("the connection table is damaged: its header does not describe a file of {0} bytes")]
    Damaged(u64),
}
