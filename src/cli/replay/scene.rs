//! The network that a replayed director stands in: one port, and a next hop for every address it may have to reach.
//!
//! A capture tells which MAC address each sender's packets came from, so what goes back to a sender goes there. Real
//! servers that never speak in it, and senders beyond the first [`MAX_LEARNED`], get made-up addresses: the same ones in
//! every run. No hop is ever missing, so no frame ever waits for one.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::io::PortId;
use crate::io::pcap::{Reader, Record};
use crate::service::{Hop, HopId, Network, NextHop, Port, Route};
use crate::wire::{Addr, Family, Mac, parse};

/// The one port.
pub(super) const PORT: PortId = PortId(0);
/// Its name.
pub(super) const PORT_NAME: &str = "capture";

/// Its MAC address: locally administered, and `RING` in ASCII.
const OWN_MAC: Mac = Mac([0x02, b'R', b'I', b'N', b'G', 0]);
/// Where everybody without a hop of his own is reached.
const ROUTER_MAC: Mac = Mac([0x02, b'R', b'I', b'N', b'G', 1]);
/// The director's own IPv4 address, source of tunnel headers: the dummy address of RFC 7600 4.8.
const OWN_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);
/// Its IPv6 address and the routers' addresses: of the discard prefix of RFC 6666, and next to the dummy address.
const OWN_V6: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1);
const ROUTER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 9);
const ROUTER_V6: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 2);

/// Senders remembered with their own MAC address: a flood from random addresses must not fill the memory.
const MAX_LEARNED: usize = 1 << 16;

/// What a first look through the capture gives.
pub(super) struct Scene {
    /// Ports, hops and routes.
    pub(super) network: Network,
    /// How many records the capture has.
    pub(super) records: u64,
}

impl Scene {
    /// Reads the capture through (as far as it can be read). `servers` are the addresses of the real servers, `mtu` the
    /// largest IP packet on the port.
    pub(super) fn learn(reader: &mut Reader, servers: impl IntoIterator<Item = Addr>, mtu: u16) -> Self {
        let mut scene = Self::bare(mtu);
        while let Ok(Some(record)) = reader.read() {
            scene.records += 1;
            if let Some((sender, mac)) = sender(&record)
                && scene.network.hops.len() < MAX_LEARNED
            {
                scene.neighbour(sender, mac);
            }
        }
        for server in servers {
            scene.neighbour(server, made_up(server));
        }
        scene
    }

    /// Only a router, which leads everywhere.
    fn bare(mtu: u16) -> Self {
        let own = [Addr::from(OWN_V4), Addr::from(OWN_V6)];
        let port = Port { name: PORT_NAME.to_owned(), ifindex: 0, mac: OWN_MAC, mtu, addresses: own.to_vec() };
        let network = Network { epoch: 1, ports: vec![port], ..Network::default() };
        let mut scene = Self { network, records: 0 };
        for router in [Addr::from(ROUTER_V4), Addr::from(ROUTER_V6)] {
            scene.neighbour(router, ROUTER_MAC);
            let everywhere = Route { gateway: Some(router), ..scene.on_link(router.family()) };
            scene.network.routes.add(router, 0, everywhere);
        }
        scene
    }

    /// A neighbour with a route of its own. The first MAC address of each stays.
    fn neighbour(&mut self, address: Addr, mac: Mac) {
        let next = NextHop { port: PORT, address };
        if self.network.neighbours.contains_key(&next) {
            return;
        }
        let port = &self.network.ports[usize::from(PORT.0)];
        let hop = Hop::new(PORT, mac, port.mac, port.mtu);
        let id = HopId(u32::try_from(self.network.hops.len()).expect("their number is bounded"));
        let route = self.on_link(address.family());
        let bits = match address.family() {
            Family::V4 => 32,
            Family::V6 => 128,
        };
        self.network.hops.push(hop);
        self.network.neighbours.insert(next, id);
        self.network.routes.add(address, bits, route);
    }

    fn on_link(&self, family: Family) -> Route {
        let port = &self.network.ports[usize::from(PORT.0)];
        let source = port.addresses.iter().copied().find(|own| own.family() == family);
        Route { port: Some(PORT), gateway: None, source, mtu: port.mtu }
    }
}

/// The address and MAC address that a frame comes from, if both are those of one station.
fn sender(record: &Record<'_>) -> Option<(Addr, Mac)> {
    let frame = record.frame.ok()?;
    let mac = Mac(*frame.get(6..)?.first_chunk()?);
    let group = mac.0[0] & 1 != 0;
    if group || mac == Mac::default() {
        return None;
    }
    let address = parse(frame).ok()?.source;
    (!std::net::IpAddr::from(address).is_unspecified()).then_some((address, mac))
}

/// A locally administered MAC address that tells which address it belongs to: `02:00:a:b:c:d` for a.b.c.d, and for IPv6
/// `02:06` before the address folded to 32 bits.
fn made_up(address: Addr) -> Mac {
    let family = match address.family() {
        Family::V4 => 0,
        Family::V6 => 6,
    };
    let [a, b, c, d] = address.folded().to_be_bytes();
    Mac([2, family, a, b, c, d])
}
