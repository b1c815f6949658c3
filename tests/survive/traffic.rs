//! Numbered datagrams through a virtual address, and what has become of each.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::spell::SPELL;
use crate::support::netns::Namespace;

/// Connections, each numbered by itself.
const FLOWS: usize = 8;
/// Between two bursts of one datagram a flow.
const PACE: Duration = Duration::from_millis(4);
/// Room for what arrives while the receiver does not run, in bytes of the kernel's reckoning.
const ROOM: usize = 64 << 20;

/// What became of all that was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub sent: u64,
    pub lost: u64,
    pub duplicated: u64,
    pub reordered: u64,
}

/// Datagrams that are being sent.
pub(crate) struct Stream {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    sender: JoinHandle<u64>,
    receiver: JoinHandle<Received>,
}

#[derive(Default)]
struct Received {
    /// By flow: the numbers in the order of their arrival.
    flows: BTreeMap<u16, Vec<u64>>,
}

impl Stream {
    /// From addresses of `client` to the service at `to`, which `server` is behind, by any of its addresses.
    pub(crate) fn start(client: (&Namespace, IpAddr), to: SocketAddr, server: (&Namespace, u16)) -> Self {
        let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let inlet = server.0.enter(|| UdpSocket::bind((any, server.1))).expect("the port is free");
        rustix::net::sockopt::set_socket_recv_buffer_size_force(&inlet, ROOM).expect("root may");
        inlet.set_read_timeout(Some(Duration::from_millis(100))).expect("it is not zero");
        let outlets: Vec<UdpSocket> = client
            .0
            .enter(|| (0..FLOWS).map(|_| UdpSocket::bind((client.1, 0)).expect("it has the address")).collect());
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&sent));
        let sender = std::thread::spawn(move || send(&outlets, to, &stopped, &count));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&sent));
        let receiver = std::thread::spawn(move || receive(&inlet, &stopped, &count));
        Self { stop, sent, sender, receiver }
    }

    /// How many were sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Stops, and reckons.
    pub(crate) fn stop(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        let each = self.sender.join().expect("the sender does not panic");
        let received = self.receiver.join().expect("the receiver does not panic");
        // Of flows of which nothing came at all, everything is lost.
        let lost = (FLOWS - received.flows.len()) as u64 * each;
        let mut outcome = Outcome { sent: each * FLOWS as u64, lost, ..Outcome::default() };
        for numbers in received.flows.values() {
            let mut highest = 0;
            let mut seen = vec![false; each as usize + 1];
            for &number in numbers {
                outcome.duplicated += u64::from(std::mem::replace(&mut seen[number as usize], true));
                outcome.reordered += u64::from(number < highest);
                highest = highest.max(number);
            }
            outcome.lost += seen.iter().skip(1).filter(|seen| !**seen).count() as u64;
        }
        outcome
    }
}

/// Sends until told to stop; gives the last number.
fn send(outlets: &[UdpSocket], to: SocketAddr, stop: &AtomicBool, sent: &AtomicU64) -> u64 {
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        for outlet in outlets {
            outlet.send_to(&number.to_be_bytes(), to).expect("there is a route");
        }
        sent.fetch_add(outlets.len() as u64, Ordering::Relaxed);
        std::thread::sleep(PACE);
    }
    number
}

/// Receives until all is there, or nothing more comes after the end.
fn receive(inlet: &UdpSocket, stop: &AtomicBool, sent: &AtomicU64) -> Received {
    let (mut received, mut count, mut quiet) = (Received::default(), 0, 0);
    let mut bytes = [0; 64];
    while quiet < 10 && !(stop.load(Ordering::Relaxed) && count == sent.load(Ordering::Relaxed) && quiet > 1) {
        match inlet.recv_from(&mut bytes) {
            Ok((8, from)) => {
                let number = u64::from_be_bytes(*bytes.first_chunk().expect("eight bytes"));
                received.flows.entry(from.port()).or_default().push(number);
                (count, quiet) = (count + 1, 0);
            }
            Ok((length, _)) if bytes[..length].starts_with(SPELL) => {}
            Ok((length, from)) => panic!("{length} bytes from {from}"),
            Err(_) if stop.load(Ordering::Relaxed) => quiet += 1,
            Err(_) => {}
        }
    }
    received
}
