//! Services and servers as the commands that make them: `ipvsadm -S`.

use std::io::{self, Write};

use super::{Layout, netmask, order};
use crate::control::admin::{Family, ServiceName, TunnelChecksum, TunnelKind, TunnelSpec};
use crate::control::view::{Forward, Protocol, ServerView, ServiceView, TimeoutsView};

/// What ipvsadm leaves out of what it saves.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The timeouts of now.
    pub timeouts: TimeoutsView,
}

/// The timeouts of a director that was told nothing.
const TIMEOUTS: TimeoutsView = TimeoutsView { tcp: 900, tcp_fin: 120, udp: 300 };

impl Layout<'_> {
    /// All services as commands. With `limits` the thresholds of servers are among them, and the timeouts if they are
    /// not the usual ones.
    pub fn rules(&self, out: &mut dyn Write, services: &[ServiceView], limits: Option<Limits>) -> io::Result<()> {
        if let Some(Limits { timeouts }) = limits
            && timeouts != TIMEOUTS
        {
            writeln!(out, "--set {} {} {}", timeouts.tcp, timeouts.tcp_fin, timeouts.udp)?;
        }
        for service in order::services(self.order, services) {
            let name = self.selector(&service.name);
            writeln!(out, "-A {name} -s {}{}", service.scheduler, options(service))?;
            for server in order::servers(self.order, &service.servers) {
                let protocol = super::protocol_of(&service.name);
                let address = self.endpoint(server.address, protocol);
                writeln!(out, "-a {name} -r {address} {}", what(server, limits.is_some()))?;
            }
        }
        Ok(())
    }

    /// The option that names a service.
    fn selector(&self, name: &ServiceName) -> String {
        match name {
            ServiceName::Address { protocol, address } => {
                let option = match protocol {
                    // No service is for all protocols; its commands would not be understood.
                    Protocol::Tcp => "-t",
                    Protocol::Udp => "-u",
                    Protocol::Sctp => "--sctp-service",
                };
                format!("{option} {}", self.endpoint(*address, Some(*protocol)))
            }
            ServiceName::Mark { fwmark, family: Family::Ipv4 } => format!("-f {fwmark}"),
            ServiceName::Mark { fwmark, family: Family::Ipv6 } => format!("-f {fwmark} -6"),
        }
    }
}

fn options(service: &ServiceView) -> String {
    let mut text = String::new();
    if let Some(persistence) = service.persistence {
        text += &format!(" -p {}", persistence.timeout);
        text += &netmask(&service.name, persistence).map_or_else(String::new, |mask| format!(" -M {mask}"));
    }
    if let Some(engine) = &service.engine {
        text += &format!(" --pe {engine}");
    }
    if service.one_packet {
        text += " -o";
    }
    if !service.flags.is_empty() {
        text += &format!(" -b {}", service.flags.join(","));
    }
    text
}

fn what(server: &ServerView, limits: bool) -> String {
    let method = match server.method {
        Forward::Nat => "-m",
        Forward::Dr => "-g",
        Forward::Tun => "-i",
        // DPVS's: no ipvsadm of LVS would take it for something else.
        Forward::Full => "-b",
    };
    let mut text = format!("{method} -w {}", server.weight);
    if limits && server.upper != 0 {
        text += &format!(" -x {}", server.upper);
    }
    if limits && server.lower != 0 {
        text += &format!(" -y {}", server.lower);
    }
    text + &server.tunnel.map_or_else(String::new, tunnel_options)
}

fn tunnel_options(tunnel: TunnelSpec) -> String {
    let checksum = match tunnel.checksum {
        TunnelChecksum::None => "--tun-nocsum",
        TunnelChecksum::Plain => "--tun-csum",
        TunnelChecksum::Remote => "--tun-remcsum",
    };
    match tunnel.kind {
        TunnelKind::Ipip => " --tun-type ipip".to_owned(),
        TunnelKind::Gre => format!(" --tun-type gre {checksum}"),
        TunnelKind::Gue => format!(" --tun-type gue --tun-port {} {checksum}", tunnel.port),
    }
}
