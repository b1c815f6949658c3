//! The director's network of a recording, as workers see it.

use std::net::IpAddr;

use ringmaster::io::PortId;
use ringmaster::service::{Hop, HopId, Network, NextHop, Port, Route};
use ringmaster::wire::{Addr, Mac};

use crate::scenario::{self, Setup};

/// Below this an interface has no IPv6 (RFC 8200 5).
const LEAST_IPV6_MTU: u16 = 1280;

/// Ports, neighbours and routes. `Err`: something in the set-up that the harness does not understand.
pub fn network(setup: &Setup) -> Result<Network, String> {
    let mut network = Network { epoch: 1, ..Network::default() };
    for (index, port) in setup.ports.iter().enumerate() {
        let id = PortId(u8::try_from(index).map_err(|_| "too many ports")?);
        add_port(&mut network, id, port)?;
    }
    for route in &setup.routes {
        add_default(&mut network, route)?;
    }
    Ok(network)
}

/// The director's own addresses: those of its ports and the virtual ones.
pub fn own_addresses(setup: &Setup) -> Result<Vec<Addr>, String> {
    let on_ports = setup.ports.iter().flat_map(|port| &port.addresses);
    on_ports.chain(&setup.local).map(|text| prefix(text).map(|(address, _)| address)).collect()
}

fn add_port(network: &mut Network, id: PortId, port: &scenario::Port) -> Result<(), String> {
    let own = mac(&port.mac)?;
    let mut addresses = Vec::new();
    for text in &port.addresses {
        let (address, length) = prefix(text)?;
        if IpAddr::from(address).is_ipv6() && port.mtu < LEAST_IPV6_MTU {
            continue;
        }
        addresses.push(address);
        let route = Route { port: Some(id), gateway: None, source: Some(address), mtu: port.mtu };
        network.routes.add(address, length, route);
    }
    for (&address, its) in &port.neighbours {
        let hop = HopId(u32::try_from(network.hops.len()).map_err(|_| "too many neighbours")?);
        network.hops.push(Hop::new(id, mac(its)?, own, port.mtu));
        network.neighbours.insert(NextHop { port: id, address: address.into() }, hop);
    }
    network.ports.push(Port { name: port.name.clone(), ifindex: 0, mac: own, mtu: port.mtu, addresses });
    Ok(())
}

/// `default via GATEWAY`.
fn add_default(network: &mut Network, text: &str) -> Result<(), String> {
    let gateway: IpAddr = text
        .strip_prefix("default via ")
        .and_then(|gateway| gateway.parse().ok())
        .ok_or_else(|| format!("route `{text}` is not understood"))?;
    let any: IpAddr = if gateway.is_ipv6() { [0u16; 8].into() } else { [0u8; 4].into() };
    let on_link = *network.routes.lookup(gateway.into()).ok_or_else(|| format!("{gateway} is on no link"))?;
    network.routes.add(any.into(), 0, Route { gateway: Some(gateway.into()), ..on_link });
    Ok(())
}

/// `ADDRESS/LENGTH`.
fn prefix(text: &str) -> Result<(Addr, u8), String> {
    let parts = text.split_once('/').and_then(|(address, length)| {
        let address: IpAddr = address.parse().ok()?;
        Some((address.into(), length.parse().ok()?))
    });
    parts.ok_or_else(|| format!("`{text}` is not ADDRESS/LENGTH"))
}

fn mac(text: &str) -> Result<Mac, String> {
    let bytes: Option<Vec<u8>> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    let mac = bytes.and_then(|bytes| bytes.try_into().ok());
    mac.map(Mac).ok_or_else(|| format!("`{text}` is not a MAC address"))
}
