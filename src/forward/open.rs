//! A packet of no known connection: whether it opens one, and on which server.

use super::lifecycle::{self, NO_OUTPUT};
use super::look::{Look, Way};
use super::persistence::Held;
use super::{Decision, Forwarder, Packet, Reason, Verdict, View, answer, established, header_options};
use crate::conn::state::State;
use crate::conn::table::{Insert, Record};
use crate::sched::Flow;
use crate::service::{HopId, LoadedServers, Method, PairId, Server, Service};
use crate::time::Tick;
use crate::wire::{Addr, Protocol, ServiceKey};

/// Connections from this port are FTP's data connections, which are announced and never scheduled.
const FTP_DATA: u16 = 20;

impl Forwarder {
    /// Decides about a packet that no connection is known for.
    #[cold]
    #[inline(never)]
    pub(super) fn unknown(&self, view: &View<'_>, packet: &mut Packet<'_>, look: &Look, now: Tick) -> Decision {
        if look.way == Way::Out {
            return Decision::of(Verdict::Pass);
        }
        let key = ServiceKey { protocol: look.protocol, virtual_: look.other };
        if let Some(service) = view.services.find(&key).and_then(|at| view.services.list.get(at)) {
            if !may_connect(view, look.key.client) {
                return Decision::drop(Reason::BadSource);
            }
            if !header_options::is_sound(packet.bytes(), look.l3, look.family) {
                return Decision::drop(Reason::BadChecksum);
            }
            return self.open(view, packet, look, service, now);
        }
        if view.services.is_vip(look.other.addr) {
            // A port that is not served belongs to the kernel.
            return Decision::of(Verdict::Pass);
        }
        // The filter of virtual addresses said "yes" wrongly: the packet is a reply.
        let reply = look.reversed(&self.shared.table);
        match self.shared.table.find(&reply.key, reply.hash, |entry| established::belongs(view, entry, &reply)) {
            Some(found) => self.established(view, packet, &reply, found, now),
            None => Decision::of(Verdict::Pass),
        }
    }

    fn open(&self, view: &View<'_>, packet: &mut Packet<'_>, look: &Look, service: &Service, now: Tick) -> Decision {
        let opens = match look.protocol {
            Protocol::TCP => {
                let begins = look.flags.syn() || view.options.sloppy_tcp;
                begins && !look.flags.rst() && look.key.port() != FTP_DATA
            }
            _ => true,
        };
        if !opens {
            return answer::no_connection(view, packet, look);
        }
        let held = service.persistence.and_then(|with| self.hold_template(view, service, with, look, now));
        let choice = match held {
            Some(held) => service.servers.iter().find(|server| server.pair == held.pair).copied(),
            None => self.schedule(service, look),
        };
        let Some(server) = choice else {
            if let Some(held) = held {
                self.release_template(held);
            }
            return answer::no_server(view, packet, look);
        };
        let (server, held) = match (service.persistence, held) {
            (Some(with), None) => self.remember(view, service, with, server, look, now),
            _ => (server, held),
        };
        self.enter(view, packet, look, &server, held, now)
    }

    /// Asks the service's scheduler.
    fn schedule(&self, service: &Service, look: &Look) -> Option<Server> {
        let flow = Flow { client: look.client(), destination: look.other };
        let servers = LoadedServers { servers: &service.servers, loads: &self.shared.loads };
        let at = service.scheduler.pick(&servers, &flow)?;
        service.servers.get(at).copied()
    }

    /// Enters a template for the scheduler's choice, or follows the choice of a faster worker.
    fn remember(
        &self,
        view: &View<'_>,
        service: &Service,
        with: crate::service::Persistence,
        server: Server,
        look: &Look,
        now: Tick,
    ) -> (Server, Option<Held>) {
        let Some(held) = self.enter_template(view, service, with, &server, look, now) else {
            return (server, None);
        };
        match service.servers.iter().find(|other| other.pair == held.pair) {
            Some(other) => (*other, Some(held)),
            None => {
                self.release_template(held);
                (server, None)
            }
        }
    }

    /// Enters the connection and sends its first packet on.
    fn enter(
        &self,
        view: &View<'_>,
        packet: &mut Packet<'_>,
        look: &Look,
        server: &Server,
        held: Option<Held>,
        now: Tick,
    ) -> Decision {
        let Some(pair) = view.services.pair(server.pair) else { return Decision::drop(Reason::ServerRemoved) };
        let state = if look.protocol == Protocol::UDP { State::Udp } else { State::None };
        let new = Record {
            pair: server.pair.0,
            generation: pair.generation,
            state,
            flags: if server.method == Method::Nat { 0 } else { NO_OUTPUT },
            timeout: view.options.timeouts.of(state),
            last_seen: now,
            vport: look.other.port,
            rport: server.real.port,
            control: held.map(|held| held.slot),
            hop: HopId::NONE.0,
            epoch: 0,
        };
        let same = |entry: &_| established::belongs(view, entry, look);
        let inserted = self.shared.table.insert_or_find(&look.key, look.hash, same, &new);
        if let (Some(held), false) = (held, matches!(inserted, Insert::Inserted(_))) {
            self.release_template(held);
        }
        match inserted {
            Insert::Inserted(slot) => {
                lifecycle::begin(&self.shared, self.lane, server, state);
                if let Some(counters) = self.counters.pair(server.pair) {
                    counters.connections.add(1);
                }
                let entry = self.shared.table.entry(slot);
                let word = entry.state_word();
                self.forward(view, packet, look, (server.pair, pair), (entry, word), now)
            }
            Insert::Found(slot) => {
                let entry = self.shared.table.entry(slot);
                let (id, word) = (PairId(entry.pair()), entry.state_word());
                match view.services.pair(id) {
                    Some(pair) => self.forward(view, packet, look, (id, pair), (entry, word), now),
                    None => Decision::drop(Reason::ServerRemoved),
                }
            }
            Insert::Full => Decision::drop(Reason::TableFull).for_pair(server.pair),
            Insert::Busy => Decision::drop(Reason::TableBusy).for_pair(server.pair),
        }
    }
}

/// Whether a connection may come from this address. The kernel's routing finds the others out as "martians" before LVS
/// sees them (`route.c: ip_route_input_slow`, `fib_frontend.c: __fib_validate_source`).
fn may_connect(view: &View<'_>, client: Addr) -> bool {
    let own = || view.network.ports.iter().any(|port| port.addresses.contains(&client));
    answer::is_single_host(client) && !view.services.is_vip(client) && !own()
}
