//! cli: to be written.

pub mod check;

/// Runs the command line and gives the exit code.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
