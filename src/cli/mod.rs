//! The command line: one file a subcommand.

pub mod bfd;
pub mod check;
pub mod client;
pub mod connections;
mod grid;
pub mod ipvsadm;
pub mod layout;
pub mod list;
pub mod metrics;
pub mod names;
pub mod replay;
pub mod run;
pub mod status;
pub mod trackers;
pub mod vrrp;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use ipvsadm::Program;

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
    Status(status::Args),
    Metrics(metrics::Args),
    Vrrp(vrrp::Args),
    Trackers(trackers::Args),
    Bfd(bfd::Args),
    Replay(replay::Args),
    Ipvsadm(ipvsadm::Args),
}

/// Runs the command line and gives the exit code. Called by the name of one of them, the program is that one.
pub fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    if let Some((name, words)) = words.split_first()
        && let Some(program) = Program::called(Path::new(name))
    {
        return ipvsadm::be(program, &name.to_string_lossy(), words);
    }
    match CommandLine::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::List(args) => list::run(&args),
        Command::Connections(args) => connections::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Metrics(args) => metrics::run(&args),
        Command::Vrrp(args) => vrrp::run(&args),
        Command::Trackers(args) => trackers::run(&args),
        Command::Bfd(args) => bfd::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Ipvsadm(args) => ipvsadm::run(&args),
    }
}
