//! What a session is configured to do: a `bfd_instance` after its values are checked.

use std::time::Duration;

use crate::wire::Addr;

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The name of its block.
    pub name: String,
    /// `neighbor_ip`.
    pub neighbour: Addr,
    /// `source_ip`; the kernel's choice where the file gives none.
    pub source: Option<Addr>,
    /// `min_rx`: the shortest time between packets that we can take.
    pub min_rx: Duration,
    /// `min_tx`: the time between our packets while the session is up, unless the neighbour asks for more.
    pub min_tx: Duration,
    /// `idle_tx`: the same while it is not up.
    pub idle_tx: Duration,
    /// `multiplier`: how many packets in a row the neighbour may miss.
    pub multiplier: u8,
    /// `passive`: says nothing before the neighbour does.
    pub passive: bool,
    /// `ttl` or `hoplimit`: what packets are sent with, and are expected to have been sent with.
    pub ttl: u8,
    /// `max_hops`: how much of that a packet may have lost on its way; 255 means any.
    pub max_hops: u8,
    /// `multihop`: the neighbour is not on the link, which is another port (RFC 5883).
    pub multihop: bool,
}

/// Where single-hop sessions listen (RFC 5881 4).
pub const PORT: u16 = 3784;
/// Where sessions over several hops listen (RFC 5883 5).
pub const MULTIHOP_PORT: u16 = 4784;

impl Spec {
    /// A session with the defaults of keepalived.
    pub fn new(name: &str, neighbour: Addr) -> Self {
        Self {
            name: name.to_owned(),
            neighbour,
            source: None,
            min_rx: Duration::from_millis(10),
            min_tx: Duration::from_millis(10),
            idle_tx: Duration::from_secs(1),
            multiplier: 5,
            passive: false,
            ttl: u8::MAX,
            max_hops: 0,
            multihop: false,
        }
    }

    /// Whether both are with the same neighbour: there is one session for an address and a kind (RFC 5881 3).
    pub fn is_same_session(&self, other: &Spec) -> bool {
        (self.neighbour, self.multihop) == (other.neighbour, other.multihop)
    }

    /// The UDP port of both ends' listeners.
    pub fn port(&self) -> u16 {
        if self.multihop { MULTIHOP_PORT } else { PORT }
    }

    /// Whether a packet that arrived with this TTL can have come from no further away than the neighbour is
    /// (RFC 5881 5, RFC 5082).
    pub fn admits(&self, ttl: u8) -> bool {
        self.ttl.saturating_sub(ttl) <= self.max_hops
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_from_afar_does_not_count() {
        for (sent, max_hops, arrived, admitted) in [
            (255, 0, 255, true),
            (255, 0, 254, false),
            (255, 1, 254, true),
            (255, 1, 253, false),
            (255, 255, 0, true),
            (64, 0, 64, true),
            (64, 0, 255, true),
            (64, 0, 63, false),
        ] {
            let spec = Spec { ttl: sent, max_hops, ..Spec::new("n", Addr::v4(1)) };
            assert_eq!(spec.admits(arrived), admitted, "{sent} {max_hops} {arrived}");
        }
    }
}
