//! Data connections: awaited, and met.
//!
//! An awaited connection is an entry in the state LISTEN. Where the client's port is not known it has port 0, and gives
//! way to an entry with the port when the client's SYN comes (`ip_vs_conn.c: ip_vs_conn_fill_cport`).

use crate::conn::FlowKey;
use crate::conn::state::State;
use crate::conn::table::{Entry, Insert, Record};
use crate::forward::look::Look;
use crate::forward::{Connection, Decision, Packet, Reason, Turn, lifecycle};
use crate::service::{HopId, Pair, PairId, Server, Side};
use crate::wire::Protocol;

/// A client port that is not known yet.
const ANY_PORT: u16 = 0;

impl Turn<'_> {
    /// Awaits the client's connection to a port that the server listens on. The virtual server has the same port.
    pub(super) fn await_client(&self, control: Connection<'_>, look: &Look, port: u16) -> bool {
        self.await_data(control, look, ANY_PORT, [port; 2])
    }

    /// Awaits the server's connection to a port that the client listens on, from the port below that of the control
    /// connection.
    pub(super) fn await_server(&self, control: Connection<'_>, look: &Look, port: u16) -> bool {
        let below = control.pair.ports.map(|port| port.wrapping_sub(1));
        self.await_data(control, look, port, below)
    }

    fn await_data(&self, control: Connection<'_>, look: &Look, client_port: u16, [vport, rport]: [u16; 2]) -> bool {
        let Some(server) = server_of(self, control.id) else { return false };
        let key = FlowKey::connection(Protocol::TCP, look.key.client, client_port);
        let awaited = Record {
            pair: control.id.0,
            generation: control.pair.generation,
            state: State::Listen,
            flags: 0,
            timeout: self.options.timeouts.of(State::Listen),
            last_seen: self.now,
            vport,
            rport,
            control: Some(control.slot),
            hop: HopId::NONE.0,
            epoch: 0,
            vip: None,
        };
        let same = |entry: &Entry| entry.pair() == awaited.pair && entry.vport() == vport;
        match self.table.insert_or_find(&key, self.table.hash(&key), same, &awaited) {
            Insert::Inserted(_) => lifecycle::begin(self.shared, self.lane, server, State::Listen),
            Insert::Found(slot) => {
                // An earlier one on the same ports, or this one, announced again.
                let (entry, state) = (self.table.entry(slot), State::Listen);
                let word = entry.state_word();
                lifecycle::change_state(self.shared, self.lane, self.options, entry, word, state, word.flags());
                entry.touch(self.now);
            }
            Insert::Full | Insert::Busy => return false,
        }
        true
    }

    /// A packet to the virtual address that no connection is known for: it may open one that is awaited.
    #[cold]
    #[inline(never)]
    pub(in crate::forward) fn met(&self, packet: &mut Packet<'_>, look: &Look) -> Option<Decision> {
        if look.protocol != Protocol::TCP || !look.flags.syn() || look.flags.rst() {
            return None;
        }
        let table = self.table;
        let key = FlowKey::connection(Protocol::TCP, look.key.client, ANY_PORT);
        let awaited = table.find(&key, table.hash(&key), |entry| is_awaited(self, entry, look))?;
        let (entry, word) = (table.entry(awaited), table.entry(awaited).state_word());
        if word.state() != State::Listen || entry.is_expired(self.now) {
            return None;
        }
        let id = PairId(entry.pair());
        let server = server_of(self, id)?;
        let met = Record {
            pair: id.0,
            generation: entry.generation(),
            state: State::Listen,
            flags: 0,
            timeout: entry.timeout(),
            last_seen: self.now,
            vport: entry.vport(),
            rport: entry.rport(),
            control: entry.control(),
            hop: HopId::NONE.0,
            epoch: 0,
            vip: None,
        };
        let same = |entry: &Entry| entry.pair() == met.pair && entry.vport() == met.vport;
        Some(match table.insert_or_find(&look.key, look.hash, same, &met) {
            Insert::Inserted(slot) => {
                lifecycle::begin(self.shared, self.lane, server, State::Listen);
                lifecycle::end(self.shared, self.lane, awaited, word);
                self.established(packet, look, slot)
            }
            Insert::Found(slot) => self.established(packet, look, slot),
            Insert::Full => Decision::drop(Reason::TableFull).for_pair(id),
            Insert::Busy => Decision::drop(Reason::TableBusy).for_pair(id),
        })
    }
}

/// Whether the entry is what this packet's client was told to open.
fn is_awaited(turn: &Turn<'_>, entry: &Entry, look: &Look) -> bool {
    let pair = turn.services.pair(PairId(entry.pair())).filter(|pair| pair.generation == entry.generation());
    let virtual_ = |pair: &Pair| pair.ends[Side::Virtual as usize];
    pair.is_some_and(|pair| virtual_(pair) == look.other.addr) && entry.vport() == look.other.port
}

/// The server of a pair, while it is one.
fn server_of<'a>(turn: &Turn<'a>, id: PairId) -> Option<&'a Server> {
    let service = turn.services.list.get(turn.services.pair(id)?.service as usize)?;
    service.servers.iter().find(|server| server.pair == id)
}
