//! Entries of the connection table.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Protocol, socket};
use crate::conn::table::Listed;
use crate::forward::Shared;
use crate::forward::full::LocalEnd;
use crate::forward::lifecycle::SPENT;
use crate::service::{PairFlags, PairId, Services, Side};
use crate::time::{Tick, Ticks};
use crate::wire::Endpoint;

/// An entry of the connection table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionView {
    /// Its protocol; none for a template of a mark service, which is for all.
    pub protocol: Option<Protocol>,
    /// Until it ends if nothing more is heard of it, in seconds.
    pub expires: u32,
    /// As ipvsadm names it.
    pub state: String,
    /// The client.
    pub source: SocketAddr,
    /// VIP and port.
    #[serde(rename = "virtual")]
    pub virtual_: SocketAddr,
    /// The real server.
    pub destination: SocketAddr,
    /// With full NAT, the director's end that the server sees in place of the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<SocketAddr>,
    /// Of a template of the persistence engine `sip`, the Call-ID, if its text is still known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
}

/// A part of the connection table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionPage {
    /// In the order of the table.
    pub entries: Vec<ConnectionView>,
    /// Where the next part begins; `None` after the last.
    pub next: Option<u64>,
}

/// The view of a table entry; `None` if it belongs to no pair that is known any more, or is the local end of a connection
/// by full NAT, which is shown with that.
pub fn connection(shared: &Shared, services: &Services, listed: &Listed, now: Tick) -> Option<ConnectionView> {
    let record = &listed.record;
    let local = match LocalEnd::of(&shared.table, listed) {
        Some(LocalEnd::Itself) => return None,
        Some(LocalEnd::Of(local)) => Some(local),
        None => None,
    };
    let pair = services.pair(PairId(record.pair)).filter(|pair| pair.generation == record.generation)?;
    let [vport, rport] = match record.flags & SPENT {
        _ if pair.flags.has(PairFlags::BYPASS) => [record.vport, 0],
        0 => [record.vport, record.rport],
        // The kernel keeps a template from being found by giving it ports that nobody has (`ip_vs_check_template`).
        _ => [u16::MAX; 2],
    };
    let is_template = listed.key.is_template();
    let its_own = record.vip.filter(|_| !is_template && pair.service_key().mark().is_some());
    let call = record.vip.filter(|_| listed.key.is_call());
    let left = record.timeout.0.saturating_sub(now.since(record.last_seen).0);
    Some(ConnectionView {
        protocol: protocol_of(listed.key.protocol())?,
        expires: Ticks(left).as_secs(),
        state: record.state.name().to_owned(),
        source: socket(Endpoint { addr: listed.key.client, port: listed.key.port() }),
        virtual_: socket(Endpoint { port: vport, addr: its_own.unwrap_or(pair.ends[Side::Virtual as usize]) }),
        destination: socket(Endpoint { port: rport, ..pair.end(Side::Real) }),
        local: local.map(socket),
        call_id: call.and_then(|call| shared.calls.text(call)).map(|id| id.as_str().to_owned()),
    })
}

/// The protocol of a table entry, of which a mark's template has none; `None` if LVS does not balance it.
fn protocol_of(number: u8) -> Option<Option<Protocol>> {
    if number == 0 { Some(None) } else { Protocol::from_number(number).map(Some) }
}
