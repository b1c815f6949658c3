//! `ringmaster connections`: the connection table, as `ipvsadm -Lnc` shows it.

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use super::client::{self, Ask, At, Client, ClientError};
use super::layout;
use crate::control::protocol::{Body, Command};

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
    let mut cursor = 0;
    loop {
        let Body::Connections(page) = client.ask(Command::Connections { cursor })? else {
            return Err(ClientError::Unexpected);
        };
        for connection in &page.entries {
            match args.json {
                true => client::json_line(out, connection)?,
                false => layout::connections::line(out, None, connection)?,
            }
        }
        match page.next {
            Some(next) if next > cursor => cursor = next,
            // It would never end.
            Some(_) => return Err(ClientError::Unexpected),
            None => return Ok(out.flush()?),
        }
    }
}
