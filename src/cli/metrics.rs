//! `ringmaster metrics`: everything that is counted, in the text form of Prometheus.
//!
//! What node_exporter tells of a kernel's LVS has its names here, so that the same boards and alerts work; the director's
//! own counters begin with `ringmaster_`.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use super::client::{self, Ask, At, Client, ClientError};
use crate::control::Counts;
use crate::control::admin::ServiceName;
use crate::control::view::{ServerView, ServiceView, SlotsView, Status};

/// Print all counters in the text form of Prometheus
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    at: At,
}

/// Prints the metrics.
pub fn run(args: &Args) -> ExitCode {
    client::exit(print(args, &mut BufWriter::new(std::io::stdout().lock())))
}

fn print(args: &Args, out: &mut impl Write) -> Result<(), ClientError> {
    let mut client = Client::connect(&args.at.socket)?;
    let services = client.services()?;
    write(out, &services, &client.status()?)?;
    Ok(out.flush()?)
}

/// Name, type, meaning, and the value for a server.
type Metric = (&'static str, &'static str, &'static str, fn(&ServerView) -> u64);

const SERVERS: [Metric; 3] = [
    ("node_ipvs_backend_connections_active", "gauge", "Connections in an active state.", |server| server.active.into()),
    ("node_ipvs_backend_connections_inactive", "gauge", "All other connections.", |server| server.inactive.into()),
    ("node_ipvs_backend_weight", "gauge", "Share of new connections.", |server| server.weight.into()),
];

/// Names and meanings of [`Counts::columns`].
const COUNTS: [(&str, &str); 5] = [
    ("connections", "New connections."),
    ("incoming_packets", "Packets from clients."),
    ("outgoing_packets", "Packets to clients."),
    ("incoming_bytes", "Bytes from clients."),
    ("outgoing_bytes", "Bytes to clients."),
];

fn write(out: &mut impl Write, services: &[ServiceView], status: &Status) -> io::Result<()> {
    for (name, kind, meaning, value) in SERVERS {
        head(out, name, kind, meaning)?;
        each(services, |labels, server| writeln!(out, "{name}{{{labels}}} {}", value(server)))?;
    }
    for (at, (what, meaning)) in COUNTS.into_iter().enumerate() {
        let name = format!("node_ipvs_{what}_total");
        head(out, &name, "counter", meaning)?;
        let total = services.iter().map(|service| service.counts.columns()[at]).fold(0, u64::wrapping_add);
        writeln!(out, "{name} {total}")?;
        let name = format!("ringmaster_backend_{what}_total");
        head(out, &name, "counter", meaning)?;
        let count = |counts: Counts| counts.columns()[at];
        each(services, |labels, server| writeln!(out, "{name}{{{labels}}} {}", count(server.counts)))?;
    }
    for (name, meaning, value) in [
        ("ringmaster_connections", "Connections in the table.", status.connections),
        ("ringmaster_connections_room", "Connections that the table has room for.", status.table_size),
        ("ringmaster_workers", "Worker threads.", status.workers as u64),
        ("ringmaster_workers_with_company", "Those on a core that others use too.", status.workers_with_company as u64),
        ("ringmaster_uptime_seconds", "Since the director started.", status.uptime),
        ("ringmaster_forwarding", "Whether it holds the role of master.", status.forwarding.into()),
    ] {
        head(out, name, "gauge", meaning)?;
        writeln!(out, "{name} {value}")?;
    }
    let name = "ringmaster_slots";
    head(out, name, "gauge", "Slots of packet memory by where they are.")?;
    let SlotsView { free, receive, transmit, in_hand } = status.slots;
    for (place, count) in [("free", free), ("receive", receive), ("transmit", transmit), ("in_hand", in_hand)] {
        writeln!(out, "{name}{{where=\"{place}\"}} {count}")?;
    }
    let name = "ringmaster_events_total";
    head(out, name, "counter", "Frames by what became of them.")?;
    status.counters.iter().try_for_each(|(event, count)| writeln!(out, "{name}{{event=\"{event}\"}} {count}"))
}

fn head(out: &mut impl Write, name: &str, kind: &str, meaning: &str) -> io::Result<()> {
    writeln!(out, "# HELP {name} {meaning}\n# TYPE {name} {kind}")
}

/// Calls `with` the labels of each server, which are those of node_exporter. Nothing in them needs to be escaped.
fn each(services: &[ServiceView], mut with: impl FnMut(&str, &ServerView) -> io::Result<()>) -> io::Result<()> {
    for service in services {
        let local = match service.name {
            ServiceName::Address { protocol, address } => format!(
                "local_address=\"{}\",local_port=\"{}\",local_mark=\"\",proto=\"{}\"",
                address.ip(),
                address.port(),
                protocol.name()
            ),
            ServiceName::Mark { fwmark, .. } => {
                format!("local_address=\"\",local_port=\"0\",local_mark=\"{fwmark:08X}\",proto=\"FWM\"")
            }
        };
        for server in &service.servers {
            let address = server.address;
            let remote = format!("remote_address=\"{}\",remote_port=\"{}\"", address.ip(), address.port());
            with(&format!("{local},{remote}"), server)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_is_explained_once_and_has_the_labels_of_node_exporter() {
        let services = serde_json::json!([
            {"protocol": "tcp", "address": "192.0.2.10:80", "scheduler": "rr",
             "counts": {"connections": 7, "packets_in": 1, "packets_out": 2, "bytes_in": 3, "bytes_out": 4},
             "servers": [{"address": "[fd00::1]:8080", "method": "tun", "weight": 3, "active": 5, "inactive": 6}]},
            {"fwmark": 26, "family": "ipv4", "scheduler": "rr",
             "servers": [{"address": "10.0.0.1:0", "method": "dr", "weight": 1, "active": 0, "inactive": 0}]},
        ]);
        let services: Vec<ServiceView> = serde_json::from_value(services).unwrap();
        let counters = [("received".to_owned(), 21)].into();
        let mut out = Vec::new();
        write(&mut out, &services, &Status { counters, connections: 2, ..Status::default() }).unwrap();
        let text = String::from_utf8(out).unwrap();
        for line in [
            "node_ipvs_backend_weight{local_address=\"192.0.2.10\",local_port=\"80\",local_mark=\"\",proto=\"TCP\",\
             remote_address=\"fd00::1\",remote_port=\"8080\"} 3",
            "node_ipvs_backend_weight{local_address=\"\",local_port=\"0\",local_mark=\"0000001A\",proto=\"FWM\",\
             remote_address=\"10.0.0.1\",remote_port=\"0\"} 1",
            "node_ipvs_connections_total 7",
            "ringmaster_connections 2",
            "ringmaster_events_total{event=\"received\"} 21",
        ] {
            assert!(text.lines().any(|its| its == line), "{line}\n{text}");
        }
        let mut types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let all = types.len();
        types.sort_unstable();
        types.dedup();
        assert_eq!(types.len(), all);
    }
}
