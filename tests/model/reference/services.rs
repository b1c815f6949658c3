//! Services and servers, and what changes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::sched::{Candidate, Sched};
use super::{Counts, Name, Reference, TemplateKey, states};
use crate::frames::{End, Sent};
use crate::places::{self, Key};
use crate::steps::Method;

#[derive(Clone, Debug)]
pub struct Server {
    pub real: End,
    pub method: Method,
    pub weight: u32,
    /// The last weight that was not 0.
    pub lasting: u32,
}

pub struct Service {
    pub key: Key,
    pub sched: Sched,
    /// Seconds, and the mask of the client's address.
    pub persistence: Option<(u32, u128)>,
    pub one_packet: bool,
    /// The latest first.
    pub servers: Vec<Server>,
    /// Stands for the destination itself, where there is no server.
    pub origin: Server,
    /// What has been counted for it, beside what its servers have now.
    pub counts: Counts,
}

/// What a listing shows of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub real: End,
    pub weight: u32,
    pub active: u32,
    pub inactive: u32,
    pub persistent: u32,
    pub counts: Counts,
}

/// What stands for the destinations of a service's packets.
pub fn origin(key: Key) -> Server {
    let any = if key.is_v6() { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
    Server { real: (any, 0), method: Method::Dr, weight: 1, lasting: 1 }
}

impl Counts {
    fn each(self, other: Self, with: impl Fn(u64, u64) -> u64) -> Self {
        let pair = |a: [u64; 2], b: [u64; 2]| [with(a[0], b[0]), with(a[1], b[1])];
        Self {
            connections: with(self.connections, other.connections),
            packets: pair(self.packets, other.packets),
            bytes: pair(self.bytes, other.bytes),
        }
    }

    pub fn plus(self, other: Self) -> Self {
        self.each(other, u64::wrapping_add)
    }

    pub fn minus(self, other: Self) -> Self {
        self.each(other, u64::wrapping_sub)
    }
}

impl Reference {
    /// Services in any order, with what has been counted for them.
    pub fn listing(&self) -> Vec<(Key, Counts, Vec<Shown>)> {
        let all = self.services.iter().map(|service| {
            let shown = |server: &Server| self.shown((service.key, server.real), server.weight);
            let servers: Vec<Shown> = service.servers.iter().map(shown).collect();
            let counts = servers.iter().fold(service.counts, |sum, server| sum.plus(server.counts));
            (service.key, counts, servers)
        });
        all.collect()
    }

    fn shown(&self, name: Name, weight: u32) -> Shown {
        let (active, inactive) = self.load(name);
        let persistent = self.templates.values().filter(|template| template.server == name).count() as u32;
        let counts = self.books.get(&name).map(|book| book.counts).unwrap_or_default();
        Shown { real: name.1, weight, active, inactive, persistent, counts }
    }

    /// Active connections and others.
    fn load(&self, name: Name) -> (u32, u32) {
        let its = self.connections.values().filter(|known| known.server == name);
        let (active, inactive): (Vec<_>, Vec<_>) = its.partition(|known| states::is_active(known.state));
        (active.len() as u32, inactive.len() as u32)
    }

    /// A server that is in its service's list, or the origin where that may be asked.
    pub(super) fn server(&self, (key, real): Name) -> Option<&Server> {
        let service = self.services.iter().find(|service| service.key == key)?;
        let origin = Some(&service.origin).filter(|_| self.asks_origins(key));
        service.servers.iter().chain(origin).find(|server| server.real == real)
    }

    /// The origin, where it is asked for want of a server.
    pub(super) fn origin(&self, key: Key) -> Option<Server> {
        let service = self.services.iter().find(|service| service.key == key && self.asks_origins(key))?;
        Some(service.origin.clone())
    }

    fn asks_origins(&self, key: Key) -> bool {
        self.settings.cache_bypass && matches!(key, Key::Mark(..))
    }

    /// A server's number of connections or its thresholds have changed: whether it is full. While it is removed nobody
    /// looks.
    pub(super) fn look(&mut self, name: Name) {
        if self.server(name).is_none() {
            return;
        }
        let (active, inactive) = self.load(name);
        let total = active + inactive;
        let book = self.books.entry(name).or_default();
        let again = if book.lower == 0 { book.upper - book.upper / 4 } else { book.lower };
        book.full = book.upper != 0 && (total >= book.upper || (book.full && total >= again));
    }

    /// By mark, by address and port, by address alone.
    pub(super) fn service_of(&self, protocol: u8, to: End) -> Option<usize> {
        let find = |key: Key| self.services.iter().position(|service| service.key == key);
        let mark = places::marks().into_iter().find(|(address, _)| *address == to.0);
        mark.and_then(|(address, mark)| find(Key::Mark(mark, address.is_ipv6())))
            .or_else(|| find(Key::Address(protocol, to.0, to.1)))
            .or_else(|| find(Key::Address(protocol, to.0, 0)))
    }

    pub(super) fn schedule(&mut self, at: usize, sent: &Sent) -> Option<Server> {
        let list = self.candidates(at);
        let service = &mut self.services[at];
        let real = service.sched.pick(&list, sent.from, sent.to.0)?;
        service.servers.iter().find(|server| server.real == real).cloned()
    }

    pub(super) fn candidates(&self, at: usize) -> Vec<Candidate> {
        let service = &self.services[at];
        let candidate = |server: &Server| {
            let name = (service.key, server.real);
            let (active, inactive) = self.load(name);
            Candidate {
                real: server.real,
                weight: server.weight,
                lasting: server.lasting,
                overloaded: self.books.get(&name).is_some_and(|book| book.full),
                active: active.into(),
                inactive: inactive.into(),
            }
        };
        service.servers.iter().map(candidate).collect()
    }

    /// The template's entry in a listing: client, virtual end and server, all ports gone once it is spent.
    pub fn template_ends(&self, key: &TemplateKey) -> (End, End, End) {
        let template = &self.templates[key];
        let (address, port) = match key.0 {
            Key::Address(_, address, port) => (address, port),
            Key::Mark(mark, false) => (IpAddr::V4(mark.into()), 0),
            Key::Mark(mark, true) => (IpAddr::V6((u128::from(mark) << 96).into()), 0),
        };
        let real = template.server.1;
        let [vport, rport] = match template.spent {
            true => [u16::MAX; 2],
            false if port == 0 => [0, 0],
            false => [port, real.1],
        };
        ((template.client, 0), (address, vport), (real.0, rport))
    }
}
