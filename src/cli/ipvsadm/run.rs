//! Doing what a command line asks for.

use std::io;

use super::World;
use super::daemons;
use super::fault::Fault;
use super::help;
use super::parse::{Format, Job, Listing, parse};
use super::restore;
use crate::cli::client::ClientError;
use crate::cli::layout::{self, Layout, Order, rules::Limits};
use crate::control::admin::Change;
use crate::control::protocol::{Body, Command};
use crate::control::view::{ListingView, ServiceView, Status};

/// Carries out one command line, and returns the exit code.
pub(super) fn run(world: &mut World<'_>, words: &[String]) -> u8 {
    let outcome = command_line(world, words);
    finish(world, outcome)
}

/// Tells what went wrong, and gives the exit code.
pub(super) fn finish(world: &mut World<'_>, outcome: Result<u8, Fault>) -> u8 {
    // A reader that has seen enough (`| head`) is no failure, and who does not read messages needs none.
    let _ = world.out.flush();
    match outcome {
        Ok(exit) => exit,
        Err(fault) => {
            let _ = writeln!(world.errors, "{fault}");
            fault.exit
        }
    }
}

fn command_line(world: &mut World<'_>, words: &[String]) -> Result<u8, Fault> {
    // Without a word: what there is.
    let job = match words {
        [] => Job::List(Listing::All, Format::default()),
        words => parse(world.program, words, world.names)?,
    };
    match job {
        Job::Restore => restore::lines(world),
        job => one(world, job).map(|()| 0),
    }
}

/// Does anything but restoring.
pub(super) fn one(world: &mut World<'_>, job: Job) -> Result<(), Fault> {
    match job {
        Job::Change(change) => {
            let outcome = change_all(world, vec![change])?;
            outcome.into_iter().flatten().next().map_or(Ok(()), Err)
        }
        Job::List(listing, format) => list(world, listing, format),
        Job::Save { numeric } => save(world, numeric),
        Job::StartDaemon(daemon) => daemons::order(world, Command::StartDaemon { daemon }),
        Job::StopDaemon { master } => daemons::order(world, Command::StopDaemon { master }),
        Job::Help => written(help::usage(world.out, world.program)),
        Job::Version => written(help::version(world.out)),
        // Restoring does not read its own input.
        Job::Restore => Err(Fault::try_help(world.program)),
    }
}

/// Asks for changes, and returns for each why it was refused, if it was.
pub(super) fn change_all(world: &mut World<'_>, changes: Vec<Change>) -> Result<Vec<Option<Fault>>, Fault> {
    match ask(world, Command::Change { changes })? {
        Body::Changed(outcome) => Ok(outcome.into_iter().map(|refusal| refusal.map(Fault::refused)).collect()),
        _ => Err(Fault::refused(ClientError::Unexpected)),
    }
}

fn list(world: &mut World<'_>, listing: Listing, format: Format) -> Result<(), Fault> {
    match listing {
        Listing::All => {
            let (services, status) = table(world)?;
            let layout = layout(world, format, status.listing);
            written(layout::version(world.out, status.table_size))?;
            written(layout.services(world.out, &services))
        }
        Listing::Service(name) => {
            let (mut services, status) = table(world)?;
            services.retain(|service| service.name == name);
            if services.is_empty() {
                return Err(Fault::nothing("No such service"));
            }
            let layout = layout(world, format, status.listing);
            written(layout.services(world.out, &services))
        }
        Listing::Connections => connections(world, format),
        Listing::Timeouts => {
            let timeouts = status(world)?.timeouts;
            let line = format!("{} {} {}", timeouts.tcp, timeouts.tcp_fin, timeouts.udp);
            written(writeln!(world.out, "Timeout (tcp tcpfin udp): {line}"))
        }
        Listing::Daemons => daemons::list(world),
    }
}

fn layout<'a>(world: &World<'a>, format: Format, listing: ListingView) -> Layout<'a> {
    let order = match (format.nosort, listing.signed_sort) {
        (true, _) => Order::AsIs,
        (false, true) => Order::Ipvsadm,
        (false, false) => Order::Numeric,
    };
    let names = (!format.numeric).then_some(world.names);
    Layout { names, columns: format.columns, exact: format.exact, order }
}

fn save(world: &mut World<'_>, numeric: bool) -> Result<(), Fault> {
    let (services, Status { listing, timeouts, .. }) = table(world)?;
    let layout = layout(world, Format { numeric, ..Format::default() }, listing);
    let limits = listing.save_limits.then_some(Limits { timeouts });
    written(layout.rules(world.out, &services, limits))
}

fn connections(world: &mut World<'_>, format: Format) -> Result<(), Fault> {
    let names = (!format.numeric).then_some(world.names);
    written(layout::connections::head(world.out, format.persistent_conn))?;
    let World { director, out, .. } = world;
    let shown = director
        .connections(&mut |connection| layout::connections::line(out, names, format.persistent_conn, connection));
    match shown {
        Err(ClientError::Output(error)) => written(Err(error)),
        shown => shown.map_err(unanswered),
    }
}

fn table(world: &mut World<'_>) -> Result<(Vec<ServiceView>, Status), Fault> {
    Ok((world.director.services().map_err(unanswered)?, status(world)?))
}

pub(super) fn status(world: &mut World<'_>) -> Result<Status, Fault> {
    world.director.status().map_err(unanswered)
}

pub(super) fn ask(world: &mut World<'_>, command: Command) -> Result<Body, Fault> {
    world.director.ask(command).map_err(unanswered)
}

fn unanswered(error: ClientError) -> Fault {
    match error {
        // As without the module.
        ClientError::Forbidden(_) => Fault::usage("Can't initialize ipvs: Permission denied (you must be root)"),
        ClientError::Nobody(_) => Fault::usage(format!("Can't initialize ipvs: {error}")),
        error => Fault::refused(error),
    }
}

pub(super) fn unexpected() -> Fault {
    Fault::refused(ClientError::Unexpected)
}

/// A listing that cannot be written is a failure, unless nobody wants to read it.
pub(super) fn written(outcome: io::Result<()>) -> Result<(), Fault> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Fault::nothing(error)),
        _ => Ok(()),
    }
}
