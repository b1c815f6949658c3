//! `ringmaster upgrade`: another program takes over the director's work, under traffic.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::client::{self, Ask, At, Client, ClientError};
use crate::control::protocol::{Body, Command};
use crate::control::view::Status;

/// How often the director is asked whether it is another one by now, and how long that is worth asking.
const STEP: Duration = Duration::from_millis(50);
const STEPS: u32 = 20 * 20;

/// Put another program in the director's place without losing a packet
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The new program [default: this one]
    #[arg(value_name = "PROGRAM")]
    program: Option<PathBuf>,
    #[command(flatten)]
    at: At,
}

/// Asks for it, and waits until the new program has taken over. Exit code 1: it has not.
pub fn run(args: &Args) -> ExitCode {
    client::exit(upgrade(args))
}

fn upgrade(args: &Args) -> Result<(), ClientError> {
    let program = match &args.program {
        Some(program) => std::fs::canonicalize(program)?,
        None => std::env::current_exe()?,
    };
    let before = status(args)?;
    match Client::connect(&args.at.socket)?.ask(Command::Upgrade { program })? {
        Body::Upgrading => {}
        _ => return Err(ClientError::Unexpected),
    }
    for _ in 0..STEPS {
        std::thread::sleep(STEP);
        // Between the two nobody answers.
        let Ok(now) = status(args) else { continue };
        if now.process != before.process {
            println!(
                "process {} (version {}) has taken over from process {}",
                now.process, now.version, before.process
            );
            return Ok(());
        }
        if let Some(why) = now.not_upgraded {
            return Err(ClientError::Refused(why));
        }
    }
    Err(ClientError::Refused("no new director after 20 s; see its log".to_owned()))
}

fn status(args: &Args) -> Result<Status, ClientError> {
    match Client::connect(&args.at.socket)?.ask(Command::Status)? {
        Body::Status(status) => Ok(*status),
        _ => Err(ClientError::Unexpected),
    }
}
