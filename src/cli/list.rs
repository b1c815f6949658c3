//! `ringmaster list`: the virtual services and their real servers, as `ipvsadm -Ln` shows them.

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use super::client::{self, Ask, At, Client, ClientError};
use super::layout::{self, Layout};
use crate::control::protocol::{Body, Command};

/// List virtual services and their real servers
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON object a service instead, with its servers in the order of the scheduler
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: At,
}

/// Prints the listing.
pub fn run(args: &Args) -> ExitCode {
    client::exit(list(args, &mut BufWriter::new(std::io::stdout().lock())))
}

pub(super) fn list(args: &Args, out: &mut impl Write) -> Result<(), ClientError> {
    let mut client = Client::connect(&args.at.socket)?;
    let Body::Services(services) = client.ask(Command::Services)? else { return Err(ClientError::Unexpected) };
    if args.json {
        for service in &services {
            writeln!(out, "{}", serde_json::to_string(service).map_err(std::io::Error::from)?)?;
        }
    } else {
        let Body::Status(status) = client.ask(Command::Status)? else { return Err(ClientError::Unexpected) };
        layout::version(out, status.table_size)?;
        Layout::default().services(out, &services)?;
    }
    Ok(out.flush()?)
}
