//! Listings laid out as ipvsadm 1.31 does with `-n`: the same widths, and the same blanks at the ends of lines.
//!
//! One thing is different: services and servers are sorted by address as a number. `ipvsadm` takes the difference of two
//! addresses for a signed number, and so lists 192.0.2.1 before 10.0.0.1.

use std::io::{self, Write};
use std::net::Ipv4Addr;

use crate::control::view::{ConnectionView, Forward, PersistenceView, ServerView, ServiceView};

/// `ipvsadm -Ln`. `table_size` stands where ipvsadm shows the size of the kernel's table.
pub fn services(out: &mut impl Write, table_size: u64, services: &[ServiceView]) -> io::Result<()> {
    writeln!(out, "IP Virtual Server version 1.2.1 (size={table_size})")?;
    writeln!(out, "Prot LocalAddress:Port Scheduler Flags")?;
    writeln!(out, "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn")?;
    let mut sorted: Vec<&ServiceView> = services.iter().collect();
    sorted.sort_by_key(|service| (service.mark, service.address.is_ipv6(), service.protocol, service.address));
    sorted.into_iter().try_for_each(|service| self::service(out, service))
}

fn service(out: &mut impl Write, service: &ServiceView) -> io::Result<()> {
    match service.mark {
        None => write!(out, "{:<4} {}", service.protocol.name(), service.address)?,
        Some(mark) if service.address.is_ipv6() => write!(out, "FWM  {mark} IPv6")?,
        Some(mark) => write!(out, "FWM  {mark}")?,
    }
    write!(out, " {}", service.scheduler)?;
    if !service.flags.is_empty() {
        write!(out, " ({})", service.flags.join(","))?;
    }
    if let Some(PersistenceView { timeout, prefix, netmask }) = service.persistence {
        write!(out, " persistent {timeout}")?;
        match (netmask, service.address.is_ipv6()) {
            (Some(mask), _) => write!(out, " mask {mask}")?,
            (None, true) if prefix < 128 => write!(out, " mask {prefix}")?,
            (None, false) if prefix < 32 => write!(out, " mask {}", mask(prefix))?,
            _ => {}
        }
    }
    if service.one_packet {
        write!(out, " ops")?;
    }
    writeln!(out)?;
    let mut servers: Vec<&ServerView> = service.servers.iter().collect();
    servers.sort_by_key(|server| server.address);
    servers.into_iter().try_for_each(|server| self::server(out, server))
}

fn server(out: &mut impl Write, server: &ServerView) -> io::Result<()> {
    let ServerView { address, method, weight, active, inactive } = server;
    let forward = match method {
        Forward::Nat => "Masq",
        Forward::Dr => "Route",
        Forward::Tun => "Tunnel",
    };
    writeln!(out, "  -> {:<28} {forward:<7} {weight:<6} {active:<10} {inactive:<10}", address.to_string())
}

/// The first `prefix` bits set, as an address.
fn mask(prefix: u8) -> Ipv4Addr {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0).into()
}

/// The head of `ipvsadm -Lnc`.
pub fn connections_head(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "IPVS connection entries")?;
    writeln!(out, "pro expire state       source             virtual            destination")
}

/// A line of `ipvsadm -Lnc`.
pub fn connection(out: &mut impl Write, connection: &ConnectionView) -> io::Result<()> {
    let ConnectionView { protocol, expires, state, source, virtual_, destination } = connection;
    let expire = format!("{:02}:{:02}", expires / 60, expires % 60);
    let (protocol, source, virtual_) = (protocol.name(), source.to_string(), virtual_.to_string());
    writeln!(out, "{protocol:<3} {expire:<6} {state:<11} {source:<18} {virtual_:<18} {destination}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::view::Protocol;

    fn service(protocol: Protocol, address: &str, scheduler: &str, servers: Vec<ServerView>) -> ServiceView {
        ServiceView {
            protocol,
            address: address.parse().unwrap(),
            mark: None,
            scheduler: scheduler.into(),
            flags: vec![],
            persistence: None,
            one_packet: false,
            servers,
        }
    }

    fn server(address: &str, method: Forward, weight: u32, active: u32, inactive: u32) -> ServerView {
        ServerView { address: address.parse().unwrap(), method, weight, active, inactive }
    }

    fn listed(list: &[ServiceView]) -> String {
        let mut out = Vec::new();
        services(&mut out, 4096, list).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn services_are_laid_out_as_by_ipvsadm() {
        let persistence = |timeout, prefix| Some(PersistenceView { timeout, prefix, netmask: None });
        let list = [
            ServiceView {
                persistence: persistence(360, 64),
                flags: vec!["mh-port".into()],
                ..service(
                    Protocol::Tcp,
                    "[2001:db8::10]:443",
                    "mh",
                    vec![server("[2001:db8:1::11]:443", Forward::Dr, 1, 9, 0)],
                )
            },
            ServiceView {
                flags: vec!["sh-fallback".into(), "sh-port".into()],
                ..service(Protocol::Udp, "192.0.2.10:53", "sh", vec![server("10.1.0.21:53", Forward::Dr, 1, 0, 2)])
            },
            ServiceView {
                persistence: persistence(360, 24),
                ..service(
                    Protocol::Tcp,
                    "192.0.2.10:80",
                    "wlc",
                    vec![
                        server("192.168.0.9:8080", Forward::Tun, 0, 0, 0),
                        server("10.1.0.11:8080", Forward::Nat, 3, 12, 345),
                    ],
                )
            },
            ServiceView { persistence: persistence(50, 32), ..service(Protocol::Tcp, "10.9.0.1:80", "rr", vec![]) },
            service(Protocol::Sctp, "10.0.0.1:5000", "rr", vec![]),
        ];
        let expected = concat!(
            "IP Virtual Server version 1.2.1 (size=4096)\n",
            "Prot LocalAddress:Port Scheduler Flags\n",
            "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n",
            "TCP  10.9.0.1:80 rr persistent 50\n",
            "TCP  192.0.2.10:80 wlc persistent 360 mask 255.255.255.0\n",
            "  -> 10.1.0.11:8080               Masq    3      12         345       \n",
            "  -> 192.168.0.9:8080             Tunnel  0      0          0         \n",
            "UDP  192.0.2.10:53 sh (sh-fallback,sh-port)\n",
            "  -> 10.1.0.21:53                 Route   1      0          2         \n",
            "SCTP 10.0.0.1:5000 rr\n",
            "TCP  [2001:db8::10]:443 mh (mh-port) persistent 360 mask 64\n",
            "  -> [2001:db8:1::11]:443         Route   1      9          0         \n",
        );
        assert_eq!(listed(&list), expected);
    }

    #[test]
    fn an_address_too_wide_for_its_column_pushes_the_rest() {
        let wide = server("[2001:db8:1111:2222:3333:4444:5555:6666]:8080", Forward::Nat, 100_000, 1, 2);
        let listed = listed(&[service(Protocol::Tcp, "[2001:db8::10]:443", "rr", vec![wide])]);
        let last = "  -> [2001:db8:1111:2222:3333:4444:5555:6666]:8080 Masq    100000 1          2         ";
        assert_eq!(listed.lines().last(), Some(last));
    }

    #[test]
    fn masks_of_every_length() {
        for (prefix, expected) in [(0, "0.0.0.0"), (1, "128.0.0.0"), (20, "255.255.240.0"), (31, "255.255.255.254")] {
            assert_eq!(mask(prefix).to_string(), expected);
        }
    }

    #[test]
    fn connections_are_laid_out_as_by_ipvsadm() {
        let rows = [
            (Protocol::Tcp, 898, "ESTABLISHED", "198.51.100.7:40000", "192.0.2.10:80", "10.1.0.11:8080"),
            (Protocol::Tcp, 357, "ASSURED", "198.51.100.0:0", "192.0.2.10:80", "10.1.0.11:8080"),
            (Protocol::Udp, 299, "UDP", "[2001:db8:c::7]:2150", "[2001:db8:f::10]:53", "[fd00:1::c]:53"),
            (Protocol::Sctp, 3, "REJECTED", "198.51.100.7:40000", "192.0.2.10:5000", "10.1.0.12:5000"),
            (Protocol::Tcp, 2_678_400, "NONE", "198.51.100.7:0", "192.0.2.10:80", "10.1.0.11:80"),
        ];
        let mut out = Vec::new();
        connections_head(&mut out).unwrap();
        for (protocol, expires, state, source, virtual_, destination) in rows {
            let [source, virtual_, destination] = [source, virtual_, destination].map(|text| text.parse().unwrap());
            let state = state.to_owned();
            let view = ConnectionView { protocol, expires, state, source, virtual_, destination };
            connection(&mut out, &view).unwrap();
        }
        let expected = concat!(
            "IPVS connection entries\n",
            "pro expire state       source             virtual            destination\n",
            "TCP 14:58  ESTABLISHED 198.51.100.7:40000 192.0.2.10:80      10.1.0.11:8080\n",
            "TCP 05:57  ASSURED     198.51.100.0:0     192.0.2.10:80      10.1.0.11:8080\n",
            "UDP 04:59  UDP         [2001:db8:c::7]:2150 [2001:db8:f::10]:53 [fd00:1::c]:53\n",
            "SCTP 00:03  REJECTED    198.51.100.7:40000 192.0.2.10:5000    10.1.0.12:5000\n",
            "TCP 44640:00 NONE        198.51.100.7:0     192.0.2.10:80      10.1.0.11:80\n",
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
