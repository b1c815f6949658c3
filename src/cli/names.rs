//! Names of hosts and ports, for those who do not ask for numbers.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use crate::control::view::Protocol;
use crate::sys::names;

/// Who knows names.
pub trait Names {
    /// The IPv4 address of a host.
    fn address(&self, host: &str) -> Option<Ipv4Addr>;

    /// The name of a host.
    fn host(&self, address: IpAddr) -> Option<String>;

    /// The port of a service. Without a protocol no service has a port.
    fn port(&self, service: &str, protocol: Option<Protocol>) -> Option<u16>;

    /// The service on a port.
    fn service(&self, port: u16, protocol: Option<Protocol>) -> Option<String>;
}

/// The resolver, and `/etc/services`.
#[derive(Debug)]
pub struct System {
    services: String,
}

impl System {
    /// Reads the table of services; without one there are only numbers.
    pub fn load() -> Self {
        Self { services: fs::read_to_string("/etc/services").unwrap_or_default() }
    }
}

impl Names for System {
    fn address(&self, host: &str) -> Option<Ipv4Addr> {
        names::address_of(host)
    }

    fn host(&self, address: IpAddr) -> Option<String> {
        names::name_of(address)
    }

    fn port(&self, service: &str, protocol: Option<Protocol>) -> Option<u16> {
        let mut entries = entries(&self.services, protocol?);
        entries.find(|entry| entry.name == service || entry.aliases.contains(&service)).map(|entry| entry.port)
    }

    fn service(&self, port: u16, protocol: Option<Protocol>) -> Option<String> {
        entries(&self.services, protocol?).find(|entry| entry.port == port).map(|entry| entry.name.to_owned())
    }
}

/// A line of `/etc/services`: `http 80/tcp www # the web`.
struct Entry<'a> {
    name: &'a str,
    port: u16,
    aliases: Vec<&'a str>,
}

fn entries(text: &str, protocol: Protocol) -> impl Iterator<Item = Entry<'_>> {
    text.lines().filter_map(move |line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let (name, (port, its)) = (words.next()?, words.next()?.split_once('/')?);
        let port = port.parse().ok().filter(|_| its.eq_ignore_ascii_case(protocol.name()))?;
        Some(Entry { name, port, aliases: words.collect() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_found_by_name_alias_and_port() {
        let services =
            "# a comment\nhttp\t\t80/tcp\t\twww # the web\ndomain 53/tcp\ndomain 53/udp nameserver\nbroken\n";
        let names = System { services: services.to_owned() };
        let (tcp, udp) = (Some(Protocol::Tcp), Some(Protocol::Udp));
        assert_eq!([names.port("www", tcp), names.port("http", tcp)], [Some(80); 2]);
        assert_eq!([names.port("http", udp), names.port("http", None), names.port("the", tcp)], [None; 3]);
        assert_eq!(names.port("nameserver", udp), Some(53));
        assert_eq!(names.service(53, udp).as_deref(), Some("domain"));
        assert_eq!(names.service(54, udp), None);
    }
}
