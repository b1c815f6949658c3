//! The reference: what a director does, as its rules read, on plain maps.
//!
//! Nothing here is fast, and nothing is shared with the engine. A connection lives until a packet or a sweep finds that
//! its time is over, since that is when it can be seen to end.

mod edits;
mod lifetimes;
mod sched;
mod services;
mod states;

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::frames::{End, Outcome, Sent};
use crate::places::{Key, SCTP, TCP, UDP};
use crate::steps::{Method, Profile};
use services::Service;
pub use services::Shown;
use states::Seen;

/// Ticks of a second.
const SECOND: u64 = 64;

/// Packets and bytes from clients and to clients, and connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub connections: u64,
    pub packets: [u64; 2],
    pub bytes: [u64; 2],
}

/// A server of a service, also while it is removed.
pub type Name = (Key, End);

/// What is kept of a server as long as anybody remembers it.
#[derive(Clone, Debug, Default)]
struct Book {
    counts: Counts,
    upper: u32,
    lower: u32,
    full: bool,
}

/// Protocol, client, virtual end.
pub type ConnectionKey = (u8, End, End);
/// Service, masked address, and a number that tells the one in use from those that are spent.
pub type TemplateKey = (Key, u128, u64);

#[derive(Clone, Debug)]
pub struct Connection {
    pub real: End,
    pub server: Name,
    method: Method,
    pub state: &'static str,
    /// Replies have not been seen.
    input_only: bool,
    last: u64,
    timeout: u64,
    control: Option<TemplateKey>,
}

#[derive(Clone, Debug)]
pub struct Template {
    pub server: Name,
    pub client: IpAddr,
    method: Method,
    pub assured: bool,
    pub spent: bool,
    last: u64,
    timeout: u64,
}

/// What the operator may choose.
#[derive(Clone, Debug)]
pub struct Settings {
    timeouts: [u32; 3],
    expire_nodest_conn: bool,
    expire_quiescent_template: bool,
    conn_reuse_mode: u32,
    flagless_closes: bool,
    template_keeps_timeout: bool,
    sloppy_tcp: bool,
    sloppy_sctp: bool,
    last_service_ends_all: bool,
    secure_tcp: bool,
    cache_bypass: bool,
}

impl Settings {
    fn of(profile: Profile) -> Self {
        let kernel = profile == Profile::Kernel;
        Self {
            timeouts: [900, 120, 300],
            expire_nodest_conn: !kernel,
            expire_quiescent_template: !kernel,
            conn_reuse_mode: if kernel { 1 } else { 3 },
            flagless_closes: kernel,
            template_keeps_timeout: !kernel,
            sloppy_tcp: false,
            sloppy_sctp: false,
            last_service_ends_all: kernel,
            secure_tcp: false,
            cache_bypass: false,
        }
    }
}

pub struct Reference {
    pub now: u64,
    settings: Settings,
    services: Vec<Service>,
    /// In the order in which services came the first time.
    numbers: Vec<Key>,
    books: BTreeMap<Name, Book>,
    pub connections: BTreeMap<ConnectionKey, Connection>,
    pub templates: BTreeMap<TemplateKey, Template>,
    /// How many templates there have been.
    templates_made: u64,
}

/// Whether its time is over.
fn is_over(now: u64, last: u64, timeout: u64) -> bool {
    now > last + timeout
}

impl Connection {
    pub fn ends(&self) -> u64 {
        self.last + self.timeout
    }

    /// Whether it goes to where it was sent, and to no server.
    pub fn is_past_all(&self) -> bool {
        self.real.0.is_unspecified()
    }
}

impl Template {
    pub fn ends(&self) -> u64 {
        self.last + self.timeout
    }
}

impl Reference {
    pub fn new(profile: Profile, now: u64) -> Self {
        Self {
            now,
            settings: Settings::of(profile),
            services: Vec::new(),
            numbers: Vec::new(),
            books: BTreeMap::new(),
            connections: BTreeMap::new(),
            templates: BTreeMap::new(),
            templates_made: 0,
        }
    }

    /// A packet of a client.
    pub fn request(&mut self, sent: &Sent, length: u64) -> Outcome {
        let key = (sent.protocol, sent.from, sent.to);
        let Some(known) = self.connections.get(&key).cloned() else { return self.unknown(sent, length) };
        let server = self.server(known.server).cloned();
        if server.is_none() && self.is_unhooked(known.server.0) {
            return Outcome::Untouched;
        }
        let weightless = server.as_ref().is_some_and(|server| server.weight == 0);
        let reused = begins(sent)
            && ((self.settings.expire_nodest_conn && weightless)
                || (known.control.is_none() && self.may_be_reused(&known)));
        let orphan = server.is_none() && self.settings.expire_nodest_conn;
        if is_over(self.now, known.last, known.timeout) || reused || orphan {
            self.end(&key);
            return self.unknown(sent, length);
        }
        if server.is_none() {
            return Outcome::Dropped;
        }
        self.forwarded(key, sent, length)
    }

    /// A packet of a server.
    pub fn reply(&mut self, sent: &Sent, length: u64) -> Outcome {
        let of = |(key, known): (&ConnectionKey, &Connection)| {
            let its = (key.0, key.1, known.real) == (sent.protocol, sent.to, sent.from);
            (its && known.method == Method::Nat).then_some(*key)
        };
        let Some(key) = self.connections.iter().find_map(of) else { return Outcome::Untouched };
        let known = self.connections[&key].clone();
        let removed = self.server(known.server).is_none();
        if removed && self.is_unhooked(known.server.0) {
            return Outcome::Untouched;
        }
        if is_over(self.now, known.last, known.timeout) {
            self.end(&key);
            return Outcome::Untouched;
        }
        self.count(known.server, 1, length);
        self.advance(&key, sent, Seen::Output);
        Outcome::ToClient { from: key.2, to: key.1 }
    }

    /// Whether the last service of its family is gone, and nothing is looked after any more.
    fn is_unhooked(&self, service: Key) -> bool {
        let family = |other: &Service| other.key.is_v6() == service.is_v6();
        self.settings.last_service_ends_all && !self.services.iter().any(family)
    }

    fn may_be_reused(&self, known: &Connection) -> bool {
        let mode = self.settings.conn_reuse_mode;
        match known.state {
            "TIME_WAIT" | "CLOSE" | "CLOSED" => mode != 0,
            "FIN_WAIT" => mode & 2 != 0 && known.input_only,
            _ => false,
        }
    }

    /// A packet of no connection, from a client.
    fn unknown(&mut self, sent: &Sent, length: u64) -> Outcome {
        let Some(at) = self.service_of(sent.protocol, sent.to) else { return Outcome::Untouched };
        if !self.may_open(sent) {
            return match sent.protocol {
                TCP if sent.what.flags & 4 != 0 => Outcome::Dropped,
                TCP => Outcome::Reset,
                UDP => Outcome::PortUnreachable,
                _ => Outcome::ProtocolUnreachable,
            };
        }
        let key = self.services[at].key;
        let persistent = self.services[at].persistence.is_some();
        let own_port = key.fixed_port() == Some(sent.to.1);
        if key.fixed_port().is_some() && !own_port && !persistent {
            return Outcome::PortUnreachable;
        }
        let (server, control) = match persistent {
            false => (self.schedule(at, sent), None),
            true => self.persistent(at, sent),
        };
        let Some(server) = server.or_else(|| self.origin(key)) else { return Outcome::PortUnreachable };
        let past_all = server.real.0.is_unspecified();
        let translated = server.real.1 != 0 && (!persistent || own_port);
        let real = if past_all || translated { server.real } else { (server.real.0, sent.to.1) };
        let name = (key, server.real);
        let its = (sent.protocol, sent.from, sent.to);
        self.books.entry(name).or_default().counts.connections += 1;
        if self.services[at].one_packet && sent.protocol == UDP {
            self.count(name, 0, length);
            return outcome(server.method, real, server.real.0, sent);
        }
        let (state, input_only) = (first(sent.protocol), server.method != Method::Nat && !past_all);
        let timeout = self.timeout(sent.protocol, state);
        let (method, last) = (server.method, self.now);
        let new = Connection { real, server: name, method, state, input_only, last, timeout, control };
        self.connections.insert(its, new);
        self.look(name);
        self.forwarded(its, sent, length)
    }

    fn may_open(&self, sent: &Sent) -> bool {
        const FTP_DATA: u16 = 20;
        let opens = match sent.protocol {
            TCP => (sent.what.flags & 2 != 0 || self.settings.sloppy_tcp) && sent.what.flags & 4 == 0,
            SCTP => sent.what.chunk == 1 || (self.settings.sloppy_sctp && sent.what.chunk != 6),
            _ => true,
        };
        opens && sent.from.1 != FTP_DATA
    }

    fn forwarded(&mut self, key: ConnectionKey, sent: &Sent, length: u64) -> Outcome {
        let known = self.connections[&key].clone();
        self.count(known.server, 0, length);
        self.advance(&key, sent, if known.input_only { Seen::InputOnly } else { Seen::Input });
        outcome(known.method, known.real, known.server.1.0, sent)
    }

    /// Counts a packet, unless its server is removed, or there is none.
    fn count(&mut self, name: Name, way: usize, length: u64) {
        if self.server(name).is_none() || name.1.0.is_unspecified() {
            return;
        }
        let book = self.books.entry(name).or_default();
        book.counts.packets[way] += 1;
        book.counts.bytes[way] += length;
    }

    /// State and clock after a packet.
    fn advance(&mut self, key: &ConnectionKey, sent: &Sent, seen: Seen) {
        let known = self.connections.get_mut(key).expect("the caller has it");
        known.last = self.now;
        if seen == Seen::Output {
            known.input_only = false;
        }
        let state = match sent.protocol {
            TCP => match states::tcp(known.state, sent.what.flags, seen, self.settings.secure_tcp) {
                Some(state) => state,
                None if self.settings.flagless_closes => "CLOSE",
                None => known.state,
            },
            SCTP => states::sctp(known.state, sent.what.chunk, seen),
            _ => known.state,
        };
        let established = state != known.state && state == "ESTABLISHED";
        let (control, name) = (known.control, known.server);
        known.state = state;
        known.timeout = u64::from(states::seconds(sent.protocol, state, self.settings.timeouts)) * SECOND;
        let answered = sent.protocol == UDP && seen == Seen::Output;
        if let Some(control) = control.filter(|_| established || answered) {
            self.templates.get_mut(&control).expect("it has a connection").assured = true;
        }
        self.look(name);
    }

    fn timeout(&self, protocol: u8, state: &str) -> u64 {
        u64::from(states::seconds(protocol, state, self.settings.timeouts)) * SECOND
    }

    fn end(&mut self, key: &ConnectionKey) {
        if let Some(ended) = self.connections.remove(key) {
            self.look(ended.server);
        }
    }
}

/// Whether it asks for a new connection.
fn begins(sent: &Sent) -> bool {
    match sent.protocol {
        TCP => sent.what.flags & 2 != 0,
        SCTP => sent.what.chunk == 1,
        _ => false,
    }
}

fn first(protocol: u8) -> &'static str {
    if protocol == UDP { "UDP" } else { "NONE" }
}

fn outcome(method: Method, real: End, server: IpAddr, sent: &Sent) -> Outcome {
    if server.is_unspecified() {
        return Outcome::ToOrigin;
    }
    let to = if method == Method::Nat { real } else { sent.to };
    Outcome::ToServer { server, tunnel: method == Method::Tun, from: sent.from, to }
}
