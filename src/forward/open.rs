//! A packet of no known connection: whether it opens one, and on which server.

use std::cell::Cell;

use super::lifecycle::{self, FULL, NO_OUTPUT};
use super::look::{Look, Way};
use super::persistence::{Client, Held};
use super::{Connection, Decision, Packet, Reason, Turn, Verdict, answer, established, full, header_options, wide};
use crate::conn::state::State;
use crate::conn::table::{Insert, Record, Slot};
use crate::sched::Flow;
use crate::service::{Asked, HopId, LoadedServers, Method, Pair, PairFlags, PairId, Server, Service, Side};
use crate::wire::{Addr, Protocol, SctpEvent};

/// Connections from this port are FTP's data connections, which are announced and never scheduled, whatever their
/// protocol (`ip_vs_core.c: ip_vs_schedule`).
pub(super) const FTP_DATA: u16 = 20;

/// A server for a new connection, and the template that will control it.
pub(super) struct Choice {
    pub(super) server: Server,
    pub(super) held: Option<Held>,
}

impl Turn<'_> {
    /// Decides about a packet that no connection is known for.
    #[cold]
    #[inline(never)]
    pub(super) fn unknown(&self, packet: &mut Packet<'_>, look: &Look) -> Decision {
        if look.way == Way::Out {
            // What comes to a local end that is nobody's any more would otherwise be sent again and again.
            return match self.services.is_local(look.key.client) {
                true => answer::no_connection(self, packet, look),
                false => self.stray_of_server(packet, look).unwrap_or(Decision::of(Verdict::Pass)),
            };
        }
        let ours = self.services.is_vip(look.other.addr);
        if !ours && let Some(decision) = self.reply(packet, look) {
            return decision;
        }
        if ours
            && self.services.have_helpers()
            && let Some(decision) = self.met(packet, look)
        {
            return decision;
        }
        let asked =
            Asked { port: packet.frame.port, protocol: look.protocol, source: look.client(), destination: look.other };
        match self.services.service_of(&asked) {
            Some(_) if !may_connect(self, look.key.client) => Decision::drop(Reason::BadSource),
            Some(_) if !header_options::is_sound(packet.bytes(), look.l3, look.family) => {
                Decision::drop(Reason::BadChecksum)
            }
            Some(service) => self.open(packet, look, service),
            None => Decision::of(Verdict::Pass),
        }
    }

    /// A packet whose destination the filter of virtual addresses let pass, wrongly or for the sake of a mark: it may be
    /// a reply.
    fn reply(&self, packet: &mut Packet<'_>, look: &Look) -> Option<Decision> {
        let reply = look.reversed(self.table);
        let belongs = |entry: &_| established::belongs(self, entry, &reply);
        match self.table.find(&reply.key, reply.hash, belongs) {
            Some(found) => Some(self.established(packet, &reply, found)),
            None => self.stray_of_server(packet, &reply),
        }
    }

    fn open(&self, packet: &mut Packet<'_>, look: &Look, service: &Service) -> Decision {
        let beside = service.key.mark().is_none() && look.other.port != service.key.virtual_.port;
        let beside_ftp = beside && service.is_ftp();
        if !opens(self, packet, look) || (beside_ftp && service.persistence.is_none()) {
            return answer::no_connection(self, packet, look);
        }
        if beside && service.persistence.is_none() {
            // The kernel has services for all ports with persistence only.
            return answer::no_server(self, packet, look);
        }
        if self.shared.defence.drops_packet() {
            return Decision::drop(Reason::Defence);
        }
        if !self.admits(service) {
            return Decision::drop(Reason::Limit);
        }
        let client = match service.persistence {
            None => None,
            Some(with) => match self.client_of(service, with, packet, look) {
                Some(client) => Some(client),
                None => return Decision::drop(Reason::NoCallId),
            },
        };
        match self.choose(service, client, look) {
            Some(choice) => self.begin(packet, look, service, choice),
            None if beside_ftp => answer::no_connection(self, packet, look),
            None => {
                let past = self.bypass(packet, look, service);
                past.unwrap_or_else(|| answer::no_server(self, packet, look))
            }
        }
    }

    /// Begins a connection to the server that was chosen, or sends the one packet that it would be of.
    pub(super) fn begin(&self, packet: &mut Packet<'_>, look: &Look, service: &Service, choice: Choice) -> Decision {
        if !service.one_packet || look.protocol != Protocol::UDP {
            return self.enter(packet, look, service, choice);
        }
        let decision = self.send_once(packet, look, service, &choice.server);
        if let Some(held) = choice.held {
            self.release_template(held);
        }
        decision
    }

    /// The server for a new connection: the template's, or else the scheduler's choice.
    pub(super) fn choose(&self, service: &Service, client: Option<Client>, look: &Look) -> Option<Choice> {
        let held = client.and_then(|client| self.hold_template(service, &client));
        let server = match held {
            Some(held) => service.servers.iter().find(|server| server.pair == held.pair).copied(),
            None => self.schedule(service, look),
        };
        let Some(server) = server else {
            if let Some(held) = held {
                self.release_template(held);
            }
            return None;
        };
        Some(match (client, held) {
            (Some(client), None) => self.remember(service, &client, server),
            _ => Choice { server, held },
        })
    }

    /// Whether the service's limits leave room for one more connection.
    pub(super) fn admits(&self, service: &Service) -> bool {
        let most = service.admission.limits().connections;
        let count = || service.servers.iter().map(|server| self.shared.loads.load(server.pair).total()).sum::<u32>();
        (most == 0 || count() < most) && service.admission.draw(self.now)
    }

    /// Asks the service's scheduler.
    fn schedule(&self, service: &Service, look: &Look) -> Option<Server> {
        let expirations = self.options.expirations;
        let flow = Flow { client: look.client(), destination: look.other, now: self.now, expirations };
        let servers = LoadedServers { servers: &service.servers, loads: &self.shared.loads };
        let at = service.scheduler.pick(&servers, &flow)?;
        service.servers.get(at).copied()
    }

    /// Enters a template for the scheduler's choice, or follows the choice of a faster worker.
    fn remember(&self, service: &Service, client: &Client, server: Server) -> Choice {
        let Some(held) = self.enter_template(service, client, &server) else {
            return Choice { server, held: None };
        };
        match service.servers.iter().find(|other| other.pair == held.pair) {
            Some(other) => Choice { server: *other, held: Some(held) },
            None => {
                self.release_template(held);
                Choice { server, held: None }
            }
        }
    }

    /// Enters the connection and sends its first packet on.
    fn enter(&self, packet: &mut Packet<'_>, look: &Look, service: &Service, choice: Choice) -> Decision {
        let slot = match self.admit(look, service, choice) {
            Ok(slot) => slot,
            Err(decision) => return decision,
        };
        match Connection::at(self, slot) {
            Some(connection) => {
                let special = self.special(packet, look, connection);
                special.unwrap_or_else(|| self.forward(packet, look, connection))
            }
            None => Decision::drop(Reason::ServerRemoved),
        }
    }

    /// Enters the connection, or finds that another worker has entered it.
    pub(super) fn admit(
        &self,
        look: &Look,
        service: &Service,
        Choice { server, held }: Choice,
    ) -> Result<Slot, Decision> {
        let Some(pair) = self.services.pair(server.pair) else { return Err(Decision::drop(Reason::ServerRemoved)) };
        let state = State::first(look.protocol);
        // A server that begins stands for the service's own port with its own.
        let (virtual_, rport) = match look.way {
            Way::In => (look.other, wide::real_port(service, &server, look.other.port)),
            Way::Out => (pair.end(Side::Virtual), server.real.port),
        };
        let new = Record {
            pair: server.pair.0,
            generation: pair.generation,
            state,
            flags: match server.method {
                Method::Nat => 0,
                Method::Full => FULL,
                // The kernel gives this flag to servers, of which there is none here.
                _ if pair.flags.has(PairFlags::BYPASS) => 0,
                Method::Dr | Method::Tun(_) => NO_OUTPUT,
            },
            timeout: self.options.timeouts.of(state),
            last_seen: self.now,
            vport: virtual_.port,
            rport,
            control: held.map(|held| held.slot),
            hop: HopId::NONE.0,
            epoch: 0,
            vip: match server.method {
                Method::Full => Some(full::NO_WORDS),
                _ => wide::own_vip(service, virtual_.addr),
            },
        };
        let others = Cell::new(false);
        let same = |entry: &_| {
            let same = established::belongs(self, entry, look);
            others.set(others.get() | !same);
            same
        };
        let inserted = self.table.insert_or_find(&look.key, look.hash, same, &new);
        if let (Some(held), false) = (held, matches!(inserted, Insert::Inserted(_))) {
            self.release_template(held);
        }
        match inserted {
            Insert::Inserted(slot) => {
                lifecycle::begin(self.shared, self.lane, &server, state);
                if let Err(reason) = self.take_local(service, pair, &new, look, slot) {
                    lifecycle::end(self.shared, self.lane, slot, self.table.entry(slot).state_word());
                    return Err(Decision::drop(reason).for_pair(server.pair));
                }
                if others.get() && server.method == Method::Nat {
                    self.eclipse_older(look, pair, slot);
                }
                self.count_connection(server.pair, pair);
                if pair.flags.has(PairFlags::FTP) {
                    self.table.set_helper_word(slot, 0);
                }
                Ok(slot)
            }
            Insert::Found(slot) => Ok(slot),
            Insert::Full => Err(Decision::drop(Reason::TableFull).for_pair(server.pair)),
            Insert::Busy => Err(Decision::drop(Reason::TableBusy).for_pair(server.pair)),
        }
    }

    /// Counts a new connection.
    pub(super) fn count_connection(&self, id: PairId, pair: &Pair) {
        if let Some(counters) = self.counters.pair(id).filter(|_| pair.counts()) {
            counters.connections.add(1);
        }
    }
}

/// Whether the packet may open a connection (`ip_vs_proto_tcp.c: tcp_conn_schedule` and its like).
fn opens(turn: &Turn<'_>, packet: &mut Packet<'_>, look: &Look) -> bool {
    if look.key.port() == FTP_DATA {
        return false;
    }
    match look.protocol {
        Protocol::TCP => {
            let begins = look.flags.syn() || turn.options.sloppy_tcp;
            begins && !look.flags.rst()
        }
        Protocol::SCTP => match packet.sctp_event(look) {
            Some(SctpEvent::Init) => true,
            Some(event) => turn.options.sloppy_sctp && event != SctpEvent::Abort,
            None => false,
        },
        _ => true,
    }
}

/// Whether a connection may come from this address. The kernel's routing finds the others out as "martians" before LVS
/// sees them (`route.c: ip_route_input_slow`, `fib_frontend.c: __fib_validate_source`).
pub(super) fn may_connect(turn: &Turn<'_>, client: Addr) -> bool {
    let own = || turn.network.ports.iter().any(|port| port.addresses.contains(&client));
    answer::is_single_host(client) && !turn.services.is_vip(client) && !own()
}
