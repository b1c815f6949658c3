//! What changes services and servers.

use super::sched::Sched;
use super::services::{self, Server, Service};
use super::{Book, Counts, Name, Reference};
use crate::frames::End;
use crate::places::{self, Key};
use crate::steps::{Change, FileService, Part, Shape};

impl Reference {
    fn at(&self, service: usize) -> Option<usize> {
        let key = places::services()[service];
        self.services.iter().position(|other| other.key == key)
    }

    /// The server of this number in the list, for changes that name one that is there.
    pub fn nth(&self, service: usize, server: usize) -> Option<(End, Part)> {
        let service = &self.services[self.at(service)?];
        let server = service.servers.get(server % service.servers.len().max(1))?;
        let book = self.books.get(&(service.key, server.real))?;
        let Server { method, weight, .. } = *server;
        Some((server.real, Part { method, weight, upper: book.upper, lower: book.lower }))
    }

    /// Carries out a change; false: it is refused.
    pub fn change(&mut self, change: &Change) -> bool {
        match change {
            Change::AddService { service, shape } => {
                let is_new = self.at(*service).is_none();
                if is_new {
                    self.add_service(places::services()[*service], shape);
                }
                is_new
            }
            Change::EditService { service, shape } => match self.at(*service) {
                Some(at) => self.edit_service(at, shape),
                None => false,
            },
            Change::DeleteService { service } => match self.at(*service) {
                Some(at) => {
                    self.services.remove(at);
                    true
                }
                None => false,
            },
            Change::Clear => {
                self.services.clear();
                true
            }
            Change::AddServer { service, server, part } => {
                let Some(at) = self.at(*service) else { return false };
                self.add_server(at, places::server(*service, *server, part), part)
            }
            Change::EditServer { service, server, part } => {
                let Some(at) = self.at(*service) else { return false };
                self.edit_server(at, places::server(*service, *server, part), part)
            }
            Change::Weight { service, server, weight } => {
                let Some((real, part)) = self.nth(*service, *server) else { return false };
                let at = self.at(*service).expect("its server was found");
                self.edit_server(at, real, &Part { weight: *weight, ..part })
            }
            Change::DeleteServer { service, server } => {
                let Some((real, _)) = self.nth(*service, *server) else { return false };
                let at = self.at(*service).expect("its server was found");
                self.delete_server(at, real);
                true
            }
            Change::Zero { service } => {
                let only = service.map(|service| places::services()[service]);
                let known = only.is_none_or(|key| self.services.iter().any(|service| service.key == key));
                self.zero(only);
                known
            }
            &Change::Timeouts { tcp, tcp_fin, udp } => {
                for (timeout, seconds) in self.settings.timeouts.iter_mut().zip([tcp, tcp_fin, udp]) {
                    *timeout = if seconds == 0 { *timeout } else { seconds };
                }
                true
            }
            Change::Set { option, value } => self.set(option, *value),
            Change::Reload { services } => self.reload(services),
        }
    }

    fn set(&mut self, option: &str, value: u32) -> bool {
        let settings = &mut self.settings;
        match option {
            "conn_reuse_mode" => settings.conn_reuse_mode = value,
            "expire_nodest_conn" => settings.expire_nodest_conn = value != 0,
            "expire_quiescent_template" => settings.expire_quiescent_template = value != 0,
            "sloppy_tcp" => settings.sloppy_tcp = value != 0,
            "sloppy_sctp" => settings.sloppy_sctp = value != 0,
            "secure_tcp" => settings.secure_tcp = value != 0,
            "cache_bypass" => settings.cache_bypass = value != 0,
            other => panic!("no option {other}"),
        }
        true
    }

    fn add_service(&mut self, key: Key, shape: &Shape) {
        if !self.numbers.contains(&key) {
            self.numbers.push(key);
        }
        let sched = Sched::new(shape.scheduler, (shape.fallback, shape.port), self.seed(key), &[]);
        let persistence = persistence(key, shape);
        let (one_packet, counts) = (shape.one_packet, Counts::default());
        let (servers, origin) = (Vec::new(), services::origin(key));
        self.services.push(Service { key, sched, persistence, one_packet, servers, origin, counts });
    }

    /// What `twos` draws its lots from.
    fn seed(&self, key: Key) -> u64 {
        let number = self.numbers.iter().position(|its| *its == key).expect("it was added");
        (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn edit_service(&mut self, at: usize, shape: &Shape) -> bool {
        let list = self.candidates(at);
        let seed = self.seed(self.services[at].key);
        let service = &mut self.services[at];
        let sched = &service.sched;
        if (sched.name, sched.fallback, sched.port) != (shape.scheduler, shape.fallback, shape.port) {
            service.sched = Sched::new(shape.scheduler, (shape.fallback, shape.port), seed, &list);
        }
        service.persistence = persistence(service.key, shape);
        service.one_packet = shape.one_packet;
        true
    }

    fn add_server(&mut self, at: usize, real: End, part: &Part) -> bool {
        if part.lower > part.upper || self.services[at].servers.iter().any(|server| server.real == real) {
            return false;
        }
        let name = (self.services[at].key, real);
        let before = self.candidates(at);
        let Part { method, weight, .. } = *part;
        self.services[at].servers.insert(0, Server { real, method, weight, lasting: weight });
        // What the server counted before it came (back) is not the service's.
        let counted = self.books.get(&name).map(|book| book.counts).unwrap_or_default();
        self.services[at].counts = self.services[at].counts.minus(counted);
        self.limit(name, part);
        let after = self.candidates(at);
        self.services[at].sched.changed(&before, &after, None);
        true
    }

    fn edit_server(&mut self, at: usize, real: End, part: &Part) -> bool {
        let name = (self.services[at].key, real);
        if part.lower > part.upper || self.server(name).is_none() {
            return false;
        }
        let before = self.candidates(at);
        let servers = &mut self.services[at].servers;
        let server = servers.iter_mut().find(|server| server.real == real).expect("asked before");
        let book = &self.books[&name];
        let same = (server.method, server.weight, book.upper, book.lower)
            == (part.method, part.weight, part.upper, part.lower);
        (server.method, server.weight) = (part.method, part.weight);
        if part.weight != 0 {
            server.lasting = part.weight;
        }
        self.limit(name, part);
        let after = self.candidates(at);
        // An edit that changes nothing is none here, while the kernel's `wrr` begins its round anew.
        if !same {
            self.services[at].sched.changed(&before, &after, None);
        }
        true
    }

    fn delete_server(&mut self, at: usize, real: End) {
        let before = self.candidates(at);
        let service = &mut self.services[at];
        service.servers.retain(|server| server.real != real);
        let counted = self.books.get(&(service.key, real)).map(|book| book.counts).unwrap_or_default();
        service.counts = service.counts.plus(counted);
        let after = self.candidates(at);
        self.services[at].sched.changed(&before, &after, Some(real));
    }

    /// Nothing is known any more of removed servers that no connection or template leads to.
    pub fn forget(&mut self) {
        let held = |name: &Name| {
            self.server(*name).is_some()
                || self.connections.values().any(|known| known.server == *name)
                || self.templates.values().any(|template| template.server == *name)
        };
        let forgotten: Vec<Name> = self.books.keys().filter(|name| !held(name)).copied().collect();
        forgotten.iter().for_each(|name| _ = self.books.remove(name));
    }

    fn limit(&mut self, name: Name, part: &Part) {
        let book: &mut Book = self.books.entry(name).or_default();
        (book.upper, book.lower) = (part.upper, part.lower);
        self.look(name);
    }

    fn zero(&mut self, only: Option<Key>) {
        for service in self.services.iter_mut().filter(|service| only.is_none_or(|key| key == service.key)) {
            service.counts = Counts::default();
            for server in &service.servers {
                self.books.entry((service.key, server.real)).or_default().counts = Counts::default();
            }
        }
    }

    /// As `ipvsadm` would be called: services that are no more, then for each its settings, what it loses, what is
    /// edited and what it gets, in the order of the file.
    fn reload(&mut self, services: &[FileService]) -> bool {
        let wanted: Vec<Key> = services.iter().map(|(service, ..)| places::services()[*service]).collect();
        self.services.retain(|service| wanted.contains(&service.key));
        for (service, shape, servers) in services {
            match self.at(*service) {
                Some(at) => _ = self.edit_service(at, shape),
                None => self.add_service(places::services()[*service], shape),
            }
            let at = self.at(*service).expect("just added");
            let named = |(server, part): &(usize, Part)| (places::server(*service, *server, part), *part);
            let servers: Vec<(End, Part)> = servers.iter().map(named).collect();
            let gone = |server: &&Server| !servers.iter().any(|(real, _)| *real == server.real);
            let gone: Vec<End> = self.services[at].servers.iter().filter(gone).map(|server| server.real).collect();
            gone.into_iter().rev().for_each(|real| self.delete_server(at, real));
            for (real, part) in &servers {
                if !self.add_server(at, *real, part) {
                    self.edit_server(at, *real, part);
                }
            }
        }
        true
    }
}

fn persistence(key: Key, shape: &Shape) -> Option<(u32, u128)> {
    shape.persistence.map(|(seconds, which)| (seconds, places::granularity(which, key.is_v6())))
}
