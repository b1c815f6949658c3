//! Faults on demand: a datagram that has the worker that it reaches do what it says (`src/worker/faults.rs`).

use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::support::netns::Namespace;

/// What such datagrams begin with.
pub(crate) const SPELL: &[u8] = b"RINGMASTER FAULT ";

/// Has the director of the service at `to` do it: `abort`, `spin`, `block`, `spin-control` or `block-control`.
pub(crate) fn cast(client: (&Namespace, IpAddr), to: SocketAddr, word: &str) {
    let outlet = client.0.enter(|| UdpSocket::bind((client.1, 0)).expect("it has the address"));
    outlet.send_to(&[SPELL, word.as_bytes()].concat(), to).expect("there is a route");
}
