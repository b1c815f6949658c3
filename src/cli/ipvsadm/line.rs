//! What a command line has said so far, option by option.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use super::fault::Fault;
use super::legality::{Given, GivenSet};
use super::options::Opt;
use super::values::{self, count};
use crate::cli::names::Names;
use crate::control::admin::{Family, Netmask, TunnelChecksum, TunnelKind, TunnelSpec};
use crate::control::view::{Forward, Protocol, SyncDaemonView};

/// Longest persistence: 31 days.
const LONGEST_PERSISTENCE: u32 = 31 * 86_400;
/// `-p` without a value (`libipvs.h: IPVS_SVC_PERSISTENT_TIMEOUT`).
const DEFAULT_PERSISTENCE: u32 = 360;
/// Highest weight and threshold.
const INT_MAX: u32 = i32::MAX as u32;

/// What was said so far.
pub(super) struct Line<'a> {
    pub(super) names: &'a dyn Names,
    pub(super) given: GivenSet,
    pub(super) mark: u32,
    pub(super) family: Option<Family>,
    pub(super) protocol: Option<Protocol>,
    pub(super) virtual_: (IpAddr, u16),
    pub(super) scheduler: String,
    pub(super) sched_flags: Option<String>,
    pub(super) persistence: Option<u32>,
    pub(super) netmask: Netmask,
    pub(super) engine: Option<String>,
    pub(super) real: (IpAddr, u16),
    pub(super) method: Forward,
    pub(super) weight: u32,
    pub(super) upper: u32,
    pub(super) lower: u32,
    pub(super) tunnel: TunnelSpec,
    pub(super) daemon: SyncDaemonView,
}

impl<'a> Line<'a> {
    pub(super) fn new(names: &'a dyn Names) -> Self {
        let nowhere = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Self {
            names,
            given: GivenSet::default(),
            mark: 0,
            family: None,
            protocol: None,
            virtual_: nowhere,
            scheduler: String::new(),
            sched_flags: None,
            persistence: None,
            netmask: Netmask::Mask(Ipv4Addr::BROADCAST),
            engine: None,
            real: nowhere,
            method: Forward::Dr,
            weight: 1,
            upper: 0,
            lower: 0,
            tunnel: TunnelSpec::default(),
            daemon: SyncDaemonView::default(),
        }
    }

    /// Takes in one option; says whether it is one that may follow a command.
    pub(super) fn take(&mut self, option: Opt, value: &str, has_value: bool) -> Result<bool, Fault> {
        let illegal = |what: &str| Fault::usage(format!("illegal {what} specified"));
        match option {
            Opt::TcpService => self.service(Protocol::Tcp, value)?,
            Opt::UdpService => self.service(Protocol::Udp, value)?,
            Opt::SctpService => self.service(Protocol::Sctp, value)?,
            Opt::MarkService => self.mark_service(value)?,
            Opt::Ipv6 if self.mark == 0 => return Err(Fault::usage("-6 used before -f\n")),
            Opt::Ipv6 => (self.family, self.netmask) = (Some(Family::Ipv6), Netmask::Prefix(128)),
            Opt::Scheduler => {
                self.given.add(Given::Scheduler)?;
                value.clone_into(&mut self.scheduler);
            }
            Opt::Persistent => {
                self.given.add(Given::Persistent)?;
                let timeout = match has_value {
                    true => values::timeout(value, 1, LONGEST_PERSISTENCE)?,
                    false => DEFAULT_PERSISTENCE,
                };
                self.persistence = Some(timeout);
            }
            Opt::Netmask => self.netmask(value)?,
            Opt::Engine => {
                self.given.add(Given::Engine)?;
                self.engine = Some(value.to_owned()).filter(|name| !name.is_empty());
            }
            Opt::SchedFlags => {
                self.given.add(Given::SchedFlags)?;
                self.sched_flags = Some(value.to_owned()).filter(|flags| !flags.is_empty());
            }
            Opt::OnePacket => self.given.add(Given::OnePacket)?,
            Opt::Server => self.server(value)?,
            Opt::Masquerading => self.method(Forward::Nat)?,
            Opt::Gatewaying => self.method(Forward::Dr)?,
            Opt::Ipip => self.method(Forward::Tun)?,
            Opt::Weight => {
                self.given.add(Given::Weight)?;
                self.weight = count(value, 0, INT_MAX).ok_or_else(|| illegal("weight"))?;
            }
            Opt::Upper => {
                self.given.add(Given::Upper)?;
                self.upper = count(value, 0, INT_MAX).ok_or_else(|| illegal("u_threshold"))?;
            }
            Opt::Lower => {
                self.given.add(Given::Lower)?;
                self.lower = count(value, 0, INT_MAX).ok_or_else(|| illegal("l_threshold"))?;
            }
            Opt::TunType => {
                self.given.add(Given::TunType)?;
                self.tunnel.kind = tunnel_kind(value).ok_or_else(|| illegal("tunnel type"))?;
            }
            Opt::TunPort => {
                self.given.add(Given::TunPort)?;
                self.tunnel.port = values::port(value, 1).ok_or_else(|| illegal("tunnel port"))?;
            }
            Opt::TunNocsum => self.checksum(Given::TunNocsum, TunnelChecksum::None)?,
            Opt::TunCsum => self.checksum(Given::TunCsum, TunnelChecksum::Plain)?,
            Opt::TunRemcsum => self.checksum(Given::TunRemcsum, TunnelChecksum::Remote)?,
            Opt::McastInterface => {
                self.given.add(Given::McastInterface)?;
                self.daemon.interface = value.to_owned();
            }
            Opt::SyncId => self.daemon.syncid = self.bounded(Given::SyncId, value, 0..=255, "syncid")?,
            Opt::McastPort => self.daemon.port = self.bounded(Given::McastPort, value, 1..=65_535, "mcast-port")?,
            Opt::McastTtl => self.daemon.ttl = self.bounded(Given::McastTtl, value, 1..=255, "mcast-ttl")?,
            Opt::SyncMaxlen => {
                self.daemon.maxlen = self.bounded(Given::SyncMaxlen, value, 1..=65_507, "sync-maxlen")?;
            }
            Opt::McastGroup => self.mcast_group(value)?,
            _ => return self.format(option),
        }
        Ok(true)
    }

    /// Takes in an option that says how to list.
    fn format(&mut self, option: Opt) -> Result<bool, Fault> {
        let given = match option {
            Opt::Numeric => Given::Numeric,
            Opt::Connection => Given::Connection,
            Opt::Timeout => Given::Timeout,
            Opt::Daemon => Given::Daemon,
            Opt::Stats => Given::Stats,
            Opt::Rate => Given::Rate,
            Opt::Thresholds => Given::Thresholds,
            Opt::PersistentConn => Given::PersistentConn,
            Opt::TunInfo => Given::TunInfo,
            Opt::NoSort => Given::NoSort,
            Opt::Exact => Given::Exact,
            // The default, for old scripts.
            Opt::Sort => return Ok(true),
            _ => return Ok(false),
        };
        self.given.add(given)?;
        Ok(true)
    }

    fn service(&mut self, protocol: Protocol, value: &str) -> Result<(), Fault> {
        self.given.add(Given::Service)?;
        self.protocol = Some(protocol);
        let (address, port) = values::host_and_port(value, Some(protocol), self.names)
            .ok_or_else(|| Fault::usage("illegal virtual server address[:port] specified"))?;
        self.virtual_ = (address, port.unwrap_or(0));
        self.family = Some(Family::of(address));
        if address.is_ipv6() {
            self.netmask = Netmask::Prefix(128);
        }
        Ok(())
    }

    fn mark_service(&mut self, value: &str) -> Result<(), Fault> {
        self.given.add(Given::Service)?;
        self.family = Some(Family::Ipv4);
        self.protocol = Some(Protocol::Tcp);
        self.mark = count(value, 1, u32::MAX)
            .ok_or_else(|| Fault::usage(format!("invalid fwmark value `{value}' specified")))?;
        Ok(())
    }

    fn netmask(&mut self, value: &str) -> Result<(), Fault> {
        self.given.add(Given::Netmask)?;
        self.netmask = if self.family == Some(Family::Ipv6) {
            let prefix = leading_number(value).filter(|prefix| (1..=128).contains(prefix));
            Netmask::Prefix(prefix.ok_or_else(|| Fault::usage("illegal ipv6 netmask specified"))?)
        } else {
            let mask = values::netmask(value, self.names);
            Netmask::Mask(mask.ok_or_else(|| Fault::usage("illegal virtual server persistent mask specified"))?)
        };
        Ok(())
    }

    fn server(&mut self, value: &str) -> Result<(), Fault> {
        self.given.add(Given::Server)?;
        let (address, port) = values::host_and_port(value, self.protocol, self.names)
            .ok_or_else(|| Fault::usage("illegal real server address[:port] specified"))?;
        self.real = (address, port.unwrap_or(self.virtual_.1));
        Ok(())
    }

    fn method(&mut self, method: Forward) -> Result<(), Fault> {
        self.method = method;
        self.given.add(Given::Method)
    }

    fn checksum(&mut self, option: Given, checksum: TunnelChecksum) -> Result<(), Fault> {
        self.tunnel.checksum = checksum;
        self.given.add(option)
    }

    /// A number that a daemon is given, in a type that the range fits into.
    fn bounded<T: TryFrom<u32>>(
        &mut self,
        option: Given,
        value: &str,
        range: RangeInclusive<u32>,
        name: &str,
    ) -> Result<T, Fault> {
        self.given.add(option)?;
        let number = count(value, *range.start(), *range.end()).and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| Fault::usage(format!("illegal {name} specified")))
    }

    fn mcast_group(&mut self, value: &str) -> Result<(), Fault> {
        self.given.add(Given::McastGroup)?;
        let family = if value.contains(':') { "IPv6" } else { "IPv4" };
        match value.parse::<IpAddr>() {
            Ok(group) if group.is_multicast() => {
                self.daemon.group = group;
                Ok(())
            }
            _ => Err(Fault::usage(format!("invalid {family} mcast-group `{value}'"))),
        }
    }
}

fn tunnel_kind(name: &str) -> Option<TunnelKind> {
    match name {
        "ipip" => Some(TunnelKind::Ipip),
        "gue" => Some(TunnelKind::Gue),
        "gre" => Some(TunnelKind::Gre),
        _ => None,
    }
}

/// The number that a text begins with (`atoi`), if it fits.
fn leading_number(text: &str) -> Option<u8> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}
