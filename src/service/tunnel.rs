//! The kinds of tunnel to a real server, and what each costs.

use std::fmt;

use crate::wire::Family;

/// How a packet is wrapped on its way to a server (`lvs_method TUN type T`; ipvsadm `--tun-type`, `--tun-port`,
/// `--tun-csum`). The outer IP header is the same in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tunnel {
    /// Straight behind the outer IP header (RFC 2003, RFC 2473).
    #[default]
    Ipip,
    /// Behind a GRE header without key and sequence number (RFC 2784).
    Gre {
        /// Whether the header carries a checksum over itself and the packet.
        checksum: bool,
    },
    /// In a UDP datagram behind a GUE header of variant 0 (draft-ietf-intarea-gue-09).
    Gue {
        /// The destination port.
        port: u16,
        /// What protects the datagram.
        checksum: GueChecksum,
    },
}

/// The checksum of a GUE datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GueChecksum {
    /// The UDP checksum is 0, over IPv6 as well.
    #[default]
    Off,
    /// A UDP checksum.
    On,
    /// A UDP checksum, and leave to carry the inner one's work to the receiver (`remcsum`). The kernel makes use of it
    /// only for packets whose inner checksum is not worked out yet; there are none here, so it is as `On`.
    Remote,
}

impl Tunnel {
    /// Bytes between the outer IP header and the packet.
    pub const fn shim(self) -> u8 {
        match self {
            Tunnel::Ipip => 0,
            Tunnel::Gre { checksum: false } => 4,
            Tunnel::Gre { checksum: true } => 8,
            Tunnel::Gue { .. } => 8 + 4,
        }
    }

    /// Bytes that a packet grows by under an outer IP header of this family.
    pub const fn overhead(self, outer: Family) -> u8 {
        self.shim()
            + match outer {
                Family::V4 => 20,
                Family::V6 => 40,
            }
    }
}

/// As `ipvsadm --tun-info` prints it: `ipip`, `gre:+c`, `gue:6080:r+c`.
impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tunnel::Ipip => f.write_str("ipip"),
            Tunnel::Gre { checksum } => write!(f, "gre:{}c", if *checksum { '+' } else { '-' }),
            Tunnel::Gue { port, checksum } => write!(f, "gue:{port}:{checksum}"),
        }
    }
}

impl fmt::Display for GueChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GueChecksum::Off => "-c",
            GueChecksum::On => "+c",
            GueChecksum::Remote => "r+c",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tunnels_are_written_as_ipvsadm_does() {
        let gue = |checksum| Tunnel::Gue { port: 6080, checksum };
        for (tunnel, text) in [
            (Tunnel::Ipip, "ipip"),
            (Tunnel::Gre { checksum: false }, "gre:-c"),
            (Tunnel::Gre { checksum: true }, "gre:+c"),
            (gue(GueChecksum::Off), "gue:6080:-c"),
            (gue(GueChecksum::On), "gue:6080:+c"),
            (gue(GueChecksum::Remote), "gue:6080:r+c"),
        ] {
            assert_eq!(tunnel.to_string(), text);
        }
    }

    /// `ip_vs_xmit.c: __ip_vs_get_out_rt` takes the same off the MTU.
    #[test]
    fn what_a_tunnel_costs() {
        for (tunnel, v4, v6) in [
            (Tunnel::Ipip, 20, 40),
            (Tunnel::Gre { checksum: false }, 24, 44),
            (Tunnel::Gre { checksum: true }, 28, 48),
            (Tunnel::Gue { port: 6080, checksum: GueChecksum::Off }, 32, 52),
            (Tunnel::Gue { port: 6080, checksum: GueChecksum::Remote }, 32, 52),
        ] {
            assert_eq!((tunnel.overhead(Family::V4), tunnel.overhead(Family::V6)), (v4, v6), "{tunnel:?}");
        }
    }
}
