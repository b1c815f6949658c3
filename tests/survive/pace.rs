//! How long nothing is forwarded: the gaps between the arrivals of datagrams that are sent at a steady pace.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::netns::Namespace;

/// Between two datagrams.
const PACE: Duration = Duration::from_micros(250);

/// Datagrams on their way.
pub(crate) struct Pace {
    stop: Arc<AtomicBool>,
    sender: JoinHandle<()>,
    receiver: JoinHandle<Vec<Instant>>,
}

impl Pace {
    /// From a host to the service at `to`, which `server` is behind.
    pub(crate) fn start(client: (&Namespace, IpAddr), to: SocketAddr, server: (&Namespace, u16)) -> Self {
        let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let inlet = server.0.enter(|| UdpSocket::bind((any, server.1))).expect("the port is free");
        rustix::net::sockopt::set_socket_recv_buffer_size_force(&inlet, 16 << 20).expect("root may");
        inlet.set_read_timeout(Some(Duration::from_millis(100))).expect("it is not zero");
        let outlet = client.0.enter(|| UdpSocket::bind((client.1, 0))).expect("it has the address");
        let stop = Arc::new(AtomicBool::new(false));
        let (sends, receives) = (Arc::clone(&stop), Arc::clone(&stop));
        let sender = std::thread::spawn(move || {
            while !sends.load(Ordering::Relaxed) {
                outlet.send_to(b"tick", to).expect("there is a route");
                std::thread::sleep(PACE);
            }
        });
        let receiver = std::thread::spawn(move || {
            let mut arrivals = Vec::new();
            while !receives.load(Ordering::Relaxed) {
                if inlet.recv_from(&mut [0; 64]).is_ok() {
                    arrivals.push(now());
                }
            }
            arrivals
        });
        Self { stop, sender, receiver }
    }

    /// The longest gap within so long after each of these moments.
    pub(crate) fn gaps(self, moments: &[Instant], after: Duration) -> Vec<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        self.sender.join().expect("the sender does not panic");
        let arrivals = self.receiver.join().expect("the receiver does not panic");
        let gap = |&moment: &Instant| {
            let pairs = arrivals.windows(2).filter(|pair| pair[1] > moment && pair[0] < moment + after);
            pairs.map(|pair| pair[1] - pair[0]).max().expect("something arrives")
        };
        moments.iter().map(gap).collect()
    }
}

#[expect(clippy::disallowed_methods, reason = "how long clients wait is real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
