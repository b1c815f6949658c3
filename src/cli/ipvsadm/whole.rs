//! A whole command line: the tests that need all of it, and what it comes to.

use std::net::SocketAddr;

use super::fault::Fault;
use super::legality::{Command, Given};
use super::line::Line;
use super::parse::{Format, Job, Listing};
use crate::cli::layout::Columns;
use crate::control::admin::{Change, Family, PersistenceSpec, ServerSpec, ServiceName, ServiceSpec};
use crate::control::view::{Forward, Protocol};

impl Line<'_> {
    /// The tests that need the whole line, and what it comes to.
    pub(super) fn job(mut self, command: Command, timeouts: Option<Change>) -> Result<Job, Fault> {
        let flags = self.scheduler_flags()?;
        self.given.check(command)?;
        let change = match command {
            Command::AddService => Change::AddService(self.service_spec(flags)?),
            Command::EditService => Change::EditService(self.service_spec(flags)?),
            Command::DeleteService => Change::DeleteService(self.name()),
            Command::Clear => Change::Clear,
            Command::AddServer => Change::AddServer { service: self.name(), server: self.server_spec()? },
            Command::EditServer => Change::EditServer { service: self.name(), server: self.server_spec()? },
            Command::DeleteServer => {
                Change::DeleteServer { service: self.name(), address: SocketAddr::from(self.real) }
            }
            Command::Zero => Change::Zero(self.given.has(Given::Service).then(|| self.name())),
            Command::List => return self.listing(),
            Command::Save => return Ok(Job::Save { numeric: self.given.has(Given::Numeric) }),
            Command::Restore => return Ok(Job::Restore),
            Command::StartDaemon => return Ok(Job::StartDaemon(self.daemon)),
            Command::StopDaemon => return Ok(Job::StopDaemon { master: self.daemon.master }),
            Command::Set => timeouts.expect("they were read for this command"),
        };
        Ok(Job::Change(change))
    }

    fn name(&self) -> ServiceName {
        match (self.mark, self.protocol) {
            (0, Some(protocol)) => ServiceName::Address { protocol, address: SocketAddr::from(self.virtual_) },
            (fwmark, _) => ServiceName::Mark { fwmark, family: self.family.unwrap_or(Family::Ipv4) },
        }
    }

    /// The names of `-b`, each once and in the order of their bits.
    fn scheduler_flags(&self) -> Result<Vec<String>, Fault> {
        let Some(text) = &self.sched_flags else { return Ok(Vec::new()) };
        let scheduler = if self.scheduler.is_empty() { "wlc" } else { &self.scheduler };
        let mut bits = [false; 3];
        for flag in text.split(',').filter(|flag| !flag.is_empty()) {
            let (bit, only_for) = match flag {
                "flag-1" => (0, None),
                "flag-2" => (1, None),
                "flag-3" => (2, None),
                "sh-fallback" => (0, Some("sh")),
                "sh-port" => (1, Some("sh")),
                "mh-fallback" => (0, Some("mh")),
                "mh-port" => (1, Some("mh")),
                _ => return Err(Fault::usage(format!("invalid scheduler flag `{flag}'"))),
            };
            if only_for.is_some_and(|only| only != scheduler) {
                return Err(Fault::usage(format!("incompatible scheduler flag `{flag}'")));
            }
            bits[bit] = true;
        }
        let names = (1..=3).zip(bits).filter(|&(_, set)| set).map(|(number, _)| format!("flag-{number}"));
        Ok(names.collect())
    }

    fn service_spec(&mut self, flags: Vec<String>) -> Result<ServiceSpec, Fault> {
        if self.mark == 0 && self.virtual_.1 == 0 && self.persistence.is_none() {
            return Err(Fault::usage("Zero port specified for non-persistent service"));
        }
        let one_packet = self.given.has(Given::OnePacket);
        if one_packet && self.mark == 0 && self.protocol != Some(Protocol::Udp) {
            return Err(Fault::usage("One-Packet Scheduling is only for UDP virtual services"));
        }
        let scheduler = std::mem::take(&mut self.scheduler);
        Ok(ServiceSpec {
            name: self.name(),
            scheduler: if scheduler.is_empty() { "wlc".to_owned() } else { scheduler },
            flags,
            persistence: self.persistence.map(|timeout| PersistenceSpec { timeout, netmask: self.netmask }),
            one_packet,
            engine: self.engine.take(),
        })
    }

    fn server_spec(&mut self) -> Result<ServerSpec, Fault> {
        // Only NAT can change the port; by mark there is none to keep.
        if self.mark == 0 && self.method != Forward::Nat {
            self.real.1 = self.virtual_.1;
        }
        if self.method != Forward::Tun {
            if Some(Family::of(self.real.0)) != self.family {
                return Err(Fault::usage("Different address family is allowed only for tunneling servers"));
            }
            let options = [Given::TunType, Given::TunPort, Given::TunNocsum, Given::TunCsum, Given::TunRemcsum];
            if self.given.has_any(&options) {
                return Err(Fault::usage("Tunnel options conflict with forward method"));
            }
        }
        self.given.check_tunnel(self.tunnel.kind)?;
        Ok(ServerSpec {
            address: SocketAddr::from(self.real),
            method: self.method,
            tunnel: self.tunnel,
            weight: self.weight,
            upper: self.upper,
            lower: self.lower,
        })
    }

    fn listing(&self) -> Result<Job, Fault> {
        let given = self.given;
        let no_table = given.has_any(&[Given::Timeout, Given::Daemon]);
        let counted = given.has_any(&[Given::Stats, Given::Rate, Given::Thresholds]);
        if (no_table || given.has(Given::Connection)) && counted || no_table && given.has(Given::PersistentConn) {
            return Err(Fault::usage("options conflicts in the list command"));
        }
        let columns = [
            (Given::Stats, Columns::Stats),
            (Given::Rate, Columns::Rates),
            (Given::Thresholds, Columns::Thresholds),
            (Given::PersistentConn, Columns::Persistent),
            (Given::TunInfo, Columns::Tunnels),
        ];
        let columns = columns.into_iter().find(|&(option, _)| given.has(option)).map(|(_, columns)| columns);
        let format = Format {
            numeric: given.has(Given::Numeric),
            exact: given.has(Given::Exact),
            nosort: given.has(Given::NoSort),
            persistent_conn: given.has(Given::PersistentConn),
            columns: columns.unwrap_or_default(),
        };
        let listing = match () {
            () if given.has(Given::Connection) => Listing::Connections,
            () if given.has(Given::Service) => Listing::Service(self.name()),
            () if given.has(Given::Timeout) => Listing::Timeouts,
            () if given.has(Given::Daemon) => Listing::Daemons,
            () => Listing::All,
        };
        Ok(Job::List(listing, format))
    }
}
