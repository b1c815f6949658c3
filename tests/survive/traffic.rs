//! Numbered datagrams through a virtual address, and what has become of each.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ringmaster::sys::clock;

use crate::spell::SPELL;
use crate::support::netns::Namespace;

/// Connections, each numbered by itself.
const FLOWS: usize = 8;
/// Between two bursts of one datagram a flow.
const PACE: Duration = Duration::from_millis(8);
/// Room for what arrives while the receiver does not run, in bytes of the kernel's reckoning.
const ROOM: usize = 64 << 20;

/// What became of all that was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub sent: u64,
    pub lost: u64,
    pub duplicated: u64,
    pub reordered: u64,
    /// Connections that met more than one server.
    pub moved: u64,
}

/// The same, and what a sum does not tell.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub outcome: Outcome,
    /// By the client's port and the number.
    pub lost: BTreeSet<(u16, u64)>,
    /// The longest time in which nothing arrived.
    pub gap: Duration,
}

/// Datagrams that are being sent.
pub(crate) struct Stream {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    ports: Vec<u16>,
    sender: JoinHandle<u64>,
    receivers: Vec<JoinHandle<Vec<Arrival>>>,
}

/// A datagram as a server met it.
struct Arrival {
    at: Duration,
    /// The client's port.
    flow: u16,
    number: u64,
}

impl Stream {
    /// From addresses of `client` to the service at `to`, which `servers` are behind, by any of their addresses.
    pub(crate) fn start(client: (&Namespace, IpAddr), to: SocketAddr, servers: (&[&Namespace], u16)) -> Self {
        let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let outlets: Vec<UdpSocket> = client
            .0
            .enter(|| (0..FLOWS).map(|_| UdpSocket::bind((client.1, 0)).expect("it has the address")).collect());
        let ports = outlets.iter().map(|outlet| outlet.local_addr().expect("it is bound").port()).collect();
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let receiver = |server: &&Namespace| {
            let inlet = server.enter(|| UdpSocket::bind((any, servers.1))).expect("the port is free");
            rustix::net::sockopt::set_socket_recv_buffer_size_force(&inlet, ROOM).expect("root may");
            inlet.set_read_timeout(Some(Duration::from_millis(100))).expect("it is not zero");
            let stopped = Arc::clone(&stop);
            std::thread::spawn(move || receive(&inlet, &stopped))
        };
        let receivers = servers.0.iter().map(receiver).collect();
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&sent));
        let sender = std::thread::spawn(move || send(&outlets, to, &stopped, &count));
        Self { stop, sent, ports, sender, receivers }
    }

    /// How many were sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Stops, and reckons.
    pub(crate) fn stop(self) -> Outcome {
        self.account().outcome
    }

    /// Stops, and tells all.
    pub(crate) fn account(self) -> Account {
        self.stop.store(true, Ordering::Relaxed);
        let each = self.sender.join().expect("the sender does not panic");
        let mut account = Account::default();
        account.outcome.sent = each * FLOWS as u64;
        account.lost = self.ports.iter().flat_map(|&port| (1..=each).map(move |number| (port, number))).collect();
        let (mut seen, mut homes) = (BTreeMap::new(), BTreeMap::<u16, BTreeSet<usize>>::new());
        let arrivals = self.receivers.into_iter().map(|receiver| receiver.join().expect("the receiver does not panic"));
        let mut times = Vec::new();
        for (server, arrivals) in arrivals.enumerate() {
            for Arrival { at, flow, number } in arrivals {
                times.push(at);
                homes.entry(flow).or_default().insert(server);
                account.outcome.duplicated += u64::from(!account.lost.remove(&(flow, number)));
                let highest: &mut u64 = seen.entry(flow).or_default();
                account.outcome.reordered += u64::from(number < *highest);
                *highest = number.max(*highest);
            }
        }
        times.sort_unstable();
        account.gap = times.windows(2).map(|two| two[1] - two[0]).max().unwrap_or_default();
        account.outcome.lost = account.lost.len() as u64;
        account.outcome.moved = homes.values().filter(|homes| homes.len() > 1).count() as u64;
        account
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

/// Receives until nothing more comes after the end.
fn receive(inlet: &UdpSocket, stop: &AtomicBool) -> Vec<Arrival> {
    let (mut arrivals, mut quiet) = (Vec::new(), 0);
    let mut bytes = [0; 64];
    while quiet < 10 {
        match inlet.recv_from(&mut bytes) {
            Ok((8, from)) => {
                let number = u64::from_be_bytes(*bytes.first_chunk().expect("eight bytes"));
                arrivals.push(Arrival { at: clock::now(), flow: from.port(), number });
                quiet = 0;
            }
            Ok((length, _)) if bytes[..length].starts_with(SPELL) => {}
            Ok((length, from)) => panic!("{length} bytes from {from}"),
            Err(_) if stop.load(Ordering::Relaxed) => quiet += 1,
            Err(_) => {}
        }
    }
    arrivals
}

/// What this machine's kernel has dropped on the way between hosts, since its queues for that were full (`net.core.
/// netdev_max_backlog`): the second column of `/proc/net/softnet_stat`.
pub(crate) fn dropped_between_hosts() -> u64 {
    let text = std::fs::read_to_string("/proc/net/softnet_stat").unwrap_or_default();
    let dropped = text.lines().filter_map(|line| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok());
    dropped.sum()
}
