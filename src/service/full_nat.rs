//! What full NAT needs to know beside the pair: the director's own ends towards the servers, and how these are told who
//! the client is.

use crate::wire::handed_on::{self, LONGEST_PROXY};
use crate::wire::{Addr, Endpoint, Family};
use arrayvec::ArrayVec;

/// Local ports unless the file says otherwise: below those that Linux takes for its own connections
/// (`net.ipv4.ip_local_port_range`), so that the director's own traffic from the same addresses stays the kernel's.
pub const LOCAL_PORTS: (u16, u16) = (1024, 32767);

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// How a server is told the address of a TCP client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HandOn {
    /// Not at all.
    Nothing,
    /// By the TCP option 254 in the segments of the handshake, as DPVS does.
    #[default]
    Toa,
    /// By a header in front of the stream.
    Proxy(ProxyVersion),
}

impl HandOn {
    /// The header in front of the stream, if there is to be one.
    pub fn header(self, client: Endpoint, virtual_: Endpoint) -> Option<ArrayVec<u8, LONGEST_PROXY>> {
        match self {
            HandOn::Proxy(ProxyVersion::V1) => Some(handed_on::proxy_v1(client, virtual_)),
            HandOn::Proxy(ProxyVersion::V2) => Some(handed_on::proxy_v2(client, virtual_)),
            HandOn::Nothing | HandOn::Toa => None,
        }
    }
}

/// The full NAT of one service (`laddr_group_name`, `proxy_protocol`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullNat {
    /// The director's addresses that servers see, all of the service's family; not empty.
    pub addresses: Vec<Addr>,
    /// The first and the last port that servers see (`local_ports`).
    pub ports: (u16, u16),
    /// How servers are told who the client is.
    pub hand_on: HandOn,
}

impl FullNat {
    /// How many local ends there are: as many connections can be open to one server's port.
    pub fn room(&self) -> u32 {
        let ports = u32::from(self.ports.1.saturating_sub(self.ports.0)) + 1;
        // Both factors come from a file that was checked; saturation would only leave some unused.
        ports.saturating_mul(u32::try_from(self.addresses.len()).unwrap_or(u32::MAX))
    }

    /// One of the local ends: neighbours in number have different addresses, and ports come around as late as possible.
    pub fn local(&self, number: u32) -> Option<Endpoint> {
        let number = number.checked_rem(self.room())?;
        let count = u32::try_from(self.addresses.len()).ok()?;
        let addr = *self.addresses.get((number % count) as usize)?;
        let port = u32::from(self.ports.0) + number / count;
        Some(Endpoint { addr, port: u16::try_from(port).ok()? })
    }

    /// Of which family its local ends are.
    pub fn family(&self) -> Option<Family> {
        self.addresses.first().map(|address| address.family())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_number_is_another_end_until_they_come_around() {
        let addresses = ["10.1.0.5:0", "10.1.0.6:0", "10.1.0.7:0"].map(|text| text.parse::<Endpoint>().unwrap().addr);
        let full = FullNat { addresses: addresses.to_vec(), ports: (65000, 65535), hand_on: HandOn::Toa };
        assert_eq!(full.room(), 3 * 536);
        let ends: BTreeSet<_> =
            (0..full.room()).map(|number| full.local(number).unwrap()).map(|end| (end.addr, end.port)).collect();
        assert_eq!(ends.len(), full.room() as usize);
        assert!(ends.iter().all(|(addr, port)| addresses.contains(addr) && *port >= 65000));
        assert_eq!(full.local(full.room()), full.local(0));
        assert_eq!(FullNat { addresses: Vec::new(), ..full }.local(7), None);
    }
}
