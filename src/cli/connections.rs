//! `ringmaster connections`: the connection table, as `ipvsadm -Lnc` shows it.

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use super::client::{self, Ask, At, Client, ClientError};
use super::layout;

/// List the connection table
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON object a connection instead
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: At,
}

/// Prints the listing, in the order of the table.
pub fn run(args: &Args) -> ExitCode {
    client::exit(list(args, &mut BufWriter::new(std::io::stdout().lock())))
}

pub(super) fn list(args: &Args, out: &mut impl Write) -> Result<(), ClientError> {
    let mut client = Client::connect(&args.at.socket)?;
    if !args.json {
        layout::connections::head(out, false)?;
    }
    client.connections(&mut |connection| match args.json {
        true => client::json_line(out, connection),
        false => layout::connections::line(out, None, false, connection),
    })?;
    Ok(out.flush()?)
}
