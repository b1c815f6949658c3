//! The director's services, changed by one `ipvsadm` command at a time.
//!
//! Each command edits a configuration, and the control thread's own `plan` makes of it what workers are given: list
//! order, scheduler state, ids and removed pairs are all the director's, none of them the harness's.

use std::net::IpAddr;
use std::sync::Arc;

use ringmaster::config::Config;
use ringmaster::config::model::{RealServer, VirtualServer};
use ringmaster::control::{Ids, plan};
use ringmaster::sched::{Flags, Setup};
use ringmaster::service::{Method, Network, Options, Persistence, Services, Snapshot, Thresholds};
use ringmaster::time::Ticks;
use ringmaster::wire::{Endpoint, Protocol, ServiceKey};

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
            // Recorded with ICMP rate limits off.
            options: Options { icmp_ratelimit: Ticks(0), icmp_msgs_per_sec: 0, ..Options::KERNEL },
            generation: 0,
        }
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
            "pmtu_disc" => self.options.pmtu_disc = value != 0,
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

/// What a service is known by.
pub fn key(service: &Service) -> Result<ServiceKey, Unmodelled> {
    let protocol = match service.protocol.as_deref() {
        Some("tcp") => Protocol::TCP,
        Some("udp") => Protocol::UDP,
        Some("sctp") => Protocol::SCTP,
        _ => return Err("mark services".to_owned()),
    };
    match (service.address, service.port) {
        (_, Some(0)) => Err("services on port 0".to_owned()),
        (Some(address), Some(port)) => Ok(ServiceKey { protocol, virtual_: Endpoint::new(address, port) }),
        _ => Err("mark services".to_owned()),
    }
}

fn virtual_server(service: &Service) -> Result<VirtualServer, Unmodelled> {
    if service.one_packet {
        return Err("one-packet scheduling".to_owned());
    }
    let name = service.scheduler.as_deref().unwrap_or("wlc");
    let kind = name.parse().map_err(|_| format!("scheduler {name}"))?;
    let has = |names: [&str; 3]| service.flags.iter().any(|flag| names.contains(&flag.as_str()));
    let flags =
        Flags { fallback: has(["flag-1", "sh-fallback", "mh-fallback"]), port: has(["flag-2", "sh-port", "mh-port"]) };
    Ok(VirtualServer {
        key: key(service)?,
        scheduler: Setup { kind, flags },
        persistence: persistence(service)?,
        servers: Vec::new(),
        sorry: None,
    })
}

fn persistence(service: &Service) -> Result<Option<Persistence>, Unmodelled> {
    let Some(seconds) = service.persistent else { return Ok(None) };
    let prefix = match (&service.netmask, service.address) {
        (Some(mask), _) => prefix(mask).ok_or_else(|| format!("netmask {mask}"))?,
        (None, Some(IpAddr::V6(_))) => 128,
        (None, _) => 32,
    };
    Ok(Some(Persistence { timeout: Ticks::from_secs(seconds), prefix }))
}

/// The length of an IPv4 netmask without holes, or an IPv6 prefix length.
fn prefix(mask: &str) -> Option<u8> {
    if let Ok(length) = mask.parse() {
        return Some(length);
    }
    let mask = u32::from(mask.parse::<std::net::Ipv4Addr>().ok()?);
    let ones = mask.leading_ones();
    (mask.count_ones() == ones).then(|| u8::try_from(ones).ok()).flatten()
}

fn real_server(server: &Server) -> Result<RealServer, Unmodelled> {
    let method = match (server.method.as_deref(), server.tunnel.as_deref()) {
        (Some("masq"), _) => Method::Nat,
        (Some("direct"), _) => Method::Dr,
        (Some("tunnel"), None | Some("ipip")) => Method::Tun,
        (Some("tunnel"), Some(other)) => return Err(format!("tunnels of type {other}")),
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
