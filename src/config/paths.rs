//! Routes and rules of the kernel that a configuration brings: `virtual_routes`, `virtual_rules`, and their static kin.
//!
//! Numbers are the kernel's own (<linux/rtnetlink.h>, <linux/lwtunnel.h>, <linux/fib_rules.h>), as `ip` shows them.

use std::net::IpAddr;

use crate::wire::Family;

/// An address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The address.
    pub address: IpAddr,
    /// At most 32 or 128.
    pub length: u8,
}

/// What becomes of packets that a route is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// They go on.
    Unicast,
    /// They are this host's.
    Local,
    /// They are this host's, and broadcasts.
    Broadcast,
    /// They are this host's; no address to answer from.
    Anycast,
    /// They go on to a group.
    Multicast,
    /// They vanish.
    Blackhole,
    /// They are refused: host unreachable.
    Unreachable,
    /// They are refused: communication prohibited.
    Prohibit,
    /// The next rule decides about them.
    Throw,
}

/// A line of `virtual_routes`, as `ip route` understands it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualRoute {
    /// The line.
    pub written: String,
    /// Whose route it is.
    pub family: Family,
    /// The network; `None` is `default`.
    pub destination: Option<Prefix>,
    /// `from`: whose packets it is for. IPv6 only.
    pub from: Option<Prefix>,
    /// Whether it leads anywhere.
    pub kind: RouteKind,
    /// Where it leads: one way, or several among which connections are spread.
    pub hops: Vec<NextHop>,
    /// `src`.
    pub source: Option<IpAddr>,
    /// `metric`.
    pub metric: Option<u32>,
    /// `table`.
    pub table: u32,
    /// `scope`.
    pub scope: Option<u8>,
    /// `protocol`: who is told to have made it.
    pub protocol: u8,
    /// `tos`.
    pub tos: u8,
    /// `mtu`, `window` and the like: what connections by this route begin with.
    pub metrics: Vec<(Metric, u32)>,
    /// `lock`: those of them that the kernel must not learn better.
    pub locked: Vec<Metric>,
    /// `congctl`: how TCP copes with congestion; `true` if it is locked.
    pub congestion: Option<(String, bool)>,
    /// `expires`, in seconds. IPv6 only.
    pub expires: Option<u32>,
    /// `pref` (RFC 4191): which of several default routers. IPv6 only.
    pub preference: Option<RouterPreference>,
    /// `append`: behind others for the same network instead of in front of them.
    pub appended: bool,
}

/// One way that a route leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NextHop {
    /// `via`: the router.
    pub via: Option<IpAddr>,
    /// `dev`.
    pub device: Option<String>,
    /// `onlink`: the router is on the link, whatever its address.
    pub onlink: bool,
    /// `weight` less one: its share among several.
    pub extra_weight: u8,
    /// `realms`.
    pub realms: Option<Realms>,
    /// `encap`.
    pub encapsulation: Option<Encapsulation>,
}

/// Classes of traffic for `tc`. IPv4 only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Realms {
    /// Where packets come from.
    pub source: u16,
    /// Where they go.
    pub destination: u16,
}

/// What a route puts around packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encapsulation {
    /// `encap mpls`: labels, outermost first.
    Mpls {
        /// Numbers of 20 bits.
        labels: Vec<u32>,
        /// Of the labels.
        ttl: Option<u8>,
    },
    /// `encap ip` and `encap ip6`: what the device is to put around them.
    Ip(Outer),
}

/// The header that a tunnel device that has none of its own puts around packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outer {
    /// IPv4 or IPv6.
    pub family: Family,
    /// `id`: number of the tunnel.
    pub id: Option<u64>,
    /// `dst`.
    pub destination: Option<IpAddr>,
    /// `src`.
    pub source: Option<IpAddr>,
    /// `ttl` or `hoplimit`.
    pub hops: Option<u8>,
    /// `tos` or `tc`.
    pub class: Option<u8>,
    /// `flags`: `TUNNEL_CSUM` and the like.
    pub flags: Option<u16>,
}

/// Properties of a route, by the kernel's numbers (`RTAX_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Metric {
    /// Bytes of a packet.
    Mtu = 2,
    /// Bytes of TCP's window.
    Window = 3,
    /// Eighths of milliseconds there and back.
    RoundTrip = 4,
    /// Quarters of milliseconds that this varies by.
    RoundTripVariance = 5,
    /// Segments.
    SlowStartThreshold = 6,
    /// Segments.
    CongestionWindow = 7,
    /// Bytes of a segment that peers are told.
    AdvertisedSegment = 8,
    /// Segments.
    Reordering = 9,
    /// Hop limit of packets.
    HopLimit = 10,
    /// Segments to begin with.
    InitialCongestionWindow = 11,
    /// Bits; 1 is ECN.
    Features = 12,
    /// Milliseconds.
    LeastRetransmission = 13,
    /// Segments to begin with.
    InitialReceiveWindow = 14,
    /// 0 or 1.
    QuickAck = 15,
    /// 0 or 1.
    FastOpenNoCookie = 17,
}

/// Preference of a default router (RFC 4191).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouterPreference {
    /// Rather not.
    Low,
    /// Like others.
    Medium,
    /// Rather than others.
    High,
}

/// A line of `virtual_rules`, as `ip rule` understands it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualRule {
    /// The line.
    pub written: String,
    /// Whose rule it is.
    pub family: Family,
    /// `not`: for packets that are different.
    pub inverted: bool,
    /// `from`; `None` is `all`.
    pub from: Option<Prefix>,
    /// `to`; `None` is `all`.
    pub to: Option<Prefix>,
    /// `iif`.
    pub incoming: Option<String>,
    /// `oif`.
    pub outgoing: Option<String>,
    /// `fwmark`, and which bits of it count.
    pub mark: Option<(u32, Option<u32>)>,
    /// `tos`.
    pub tos: u8,
    /// `uidrange`: users whose sockets send.
    pub users: Option<(u32, u32)>,
    /// `ipproto`.
    pub transport: Option<u8>,
    /// `sport`, first and last.
    pub source_ports: Option<(u16, u16)>,
    /// `dport`, first and last.
    pub destination_ports: Option<(u16, u16)>,
    /// `priority`: rules with lower ones are asked first.
    pub priority: u32,
    /// `realms`. IPv4 only.
    pub realms: Option<Realms>,
    /// `suppress_prefixlength`: routes that are not longer do not count.
    pub suppressed_length: Option<u32>,
    /// `suppress_ifgroup`: routes by interfaces of this group do not count.
    pub suppressed_group: Option<u32>,
    /// `protocol`: who is told to have made it.
    pub protocol: u8,
    /// What becomes of such packets.
    pub action: RuleAction,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleAction {
    /// `table`: look there.
    Table(u32),
    /// `l3mdev`: look into the table of the VRF.
    MasterTable,
    /// `goto`: the rule of this priority decides.
    Goto(u32),
    /// `nop`: the next one does.
    Nop,
    /// They vanish.
    Blackhole,
    /// They are refused: host unreachable.
    Unreachable,
    /// They are refused: communication prohibited.
    Prohibit,
}
