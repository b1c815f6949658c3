//! Connections of wide pairs: services by firewall mark or for all ports, FTP's data ports, and servers that take whatever
//! port the client asked for. What the pair leaves open stands in the entry.
//!
//! They pay for it with a pair made anew for each packet; connections of all other pairs do not notice.

use super::Turn;
use super::look::{Look, Way};
use crate::conn::Table;
use crate::conn::table::Entry;
use crate::service::{Pair, Server, Service, Side};
use crate::wire::{Addr, Endpoint};

/// Whether the packet's other end is that of the connection.
#[cold]
#[inline(never)]
pub(super) fn is_end(turn: &Turn<'_>, pair: &Pair, entry: &Entry, look: &Look) -> bool {
    look.other
        == match look.way {
            Way::In => virtual_end(turn.table, pair, entry),
            Way::Out => Endpoint { port: entry.rport(), ..pair.end(Side::Real) },
        }
}

/// The pair as it is for this connection.
pub(super) fn pair_of(turn: &Turn<'_>, pair: &Pair, entry: &Entry) -> Pair {
    pair.of_connection(virtual_end(turn.table, pair, entry), entry.rport())
}

/// What the connection's client sees, whether its pair or its entry holds that.
pub fn virtual_end(table: &Table, pair: &Pair, entry: &Entry) -> Endpoint {
    let addr = match pair.service_key().mark() {
        Some(_) => table.vip(entry),
        None => pair.ends[Side::Virtual as usize],
    };
    Endpoint { addr, port: entry.vport() }
}

/// The address to keep with a connection of this service to `virtual_`.
pub(super) fn own_vip(service: &Service, virtual_: Addr) -> Option<Addr> {
    service.key.mark().map(|_| virtual_)
}

/// The server's port for a connection to `port` of the virtual address (`ip_vs_core.c: ip_vs_schedule`,
/// `ip_vs_sched_persist`): with persistence, a server's own port stands for the service's own alone.
pub(super) fn real_port(service: &Service, server: &Server, port: u16) -> u16 {
    let mapped = service.persistence.is_none() || port == service.key.virtual_.port;
    if mapped && server.real.port != 0 { server.real.port } else { port }
}
