//! `ringmaster replay`: a capture through the director, offline.
//!
//! The frames of a capture go through the same worker that forwards real traffic, on the capture's own time, without a
//! network interface and without privileges. All servers count as healthy; next hops are learned from the capture or
//! made up (`scene`). The same capture, configuration and seed give the same output, byte for byte.

mod engine;
mod output;
mod report;
mod scene;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::{self, Config, LoadOptions};
use crate::io::pcap::{CaptureError, Reader};
use crate::wire::Addr;
use engine::{ReplayError, replay};
use output::Output;
use report::Report;
use scene::Scene;

/// Send a capture through the director, offline, and say what became of every frame
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The configuration
    #[arg(short = 'f', long = "use-file", value_name = "FILE", default_value = "/etc/keepalived/keepalived.conf")]
    pub file: PathBuf,
    /// The capture: pcap or pcapng, plain or compressed by gzip
    #[arg(value_name = "IN")]
    pub capture: PathBuf,
    /// Where to write the frames that were sent, as pcap
    #[arg(short, long, value_name = "OUT")]
    pub write: Option<PathBuf>,
    /// Print a line for each record first: number, verdict, service and server
    #[arg(long)]
    pub verdicts: bool,
    /// The secret of the connection table's hash
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// The largest IP packet that can be sent, in bytes
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u16).range(1280..))]
    pub mtu: u16,
}

/// Why nothing was replayed, or not all of it.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Config(config::Problems),
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{}: {error}", path.display())]
    Capture { path: PathBuf, error: CaptureError },
    #[error("{} is the capture itself, which would be overwritten; choose another file to write to", .0.display())]
    SameFile(PathBuf),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error("{}: it holds nothing that the director could be shown", .0.display())]
    NothingUsable(PathBuf),
    #[error("{0} records are not accounted for; this is an error in ringmaster")]
    Unaccounted(u64),
}

/// Runs the subcommand: exit code 0 if the capture could be read to its end and held something to replay.
pub fn run(args: &Args) -> ExitCode {
    match try_run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Config(problems)) => {
            eprint!("{problems}");
            ExitCode::FAILURE
        }
        Err(failure) => {
            eprintln!("ringmaster: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn try_run(args: &Args) -> Result<(), Failure> {
    let config = load(&args.file)?;
    // The capture is read twice: once to learn who is in it.
    let scene = Scene::learn(&mut open(&args.capture)?, servers(&config), args.mtu);
    let reader = open(&args.capture)?;
    if let Some(path) = args.write.as_ref().filter(|path| is_same_file(path, &args.capture)) {
        return Err(Failure::SameFile(path.clone()));
    }
    let mut output = Output::create(args.write.as_deref(), reader.resolution(), args.verdicts)?;
    let report = replay(&config, scene, reader, args.seed, &mut output)?;
    output.finish()?;
    // A reader of ours that went away (`| head`) changes nothing about the outcome.
    let _ = io::stdout().write_all(report.to_string().as_bytes());
    conclude(args, report)
}

fn conclude(args: &Args, report: Report) -> Result<(), Failure> {
    let unaccounted = report.tally.records.abs_diff(report.accounted());
    if unaccounted != 0 {
        return Err(Failure::Unaccounted(unaccounted));
    }
    if let Some(error) = report.damage {
        return Err(Failure::Capture { path: args.capture.clone(), error });
    }
    if report.is_all_refused() {
        return Err(Failure::NothingUsable(args.capture.clone()));
    }
    Ok(())
}

fn load(path: &Path) -> Result<Config, Failure> {
    let loaded = config::load(path, &LoadOptions::default()).map_err(Failure::Config)?;
    if !loaded.problems.0.is_empty() {
        eprint!("{}", loaded.problems);
    }
    Ok(loaded.config)
}

fn open(path: &Path) -> Result<Reader, Failure> {
    let file = File::open(path).map_err(|error| Failure::File { path: path.to_owned(), error })?;
    Reader::new(file).map_err(|error| Failure::Capture { path: path.to_owned(), error })
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// The addresses that requests may be sent to.
fn servers(config: &Config) -> impl Iterator<Item = Addr> {
    let servers = config.services.iter().flat_map(|service| service.servers.iter().chain(&service.sorry));
    servers.map(|server| server.real.addr)
}
