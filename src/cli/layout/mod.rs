//! Listings laid out as ipvsadm 1.31 does: the same widths, the same cuts, and the same blanks at the ends of lines.
//!
//! Two things may differ, by choice: services and servers are sorted by address as a number unless [`Order::Ipvsadm`] is
//! asked for, and what is saved may contain more ([`rules`]).

pub mod connections;
mod numbers;
pub mod order;
pub mod rules;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};

use super::names::Names;
use crate::control::Counts;
use crate::control::admin::{Family, ServiceName, TunnelChecksum, TunnelKind, TunnelSpec};
use crate::control::view::{Forward, PersistenceView, Protocol, ServerView, ServiceView};
use numbers::large;
pub use order::Order;

/// What is told of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Columns {
    /// Method, weight, connections.
    #[default]
    Loads,
    /// `--stats`: what it has carried.
    Stats,
    /// `--rate`: how much of it in a second.
    Rates,
    /// `--thresholds`.
    Thresholds,
    /// `--persistent-conn`.
    Persistent,
    /// `--tun-info`.
    Tunnels,
}

/// How services are listed.
#[derive(Clone, Copy, Default)]
pub struct Layout<'a> {
    /// Who knows names; without anybody addresses and ports are numbers (`-n`).
    pub names: Option<&'a dyn Names>,
    /// What is told.
    pub columns: Columns,
    /// Large numbers are not shortened (`--exact`).
    pub exact: bool,
    /// What comes first.
    pub order: Order,
}

/// `IP Virtual Server version 1.2.1 (size=4096)`, with the size of the connection table.
pub fn version(out: &mut dyn Write, table_size: u64) -> io::Result<()> {
    writeln!(out, "IP Virtual Server version 1.2.1 (size={table_size})")
}

impl Layout<'_> {
    /// All services, below the title.
    pub fn services(&self, out: &mut dyn Write, services: &[ServiceView]) -> io::Result<()> {
        self.title(out)?;
        order::services(self.order, services).into_iter().try_for_each(|service| self.service(out, service))
    }

    fn title(&self, out: &mut dyn Write) -> io::Result<()> {
        const FIRST: &str = "Prot LocalAddress:Port";
        let counts = |[a, b, c, d, e]: [&str; 5]| format!("{FIRST:<33} {a:>8} {b:>8} {c:>8} {d:>8} {e:>8}");
        let line = match self.columns {
            Columns::Stats => counts(["Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"]),
            Columns::Rates => counts(["CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"]),
            Columns::Thresholds => format!("{FIRST:<33} Uthreshold Lthreshold ActiveConn InActConn "),
            Columns::Persistent => format!("{FIRST:<33} Weight    PersistConn ActiveConn InActConn "),
            Columns::Loads | Columns::Tunnels => format!("{FIRST} Scheduler Flags"),
        };
        let below = match self.columns {
            Columns::Loads => "           Forward Weight ActiveConn InActConn",
            Columns::Tunnels => "           Forward TunnelInfo    Weight ActiveConn InActConn",
            Columns::Stats | Columns::Rates | Columns::Thresholds | Columns::Persistent => "",
        };
        writeln!(out, "{line}\n  -> RemoteAddress:Port{below}")
    }

    /// One service and its servers.
    pub fn service(&self, out: &mut dyn Write, service: &ServiceView) -> io::Result<()> {
        let name = self.service_name(&service.name);
        match self.columns {
            Columns::Stats => writeln!(out, "{name:<33}{}", self.counts(service.counts))?,
            Columns::Rates => writeln!(out, "{name:<33}{}", self.counts(service.rates))?,
            Columns::Loads | Columns::Thresholds | Columns::Persistent | Columns::Tunnels => {
                writeln!(out, "{name} {}{}", service.scheduler, suffix(service))?;
            }
        }
        let protocol = protocol_of(&service.name);
        let servers = order::servers(self.order, &service.servers);
        servers.into_iter().try_for_each(|server| self.server(out, server, protocol))
    }

    fn service_name(&self, name: &ServiceName) -> String {
        match name {
            ServiceName::Address { protocol, address } => {
                let name = format!("{:<4} {}", protocol.name(), self.endpoint(*address, Some(*protocol)));
                cut(name, *address, 33)
            }
            // As the number with a sign that it is to ipvsadm.
            ServiceName::Mark { fwmark, family: Family::Ipv4 } => format!("FWM  {}", fwmark.cast_signed()),
            ServiceName::Mark { fwmark, family: Family::Ipv6 } => format!("FWM  {} IPv6", fwmark.cast_signed()),
        }
    }

    fn server(&self, out: &mut dyn Write, server: &ServerView, protocol: Option<Protocol>) -> io::Result<()> {
        let ServerView { address, method, tunnel, weight, active, inactive, persistent, upper, lower, .. } = *server;
        let name = cut(self.endpoint(address, protocol), address, 28);
        write!(out, "  -> {name:<28}")?;
        let forward = forward(method);
        match self.columns {
            Columns::Stats => writeln!(out, "{}", self.counts(server.counts)),
            Columns::Rates => {
                let [connections, packets_in, packets_out, bytes_in, bytes_out] = server.rates.columns();
                let bytes = large(bytes_in, self.exact) + &large(bytes_out, self.exact);
                writeln!(out, " {connections:>8} {packets_in:>8} {packets_out:>8}{bytes}")
            }
            Columns::Thresholds => writeln!(out, " {upper:<10} {lower:<10} {active:<10} {inactive:<10}"),
            Columns::Persistent => writeln!(out, " {weight:<9} {persistent:<11} {active:<10} {inactive:<10}"),
            Columns::Tunnels => {
                let info = tunnel.map_or_else(|| "n/a".to_owned(), tunnel_info);
                writeln!(out, " {forward:<7} {info:<13} {weight:<6} {active:<10} {inactive:<10}")
            }
            Columns::Loads => writeln!(out, " {forward:<7} {weight:<6} {active:<10} {inactive:<10}"),
        }
    }

    fn counts(&self, counts: Counts) -> String {
        counts.columns().into_iter().map(|count| large(count, self.exact)).collect()
    }

    fn endpoint(&self, address: SocketAddr, protocol: Option<Protocol>) -> String {
        endpoint(self.names, address, protocol)
    }
}

/// An address and a port, by name if anybody knows one.
pub(super) fn endpoint(names: Option<&dyn Names>, address: SocketAddr, protocol: Option<Protocol>) -> String {
    let Some(names) = names else { return address.to_string() };
    let host = names.host(address.ip()).unwrap_or_else(|| address.ip().to_string());
    let port = names.service(address.port(), protocol).unwrap_or_else(|| address.port().to_string());
    if address.is_ipv6() { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// IPv4 names are cut to their column, IPv6 names are not.
fn cut(mut name: String, address: SocketAddr, width: usize) -> String {
    if address.is_ipv4()
        && let Some((end, _)) = name.char_indices().nth(width)
    {
        name.truncate(end);
    }
    name
}

/// Options in brackets, persistence and its mask, one-packet scheduling.
fn suffix(service: &ServiceView) -> String {
    let mut text = String::new();
    if !service.flags.is_empty() {
        text += &format!(" ({})", service.flags.join(","));
    }
    if let Some(persistence) = service.persistence {
        text += &format!(" persistent {}", persistence.timeout);
        text += &netmask(&service.name, persistence).map_or_else(String::new, |mask| format!(" mask {mask}"));
    }
    if let Some(engine) = &service.engine {
        text += &format!(" pe {engine}");
    }
    if service.one_packet {
        text += " ops";
    }
    text
}

/// The mask of a persistent service, unless it is of full length.
fn netmask(name: &ServiceName, persistence: PersistenceView) -> Option<String> {
    let PersistenceView { prefix, netmask, .. } = persistence;
    match name.family() {
        Family::Ipv4 if netmask.is_some() => netmask.map(|mask| mask.to_string()),
        Family::Ipv6 => (prefix < 128).then(|| prefix.to_string()),
        Family::Ipv4 => (prefix < 32).then(|| mask(prefix).to_string()),
    }
}

/// The first `prefix` bits set, as an address.
fn mask(prefix: u8) -> Ipv4Addr {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0).into()
}

fn forward(method: Forward) -> &'static str {
    match method {
        Forward::Nat => "Masq",
        Forward::Dr => "Route",
        Forward::Tun => "Tunnel",
        Forward::Full => "FullNat",
    }
}

fn tunnel_info(tunnel: TunnelSpec) -> String {
    let checksum = match tunnel.checksum {
        TunnelChecksum::None => "-c",
        TunnelChecksum::Plain => "+c",
        TunnelChecksum::Remote => "r+c",
    };
    match tunnel.kind {
        TunnelKind::Ipip => "ipip".to_owned(),
        TunnelKind::Gue => format!("gue:{}:{checksum}", tunnel.port),
        TunnelKind::Gre => format!("gre:{checksum}"),
    }
}

fn protocol_of(name: &ServiceName) -> Option<Protocol> {
    match name {
        ServiceName::Address { protocol, .. } => Some(*protocol),
        ServiceName::Mark { .. } => None,
    }
}
