//! Gratuitous ARP, unsolicited neighbour advertisements, and packets to groups, as Ethernet frames.

use crate::wire::checksum::{self, pseudo_header};
use crate::wire::{Addr, Family, Mac};

/// The frame that tells the neighbours of an interface with MAC address `mac` that `address` is there.
///
/// IPv4: an ARP *request* with sender and target the address (RFC 5227 3: the form that all stacks take), target
/// hardware address all ones. IPv6: a neighbour advertisement to all nodes with the override flag (RFC 4861 7.2.6);
/// `router` sets the flag that a forwarding host must set.
pub fn announcement(address: Addr, mac: Mac, router: bool) -> Vec<u8> {
    match address.family() {
        Family::V4 => gratuitous_arp(address, mac),
        Family::V6 => unsolicited_na(address, mac, router),
    }
}

/// A frame around an IP packet to a group, from MAC address `mac` (RFC 1112 6.4, RFC 2464 7).
pub fn to_group(group: Addr, mac: Mac, packet: &[u8]) -> Vec<u8> {
    let [a, b, c, d] = group.low32().to_be_bytes();
    let (to, kind) = match group.family() {
        Family::V4 => (Mac([1, 0, 0x5e, b & 0x7f, c, d]), 0x0800),
        Family::V6 => (Mac([0x33, 0x33, a, b, c, d]), 0x86dd),
    };
    let mut frame = ethernet(to, mac, kind);
    frame.extend_from_slice(packet);
    frame
}

fn gratuitous_arp(address: Addr, mac: Mac) -> Vec<u8> {
    const REQUEST_OVER_ETHERNET_FOR_IPV4: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 1];
    let ip = address.low32().to_be_bytes();
    let mut frame = ethernet(Mac::BROADCAST, mac, 0x0806);
    frame.extend(REQUEST_OVER_ETHERNET_FOR_IPV4);
    frame.extend(mac.0);
    frame.extend(ip);
    frame.extend(Mac::BROADCAST.0);
    frame.extend(ip);
    frame
}

fn unsolicited_na(address: Addr, mac: Mac, router: bool) -> Vec<u8> {
    const ICMPV6: u8 = 58;
    const ALL_NODES: Addr = Addr::v6([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    const ALL_NODES_MAC: Mac = Mac([0x33, 0x33, 0, 0, 0, 1]);
    let (override_, router) = (0x20, if router { 0x80 } else { 0 });
    let mut message = vec![136, 0, 0, 0, override_ | router, 0, 0, 0];
    message.extend(address.octets());
    message.extend([2, 1]);
    message.extend(mac.0);
    // 32 bytes.
    let length = message.len() as u16;
    let sum = checksum::finish(pseudo_header(address, ALL_NODES, ICMPV6, length.into()), &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());

    let mut frame = ethernet(ALL_NODES_MAC, mac, 0x86dd);
    frame.extend([0x60, 0, 0, 0]);
    frame.extend(length.to_be_bytes());
    frame.extend([ICMPV6, 255]);
    frame.extend(address.octets());
    frame.extend(ALL_NODES.octets());
    frame.extend(message);
    frame
}

fn ethernet(to: Mac, from: Mac, kind: u16) -> Vec<u8> {
    let mut frame = Vec::with_capacity(86);
    frame.extend(to.0);
    frame.extend(from.0);
    frame.extend(kind.to_be_bytes());
    frame
}
