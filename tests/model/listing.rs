//! What can be seen of services and connections, of the director and of the reference in one form.

use std::net::SocketAddr;

use ringmaster::control::admin::{Family, ServiceName};
use ringmaster::control::{Counts as Counted, view};
use ringmaster::forward::Shared;
use ringmaster::service::{Loads, Services};
use ringmaster::time::Tick;

use crate::control::Control;
use crate::frames::End;
use crate::places::Key;
use crate::reference::{Counts, Reference, Shown};

/// A connection or a template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub template: bool,
    /// 0 for a template of a mark service.
    pub protocol: u8,
    pub client: End,
    pub virtual_: End,
    pub real: End,
    pub state: String,
    /// The last tick of its time.
    pub ends: u64,
}

/// All of the director's, sorted.
pub fn entries(services: &Services, shared: &Shared, now: Tick) -> Vec<Entry> {
    let mut all: Vec<Entry> = shared
        .table
        .entries()
        .map(|listed| {
            let view = view::connection(shared, services, &listed, now).expect("its pair is known");
            let record = &listed.record;
            Entry {
                template: listed.key.is_template(),
                protocol: view.protocol.map_or(0, |protocol| protocol.number()),
                client: end(view.source),
                virtual_: end(view.virtual_),
                real: end(view.destination),
                state: view.state,
                ends: u64::from(record.last_seen.plus(record.timeout).0),
            }
        })
        .collect();
    all.sort();
    all
}

/// The templates among them: client, virtual end and server.
pub fn templates(services: &Services, shared: &Shared, now: Tick) -> Vec<(End, End, End)> {
    let templates = entries(services, shared, now).into_iter().filter(|entry| entry.template);
    templates.map(|entry| (entry.client, entry.virtual_, entry.real)).collect()
}

/// All of the reference's, sorted.
pub fn wanted_entries(reference: &Reference) -> Vec<Entry> {
    let connections = reference.connections.iter().map(|(&(protocol, client, virtual_), known)| Entry {
        template: false,
        protocol,
        client,
        virtual_,
        real: known.real,
        state: known.state.to_owned(),
        ends: known.ends(),
    });
    let templates = reference.templates.iter().map(|(key, template)| {
        let (client, virtual_, real) = reference.template_ends(key);
        Entry {
            template: true,
            protocol: if let Key::Address(protocol, ..) = key.0 { protocol } else { 0 },
            client,
            virtual_,
            real,
            state: if template.assured { "ASSURED" } else { "NONE" }.to_owned(),
            ends: template.ends(),
        }
    });
    let mut all: Vec<Entry> = connections.chain(templates).collect();
    all.sort();
    all
}

/// A service with its counters and its servers.
type Listed = (Key, Counts, Vec<Shown>);

/// The director's services.
pub fn services(control: &Control, loads: &Loads) -> Vec<Listed> {
    let mut all: Vec<Listed> = view::services(&control.services, loads, &control.ledger)
        .iter()
        .map(|service| {
            let servers = service.servers.iter().map(|server| Shown {
                real: end(server.address),
                weight: server.weight,
                active: server.active,
                inactive: server.inactive,
                persistent: server.persistent,
                counts: counts(server.counts),
            });
            (key(&service.name), counts(service.counts), servers.collect())
        })
        .collect();
    all.sort_by_key(|(key, ..)| *key);
    all
}

/// The reference's services.
pub fn wanted_services(reference: &Reference) -> Vec<Listed> {
    let mut all = reference.listing();
    all.sort_by_key(|(key, ..)| *key);
    all
}

fn end(address: SocketAddr) -> End {
    (address.ip(), address.port())
}

fn key(name: &ServiceName) -> Key {
    match *name {
        ServiceName::Address { protocol, address } => Key::Address(protocol.number(), address.ip(), address.port()),
        ServiceName::Mark { fwmark, family } => Key::Mark(fwmark, family == Family::Ipv6),
    }
}

fn counts(counted: Counted) -> Counts {
    let Counted { connections, packets_in, packets_out, bytes_in, bytes_out } = counted;
    Counts { connections, packets: [packets_in, packets_out], bytes: [bytes_in, bytes_out] }
}
