//! The daemons of connection synchronisation: started, stopped, listed.

use super::World;
use super::fault::Fault;
use super::run::{ask, status, unexpected, written};
use crate::control::protocol::{Body, Command};
use crate::control::view::SyncDaemonView;

/// Asks for a daemon to be started or stopped.
pub(super) fn order(world: &mut World<'_>, command: Command) -> Result<(), Fault> {
    match ask(world, command)? {
        Body::Changed(outcome) => outcome.into_iter().flatten().next().map_or(Ok(()), |no| Err(Fault::refused(no))),
        _ => Err(unexpected()),
    }
}

/// One line for each that runs, the master first.
pub(super) fn list(world: &mut World<'_>) -> Result<(), Fault> {
    let daemons = status(world)?.sync.map(|sync| sync.daemons).unwrap_or_default();
    daemons.iter().try_for_each(|daemon| written(writeln!(world.out, "{}", line(daemon))))
}

/// As ipvsadm prints it (`ipvsadm.c: list_daemon`).
fn line(daemon: &SyncDaemonView) -> String {
    let SyncDaemonView { master, interface, syncid, maxlen, group, port, ttl } = daemon;
    let role = if *master { "master" } else { "backup" };
    let group = if group.is_ipv6() { format!("[{group}]") } else { group.to_string() };
    format!(
        "{role} sync daemon (mcast={interface}, syncid={syncid}, maxlen={maxlen}, group={group}, port={port}, ttl={ttl})"
    )
}
