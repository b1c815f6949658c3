//! `ringmaster replay`: a capture through the director, offline.
//!
//! The frames of a capture go through the same worker that forwards real traffic, on the capture's own time, without a
//! network interface and without privileges. All servers count as healthy; next hops are learned from the capture or
//! made up ([`scene`]). The same capture, configuration and seed give the same output, byte for byte.

mod engine;
mod report;
mod scene;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::{self, Config};
use crate::io::pcap::{Reader, Sent, Writer};
use engine::{ReplayError, Sink, replay};
use report::{Outcome, Report};
use scene::Scene;

/// Sends a capture through the director, offline, and says what became of every frame.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration, a keepalived.conf.
    #[arg(short = 'f', long = "use-file", value_name = "FILE")]
    file: PathBuf,
    /// The capture: pcap or pcapng, plain or compressed by gzip.
    #[arg(value_name = "IN")]
    capture: PathBuf,
    /// Where to write the frames that were sent, as pcap.
    #[arg(short, long, value_name = "OUT")]
    write: Option<PathBuf>,
    /// Print a line for each record: number, verdict, service and server.
    #[arg(long)]
    verdicts: bool,
    /// The secret of the connection table's hash.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The largest IP packet that can be sent, in bytes.
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u16).range(1280..))]
    mtu: u16,
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Config(config::Problems),
    #[error("{}: {1}", .0.display())]
    Capture(PathBuf, io::Error),
    #[error("{}: {1}", .0.display())]
    Format(PathBuf, CaptureError),
    #[error("{} is the capture itself: it would be overwritten while it is read", .0.display())]
    SameFile(PathBuf),
    #[error("{}: {1}", .0.display())]
    Output(PathBuf, io::Error),
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

/// Runs the subcommand: exit code 0 if the capture could be read to its end and held something to replay.
pub fn run(args: &Args) -> ExitCode {
    match try_run(args) {
        Ok(report) => conclude(args, &report),
        Err(failure) => {
            eprintln!("ringmaster replay: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn try_run(args: &Args) -> Result<Report, Failure> {
    let loaded = config::load(&args.file, &LoadOptions::default()).map_err(Failure::Config)?;
    eprint!("{}", loaded.problems)
    let config = loaded.config;
    let servers = servers(&config);
    let scene = Scene::learn(&mut open(&args.capture)?, servers, args.mtu);
    let reader = open(&args.capture)?;
    let mut output = Output::new(args, &reader)?;
    let report = replay(&config, scene, reader, args.seed, &mut output)?;
    output.finish(args)?;
    Ok(report)
}
