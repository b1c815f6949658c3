//! The command line: one file a subcommand.

pub mod check;
mod client;
pub mod connections;
pub mod layout;
pub mod list;

/// Runs the command line and gives the exit code.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
