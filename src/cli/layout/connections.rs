//! The connection table, as `ipvsadm -Lc` shows it.

use std::io::{self, Write};

use super::endpoint;
use crate::cli::names::Names;
use crate::control::view::{ConnectionView, Protocol};
use crate::service::Engine;

/// The head of the listing; `persistence`: with the columns of persistence engines.
pub fn head(out: &mut dyn Write, persistence: bool) -> io::Result<()> {
    writeln!(out, "IPVS connection entries")?;
    write!(out, "pro expire state       source             virtual            destination")?;
    writeln!(out, "{}", if persistence { "        pe name          pe_data" } else { "" })
}

/// A line of the listing, with names if anybody is given who knows them.
///
/// `persistence`: with the columns of persistence engines, if one has chosen this connection's server (`ipvsadm.c:
/// print_conn`).
pub fn line(
    out: &mut dyn Write,
    names: Option<&dyn Names>,
    persistence: bool,
    connection: &ConnectionView,
) -> io::Result<()> {
    let ConnectionView { protocol, expires, state, source, virtual_, destination, local, call_id } = connection;
    let expire = format!("{:02}:{:02}", expires / 60, expires % 60);
    let [source, virtual_, destination] = [source, virtual_, destination].map(|end| endpoint(names, *end, *protocol));
    let its_protocol = protocol;
    let protocol = protocol.map_or("IP", Protocol::name);
    write!(out, "{protocol:<3} {expire:<6} {state:<11} {source:<18} {virtual_:<18} ")?;
    if let Some(id) = call_id.as_ref().filter(|_| persistence) {
        return writeln!(out, "{destination:<16} {:<18} {id}", Engine::Sip.name());
    }
    write!(out, "{destination}")?;
    // LVS has no full NAT, and so no column for it.
    match local {
        Some(local) => writeln!(out, " from {}", endpoint(names, *local, *its_protocol)),
        None => writeln!(out),
    }
}
