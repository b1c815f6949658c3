//! `ringmaster list`: the virtual services and their real servers, as `ipvsadm -Ln` shows them.

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use super::client::{self, Ask, At, Client, ClientError};
use super::layout::{self, Layout};

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
    let services = client.services()?;
    if args.json {
        services.iter().try_for_each(|service| client::json_line(out, service))?;
    } else {
        layout::version(out, client.status()?.table_size)?;
        Layout::default().services(out, &services)?;
    }
    Ok(out.flush()?)
}
