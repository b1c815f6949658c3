//! `ringmaster status`: the director itself, its counters, and why frames were not forwarded.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use super::client::{self, Ask, At, Client, ClientError};
use crate::control::view::{RoleView, SlotsView, Status, SyncDaemonView, SyncPeerView, SyncView};

/// Show the director's ports, table and counters
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
    /// Print the counters that are 0 too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    at: At,
}

/// Prints the status.
pub fn run(args: &Args) -> ExitCode {
    client::exit(print(args, &mut BufWriter::new(std::io::stdout().lock())))
}

pub(super) fn print(args: &Args, out: &mut impl Write) -> Result<(), ClientError> {
    let status = Client::connect(&args.at.socket)?.status()?;
    match args.json {
        true => client::json_line(out, &status)?,
        false => write(out, &status, args.all)?,
    }
    Ok(out.flush()?)
}

fn write(out: &mut impl Write, status: &Status, all: bool) -> io::Result<()> {
    let Status {
        version,
        uptime,
        forwarding,
        table_size,
        connections,
        workers,
        workers_with_company,
        ports,
        slots,
        timeouts,
        counters,
        sync,
        ..
    } = status;
    let role = if *forwarding { "forwarding" } else { "standing by" };
    writeln!(out, "ringmaster {version}, up {}, {role}", duration(*uptime))?;
    for port in ports {
        writeln!(out, "port {}: {}", port.name, port.mode)?;
    }
    for role in &status.roles {
        let RoleView { name, state, priority, seconds, .. } = role;
        writeln!(out, "instance {name}: {state} with priority {priority} for {}", duration(*seconds))?;
    }
    for tracker in status.trackers.iter().filter(|tracker| tracker.kind != "bfd") {
        writeln!(out, "{} {}: {}", tracker.kind, tracker.name, tracker.reading)?;
    }
    for session in &status.bfd {
        writeln!(out, "bfd {}: {} for {}", session.name, session.state, duration(session.seconds))?;
    }
    match workers_with_company {
        0 => writeln!(out, "workers: {workers}")?,
        some => writeln!(out, "workers: {workers}, {some} on a core that others use too")?,
    }
    let SlotsView { free, receive, transmit, in_hand } = slots;
    writeln!(out, "slots: {free} free, {receive} to receive, {transmit} being sent, {in_hand} in hand")?;
    writeln!(out, "connections: {connections} of {table_size}")?;
    writeln!(out, "timeouts: tcp {} s, tcpfin {} s, udp {} s", timeouts.tcp, timeouts.tcp_fin, timeouts.udp)?;
    if let Some(sync) = sync {
        write_sync(out, sync)?;
    }
    writeln!(out, "counters:")?;
    let width = counters.keys().map(String::len).max().unwrap_or(0);
    let shown = counters.iter().filter(|&(_, &count)| all || count != 0);
    shown.into_iter().try_for_each(|(name, count)| writeln!(out, "  {name:<width$} {count:>15}"))
}

fn write_sync(out: &mut impl Write, sync: &SyncView) -> io::Result<()> {
    for SyncDaemonView { master, interface, syncid, group, port, .. } in &sync.daemons {
        let role = if *master { "master" } else { "backup" };
        writeln!(out, "sync {role}: {interface}, group {group}, port {port}, id {syncid}")?;
    }
    for SyncPeerView { session, master, proven, in_sync, lost, lag, silent_ms } in &sync.peers {
        let role = if *master { "master" } else { "backup" };
        let state = match (proven, in_sync, master) {
            (false, ..) => "does not hear us",
            (true, false, true) => "has more to tell",
            _ => "in sync",
        };
        writeln!(
            out,
            "sync peer {session}: {role}, {state}, {lag} messages behind, {lost} lost, heard {silent_ms} ms ago"
        )?;
    }
    Ok(())
}

/// `3 d 04:05:06`.
pub(super) fn duration(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days == 0 { clock } else { format!("{days} d {clock}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::view::{BfdView, PortView, TimeoutsView, TrackerView};

    fn tracker() -> TrackerView {
        TrackerView { kind: String::new(), name: "x".into(), reading: "down".into(), effects: Vec::new() }
    }

    fn session() -> BfdView {
        BfdView {
            name: "peer".into(),
            neighbour: [192, 0, 2, 9].into(),
            state: "Up".into(),
            remote_state: "Up".into(),
            excused: false,
            diagnostic: 0,
            seconds: 5,
            interval: 0,
            detection: 0,
            counters: Default::default(),
        }
    }

    fn peer(proven: bool) -> SyncPeerView {
        let session = "00000000000000ab".into();
        SyncPeerView { session, master: true, proven, in_sync: false, lost: 3, lag: 4, silent_ms: 250 }
    }

    #[test]
    fn the_status_is_readable_and_leaves_out_what_never_happened() {
        let status = Status {
            version: "9.9.9".into(),
            uptime: 3 * 86_400 + 4 * 3600 + 5 * 60 + 6,
            forwarding: true,
            table_size: 1024,
            connections: 2,
            workers: 1,
            slots: SlotsView { free: 4090, receive: 4096, transmit: 5, in_hand: 1 },
            roles: vec![RoleView {
                name: "VI_1".into(),
                state: "MASTER".into(),
                priority: 100,
                seconds: 70,
                ..RoleView::default()
            }],
            trackers: ["script", "bfd"].map(|kind| TrackerView { kind: kind.into(), ..tracker() }).into(),
            bfd: vec![session()],
            ports: vec![PortView { name: "eth0".into(), mode: "native, copy, 2 queues".into() }],
            timeouts: TimeoutsView { tcp: 900, tcp_fin: 120, udp: 300 },
            sync: Some(SyncView {
                daemons: vec![SyncDaemonView { syncid: 7, ..SyncDaemonView::default() }],
                in_sync: false,
                peers: vec![peer(true), peer(false)],
            }),
            counters: [("received", 21), ("ended-no-route", 0)].map(|(name, count)| (name.to_owned(), count)).into(),
            ..Status::default()
        };
        let text = |all| {
            let mut out = Vec::new();
            write(&mut out, &status, all).unwrap();
            String::from_utf8(out).unwrap()
        };
        let head = concat!(
            "ringmaster 9.9.9, up 3 d 04:05:06, forwarding\n",
            "port eth0: native, copy, 2 queues\n",
            "instance VI_1: MASTER with priority 100 for 00:01:10\n",
            "script x: down\n",
            "bfd peer: Up for 00:00:05\n",
            "workers: 1\n",
            "slots: 4090 free, 4096 to receive, 5 being sent, 1 in hand\n",
            "connections: 2 of 1024\n",
            "timeouts: tcp 900 s, tcpfin 120 s, udp 300 s\n",
            "sync backup: eth0, group 224.0.0.81, port 8848, id 7\n",
            "sync peer 00000000000000ab: master, has more to tell, 4 messages behind, 3 lost, heard 250 ms ago\n",
            "sync peer 00000000000000ab: master, does not hear us, 4 messages behind, 3 lost, heard 250 ms ago\n",
            "counters:\n",
        );
        let received = "  received                    21\n";
        assert_eq!(text(false), format!("{head}{received}"));
        assert_eq!(text(true), format!("{head}  ended-no-route               0\n{received}"));
        assert_eq!(duration(59), "00:00:59");
    }
}
