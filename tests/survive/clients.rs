//! What people do meanwhile: they open one connection after the other, and download.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringmaster::sys::clock;

use crate::support::http;

/// Between two visits.
const PACE: Duration = Duration::from_millis(20);
/// How much of a download is read at once, and how long it rests then: 320 kB/s.
const PIECE: usize = 16 << 10;
const REST: Duration = Duration::from_millis(50);

/// What visitors met.
#[derive(Debug, Default)]
pub(crate) struct Visits {
    pub answered: usize,
    /// Whoever was refused, reset or not answered.
    pub failed: Vec<String>,
    /// The longest time that a visit took.
    pub longest: Duration,
}

/// Opens a connection every 20 ms until told to stop. To be called inside the client's namespace.
pub(crate) fn visit(from: IpAddr, to: SocketAddr, stop: &AtomicBool) -> Visits {
    let mut visits = Visits::default();
    while !stop.load(Ordering::Relaxed) {
        let begin = clock::now();
        match http::ask(from, to) {
            Ok(answer) if answer.client == from => visits.answered += 1,
            Ok(answer) => visits.failed.push(format!("{} saw {}", answer.server, answer.client)),
            Err(error) => visits.failed.push(format!("after {:?}: {error}", clock::now() - begin)),
        }
        visits.longest = visits.longest.max(clock::now() - begin);
        std::thread::sleep(PACE);
    }
    visits
}

/// Downloads one file after the other, slowly, until told to stop; the last one to its end. Gives how many. To be called
/// inside the client's namespace.
pub(crate) fn download(from: IpAddr, to: SocketAddr, offer: &[u8], stop: &AtomicBool) -> usize {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut stream = http::connect(from, to).expect("nobody is refused");
        write!(stream, "GET /files/offered HTTP/1.0\r\nHost: test\r\n\r\n").expect("it is taken");
        let (mut got, mut piece) = (Vec::new(), [0; PIECE]);
        loop {
            match stream.read(&mut piece).expect("a download goes on") {
                0 => break,
                bytes => got.extend(&piece[..bytes]),
            }
            if !stop.load(Ordering::Relaxed) {
                std::thread::sleep(REST);
            }
        }
        assert!(got.ends_with(offer), "a file has changed on its way");
        count += 1;
    }
    count
}
