//! A command line to what is to be done.
//!
//! Options are taken in one by one, as ipvsadm does, since their order matters here and there: a real server's port is
//! that of the service named before it, and a mask is read as one of the family known so far. Then come the tests that
//! need the whole line. The first fault ends it.

use super::fault::Fault;
use super::legality::Command;
use super::line::Line;
use super::options::{Opt, Reader};
use super::values;
use crate::cli::layout::Columns;
use crate::cli::names::Names;
use crate::control::admin::{Change, ServiceName};
use crate::control::view::SyncDaemonView;

/// Longest timeout that the kernel takes, in seconds.
const LONGEST_TIMEOUT: u32 = 2_147_483;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// Something is to be different.
    Change(Change),
    /// Something is to be shown.
    List(Listing, Format),
    /// `-S`.
    Save { numeric: bool },
    /// `-R`.
    Restore,
    /// `--start-daemon`.
    StartDaemon(SyncDaemonView),
    /// `--stop-daemon`.
    StopDaemon { master: bool },
    /// `-h`.
    Help,
    /// `-v`.
    Version,
}

/// What is to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Listing {
    All,
    Service(ServiceName),
    Connections,
    Timeouts,
    Daemons,
}

/// How it is to be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) numeric: bool,
    pub(super) exact: bool,
    pub(super) nosort: bool,
    pub(super) persistent_conn: bool,
    pub(super) columns: Columns,
}

/// Reads a command line, without the program's own name. `program` is what the program is called.
pub(super) fn parse(program: &str, words: &[String], names: &dyn Names) -> Result<Job, Fault> {
    let mut reader = Reader::new(words);
    let Some(Ok((first, value))) = reader.option() else { return Err(Fault::try_help(program)) };
    let command = match first {
        Opt::Help => return Ok(Job::Help),
        Opt::Version => return Ok(Job::Version),
        Opt::StartDaemon => daemon(value, Command::StartDaemon, "illegal start-daemon parameter specified")?,
        Opt::StopDaemon => daemon(value, Command::StopDaemon, "illegal start_daemon specified")?,
        _ => command(first).ok_or_else(|| Fault::try_help(program))?,
    };
    let mut line = Line::new(names);
    line.daemon.master = value == Some("master");
    while let Some(option) = reader.option() {
        let (option, value) = option.map_err(Fault::refused)?;
        // Values that must be there are; of the two that need not be one is never asked for.
        if !line.take(option, value.unwrap_or_default(), value.is_some())? {
            return Err(Fault::usage(format!("invalid option `{}'", reader.word())));
        }
    }
    let mut arguments = reader.arguments.into_iter();
    let timeouts = if command == Command::Set { Some(timeouts(&mut arguments)?) } else { None };
    if let Some(surplus) = arguments.next() {
        return Err(Fault::usage(format!("unexpected argument {surplus}")));
    }
    line.job(command, timeouts)
}

fn command(option: Opt) -> Option<Command> {
    Some(match option {
        Opt::AddService => Command::AddService,
        Opt::EditService => Command::EditService,
        Opt::DeleteService => Command::DeleteService,
        Opt::Clear => Command::Clear,
        Opt::List => Command::List,
        Opt::Zero => Command::Zero,
        Opt::AddServer => Command::AddServer,
        Opt::EditServer => Command::EditServer,
        Opt::DeleteServer => Command::DeleteServer,
        Opt::Set => Command::Set,
        Opt::Restore => Command::Restore,
        Opt::Save => Command::Save,
        _ => return None,
    })
}

fn daemon(role: Option<&str>, command: Command, otherwise: &str) -> Result<Command, Fault> {
    match role {
        Some("master" | "backup") => Ok(command),
        _ => Err(Fault::usage(otherwise)),
    }
}

/// `--set TCP TCPFIN UDP`.
fn timeouts<'a>(arguments: &mut impl Iterator<Item = &'a str>) -> Result<Change, Fault> {
    let (Some(tcp), Some(tcp_fin), Some(udp)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err(Fault::usage("--set option requires 3 timeout values"));
    };
    let seconds = |text| values::timeout(text, 0, LONGEST_TIMEOUT);
    Ok(Change::SetTimeouts { tcp: seconds(tcp)?, tcp_fin: seconds(tcp_fin)?, udp: seconds(udp)? })
}
