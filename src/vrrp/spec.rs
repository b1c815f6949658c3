//! What one instance is configured to do: a `vrrp_instance` after its values are checked.

use std::time::Duration;

use super::proof::Proof;
use super::wire::Checksum;
use crate::wire::{Addr, Family, Mac};

/// The version spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// RFC 3768: IPv4, whole seconds, perhaps a password.
    #[default]
    V2,
    /// RFC 5798: both families, centiseconds.
    V3,
}

impl Version {
    /// As in the first four bits of an advert.
    pub const fn number(self) -> u8 {
        match self {
            Version::V2 => 2,
            Version::V3 => 3,
        }
    }
}

/// An instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// The name of its block.
    pub name: String,
    /// `interface`: where adverts are sent and heard.
    pub interface: String,
    /// `virtual_router_id`, 1 to 255.
    pub router: u8,
    /// `version`.
    pub version: Version,
    /// The family of the addresses in its adverts.
    pub family: Family,
    /// `priority`, 1 to 255; 255 owns the addresses.
    pub priority: u8,
    /// `state MASTER`. A hint: only together with priority 255 does it skip the wait at start.
    pub starts_as_master: bool,
    /// `advert_int`.
    pub interval: Duration,
    /// `down_timer_adverts`: intervals without an advert until a master counts as down.
    pub down_adverts: u8,
    /// `preempt`, `nopreempt`, `preempt_delay`.
    pub preempt: Preempt,
    /// `authentication` or `auth_hmac`: what adverts are known by.
    pub proof: Proof,
    /// `virtual_ipaddress`: what adverts list.
    pub addresses: Vec<Addr>,
    /// `unicast_src_ip` or `mcast_src_ip`: where adverts are sent from, unless the interface's own address will do.
    pub source: Option<Addr>,
    /// `use_vmac`: the MAC address that adverts are sent from, instead of the interface's own.
    pub mac: Option<Mac>,
    /// Whom adverts go to.
    pub peers: Peers,
    /// What happens when adverts of others meet a master.
    pub manners: Manners,
    /// `skip_check_adv_addr`: addresses of adverts from the same master are compared once only.
    pub compares_once: bool,
    /// The checksum of our adverts (`v3_checksum_as_v2`, `old_unicast_checksum`).
    pub checksum: Checksum,
    /// Whether a peer's [`Checksum::Group`] counts, and becomes ours (not with `old_unicast_checksum never`).
    pub learns_checksum: bool,
    /// `unicast_fault_no_peer` without any peer: it never takes part.
    pub lonely: bool,
    /// `track_src_ip`: it takes part only while [`source`](Self::source) is an address of the director.
    pub needs_source: bool,
    /// `timer_expired_backup`: a master that has sent no advert for so long gives way, since another one may lead by now.
    pub yields_after: Option<Duration>,
    /// Whether the interface must be up (`dont_track_primary` says no).
    pub needs_link: bool,
    /// How its addresses are announced.
    pub announcing: Announcing,
}

/// What a backup does about a master of lower priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preempt {
    /// `nopreempt`: leaves it alone.
    Never,
    /// Takes over once it has been there for so long (`preempt_delay`).
    After(Duration),
}

/// Whom adverts go to and come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peers {
    /// Everybody who listens to this group.
    Multicast(Addr),
    /// These, one by one.
    Unicast {
        /// `unicast_peer`.
        peers: Vec<Peer>,
        /// `unicast_ttl`: the TTL sent.
        ttl: u8,
        /// `check_unicast_src`: adverts of others do not count.
        only_peers: bool,
    },
}

/// A line of `unicast_peer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: Addr,
    /// `min_ttl` and `max_ttl`: what adverts may arrive with.
    pub ttl: (u8, u8),
}

/// What a master does about adverts of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    /// Answers a lower advert at once (`lower_prio_no_advert` says no), as RFC 9568 6.4.3 allows.
    pub answers_lower: bool,
    /// `higher_prio_send_advert`: sends a last advert before it gives way to a higher one.
    pub answers_higher: bool,
    /// `owner_ignore_adverts`: with priority 255 gives way to nobody.
    pub owner_stays: bool,
}

impl Default for Manners {
    fn default() -> Self {
        Self { answers_lower: true, answers_higher: false, owner_stays: false }
    }
}

/// `garp_*`: how the neighbours are told where the addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcing {
    /// After becoming master.
    pub master: Burst,
    /// After a lower advert.
    pub lower: Burst,
    /// `garp_master_refresh`: between repetitions; none if zero.
    pub refresh: Duration,
    /// `garp_master_refresh_repeat`: rounds in a repetition.
    pub refresh_rounds: u32,
    /// `garp_extra_if`: between announcements on each interface besides the instance's own; none if zero.
    pub extra: Duration,
    /// `garp_extra_if all`: on all of them, not only on those with a virtual MAC address.
    pub extra_all: bool,
    /// `vrrp_garp_interval`: between two gratuitous ARPs on an interface.
    pub arp_gap: Duration,
    /// `vrrp_gna_interval`: between two unsolicited neighbour advertisements on an interface.
    pub na_gap: Duration,
}

/// Rounds of announcements, and as many again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// `_repeat`: each round tells of every address once.
    pub rounds: u32,
    /// `_delay`: until the second burst; none if zero.
    pub again: Duration,
}

impl Default for Announcing {
    fn default() -> Self {
        let burst = Burst { rounds: 5, again: Duration::from_secs(5) };
        Self {
            master: burst,
            lower: burst,
            refresh: Duration::ZERO,
            refresh_rounds: 1,
            extra: Duration::ZERO,
            extra_all: false,
            arp_gap: Duration::ZERO,
            na_gap: Duration::ZERO,
        }
    }
}

impl Spec {
    /// An instance with the defaults of keepalived.
    pub fn new(name: &str, interface: &str, router: u8, family: Family) -> Self {
        Self {
            name: name.to_owned(),
            interface: interface.to_owned(),
            router,
            version: if family == Family::V4 { Version::V2 } else { Version::V3 },
            family,
            priority: 100,
            starts_as_master: false,
            interval: Duration::from_secs(1),
            down_adverts: 3,
            preempt: Preempt::After(Duration::ZERO),
            proof: Proof::None,
            addresses: Vec::new(),
            source: None,
            mac: None,
            peers: Peers::Multicast(group(family)),
            manners: Manners::default(),
            compares_once: false,
            checksum: Checksum::Journey,
            learns_checksum: true,
            lonely: false,
            needs_source: false,
            yields_after: None,
            needs_link: true,
            announcing: Announcing::default(),
        }
    }

    /// Whether both are the same virtual router to the network, whatever they are called here.
    pub fn is_same_router(&self, other: &Spec) -> bool {
        (&self.interface, self.router, self.family) == (&other.interface, other.router, other.family)
    }
}

/// The group that all VRRP routers listen to: 224.0.0.18 or ff02::12 (RFC 5798 5.1.1.2, 5.1.2.2).
pub fn group(family: Family) -> Addr {
    match family {
        Family::V4 => Addr::v4(0xe000_0012),
        Family::V6 => Addr::v6([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12]),
    }
}
