//! Which adverts count.
//!
//! The rules are those of RFC 5798 7.1 and RFC 3768 7.1, with the verdicts of keepalived 2.2.7 where it was measured, but
//! for one: a list of addresses that differs from ours does not void an advert. It is a mistake of configuration that is
//! told; taking it for silence would make both directors master.

use std::collections::BTreeSet;
use std::time::Duration;

use super::packet::Packet;
use super::proof::Proof;
use super::proof::trailer::{Mode, Received};
use super::spec::{Peers, Spec, Version};
use super::wire::{Advert, Checksum, Malformed};
use crate::wire::{Addr, Family};

/// An advert that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Who sent it.
    pub from: Addr,
    /// Its priority; 0 releases the addresses.
    pub priority: u8,
    /// The sender's interval.
    pub interval: Duration,
    /// The form of its checksum.
    pub checksum: Checksum,
}

/// Why an advert of our virtual router id does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// It does not have the length that it announces.
    Length,
    /// Another version of VRRP, or no advertisement.
    Version,
    /// The checksum is wrong.
    Checksum,
    /// Multicast with a TTL other than 255, or unicast outside the peer's limits: it came from afar.
    Ttl,
    /// Another type of authentication, another password, or another key.
    Authentication,
    /// Version 2 with another `advert_int`.
    Interval,
    /// Multicast where peers are listed, or the other way about.
    Mode,
    /// The sender is none of the peers (`check_unicast_src`).
    Source,
    /// It bears our own address: a loop, or a director that has the same.
    Own,
    /// Its sequence number is not new: somebody plays an old one again.
    Replay,
    /// The sender's clock is too far from ours (`time_window`).
    Stale,
}

impl Rejection {
    /// All, in the order of their numbers.
    pub const ALL: [Rejection; 11] = [
        Rejection::Length,
        Rejection::Version,
        Rejection::Checksum,
        Rejection::Ttl,
        Rejection::Authentication,
        Rejection::Interval,
        Rejection::Mode,
        Rejection::Source,
        Rejection::Own,
        Rejection::Replay,
        Rejection::Stale,
    ];

    /// The name of its counter.
    pub const fn name(self) -> &'static str {
        match self {
            Rejection::Length => "rejected-length",
            Rejection::Version => "rejected-version",
            Rejection::Checksum => "rejected-checksum",
            Rejection::Ttl => "rejected-ttl",
            Rejection::Authentication => "rejected-authentication",
            Rejection::Interval => "rejected-interval",
            Rejection::Mode => "rejected-mode",
            Rejection::Source => "rejected-source",
            Rejection::Own => "rejected-own",
            Rejection::Replay => "rejected-replay",
            Rejection::Stale => "rejected-stale",
        }
    }

    /// What is wrong, to end a sentence about adverts.
    pub const fn reason(self) -> &'static str {
        match self {
            Rejection::Length => "wrong length",
            Rejection::Version => "another version of VRRP",
            Rejection::Checksum => "wrong checksum",
            Rejection::Ttl => "a TTL that shows they come from afar",
            Rejection::Authentication => "another password, key or type of authentication",
            Rejection::Interval => "another advert_int",
            Rejection::Mode => "multicast where unicast is configured, or the other way about",
            Rejection::Source => "a sender that is none of the peers",
            Rejection::Own => "our own address as sender",
            Rejection::Replay => "a sequence number that was used before",
            Rejection::Stale => "a clock that differs too much from ours",
        }
    }
}

impl From<Malformed> for Rejection {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Length => Rejection::Length,
            Malformed::Version | Malformed::Type => Rejection::Version,
            Malformed::Checksum => Rejection::Checksum,
        }
    }
}

/// The virtual router id of a packet, whatever else is wrong with it.
pub fn router(packet: &Packet<'_>) -> Option<u8> {
    packet.payload.get(1).copied()
}

/// Judges a packet of this instance's virtual router id. `own` is what our adverts are sent from.
pub fn judge(spec: &Spec, own: Option<Addr>, packet: &Packet<'_>) -> Result<(Heard, Advert), Rejection> {
    let Packet { ends, ttl, .. } = *packet;
    if Some(ends.source) == own {
        return Err(Rejection::Own);
    }
    way(spec, packet)?;
    let (bytes, trailer) = parts(spec, packet);
    // Over IPv6 the checksum covers the trailer too.
    let covered = if ends.source.family() == Family::V6 { packet.payload } else { bytes };
    let advert = Advert::parse_covered(bytes, covered, ends)?;
    let checksum = advert.checksum(covered, ends).unwrap_or_default();
    if checksum == Checksum::Group && !spec.learns_checksum && spec.checksum != Checksum::Group {
        return Err(Rejection::Checksum);
    }
    if advert.version != spec.version {
        return Err(Rejection::Version);
    }
    if !lifetimes(spec, ends.source).contains(&ttl) {
        return Err(Rejection::Ttl);
    }
    if advert.authentication != spec.proof.within() || !is_proven(spec, packet, trailer) {
        return Err(Rejection::Authentication);
    }
    if spec.version == Version::V2 && advert.interval != spec.interval {
        return Err(Rejection::Interval);
    }
    Ok((Heard { from: ends.source, priority: advert.priority, interval: advert.interval, checksum }, advert))
}

/// The advert and, where trailers are expected, its trailer.
pub fn parts<'a>(spec: &Spec, packet: &Packet<'a>) -> (&'a [u8], Option<Received<'a>>) {
    match spec.proof {
        Proof::Trailer(_) => Received::split(packet.payload, packet.ends.source.family()),
        _ => (packet.payload, None),
    }
}

/// Whether header and trailer are as they should be.
fn is_proven(spec: &Spec, packet: &Packet<'_>, trailer: Option<Received<'_>>) -> bool {
    let unicast = matches!(spec.peers, Peers::Unicast { .. });
    match (&spec.proof, packet.header, trailer) {
        (Proof::Header(password), Some(header), _) => header.is_genuine(password, unicast),
        (Proof::Header(_), None, _) | (_, Some(_), _) => false,
        (Proof::Trailer(ours), None, Some(trailer)) => ours.is_genuine(&trailer, packet.ends.source),
        (Proof::Trailer(ours), None, None) => ours.mode != Mode::Enforce,
        (Proof::None | Proof::Password(_), None, _) => true,
    }
}

/// Whether an advert lists exactly our addresses, in whatever order.
pub fn same_addresses(spec: &Spec, advert: &Advert) -> bool {
    let set = |list: &[Addr]| list.iter().copied().collect::<BTreeSet<_>>();
    spec.addresses.len() == advert.addresses.len() && set(&spec.addresses) == set(&advert.addresses)
}

fn way(spec: &Spec, packet: &Packet<'_>) -> Result<(), Rejection> {
    let ends = packet.ends;
    match &spec.peers {
        Peers::Multicast(group) if ends.destination != *group => Err(Rejection::Mode),
        Peers::Unicast { .. } if is_multicast(ends.destination) => Err(Rejection::Mode),
        Peers::Unicast { peers, only_peers: true, .. } if !peers.iter().any(|peer| peer.address == ends.source) => {
            Err(Rejection::Source)
        }
        Peers::Multicast(_) | Peers::Unicast { .. } => Ok(()),
    }
}

/// The TTLs that an advert of `source` may arrive with.
fn lifetimes(spec: &Spec, source: Addr) -> std::ops::RangeInclusive<u8> {
    match &spec.peers {
        Peers::Multicast(_) => 255..=255,
        Peers::Unicast { peers, .. } => {
            let (least, most) = peers.iter().find(|peer| peer.address == source).map_or((0, 255), |peer| peer.ttl);
            least..=most
        }
    }
}

fn is_multicast(address: Addr) -> bool {
    std::net::IpAddr::from(address).is_multicast()
}
