//! The first pass: read a frame's headers, tell the client's end from the other, hash.

use std::hint::select_unpredictable as select;

use super::{Aside, Reason, Verdict};
use crate::conn::{FlowHash, FlowKey, Table};
use crate::service::VipFilter;
use crate::wire::{
    Addr, Endpoint, Family, Fragment, HEAD, ParseError, Parsed, Protocol, TcpFlags, parse, parse_common,
};

/// Which way a packet goes. On the fast path it is data and not a condition: requests and replies come mixed, and a
/// branch on the way would be mispredicted for every second packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Way {
    /// From a client to a virtual server.
    In = 0,
    /// From a real server to a client.
    Out = 1,
}

/// What the first pass found out about a frame, kept until the second acts on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) key: FlowKey,
    pub(super) hash: FlowHash,
    /// The end that is not the client's: virtual on the way in, real (NAT) or virtual on the way out.
    pub(super) other: Endpoint,
    pub(super) l3: u16,
    pub(super) l4: u16,
    pub(super) end: u16,
    pub(super) protocol: u8,
    pub(super) flags: TcpFlags,
    pub(super) ttl: u8,
    pub(super) way: Way,
    pub(super) family: Family,
}

impl Look {
    /// Reads the frame at the start of `bytes`, which is `len` bytes long and may be followed by others.
    #[inline(always)]
    pub(super) fn at(bytes: &[u8], len: usize, vips: &VipFilter, table: &Table) -> Result<Look, Aside> {
        if let Some(parsed) = bytes.first_chunk::<HEAD>().and_then(|head| parse_common(head, len)) {
            return Ok(Self::of(&parsed, vips, table));
        }
        let parsed = uncommon(bytes.get(..len).unwrap_or(bytes))?;
        Ok(Self::of(&parsed, vips, table))
    }

    #[inline(always)]
    pub(super) fn of(parsed: &Parsed, vips: &VipFilter, table: &Table) -> Look {
        let source = Endpoint { addr: parsed.source, port: parsed.source_port };
        let destination = Endpoint { addr: parsed.destination, port: parsed.destination_port };
        let inbound = vips.may_contain(destination.addr);
        let way = select(inbound, Way::In, Way::Out);
        let client = pick(inbound, source, destination);
        let other = pick(inbound, destination, source);
        let key = FlowKey::connection(parsed.protocol, client.addr, client.port);
        let hash = table.hash(&key);
        table.prefetch_index(hash);
        Look {
            key,
            hash,
            other,
            l3: parsed.l3,
            l4: parsed.l4,
            end: parsed.end,
            protocol: parsed.protocol,
            flags: parsed.flags,
            ttl: parsed.ttl,
            way,
            family: parsed.family(),
        }
    }

    /// The same frame read the other way about, for when the filter of virtual addresses was wrong.
    pub(super) fn reversed(&self, table: &Table) -> Look {
        let key = FlowKey::connection(self.protocol, self.other.addr, self.other.port);
        let way = match self.way {
            Way::In => Way::Out,
            Way::Out => Way::In,
        };
        Look { key, hash: table.hash(&key), other: self.client(), way, ..*self }
    }

    pub(super) fn client(&self) -> Endpoint {
        Endpoint { addr: self.key.client, port: self.key.port() }
    }

    /// Source and destination as the packet has them.
    pub(super) fn ends(&self) -> (Addr, Addr) {
        match self.way {
            Way::In => (self.key.client, self.other.addr),
            Way::Out => (self.other.addr, self.key.client),
        }
    }

    /// Length of the IP packet in bytes.
    #[inline(always)]
    pub(super) fn packet_len(&self) -> u16 {
        self.end - self.l3
    }
}

/// One of two endpoints, without a branch.
#[inline(always)]
fn pick(first: bool, a: Endpoint, b: Endpoint) -> Endpoint {
    let hi = select(first, a.addr.hi, b.addr.hi);
    let lo = select(first, a.addr.lo, b.addr.lo);
    Endpoint { addr: Addr { hi, lo }, port: select(first, a.port, b.port) }
}

/// Everything but whole TCP and UDP without IPv4 options or IPv6 extension headers: kept out of the loop.
#[cold]
#[inline(never)]
fn uncommon(frame: &[u8]) -> Result<Parsed, Aside> {
    let parsed = parse(frame).map_err(|error| match error {
        ParseError::NotIp => Aside::Settled(Verdict::Pass),
        ParseError::Truncated => Aside::Settled(Verdict::Drop(Reason::Truncated)),
        ParseError::Malformed => Aside::Settled(Verdict::Drop(Reason::Malformed)),
    })?;
    let has_options = parsed.family() == Family::V4 && parsed.l4 - parsed.l3 > 20;
    match (parsed.fragment, parsed.protocol) {
        (Fragment::Whole, Protocol::TCP | Protocol::UDP | Protocol::SCTP) if has_options => Err(Aside::Options),
        (Fragment::Whole, Protocol::TCP | Protocol::UDP | Protocol::SCTP) => Ok(parsed),
        (Fragment::Whole, Protocol::ICMP | Protocol::ICMPV6) => Err(Aside::Message),
        (Fragment::Whole, _) => Err(Aside::Settled(Verdict::Pass)),
        _ => Err(Aside::Piece),
    }
}
