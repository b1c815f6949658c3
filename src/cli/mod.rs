//! The command line: one file a subcommand.

pub mod bfd;
pub mod check;
mod client;
pub mod connections;
mod grid;
pub mod layout;
pub mod list;
pub mod replay;
pub mod run;
pub mod trackers;
pub mod vrrp;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A user-space Linux Virtual Server over AF_XDP, from a keepalived.conf.
#[derive(Debug, Parser)]
#[command(name = "ringmaster", version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Check(check::Args),
    List(list::Args),
    Connections(connections::Args),
    Vrrp(vrrp::Args),
    Trackers(trackers::Args),
    Bfd(bfd::Args),
    Replay(replay::Args),
}

/// Runs the command line and gives the exit code.
pub fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::List(args) => list::run(&args),
        Command::Connections(args) => connections::run(&args),
        Command::Vrrp(args) => vrrp::run(&args),
        Command::Trackers(args) => trackers::run(&args),
        Command::Bfd(args) => bfd::run(&args),
        Command::Replay(args) => replay::run(&args),
    }
}
