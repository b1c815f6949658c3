//! The director's services, changed by one `ipvsadm` command at a time.
//!
//! Each command edits a configuration, and the control thread's own `plan` makes of it what workers are given: list
//! order, scheduler state, ids and removed pairs are all the director's, none of them the harness's.

use std::sync::Arc;

use ringmaster::config::Config;
use ringmaster::config::model::{Mark, RealServer, VirtualServer};
use ringmaster::control::{Ids, plan};
use ringmaster::sched::{Flags, Setup};
use ringmaster::service::{
    Defend, GueChecksum, Limits, Method, Network, Options, Persistence, Services, Snapshot, Thresholds, Tunnel,
};
use ringmaster::time::Ticks;
use ringmaster::wire::{Endpoint, Family, Mask, Protocol, ServiceKey};

use crate::scenario::{Command, Server, Service};

/// What a recording asks for and the director cannot do.
pub type Unmodelled = String;

/// The control thread's state, as far as services go.
pub struct Control {
    config: Config,
    ids: Ids,
    network: Arc<Network>,
    services: Arc<Services>,
    options: Options,
    generation: u64,
}

impl Control {
    pub fn new(network: Network) -> Self {
        Self {
            config: Config::default(),
            ids: Ids::default(),
            network: Arc::new(network),
            services: Arc::default(),
            options: Options::KERNEL,
            generation: 0,
        }
    }

    /// What marks packets, from now on.
    pub fn mark(&mut self, rules: Vec<Mark>) {
        self.config.settings.marks = rules;
        self.replan();
    }

    pub fn services(&self) -> &Services {
        &self.services
    }

    /// The present state for the workers.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            generation: self.generation,
            services: Arc::clone(&self.services),
            network: Arc::clone(&self.network),
            options: self.options,
            forwarding: true,
        }
    }

    /// Carries out a command that worked when it was recorded.
    pub fn apply(&mut self, command: &Command) -> Result<(), Unmodelled> {
        match command {
            Command::AddService { service } => self.config.services.push(virtual_server(service)?),
            Command::EditService { service } => {
                let edited = virtual_server(service)?;
                let service = self.find(service)?;
                *service = VirtualServer { servers: std::mem::take(&mut service.servers), ..edited };
            }
            Command::DeleteService { service } => {
                let key = key(service)?;
                self.config.services.retain(|service| service.key != key);
            }
            Command::AddServer { service, server } => {
                let server = real_server(server)?;
                self.find(service)?.servers.push(server);
            }
            Command::EditServer { service, server } => {
                let edited = real_server(server)?;
                let servers = &mut self.find(service)?.servers;
                let found = servers.iter_mut().find(|server| server.real == edited.real);
                *found.ok_or("no such server")? = edited;
            }
            Command::DeleteServer { service, server } => {
                let real = Endpoint::new(server.address, server.port);
                self.find(service)?.servers.retain(|server| server.real != real);
            }
            Command::Clear => self.config.services.clear(),
            Command::SetTimeouts { timeouts } => self.set_timeouts(*timeouts),
            Command::Zero { .. } => {}
        }
        self.replan();
        Ok(())
    }

    /// Sets a `net.ipv4.vs` sysctl.
    pub fn set(&mut self, sysctl: &str, value: u32) -> Result<(), Unmodelled> {
        let unmodelled = || format!("sysctl {sysctl}={value}");
        match sysctl.strip_prefix("net.ipv4.vs.").ok_or_else(unmodelled)? {
            "conn_reuse_mode" => self.options.conn_reuse_mode = u8::try_from(value).map_err(|_| unmodelled())?,
            "expire_nodest_conn" => self.options.expire_nodest_conn = value != 0,
            "expire_quiescent_template" => self.options.expire_quiescent_template = value != 0,
            "drop_packet" => self.options.defences.drop_packet = defend(value).ok_or_else(unmodelled)?,
            "drop_entry" => self.options.defences.drop_entry = defend(value).ok_or_else(unmodelled)?,
            "secure_tcp" => self.options.defences.secure_tcp = defend(value).ok_or_else(unmodelled)?,
            "am_droprate" => self.options.defences.am_droprate = value,
            "sloppy_sctp" => self.options.sloppy_sctp = value != 0,
            "sloppy_tcp" => self.options.sloppy_tcp = value != 0,
            _ => return Err(unmodelled()),
        }
        self.generation += 1;
        Ok(())
    }

    /// `--set`: 0 leaves a timeout as it is.
    fn set_timeouts(&mut self, timeouts: [u32; 3]) {
        let present = &mut self.options.timeouts;
        for (timeout, seconds) in [&mut present.tcp, &mut present.tcp_fin, &mut present.udp].into_iter().zip(timeouts) {
            if seconds != 0 {
                *timeout = Ticks::from_secs(seconds);
            }
        }
    }

    fn find(&mut self, service: &Service) -> Result<&mut VirtualServer, Unmodelled> {
        let key = key(service)?;
        let found = self.config.services.iter_mut().find(|service| service.key == key);
        found.ok_or_else(|| "no such service".to_owned())
    }

    fn replan(&mut self) {
        let services = plan(&self.config, |_| true, &mut self.ids, &self.network, Some(&self.services));
        self.services = Arc::new(services);
        self.generation += 1;
    }
}

fn defend(value: u32) -> Option<Defend> {
    Defend::from_number(u8::try_from(value).ok()?)
}

/// What a service is known by.
pub fn key(service: &Service) -> Result<ServiceKey, Unmodelled> {
    let protocol = match (service.protocol.as_deref(), service.fwmark) {
        (_, Some(mark)) => {
            let family = if service.family == Some(6) { Family::V6 } else { Family::V4 };
            return Ok(ServiceKey::of_mark(mark, family));
        }
        (Some("tcp"), None) => Protocol::TCP,
        (Some("udp"), None) => Protocol::UDP,
        (Some("sctp"), None) => Protocol::SCTP,
        (other, None) => return Err(format!("protocol {other:?}")),
    };
    match (service.address, service.port) {
        (Some(address), Some(port)) => Ok(ServiceKey { protocol, virtual_: Endpoint::new(address, port) }),
        _ => Err("a service without an address".to_owned()),
    }
}

fn virtual_server(service: &Service) -> Result<VirtualServer, Unmodelled> {
    let name = service.scheduler.as_deref().unwrap_or("wlc");
    let kind = name.parse().map_err(|_| format!("scheduler {name}"))?;
    let has = |names: [&str; 3]| service.flags.iter().any(|flag| names.contains(&flag.as_str()));
    let flags =
        Flags { fallback: has(["flag-1", "sh-fallback", "mh-fallback"]), port: has(["flag-2", "sh-port", "mh-port"]) };
    Ok(VirtualServer {
        key: key(service)?,
        scheduler: Setup { kind, flags },
        persistence: persistence(service)?,
        limits: Limits::default(),
        one_packet: service.one_packet,
        servers: Vec::new(),
        sorry: None,
    })
}

fn persistence(service: &Service) -> Result<Option<Persistence>, Unmodelled> {
    let Some(seconds) = service.persistent else { return Ok(None) };
    let family = key(service)?.family();
    let mask = match &service.netmask {
        None => Mask::of_length(family, 128),
        Some(text) => mask(text, family).ok_or_else(|| format!("netmask {text}"))?,
    };
    Ok(Some(Persistence { timeout: Ticks::from_secs(seconds), mask }))
}

/// An IPv4 netmask, or an IPv6 prefix length.
fn mask(text: &str, family: Family) -> Option<Mask> {
    match family {
        Family::V4 => text.parse().map(Mask::netmask).ok(),
        Family::V6 => text.parse().map(|length| Mask::of_length(family, length)).ok(),
    }
}

fn real_server(server: &Server) -> Result<RealServer, Unmodelled> {
    let method = match (server.method.as_deref(), server.tunnel.as_deref()) {
        (Some("masq"), _) => Method::Nat,
        (Some("direct"), _) => Method::Dr,
        (Some("tunnel"), _) => Method::Tun(tunnel(server)?),
        (other, _) => return Err(format!("method {other:?}")),
    };
    Ok(RealServer {
        real: Endpoint::new(server.address, server.port),
        method,
        weight: server.weight,
        thresholds: Thresholds { upper: server.upper, lower: server.lower },
        inhibit_on_failure: false,
        checks: Vec::new(),
    })
}

fn tunnel(server: &Server) -> Result<Tunnel, Unmodelled> {
    let checksum = server.tunnel_checksum.as_deref();
    match server.tunnel.as_deref() {
        None | Some("ipip") => Ok(Tunnel::Ipip),
        Some("gre") => Ok(Tunnel::Gre { checksum: checksum == Some("csum") }),
        Some("gue") => {
            let checksum = match checksum {
                Some("csum") => GueChecksum::On,
                Some("remcsum") => GueChecksum::Remote,
                _ => GueChecksum::Off,
            };
            Ok(Tunnel::Gue { port: server.tunnel_port.ok_or("a GUE tunnel without a port")?, checksum })
        }
        Some(other) => Err(format!("tunnels of type {other}")),
    }
}
